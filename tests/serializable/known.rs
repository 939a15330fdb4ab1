//! Worlds made for one violation each that is hard to meet by chance.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::thread;

use kinlog::{
    Close, Durability, DutyFilter, IdConflictPolicy, NewChild, NewReset, NewRun, NextRun, RunId,
    Store, Target,
};

use crate::api;
use crate::board::Board;
use crate::mix::{EVERYTHING, NAMES};
use crate::place;
use crate::reader;
use crate::take::{NAMESPACE, TABLE};
use crate::watchdog::Watchdog;

const JOBS: u32 = 2_000;
const CONSUMERS: usize = 4;

fn watched(threads: usize, name: &str) -> (Arc<Board>, Watchdog) {
    let board = Arc::new(Board::new(threads));
    (board.clone(), Watchdog::watch(board, name.to_owned()))
}

/// A run that asked fifty others to cancel, all in vain, and the last event by which it asked.
fn asking(store: &Store) -> (RunId, u32) {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new(NAMESPACE, "asks", "T")).unwrap();
    for _ in 0..50 {
        tx.cancel_external(&run, Target::workflow("nobody")).unwrap();
    }
    tx.commit().unwrap();
    store.settle_all().unwrap();
    (run, 51)
}

#[test]
fn resets_and_commits_beside_them_all_come_to_an_end() {
    let (_dir, store) = place::fresh(&EVERYTHING);
    let (run, last) = asking(&store);
    let (board, _watchdog) = watched(4, "resets beside commits");
    thread::scope(|scope| {
        let (store, board) = (&store, &board);
        for writer in 1..4_usize {
            scope.spawn(move || {
                for round in 0..20_000_u32 {
                    board.note(writer, &round);
                    let mut tx = store.begin();
                    tx.put(TABLE, &round.to_le_bytes(), b"").unwrap();
                    tx.commit_with(Durability::Buffered).unwrap();
                }
            });
        }
        for round in 0..300_u32 {
            board.note(0, &("reset", round));
            let mut tx = store.begin();
            tx.reset(&run, NewReset::to(last)).unwrap();
            tx.commit_with(Durability::Buffered).unwrap();
        }
    });
}

/// One start of "x" of its own, or as a child, or one close.
fn one_move(store: &Store, parent: &RunId, thread: usize) {
    let mut tx = store.begin();
    let step = match thread {
        0 => {
            let child = NewChild::new("x", "T");
            tx.spawn_child(parent, child.on_conflict(IdConflictPolicy::TerminateExisting)).map(drop)
        }
        1 => match store.current_run(NAMESPACE, "x").unwrap() {
            Some(run) => tx.close_run(&run, Close::completed(b"")).map(drop),
            None => Ok(()),
        },
        _ => tx.start(NewRun::new(NAMESPACE, "x", "T")).map(drop),
    };
    // Others may have come first; what counts is what the store then says.
    let _ = step.and_then(|()| tx.commit_with(Durability::Buffered));
}

#[test]
fn a_workflow_id_has_one_open_run_in_every_snapshot() {
    let (_dir, store) = place::fresh(&NAMES);
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new(NAMESPACE, "parent", "T")).unwrap();
    tx.commit().unwrap();
    let (board, _watchdog) = watched(4, "starts beside starts");
    let seen = thread::scope(|scope| {
        let (store, board, parent) = (&store, &board, &parent);
        let movers: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..40_000 {
                        board.note(thread, &round);
                        one_move(store, parent, thread);
                    }
                })
            })
            .collect();
        let reader = scope.spawn(move || reader::watch(store, &["x"], board));
        movers.into_iter().for_each(|mover| mover.join().unwrap());
        board.end();
        reader.join().unwrap()
    });
    seen.and_then(|()| reader::look(&store, &["x"])).unwrap();
}

/// Takes the first job; `None` if there is none.
fn take_job(store: &Store) -> kinlog::Result<Option<Vec<u8>>> {
    let mut tx = store.begin();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let first = api::rows(&mut tx, TABLE, all, false, 1)?;
    let Some((key, _)) = first.into_iter().next() else { return Ok(None) };
    tx.delete(TABLE, &key)?;
    tx.commit_with(Durability::Buffered)?;
    Ok(Some(key))
}

#[test]
fn every_job_in_a_table_is_taken_once() {
    let (_dir, store) = place::fresh(&EVERYTHING);
    let mut tx = store.begin();
    (0..JOBS).for_each(|job| tx.put(TABLE, &job.to_le_bytes(), b"job").unwrap());
    tx.commit().unwrap();
    let taken = Mutex::new(BTreeMap::<Vec<u8>, u32>::new());
    let (board, _watchdog) = watched(CONSUMERS, "consumers of jobs");
    thread::scope(|scope| {
        for consumer in 0..CONSUMERS {
            let (store, taken, board) = (&store, &taken, &board);
            scope.spawn(move || {
                loop {
                    board.note(consumer, &"takes");
                    match take_job(store) {
                        Ok(None) => return,
                        Ok(Some(job)) => *taken.lock().unwrap().entry(job).or_default() += 1,
                        Err(error) => assert!(api::is_retryable(&error), "{error}"),
                    }
                }
            });
        }
    });
    let taken = taken.into_inner().unwrap();
    let again: u32 = taken.values().map(|times| times - 1).sum();
    assert_eq!((taken.len(), again), (2_000, 0), "jobs taken, and how many once more");
}

/// Children whose parent has closed; nobody has told them.
fn orphans(store: &Store) -> Vec<RunId> {
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new(NAMESPACE, "parent", "T")).unwrap();
    let children = (0..20).map(|child| format!("child {child}"));
    let spawn = |id: String| tx.spawn_child(&parent, NewChild::new(&id, "T")).unwrap().run;
    let children = children.map(spawn).collect();
    tx.close_run(&parent, Close::completed(b"")).unwrap();
    tx.commit().unwrap();
    children
}

/// The children go on, one after the other, until somebody ends them.
fn go_on(store: &Store, children: &mut Vec<RunId>, board: &Board) {
    while !children.is_empty() && !board.has_ended() {
        children.retain_mut(|child| {
            let mut tx = store.begin();
            let next = tx.continue_as_new(child, NextRun::new("T"));
            if let Ok(next) = next
                && tx.commit_with(Durability::Buffered).is_ok()
            {
                *child = next;
            }
            next.is_ok()
        });
    }
}

#[test]
fn settling_all_leaves_no_policy_due_however_often_the_child_goes_on() {
    let (board, _watchdog) = watched(1, "policies beside children that go on");
    for round in 0..400 {
        let (_dir, store) = place::fresh(&EVERYTHING);
        let mut children = orphans(&store);
        let ended = Board::new(1);
        thread::scope(|scope| {
            scope.spawn(|| go_on(&store, &mut children, &ended));
            board.note(0, &round);
            // They may go on for longer than settling tries: then it says so.
            let settled = store.settle_all();
            ended.end();
            let left = store.duties(DutyFilter::all()).count();
            assert!(settled.is_err() || left == 0, "round {round}: {left} due after {settled:?}");
        });
    }
}
