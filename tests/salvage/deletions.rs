//! Deletions where the runs that they are of, or what they waited for, are lost.

use std::fs;
use std::path::Path;

use kinlog::retention::Keep;
use kinlog::{
    Close, Durability, Error, NewChild, NewReset, NewRun, NextRun, Position, RunId, RunStatus,
    Store, Transaction,
};
use kinlog_testing::files::{directory, segment_name, small_segments};

/// Takes steps in one commit; where that lies.
fn commit<T>(store: &Store, steps: impl FnOnce(&mut Transaction<'_>) -> T) -> (T, Position) {
    let mut tx = store.begin();
    let done = steps(&mut tx);
    let commit = tx.commit_with(Durability::Buffered).unwrap();
    (done, commit.position())
}

fn start(store: &Store, workflow_id: &str) -> (RunId, Position) {
    commit(store, |tx| tx.start(NewRun::new("shop", workflow_id, "Order")).unwrap())
}

fn close(store: &Store, run: &RunId) -> Position {
    commit(store, |tx| tx.close_run(run, Close::completed(b"done")).unwrap()).1
}

/// What comes of a store whose commits at `lost` are damaged, with how many rows were kept and dropped.
fn salvaged(dir: &Path, fill: impl FnOnce(&Store) -> Vec<Position>) -> (Store, (u64, u64)) {
    let (src, dst) = (dir.join("src"), dir.join("dst"));
    let store = small_segments().open(&src).unwrap();
    let lost = fill(&store);
    store.shut_down().unwrap();
    let path = src.join(segment_name(0));
    let mut bytes = fs::read(&path).unwrap();
    for at in lost {
        bytes[at.as_u64() as usize + 40] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    let report = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
    let store = small_segments().create(false).open(&dst).unwrap();
    store.verify(|_| ()).unwrap();
    (store, (report.rows_kept, report.rows_dropped))
}

fn is_deleted(store: &Store, run: &RunId) -> bool {
    matches!(store.run(run), Err(Error::RunDeleted { .. }))
}

#[test]
fn a_deletion_is_lost_with_its_run_and_leaves_the_others_of_its_commit() {
    let dir = directory();
    let mut runs = vec![];
    let (store, rows) = salvaged(dir.path(), |store| {
        let (lost, at) = start(store, "lost");
        let (first, _) = start(store, "chain");
        let next = |tx: &mut Transaction<'_>| tx.continue_as_new(&first, NextRun::new("Order"));
        let last = commit(store, |tx| next(tx).unwrap()).0;
        let kept = start(store, "kept").0;
        let cut = start(store, "cut").0;
        let end = close(store, &cut);
        for run in [lost, last, kept] {
            close(store, &run);
        }
        commit(store, |tx| {
            tx.delete_run(&cut, Keep::Nothing).unwrap();
            tx.delete_run(&lost, Keep::Nothing).unwrap();
            tx.delete_chain(&first, Keep::Nothing).unwrap();
            tx.delete_run(&kept, Keep::Outcome).unwrap();
            tx.put("rows", b"key", b"row").unwrap();
        });
        runs = vec![lost, cut, first, last, kept];
        vec![at, end]
    });
    let [lost, cut, first, last, kept] = runs[..] else { panic!() };
    assert_eq!(rows, (4, 2));
    assert!(matches!(store.run(&lost), Err(Error::RunNotFound { .. })));
    // What was lost of it is its end: it is open, and an engine goes on with it.
    assert_eq!(store.run(&cut).unwrap().status, RunStatus::Running);
    assert!(is_deleted(&store, &first) && is_deleted(&store, &last));
    assert_eq!(store.run(&kept).unwrap().deleted, Some(Keep::Outcome));
    assert_eq!(store.get("rows", b"key").unwrap().as_deref(), Some(&b"row"[..]));
    assert_eq!(store.current_run("shop", "chain").unwrap(), None);
    assert_eq!(store.stats().unwrap().deleted_runs, 2);
}

#[test]
fn a_chain_is_deleted_of_which_the_last_run_is_lost() {
    let dir = directory();
    let mut runs = vec![];
    let (store, rows) = salvaged(dir.path(), |store| {
        let base = start(store, "order").0;
        close(store, &base);
        let (fork, at) = commit(store, |tx| tx.reset(&base, NewReset::to(1)).unwrap());
        close(store, &fork);
        commit(store, |tx| tx.delete_chain(&base, Keep::Nothing).unwrap());
        runs = vec![base, fork];
        vec![at]
    });
    assert_eq!(rows, (1, 1));
    assert!(is_deleted(&store, &runs[0]));
    assert!(matches!(store.run(&runs[1]), Err(Error::RunNotFound { .. })));
}

/// The parent's history does not say any more how the child ended, and that is still to be told.
#[test]
fn a_child_is_not_deleted_whose_end_its_parent_has_lost() {
    let dir = directory();
    let mut runs = vec![];
    let (store, rows) = salvaged(dir.path(), |store| {
        let parent = start(store, "parent").0;
        let spawn = |tx: &mut Transaction<'_>| tx.spawn_child(&parent, NewChild::new("kid", "T"));
        let kid = commit(store, |tx| spawn(tx).unwrap()).0;
        close(store, &kid.run);
        let report = |tx: &mut Transaction<'_>| tx.report_child(&parent, kid.initiated_event_id);
        let told = commit(store, |tx| report(tx).unwrap()).1;
        commit(store, |tx| tx.delete_run(&kid.run, Keep::Nothing).unwrap());
        runs = vec![parent, kid.run];
        vec![told]
    });
    assert_eq!(rows, (0, 1));
    assert_eq!(store.run(&runs[1]).unwrap().status, RunStatus::Completed);
    assert_eq!(store.settle_all().unwrap().duties, 1);
    store.transact(|tx| tx.delete_run(&runs[1], Keep::Nothing)).unwrap();
    assert!(is_deleted(&store, &runs[1]));
    assert_eq!(store.run(&runs[0]).unwrap().events, 4);
}
