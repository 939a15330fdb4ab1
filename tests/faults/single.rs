//! Failures at one chosen moment.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use kinlog::disk::Disk;
use kinlog::error::Retry;
use kinlog::{Durability, Error, EventKind, NewEvent, NewRun, Options, RunId, Store};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{directory, small_segments};

fn start(store: &Store) -> RunId {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", "one", "T")).unwrap();
    tx.commit().unwrap();
    run
}

fn put(store: &Store, key: &[u8], bytes: usize) -> kinlog::Result<kinlog::Commit> {
    let mut tx = store.begin();
    tx.put("rows", key, &vec![1; bytes]).unwrap();
    tx.commit()
}

type Operations = Arc<Mutex<Vec<(Op, PathBuf)>>>;

/// A disk that does everything and notes it.
fn recording() -> (Arc<dyn Disk>, Operations) {
    let operations = Operations::default();
    let noted = operations.clone();
    let disk = disk_with(move |op, path| {
        noted.lock().unwrap().push((op, path.to_owned()));
        Fate::Done
    });
    (disk, operations)
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "seg")
}

/// A commit's sync waits behind what the device is given at once: the zeros of a segment come in pieces.
#[test]
fn a_segment_is_prepared_a_mebibyte_a_sync() {
    use Ordering::SeqCst;
    const LIMIT: usize = 1 << 20;
    let unsynced = Arc::new(AtomicUsize::new(0));
    let (most, now) = (Arc::new(AtomicUsize::new(0)), unsynced.clone());
    let (seen, piece) = (most.clone(), 64 << 10);
    let disk = disk_with(move |op, path| {
        let prepared = path.file_name().is_some_and(|name| name == "prepared.tmp");
        match op {
            Op::Write if prepared => {
                let bytes = now.fetch_add(piece, SeqCst) + piece;
                seen.fetch_max(bytes, SeqCst);
            }
            Op::Sync if prepared => now.store(0, SeqCst),
            _ => {}
        }
        Fate::Done
    });
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(4 << 20).disk(disk).open(dir.path()).unwrap();
    // Needs a segment of that length.
    let mut tx = store.begin();
    tx.put("t", b"k", &vec![7; 3 << 20]).unwrap();
    tx.commit().unwrap();
    drop(store);
    // The header is written over the last piece.
    assert_eq!((most.load(SeqCst), unsynced.load(SeqCst)), (LIMIT + piece, 0));
}

