//! Who waits for the disk, and who does not: the disk stands still, and whoever should not wait goes on.

use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use kinlog::error::Retry;
use kinlog::{CommitHandle, Durability, Error, Options, Position, Result, Store, Transaction};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{copy_files, small_segments};
use kinlog_testing::{Closed, Gate};

const SEGMENT: u64 = 64 << 10;
/// Against a hang, not a measurement.
const HANG: Duration = Duration::from_secs(120);

/// A store on a disk on which operations that `held` names do not return while the gate is closed.
fn gated(dir: &Path, held: impl Fn(Op, &Path) -> bool + Send + Sync + 'static) -> (Store, Closed) {
    gated_with(&small_segments(), dir, held)
}

fn gated_with(
    options: &Options,
    dir: &Path,
    held: impl Fn(Op, &Path) -> bool + Send + Sync + 'static,
) -> (Store, Closed) {
    let gate = Gate::default();
    let disk = {
        let gate = gate.clone();
        disk_with(move |op, path| {
            if held(op, path) {
                gate.pass();
            }
            Fate::Done
        })
    };
    let store = options.clone().disk(disk).open(dir).unwrap();
    let closed = gate.close();
    (store, closed)
}

fn row(store: &Store, key: u16) -> Transaction<'_> {
    let mut tx = store.begin();
    tx.put("rows", &key.to_le_bytes(), &[1; 7_000]).unwrap();
    tx
}

fn segment_of(position: Position) -> u64 {
    position.as_u64() / SEGMENT
}

