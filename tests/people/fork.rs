//! A process that forks: the child has a copy of the store's memory, and neither its threads nor its locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use kinlog::recorder::{Label, Metric, Recorder};
use kinlog::retention::{Compaction, Maintenance};
use kinlog::{Close, DutyFilter, DutyKind, NewRun, Position, RunFilter, Store, Timestamp};
use kinlog_testing::Gate;
use kinlog_testing::disk::{Fate, Op, disk_with};

use super::*;

/// Runs `child` in a process that is forked from this one; panics if it does not return in time, or
/// panics.
#[allow(unsafe_code)]
fn forked(child: impl FnOnce()) {
    // SAFETY: the child runs no more than `child` and ends without coming back; whatever it may wait
    // for in vain, an alarm ends it.
    let id = unsafe { libc::fork() };
    assert!(id >= 0);
    if id == 0 {
        // SAFETY: sets a timer of this process.
        unsafe { libc::alarm(20) };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        // SAFETY: ends this process, without a destructor of what belongs to the parent.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(id, &raw mut status, 0) }, id);
    assert_eq!(status, 0, "the child hung or panicked");
}

/// Lets threads end, also those of a test that fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn refused<T: std::fmt::Debug>(found: Result<T, Error>, parent: u32) {
    assert!(
        matches!(&found, Err(Error::Forked { opened_by, .. }) if *opened_by == parent),
        "{found:?}"
    );
}

/// Every call that can return an error says so; every other one finds nothing.
fn refuses(store: Store, parent: u32, run: kinlog::RunId) {
    refused(put(&store, "child"), parent);
    let mut tx = store.begin();
    refused(tx.start(NewRun::new("shop", "child", "Order")), parent);
    tx.put("rows", b"child", b"").unwrap();
    refused(tx.submit(Durability::Buffered).map(|_| ()), parent);
    refused(store.transact(|tx| tx.get("rows", b"k")).map(|_| ()), parent);
    refused(
        store.append(&run, kinlog::NewEvent::opaque(kinlog::EventKind::from_number(1024), b"")),
        parent,
    );
    refused(store.close_run(&run, Close::completed(b"")), parent);
    refused(store.settle_all(), parent);
    refused(store.sync(), parent);
    refused(store.rest(), parent);
    refused(store.refresh(), parent);
    refused(store.stats(), parent);
    refused(store.verify(|_| ()), parent);
    refused(store.backup("/nowhere", None, |_| ()), parent);
    refused(store.get("rows", b"k"), parent);
    refused(store.run(&run), parent);
    refused(store.history(&run).map(|_| ()), parent);
    refused(store.children(&run).map(|_| ()), parent);
    refused(store.chain(&run).map(|_| ()), parent);
    refused(store.tree(&run).map(|_| ()), parent);
    refused(store.tail(Position::START).try_next().map(|_| ()), parent);
    let snapshot = store.snapshot();
    refused(snapshot.history(&run).map(|_| ()), parent);
    refused(snapshot.get("rows", b"k"), parent);
    refused(snapshot.runs(RunFilter::all()).next().unwrap(), parent);
    assert_eq!(snapshot.rows("rows", ..).count(), 0);
    refused(store.duties(DutyFilter::all()).next().unwrap(), parent);
    assert_eq!(store.duty_count(DutyKind::StartChild), 0);
    refused(store.current_run("shop", "order"), parent);
    assert_eq!(store.namespaces().len(), 0);
    refused(store.shut_down(), parent);
}

fn ours(store: &Store) -> kinlog::RunId {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order", "Order")).unwrap();
    tx.commit().unwrap();
    run
}

/// While threads of the parent are in the middle of commits, so that locks are held that nobody in the child
/// will ever give back.
#[test]
fn a_forked_process_is_refused_and_the_parent_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (run, parent) = (ours(&store), std::process::id());
    let stop = AtomicBool::new(false);
    let mut acknowledged = thread::scope(|scope| {
        let stops = Stops(&stop);
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (store, stop) = (&store, &stop);
                scope.spawn(move || {
                    let mut keys = vec![];
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("{writer} {}", keys.len());
                        put(store, &key).unwrap();
                        drop(store.snapshot());
                        keys.push(key);
                    }
                    keys
                })
            })
            .collect();
        for _ in 0..20 {
            forked(|| {
                // The child's own copy of what it may then drop.
                let store = copy_of(&store);
                refuses(store, parent, run);
            });
        }
        drop(stops);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    store.shut_down().unwrap();
    let store = open(dir.path());
    assert_eq!(store.report().verdict, kinlog::Verdict::Clean);
    acknowledged.sort();
    assert_eq!(keys(&store), acknowledged);
    store.verify(|_| ()).unwrap();
}

/// Other threads of the parent may ask for rounds meanwhile: what they hold for a moment, the child would wait for.
#[test]
fn a_store_is_dropped_in_a_forked_process_whatever_threads_of_the_parent_hold() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // There is no thread for it.
                    store.maintain().unwrap_err();
                }
            });
        }
        for _ in 0..100 {
            forked(|| drop(copy_of(&store)));
        }
    });
}

