//! The manifest's two slots: whatever becomes of one write, the next one leaves the other slot alone.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinlog::{Error, Store};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::small_segments;

const SLOT: usize = 4096;
/// So many thousandths of a slot end in the middle of what it says.
const TORN: usize = 15;

fn put(store: &Store, key: &[u8]) {
    let mut tx = store.begin();
    tx.put("rows", key, b"v").unwrap();
    tx.commit().unwrap();
}

/// Makes the slots that differ from those in `before` unreadable: they were in flight.
fn spoil_changed(path: &Path, before: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    for (slot, old) in bytes.chunks_mut(SLOT).zip(before.chunks(SLOT)) {
        if slot != old {
            slot[..512].fill(0xee);
        }
    }
    fs::write(path, bytes).unwrap();
}

/// A store whose manifest cannot be marked twice: first `fails` says why, and what was written is
/// lost, then the machine stops in the middle of the next mark. It must open.
fn two_marks_fail(fails: fn(Op) -> Fate) {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("MANIFEST");
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    let [first, second] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let disk = {
        let (first, second) = (first.clone(), second.clone());
        disk_with(move |op, path| match path.ends_with("MANIFEST") {
            true if first.load(Ordering::SeqCst) => fails(op),
            true if second.load(Ordering::SeqCst) && op == Op::Write => {
                Fate::Partly(TORN, ErrorKind::Other)
            }
            _ => Fate::Done,
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    put(&store, b"one");
    // The store may come to rest by itself meanwhile; it then marks no more than is marked here.
    store.rest().unwrap();
    put(&store, b"two");
    let before = fs::read(&manifest).unwrap();
    first.store(true, Ordering::SeqCst);
    assert!(matches!(store.rest(), Err(Error::Io { .. })));
    spoil_changed(&manifest, &before);
    first.store(false, Ordering::SeqCst);
    second.store(true, Ordering::SeqCst);
    assert!(matches!(store.rest(), Err(Error::Io { .. })));
    // As the machine left it.
    let left = tempfile::tempdir().unwrap();
    fs::create_dir(left.path().join("log")).unwrap();
    for name in ["MANIFEST", "log/00000000.seg"] {
        fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    }
    let store = small_segments().open(left.path()).unwrap();
    assert!(store.report().manifest_damaged);
    assert_eq!(store.snapshot().rows("rows", ..).count(), 2);
}

#[test]
fn a_write_after_one_that_failed_leaves_the_slot_in_force_alone() {
    two_marks_fail(|op| match op {
        Op::Write => Fate::Partly(TORN, ErrorKind::Other),
        _ => Fate::Done,
    });
}

/// What was written before a sync that fails may be on the device or lost, though it can be read.
#[test]
fn a_write_after_one_that_could_not_be_synced_leaves_the_slot_in_force_alone() {
    two_marks_fail(|op| match op {
        Op::Sync => Fate::Fails(ErrorKind::Other),
        _ => Fate::Done,
    });
}

/// A mark that fails is made good by the next one.
#[test]
fn a_mark_that_failed_is_made_at_the_next_rest() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let disk = {
        let fails = fails.clone();
        disk_with(move |op, path| {
            let hit = op == Op::Sync && path.ends_with("MANIFEST") && fails.load(Ordering::SeqCst);
            if hit { Fate::Fails(ErrorKind::Other) } else { Fate::Done }
        })
    };
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    put(&store, b"one");
    fails.store(true, Ordering::SeqCst);
    let (first, second) = (store.rest(), store.rest());
    assert!(first.is_err() && second.is_err());
    fails.store(false, Ordering::SeqCst);
    store.rest().unwrap();
    let marks = fs::read(dir.path().join("MANIFEST")).unwrap();
    let marks = marks.chunks(SLOT).map(|slot| u64::from_le_bytes(slot[56..64].try_into().unwrap()));
    assert_eq!(marks.max(), Some(store.end().as_u64()));
}
