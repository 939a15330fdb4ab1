//! What is allocated in steady state: nothing for a commit, nothing for an event that is read, and a
//! few times for what is looked up. Counted in the thread that asks; the store's own
//! thread writes and marks beside it.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../benches/counted/allocator.rs"]
mod allocator;

use std::hint::black_box;

use kinlog::retention::Compaction;
use kinlog::{
    Close, Durability, Event, EventKind, History, Limits, NewChild, NewEvent, NewRun, RunId, Store,
};

use kinlog_testing::files::small_segments;
use kinlog_testing::steps::fill;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// How often a transaction's buffer may double when it takes ten times the events it holds.
const DOUBLINGS: u64 = 3;
/// Opening the history of a run.
const OPEN_HISTORY: u64 = 2;
/// Reading all of one, by the number of batches that its events lie in: forward, where the batches
/// lie is noted first; backward, the events of one batch at a time.
const READ: [(u32, u64, u64); 2] = [(1, 2, 6), (100, 3, 1)];
/// Looking something up that takes more than one look, for which the store is held still.
const LOOK_UP: u64 = 1;

fn allocated(mut work: impl FnMut()) -> u64 {
    let before = allocator::allocations();
    work();
    allocator::allocations() - before
}

fn event() -> NewEvent<'static> {
    NewEvent::opaque(EventKind::MARKER_RECORDED, &[7; 120])
}

/// A store in which runs may grow without limit, and one run.
fn store() -> (tempfile::TempDir, Store, RunId) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut limits = Limits::default();
    (limits.history_events, limits.history_bytes) = (u32::MAX - 1, u32::MAX);
    store.set_limits("shop", limits).unwrap();
    // So long a commit gets a segment that the test does not fill.
    let mut tx = store.begin();
    for key in [b"a", b"b"] {
        tx.put("rows", key, &vec![7; 9 << 20]).unwrap();
    }
    tx.commit_with(Durability::Buffered).unwrap();
    let run = start(&store, "order-42");
    (dir, store, run)
}

fn start(store: &Store, workflow_id: &str) -> RunId {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", workflow_id, "Order")).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
    run
}

fn commit(store: &Store, run: &RunId, events: u32) {
    let mut tx = store.begin();
    for _ in 0..events {
        tx.append(run, event()).unwrap();
    }
    black_box(tx.commit_with(Durability::Buffered).unwrap());
}

/// A run of 100 events besides its first, in so many batches.
fn run_of_100(store: &Store, batches: u32) -> RunId {
    let run = start(store, &format!("order of {batches}"));
    for _ in 0..batches {
        commit(store, &run, 100 / batches);
    }
    run
}

fn read<'h>(events: impl Iterator<Item = kinlog::Result<Event<'h>>>) {
    assert_eq!(events.map(|event| event.unwrap().payload().len()).sum::<usize>(), 100 * 120);
}

#[test]
fn a_commit_allocates_nothing() {
    let (_dir, store, _) = store();
    let runs: Vec<_> = (0..20).map(|n| start(&store, &format!("order-{n}"))).collect();
    for events in [1, 64, 1024] {
        let work = || runs.iter().for_each(|run| commit(&store, run, events));
        work();
        let found = allocated(work);
        assert_eq!(found, 0, "in 20 commits of {events}");
    }
}

#[test]
fn an_event_that_is_appended_allocates_nothing() {
    let (_dir, store, run) = store();
    let mut tx = store.begin();
    let mut work = |events| {
        (0..events).for_each(|_| {
            black_box(tx.append(&run, event()).unwrap());
        });
    };
    work(1000);
    let found = allocated(|| work(9000));
    assert!(found <= DOUBLINGS, "{found} for 9000 events");
}

#[test]
fn an_event_that_is_read_allocates_nothing() {
    let (_dir, store, _) = store();
    for (batches, forward, backward) in READ {
        let run = run_of_100(&store, batches);
        let history = store.history(&run).unwrap();
        let found = allocated(|| read(history.iter()));
        assert!(found <= forward, "{found} forward, {batches} batches");
        let found = allocated(|| read(history.rev()));
        assert!(found <= backward, "{found} backward, {batches} batches");
    }
}

/// Each batch is copied once by a history, which drops the copies with itself: whoever reads the same later copies anew.
#[test]
fn a_packed_run_is_copied_once_by_each_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let run = run_of_100(&store, 100);
    store.close_run(&run, Close::completed(b"")).unwrap();
    fill(&store);
    let done = store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    assert!(done.rewritten > 0);
    let history = || store.history(&run).unwrap();
    read(history().iter());
    for _ in 0..3 {
        let history = history();
        let found = allocated(|| read(history.iter()));
        // The bytes, and the place that tells where they are.
        assert!((204..250).contains(&found), "{found} for 102 batches");
        let found = allocated(|| read(history.iter()));
        assert!(found <= READ[1].1, "{found} when read again");
    }
}

#[test]
fn what_is_looked_up_allocates_a_constant() {
    let (_dir, store, run) = store();
    let mut tx = store.begin();
    let child = tx.spawn_child(&run, NewChild::new("ship-42", "Shipping")).unwrap().run;
    tx.commit().unwrap();
    let history = |of: &RunId| -> History { store.history(of).unwrap() };
    let look_ups: [(&str, u64, &dyn Fn()); 5] = [
        ("history", OPEN_HISTORY, &|| assert_eq!(history(&run).len(), 3)),
        ("current_run", 0, &|| {
            assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(run));
        }),
        ("parent", LOOK_UP, &|| assert_eq!(store.parent(&child).unwrap().unwrap().run, run)),
        ("chain_size", LOOK_UP, &|| assert_eq!(store.chain_size(&run).unwrap().events, 3)),
        ("namespace_size", LOOK_UP, &|| assert_eq!(store.namespace_size("shop").runs, 2)),
    ];
    for (name, bound, look_up) in look_ups {
        look_up();
        let found = allocated(|| (0..100).for_each(|_| look_up()));
        assert!(found <= 100 * bound, "{found} for 100 calls of {name}");
    }
}
