//! Space that comes and goes: why a segment could not be prepared then says nothing about now.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kinlog::Store;
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::small_segments;

const SEGMENT: u64 = 64 << 10;
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
    let full = Arc::new(AtomicBool::new(false));
    let (failed, failures) = channel();
    let failed = Mutex::new(failed);
    let disk = {
        let full = full.clone();
        let attempted = Mutex::new(false);
        disk_with(move |op, path| {
            if !path.ends_with("prepared.tmp") {
                return Fate::Done;
            }
            let mut attempted = attempted.lock().unwrap();
            match op {
                Op::Create if full.load(Ordering::SeqCst) => {
                    *attempted = true;
                    return Fate::Fails(ErrorKind::StorageFull);
                }
                // The last thing that an attempt does which failed.
                Op::Remove if std::mem::take(&mut *attempted) => {
                    failed.lock().unwrap().send(()).unwrap();
                }
                _ => {}
            }
            Fate::Done
        })
    };
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let (segment, used) = (|| store.end().as_u64() / SEGMENT, || store.end().as_u64() % SEGMENT);
    let mut written = 0;
    for number in 0..8 {
        full.store(true, Ordering::SeqCst);
        // With half a segment used the next one is tried for, and nobody needs it yet.
        while used() <= SEGMENT / 2 {
            put(&store, written).unwrap();
            written += 1;
        }
        failures.recv_timeout(HANG).expect("an attempt");
        full.store(false, Ordering::SeqCst);
        while segment() == number {
            put(&store, written).unwrap();
            written += 1;
        }
    }
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