#[test]
fn a_failed_sync_is_not_tried_again_for_a_commit_that_came_meanwhile() {
    for round in 0..20 {
        let dir = directory();
        let (armed, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let after = Arc::new(AtomicUsize::new(0));
        let (entered, reached) = channel();
        let (release, released) = channel::<()>();
        let (entered, released) = (Mutex::new(entered), Mutex::new(released));
        let disk = {
            let (armed, failed, after) = (armed.clone(), failed.clone(), after.clone());
            disk_with(move |op, path| {
                if !is_segment(path) || !matches!(op, Op::Sync | Op::Write) {
                    return Fate::Done;
                }
                if failed.load(Ordering::SeqCst) {
                    after.fetch_add(1, Ordering::SeqCst);
                }
                if op == Op::Sync && armed.swap(false, Ordering::SeqCst) {
                    entered.lock().unwrap().send(()).unwrap();
                    released.lock().unwrap().recv().unwrap();
                    failed.store(true, Ordering::SeqCst);
                    return Fate::Fails(ErrorKind::Other);
                }
                Fate::Done
            })
        };
        let store = small_segments().disk(disk).open(dir.path()).unwrap();
        start(&store);
        let end = store.end();
        armed.store(true, Ordering::SeqCst);
        let submit = |key: &[u8]| {
            let mut tx = store.begin();
            tx.put("rows", key, b"v").unwrap();
            tx.submit(Durability::Sync)
        };
        let first = submit(b"first").unwrap();
        reached.recv().unwrap();
        // The store's thread is in the sync that is going to fail.
        let second = submit(b"second").unwrap();
        release.send(()).unwrap();
        let first = first.wait().unwrap_err();
        assert!(matches!(first, Error::OutcomeUnknown { .. }), "round {round}: {first}");
        assert_eq!(first.retry(), Retry::AfterReopening);
        // Gives the store's thread every chance to do the wrong thing.
        for _ in 0..500 {
            std::thread::yield_now();
        }
        let second = second.wait();
        assert!(matches!(second, Err(Error::NotWritten { .. })), "round {round}: {second:?}");
        assert!(matches!(submit(b"third"), Err(Error::NotWritten { .. })));
        // What was committed since the last sync is in doubt, whoever asks.
        assert!(matches!(store.sync(), Err(Error::OutcomeUnknown { .. })));
        assert_eq!(store.end(), end, "round {round}");
        assert_eq!(store.get("rows", b"second").unwrap(), None, "round {round}");
        store.verify(|_| {}).unwrap();
        assert!(store.shut_down().is_err(), "round {round}");
        assert_eq!(after.load(Ordering::SeqCst), 0, "round {round}: written or synced again");
        let store = small_segments().open(dir.path()).unwrap();
        assert_eq!(store.get("rows", b"second").unwrap(), None, "round {round}");
        assert!(store.get("rows", b"third").unwrap().is_none(), "round {round}");
    }
}

#[test]
fn a_commit_is_refused_while_there_is_no_room_and_taken_once_there_is() {
    let dir = directory();
    let full = Arc::new(AtomicBool::new(false));
    let disk = {
        let full = full.clone();
        disk_with(move |op, path| {
            let preparing = op == Op::Write && path.ends_with("prepared.tmp");
            if preparing && full.load(Ordering::SeqCst) {
                return Fate::Partly(300, ErrorKind::StorageFull);
            }
            Fate::Done
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    start(&store);
    let mut kept = vec![];
    for round in 0..3u8 {
        full.store(true, Ordering::SeqCst);
        let mut refused = 0;
        for i in 0..20u8 {
            match put(&store, &[round, i], 9_000) {
                Ok(_) => kept.push([round, i]),
                Err(error @ Error::DiskFull { .. }) => {
                    assert_eq!(error.retry(), Retry::Later);
                    let Error::DiskFull { path, source, .. } = error else { unreachable!() };
                    assert_eq!(source.kind(), ErrorKind::StorageFull);
                    assert!(path.ends_with("log/prepared.tmp"), "{}", path.display());
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        // The segment after the last one may have been prepared before the disk was full.
        assert!(refused > 5, "{refused}");
        full.store(false, Ordering::SeqCst);
        put(&store, &[round, 101], 9_000).unwrap();
        kept.push([round, 101]);
    }
    store.verify(|_| {}).unwrap();
    store.shut_down().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let rows: Vec<_> = store.snapshot().rows("rows", ..).map(|r| r.unwrap().key.to_vec()).collect();
    kept.sort_unstable();
    assert_eq!(rows, kept);
}

#[test]
fn room_that_came_back_is_used_by_the_commit_that_needs_it() {
    // The next segment was tried for in vain while there was no need for it yet.
    let dir = directory();
    let full = Arc::new(AtomicBool::new(false));
    let disk = {
        let full = full.clone();
        disk_with(move |op, path| {
            let fails =
                op == Op::Create && path.ends_with("prepared.tmp") && full.load(Ordering::SeqCst);
            if fails { Fate::Fails(ErrorKind::StorageFull) } else { Fate::Done }
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    full.store(true, Ordering::SeqCst);
    for i in 0..5u8 {
        put(&store, &[i], 11_000).unwrap();
    }
    full.store(false, Ordering::SeqCst);
    put(&store, &[5], 11_000).unwrap();
    assert_eq!(store.snapshot().rows("rows", ..).count(), 6);
}

#[test]
fn a_directory_that_cannot_be_synced_keeps_a_segment_from_being_used() {
    let dir = directory();
    let broken = Arc::new(AtomicBool::new(false));
    let disk = {
        let broken = broken.clone();
        disk_with(move |op, path| {
            let fails = op == Op::SyncDir && path.ends_with("log") && broken.load(Ordering::SeqCst);
            if fails { Fate::Fails(ErrorKind::Other) } else { Fate::Done }
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    broken.store(true, Ordering::SeqCst);
    let outcomes: Vec<_> = (0..12u8).map(|i| put(&store, &[i], 9_000)).collect();
    let kept = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(kept, 6, "a segment's worth");
    assert!(outcomes[kept..].iter().all(|o| matches!(o, Err(Error::NotWritten { .. }))));
    broken.store(false, Ordering::SeqCst);
    for i in 12..24u8 {
        put(&store, &[i], 9_000).unwrap();
    }
    assert_eq!(store.snapshot().rows("rows", ..).count(), kept + 12);
    store.verify(|_| {}).unwrap();
    store.shut_down().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.snapshot().rows("rows", ..).count(), kept + 12);
}

#[test]
fn opening_syncs_the_directories_before_it_vouches_for_the_log() {
    // A kill between a rename and the sync of its directory leaves a name that a power loss takes
    // back. The next process finds the name and relies on it.
    let dir = directory();
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    let (disk, operations) = recording();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let operations: Vec<_> = std::mem::take(&mut *operations.lock().unwrap());
    let vouched =
        operations.iter().position(|(op, path)| *op == Op::Write && path.ends_with("MANIFEST"));
    for wanted in [dir.path().to_owned(), dir.path().join("log")] {
        let synced = operations.iter().position(|(op, path)| *op == Op::SyncDir && *path == wanted);
        assert!(synced.is_some() && synced < vouched, "{} is not synced", wanted.display());
    }
    drop(store);
}

#[test]
fn every_directory_that_leads_to_a_new_store_is_made_to_last() {
    let dir = directory();
    let store = dir.path().join("a/b/store");
    let (disk, operations) = recording();
    small_segments().disk(disk).open(&store).unwrap();
    let operations = operations.lock().unwrap();
    let synced = operations.iter().filter(|(op, _)| *op == Op::SyncDir);
    let synced: Vec<_> = synced.map(|(_, path)| path).collect();
    for wanted in ["", "a", "a/b", "a/b/store", "a/b/store/log"] {
        let wanted = dir.path().join(wanted);
        // A trailing separator is no difference.
        let found = synced.iter().any(|path| path.components().eq(wanted.components()));
        assert!(found, "{} is not synced", wanted.display());
    }
}

#[test]
fn opening_writes_again_what_it_is_about_to_vouch_for() {
    // After a sync that failed in another process, pages that are not on the device may pass for
    // clean: only a sync after a write of them means anything.
    let dir = directory();
    let disk = disk_with(|op, path| {
        let fails = op == Op::Sync && is_segment(path);
        if fails { Fate::Fails(ErrorKind::Other) } else { Fate::Done }
    });
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let mut tx = store.begin();
    tx.put("t", b"k", b"v").unwrap();
    tx.commit().unwrap_err();
    drop(store);

    let (disk, operations) = recording();
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let operations: Vec<_> = std::mem::take(&mut *operations.lock().unwrap());
    let first = |wanted, named: &dyn Fn(&Path) -> bool| {
        operations.iter().position(|(op, path)| *op == wanted && named(path))
    };
    let written = first(Op::Write, &is_segment);
    let synced = first(Op::Sync, &is_segment);
    let vouched = first(Op::Write, &|path: &Path| path.ends_with("MANIFEST"));
    assert!(written.is_some() && written < synced && synced < vouched);
    assert_eq!(store.get("t", b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn an_unreadable_segment_without_a_manifest_is_not_removed() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store);
    store.shut_down().unwrap();
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let disk = disk_with(|op, path| {
        let fails = op == Op::Read && is_segment(path);
        if fails { Fate::Fails(ErrorKind::Other) } else { Fate::Done }
    });
    let segment = dir.path().join("log/00000000.seg");
    let before = std::fs::read(&segment).unwrap();
    small_segments().disk(disk).open(dir.path()).unwrap_err();
    assert!(std::fs::read(&segment).is_ok_and(|now| now == before));
}

#[test]
fn a_busy_store_does_not_mark_its_manifest() {
    let dir = directory();
    // Made before: a manifest in the making has another name.
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    let marks = Arc::new(AtomicUsize::new(0));
    let disk = {
        let marks = marks.clone();
        disk_with(move |op, path| {
            if op == Op::Sync && is_segment(path) {
                // A device takes its time, in which the store's thread gets to rest.
                (0..300).for_each(|_| std::thread::yield_now());
            }
            if op == Op::Write && path.ends_with("MANIFEST") {
                marks.fetch_add(1, Ordering::Relaxed);
            }
            Fate::Done
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let opened = marks.load(Ordering::Relaxed);
    for i in 0..300u32 {
        put(&store, &i.to_le_bytes(), 10).unwrap();
    }
    // Unless a quarter of the commits took longer than the store's idea of rest.
    let marked = marks.load(Ordering::Relaxed) - opened;
    assert!(marked < 75, "{marked} marks during 300 commits");
}

#[test]
fn many_threads_meet_a_disk_that_breaks_and_are_told_the_truth() {
    for broken in (0..40).step_by(3) {
        let dir = directory();
        let armed = Arc::new(AtomicBool::new(false));
        let disk = {
            let (armed, count) = (armed.clone(), AtomicUsize::new(0));
            disk_with(move |op, path| {
                let counts = armed.load(Ordering::SeqCst)
                    && is_segment(path)
                    && matches!(op, Op::Sync | Op::Write);
                // Once: a second attempt would succeed.
                let fails = counts && count.fetch_add(1, Ordering::SeqCst) == broken;
                if fails { Fate::Partly(500, ErrorKind::Other) } else { Fate::Done }
            })
        };
        let store = small_segments().disk(disk).open(dir.path()).unwrap();
        start(&store);
        armed.store(true, Ordering::SeqCst);
        let outcomes: Vec<(Vec<u8>, kinlog::Result<kinlog::Commit>)> =
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4u8)
                    .map(|thread| {
                        let store = &store;
                        scope.spawn(move || {
                            let one = |i: u8| {
                                let key = vec![thread, i];
                                let mut tx = store.begin();
                                tx.put("rows", &key, &[i; 400]).unwrap();
                                let handle = tx.submit(if i.is_multiple_of(3) {
                                    Durability::Buffered
                                } else {
                                    Durability::Sync
                                });
                                (key, handle)
                            };
                            let mut outcomes = vec![];
                            for i in (0..20).step_by(2) {
                                for (key, handle) in [one(i), one(i + 1)] {
                                    outcomes.push((key, handle.and_then(|handle| handle.wait())));
                                }
                            }
                            outcomes
                        })
                    })
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
        store.verify(|_| {}).unwrap();
        let _ = store.shut_down();
        let store = small_segments().open(dir.path()).unwrap();
        for (key, outcome) in outcomes {
            let there = store.get("rows", &key).unwrap().is_some();
            match outcome {
                Ok(_) => assert!(there, "{broken}: {key:?} is lost"),
                Err(Error::NotWritten { .. }) => assert!(!there, "{broken}: {key:?} is there"),
                Err(Error::OutcomeUnknown { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn events_of_a_run_are_refused_after_a_failed_write_and_can_be_read() {
    let dir = directory();
    let armed = Arc::new(AtomicBool::new(false));
    let disk = {
        let armed = armed.clone();
        disk_with(move |op, path| {
            let fails = op == Op::Write && is_segment(path) && armed.load(Ordering::SeqCst);
            if fails { Fate::Partly(700, ErrorKind::StorageFull) } else { Fate::Done }
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let run = start(&store);
    let event = || NewEvent::opaque(EventKind::MARKER_RECORDED, b"x");
    store.append(&run, event()).unwrap();
    armed.store(true, Ordering::SeqCst);
    assert!(matches!(store.append(&run, event()), Err(Error::OutcomeUnknown { .. })));
    armed.store(false, Ordering::SeqCst);
    assert!(matches!(store.append(&run, event()), Err(Error::NotWritten { .. })));
    assert_eq!(store.history(&run).unwrap().len(), 2);
    assert_eq!(store.history(&run).unwrap().iter().map(Result::unwrap).count(), 2);
    assert!(store.shut_down().is_err());
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, kinlog::Verdict::Torn);
    assert_eq!(store.history(&run).unwrap().len(), 2);
    store.append(&run, event()).unwrap();
}