fn is_pending(future: impl Future) -> bool {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Submits without waiting until there is no room; the last one that was taken.
fn submit_all(store: &Store, key: &mut u16) -> Option<CommitHandle> {
    let mut last = None;
    loop {
        match row(store, *key).try_submit(Durability::Buffered) {
            Ok(handle) => (last, *key) = (Some(handle), *key + 1),
            Err(error @ Error::WouldBlock { .. }) => {
                assert_eq!(error.retry(), Retry::Later);
                return last;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn nobody_waits_for_the_sync_of_a_full_segment_who_asked_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let full = |op, path: &Path| op == Op::Sync && path.ends_with("00000000.seg");
    let (store, gate) = gated(dir.path(), full);
    let before = store.durable_end().unwrap();
    let commit = |key| row(&store, key).commit_with(Durability::Buffered).unwrap().position();
    let first = thread::scope(|scope| {
        let (send, found) = channel();
        scope.spawn(move || send.send((0..).map(commit).find(|at| segment_of(*at) == 1)));
        let found = found.recv_timeout(HANG).inspect_err(|_| gate.open());
        found.expect("nothing to wait for").expect("a next segment")
    });
    // The sync is under way, and the next segment is written, read, and not synced.
    assert!(store.end() > first);
    assert_eq!(store.durable_end().unwrap(), before);

    let synced = row(&store, 1_000).try_submit(Durability::Sync).unwrap();
    let position = synced.position();
    assert!(position > first);
    assert!(is_pending(store.durable(first)));
    assert!(is_pending(synced), "it stands on the segment before");
    drop(gate);
    store.durable(position).wait().unwrap();
    assert!(store.durable_end().unwrap() > position);
    assert!(!is_pending(store.durable(position)));
}

#[test]
fn a_commit_that_does_not_wait_is_refused_without_a_segment_and_told_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let prepares = |op, path: &Path| op == Op::Write && path.ends_with("prepared.tmp");
    let (store, gate) = gated(dir.path(), prepares);
    let mut key = 0;
    assert!(!is_pending(store.room()));
    let last = submit_all(&store, &mut key).unwrap().wait().unwrap().position();
    assert_eq!(segment_of(last), 0);
    assert!(is_pending(store.room()));
    store.durable(last).wait().unwrap();
    // Refused for want of a segment, again and again, and nothing is written.
    assert!(submit_all(&store, &mut key).is_none());
    drop(gate);
    let next = loop {
        store.room().wait().unwrap();
        match row(&store, key).try_submit(Durability::Sync) {
            Err(Error::WouldBlock { .. }) => {}
            submitted => break submitted.unwrap(),
        }
    };
    assert_eq!(segment_of(next.wait().unwrap().position()), 1);
    assert_eq!(store.snapshot().rows("rows", ..).count(), usize::from(key) + 1);
}

#[test]
fn a_commit_that_does_not_wait_is_told_that_the_disk_is_full_and_goes_on_with_space() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let disk = {
        let full = full.clone();
        disk_with(move |op, path| {
            let prepares = op == Op::Create && path.ends_with("prepared.tmp");
            if prepares && full.load(Ordering::SeqCst) {
                return Fate::Fails(ErrorKind::StorageFull);
            }
            Fate::Done
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    full.store(true, Ordering::SeqCst);
    let mut key = 0;
    submit_all(&store, &mut key);
    let attempt = || -> Result<CommitHandle> {
        loop {
            match row(&store, 1_000).try_submit(Durability::Sync) {
                Err(Error::WouldBlock { .. }) => store.room().wait()?,
                submitted => return submitted,
            }
        }
    };
    for _ in 0..3 {
        assert!(matches!(attempt(), Err(Error::DiskFull { .. })));
    }
    full.store(false, Ordering::SeqCst);
    // At most the attempt that was under way says no.
    let handle = attempt().or_else(|_| attempt()).unwrap();
    assert_eq!(segment_of(handle.wait().unwrap().position()), 1);
}

#[test]
fn whoever_waits_for_the_log_is_told_when_it_fails() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let disk = {
        let fails = fails.clone();
        disk_with(move |op, path| {
            let log = op == Op::Sync && path.ends_with("00000000.seg");
            if log && fails.load(Ordering::SeqCst) {
                Fate::Fails(ErrorKind::Other)
            } else {
                Fate::Done
            }
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let synced = row(&store, 0).commit().unwrap().position();
    let buffered = row(&store, 1).commit_with(Durability::Buffered).unwrap().position();
    let beyond = Position::from_u64(store.end().as_u64() + 4);
    assert!(matches!(store.durable(beyond).wait(), Err(Error::InvalidArgument { .. })));
    fails.store(true, Ordering::SeqCst);
    let waiting = store.durable(buffered);
    assert!(matches!(store.durable(buffered).wait(), Err(Error::OutcomeUnknown { .. })));
    match pin!(waiting).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(Error::OutcomeUnknown { position, .. })) => assert_eq!(position, buffered),
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.room().wait(), Err(Error::NotWritten { .. })));
    // What came before is as it was.
    store.durable(synced).wait().unwrap();
    store.logged(buffered).wait().unwrap();
    drop(store);
    let reader = small_segments().read_only(true).open(dir.path()).unwrap();
    assert!(matches!(reader.durable(synced).wait(), Err(Error::ReadOnly)));
}

/// The writer is killed while the first segment, which is shorter than the next one, is on its way.
#[test]
fn a_short_segment_that_is_not_on_the_device_is_written_again() {
    const LONGEST: u64 = 1 << 20;
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let full = |op, path: &Path| op == Op::Sync && path.ends_with("00000000.seg");
    let growing = Options::new().segment_bytes(u32::try_from(LONGEST).unwrap());
    let (store, gate) = gated_with(&growing, dir.path(), full);
    let mut rows = 0;
    while store.end().as_u64() / LONGEST < 1 {
        row(&store, rows).commit_with(Durability::Buffered).unwrap();
        rows += 1;
    }
    assert!(store.durable_end().unwrap().as_u64() < LONGEST);
    copy_files(dir.path(), copy.path());
    drop(gate);
    let copied = growing.open(copy.path()).unwrap();
    assert_eq!(copied.end(), store.end());
    assert_eq!(copied.durable_end().unwrap(), store.end());
    assert_eq!(copied.snapshot().rows("rows", ..).count(), usize::from(rows));
}

/// The row comes while the transaction that deletes it waits for room, and has found nothing to delete.
#[test]
fn a_row_that_comes_while_its_delete_waits_for_room_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (entered, reached) = channel();
    let attempts = AtomicUsize::new(0);
    let gate = Gate::default();
    let disk = {
        let gate = gate.clone();
        disk_with(move |op, path| {
            if op != Op::Create || !path.ends_with("prepared.tmp") {
                return Fate::Done;
            }
            // The first attempt makes the store, the second is made ahead, the third for whoever waits.
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            entered.send(attempt).unwrap();
            if attempt == 2 {
                gate.pass();
            }
            if attempt == 1 { Fate::Fails(ErrorKind::Other) } else { Fate::Done }
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let gate = gate.close();
    (0..6).for_each(|key| drop(row(&store, key).commit().unwrap()));
    assert_eq!((reached.recv_timeout(HANG), reached.recv_timeout(HANG)), (Ok(0), Ok(1)));
    let put = |key: &[u8], bytes| {
        let mut tx = store.begin();
        tx.put("t", key, &vec![1; bytes]).unwrap();
        tx
    };
    thread::scope(|scope| {
        let deletes = scope.spawn(|| {
            let mut tx = put(b"large", 30_000);
            tx.delete("t", b"k").unwrap();
            tx.commit().unwrap();
        });
        assert_eq!(reached.recv_timeout(HANG), Ok(2));
        put(b"k", 1).commit().unwrap();
        drop(gate);
        deletes.join().unwrap();
    });
    assert!(store.get("t", b"large").unwrap().is_some());
    assert_eq!(store.get("t", b"k").unwrap(), None);
}
