//! Space that comes and goes: why a segment could not be prepared then says nothing about now.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kinlog::Store;
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::small_segments;

const SEGMENT: u64 = 64 << 10;
const SEGMENTS: u64 = 8;
/// Against a hang, not a measurement.
const HANG: Duration = Duration::from_secs(120);

fn put(store: &Store, key: u16) -> kinlog::Result<kinlog::Commit> {
    let mut tx = store.begin();
    tx.put("rows", &key.to_le_bytes(), &[1; 3_000]).unwrap();
    tx.commit()
}

/// In each segment the next one is prepared ahead, in vain; then there is space again, and no commit
/// may hear of it, least of all the one that needs the next segment.
#[test]
fn a_segment_that_was_prepared_in_vain_refuses_no_commit_once_there_is_space() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let disk = {
        let attempts = attempts.clone();
        disk_with(move |op, path| {
            let first = path.parent().is_some_and(|log| log.join("00000000.seg").exists());
            if op != Op::Create || !path.ends_with("prepared.tmp") || !first {
                return Fate::Done;
            }
            // Of the two attempts for each segment the first.
            match attempts.fetch_add(1, Ordering::SeqCst) % 2 {
                0 => Fate::Fails(ErrorKind::StorageFull),
                _ => Fate::Done,
            }
        })
    };
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let mut written = 0;
    while store.end().as_u64() / SEGMENT < SEGMENTS {
        put(&store, written).unwrap();
        written += 1;
    }
    assert!(attempts.load(Ordering::SeqCst) as u64 >= 2 * SEGMENTS);
    assert_eq!(store.snapshot().rows("rows", ..).count(), usize::from(written));
}

/// The attempt that a commit finds under way began before there was space: it says no more about now
/// than one that has ended.
#[test]
fn a_commit_that_waits_for_an_attempt_from_before_there_was_space_is_not_refused_for_it() {
    let (entered, reached) = channel();
    let (release, released) = channel::<()>();
    let gate = Mutex::new(Some((entered, released)));
    let disk = disk_with(move |op, path| {
        if op == Op::Write && path.ends_with("prepared.tmp") {
            let first = path.parent().is_some_and(|log| log.join("00000000.seg").exists());
            if first && let Some((entered, released)) = gate.lock().unwrap().take() {
                entered.send(()).unwrap();
                released.recv().unwrap();
                return Fate::Fails(ErrorKind::StorageFull);
            }
        }
        Fate::Done
    });
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    // What is left is kept for closing and cancelling as long as the next segment is not there.
    let mut written = 0;
    while store.end().as_u64() <= SEGMENT - SEGMENT / 16 - 4_000 {
        put(&store, written).unwrap();
        written += 1;
    }
    reached.recv_timeout(HANG).expect("an attempt");
    std::thread::scope(|scope| {
        let needs_it = scope.spawn(|| (0..4).try_for_each(|i| put(&store, 1_000 + i).map(drop)));
        // Gives it every chance to wait.
        (0..2_000).for_each(|_| std::thread::yield_now());
        release.send(()).unwrap();
        needs_it.join().unwrap().unwrap();
    });
    assert_eq!(store.snapshot().rows("rows", ..).count(), usize::from(written) + 4);
}
