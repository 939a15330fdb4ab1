//! Readers beside a compaction, which drops what was deleted while they began.

use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Durability, Error, EventKind, NewEvent, NewRun, RunId, Store, Verdict};
use kinlog_testing::files::directory;
use shuttle::thread;

use crate::explore::explore;
use crate::world::{World, open_copy};

const EVENTS: u32 = 5;
/// Two fit into a segment.
const LARGE: usize = 24 << 10;

/// Whether the history of a run is there, which then is there as a whole.
fn has_history(store: &Store, run: &RunId) -> bool {
    match store.history(run) {
        Ok(history) => {
            let payloads = history.iter().map(|event| event.unwrap().payload().len());
            let large = payloads.filter(|len| *len == LARGE).count();
            assert_eq!((history.len(), large), (EVENTS, EVENTS as usize - 2));
            true
        }
        Err(Error::RunDeleted { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A store with a run that has closed, in full segments.
fn world() -> (World, RunId) {
    let world = World::new();
    let mut tx = world.store.begin();
    let run = tx.start(NewRun::new("shop", "order", "Order")).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
    for _ in 2..EVENTS {
        let mut tx = world.store.begin();
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &[b'.'; LARGE])).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
    let mut tx = world.store.begin();
    tx.close_run(&run, Close::completed(b"done")).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
    (world, run)
}

/// The end of what a reader sees and the segments that it reads are of one moment.
#[test]
fn a_history_is_whole_or_deleted_while_it_is_compacted() {
    explore(400, || {
        let (world, run) = world();
        let mut tx = world.store.begin();
        tx.delete_run(&run, Keep::Nothing).unwrap();
        let deleted = tx.submit(Durability::Buffered).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                deleted.wait().unwrap();
                let done = world.store.compact(&Compaction::new().dead_percent(0)).unwrap();
                assert_eq!(done.rewritten, 1);
            });
            scope.spawn(|| {
                let found = [(); 3].map(|()| has_history(&world.store, &run));
                assert!(found.is_sorted_by(|a, b| a >= b), "it came back");
            });
        });
        assert!(!has_history(&world.store, &run));
        world.store.verify(|_| ()).unwrap();
        world.store.shut_down().unwrap();
    });
}

/// Its end and its segments are of one moment: what a compaction relied on is in it.
#[test]
fn a_backup_that_is_taken_while_the_store_is_compacted_opens() {
    explore(400, || {
        let (world, run) = world();
        let backup = directory();
        let to = backup.path().join("backup");
        let deletes = || {
            let mut tx = world.store.begin();
            tx.delete_run(&run, Keep::Nothing).unwrap();
            tx.commit_with(Durability::Buffered).unwrap();
            let done = world.store.compact(&Compaction::new().dead_percent(0)).unwrap();
            assert_eq!(done.rewritten, 1);
        };
        thread::scope(|scope| {
            scope.spawn(deletes);
            scope.spawn(|| world.store.backup(&to, None, |_| ()).unwrap());
        });
        let copy = open_copy(&to);
        assert_eq!(copy.report().verdict, Verdict::Clean);
        has_history(&copy, &run);
    });
}