/// Its thread is in the middle of writing a segment, and holds what keeps others from compacting, erasing and verifying:
/// nobody in the child will ever give that back.
#[test]
fn a_fork_during_a_round_of_maintenance_is_refused_and_the_round_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (gate, is_there) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let disk = {
        let (gate, is_there) = (gate.clone(), is_there.clone());
        disk_with(move |op, path: &Path| {
            if op == Op::Write && path.ends_with("compacting.tmp") {
                is_there.store(true, Ordering::SeqCst);
                gate.pass();
            }
            Fate::Done
        })
    };
    let rounds = Maintenance::every(Duration::MAX);
    let store = small_segments().disk(disk).maintenance(rounds).open(dir.path()).unwrap();
    let (run, parent) = (ours(&store), std::process::id());
    (0..20).for_each(|_| put_bytes(&store, "again", 10_000).unwrap());
    thread::scope(|scope| {
        // Opened also where this fails: the scope waits for the round.
        let closed = gate.close();
        let round = scope.spawn(|| store.maintain());
        let started = Instant::now();
        while !is_there.load(Ordering::SeqCst) && started.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        assert!(is_there.load(Ordering::SeqCst), "no segment is rewritten");
        for _ in 0..5 {
            forked(|| {
                let store = copy_of(&store);
                refused(store.maintain(), parent);
                refused(store.expire(Timestamp::from_unix_nanos(0), 1), parent);
                refused(store.erase(), parent);
                refused(store.compact(&Compaction::new()), parent);
                refused(store.space(&Compaction::new()), parent);
                refused(store.consumers(), parent);
                refuses(store, parent, run);
            });
            forked(|| drop(copy_of(&store)));
            put(&store, "beside").unwrap();
        }
        closed.open();
        let done = round.join().unwrap().unwrap();
        assert!(done.compacted.is_some_and(|done| done.rewritten > 0));
    });
    put(&store, "after").unwrap();
    store.maintain().unwrap();
    store.shut_down().unwrap();
    let store = open(dir.path());
    assert_eq!(store.report().verdict, kinlog::Verdict::Clean);
    assert_eq!(keys(&store), ["after", "again", "beside"]);
    store.verify(|_| ()).unwrap();
}

/// What a forked process has by value of a store that its parent's stack owns.
#[allow(unsafe_code)]
fn copy_of(store: &Store) -> Store {
    // SAFETY: the memory is the child's own, and its other owner, a function of the parent that is further
    // up on the stack, is never returned to.
    unsafe { std::ptr::read(store) }
}

/// A thread of the parent may hold the recorder's own locks when the process forks.
#[test]
fn a_forked_process_tells_the_recorder_nothing() {
    #[derive(Default)]
    struct Told(AtomicU64);
    impl Recorder for Told {
        fn add(&self, _: &Metric, _: &[Label], _: u64) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let told = Arc::new(Told::default());
    let store = small_segments().recorder(told.clone()).open(dir.path()).unwrap();
    let (run, parent) = (ours(&store), std::process::id());
    let before = told.0.load(Ordering::Relaxed);
    assert!(before > 0);
    forked(|| {
        refuses(copy_of(&store), parent, run);
        assert_eq!(told.0.load(Ordering::Relaxed), before);
    });
}

#[test]
fn dropping_in_a_forked_process_leaves_lock_and_threads_of_the_parent_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "before").unwrap();
    let snapshot = store.snapshot();
    let tx = store.begin();
    forked(|| {
        drop(copy_of(&store));
        refused_as_locked(dir.path());
    });
    drop((snapshot, tx));
    refused_as_locked(dir.path());
    put(&store, "after").unwrap();
    store.shut_down().unwrap();
    assert_eq!(keys(&open(dir.path())), ["after", "before"]);
}

/// A thread may be in the middle of a change to anything when the process forks.
#[test]
fn dropping_in_a_forked_process_takes_nothing_apart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(kinlog::disk::FileSystem::new());
    let store = small_segments().disk(disk.clone()).open(dir.path()).unwrap();
    put(&store, "one").unwrap();
    let holders = Arc::strong_count(&disk);
    forked(|| {
        let (snapshot, store) = (store.snapshot(), copy_of(&store));
        drop(store);
        drop(snapshot);
        assert_eq!(Arc::strong_count(&disk), holders);
    });
    forked(|| {
        drop(copy_of(&store).shut_down());
        assert_eq!(Arc::strong_count(&disk), holders);
    });
}

/// A child has the lock's descriptor too, which keeps the lock for as long as it is open.
#[test]
fn a_store_that_is_closed_can_be_opened_while_a_forked_process_lives() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (started, go) = (dir.path().join("started"), dir.path().join("go"));
    thread::scope(|scope| {
        let (begun, end) = (&started, &go);
        scope.spawn(move || {
            forked(|| {
                fs::write(begun, "").unwrap();
                while !end.exists() {
                    thread::yield_now();
                }
            });
        });
        let started = Instant::now();
        while !begun.exists() && started.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        let closed = store.shut_down();
        let again = small_segments().open(dir.path());
        fs::write(end, "").unwrap();
        closed.unwrap();
        again.unwrap();
    });
}

#[test]
fn a_forked_process_can_open_the_store_anew_for_reading() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "one").unwrap();
    forked(|| {
        let reader = small_segments().read_only(true).open(dir.path()).unwrap();
        assert_eq!(keys(&reader), ["one"]);
        reader.verify(|_| ()).unwrap();
    });
}
