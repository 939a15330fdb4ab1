//! What a parent's engine asks of its children: which event and which run a child is, all children of a chain,
//! and telling of an outcome by itself.

use kinlog::error::Moved;
use kinlog::event::{ChildClosed, RetryState};
use kinlog::{
    Body, ChildState, Close, DutyKind, Error, Expect, NewEvent, NewReset, NextRun, RunId, RunStatus,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, TERMINATE, World, assert_illegal, child, note, overtaken};

fn outcome(kid: RunId, initiated: u32) -> ChildClosed {
    ChildClosed {
        run_id: kid,
        initiated_event_id: initiated,
        started_event_id: initiated + 1,
        retry_state: RetryState::Unspecified,
    }
}

#[test]
fn a_child_that_was_started_is_known_by_its_event_and_may_have_an_id_of_the_engines() {
    let world = World::new();
    let parent = world.start("p");
    let wanted = RunId::from_bytes([7; 16]);
    let (spawned, initiated) = world.commit(|tx| {
        tx.append(&parent, note()).unwrap();
        let spawned = tx.spawn_child(&parent, child("a", TERMINATE)).unwrap();
        let initiated = tx.initiate_child(&parent, child("b", TERMINATE)).unwrap();
        assert!(matches!(
            tx.start_child(&parent, initiated, Some(parent)),
            Err(Error::RunExists { run }) if run == parent
        ));
        assert_eq!(tx.start_child(&parent, initiated, Some(wanted)).unwrap(), wanted);
        (spawned, initiated)
    });
    world.ends(|world| {
        assert_eq!((spawned.initiated_event_id, initiated), (3, 5));
        for (kid, event) in [(spawned.run, 3), (wanted, 5)] {
            assert_eq!(world.parent(&kid).unwrap().unwrap().initiated_event_id, event);
        }
    });
}

#[test]
fn the_next_event_is_known_within_a_transaction_and_nobody_comes_before_it() {
    let world = World::new();
    let run = world.start("p");
    let mut tx = world.begin();
    tx.expect(&run, Expect::Any).unwrap();
    assert_eq!(tx.next_event(&run).unwrap(), 2);
    assert_eq!(tx.append(&run, note()).unwrap(), 2);
    assert_eq!(tx.next_event(&run).unwrap(), 3);
    world.note(&run);
    let moved = overtaken(tx.commit().map(drop).unwrap_err());
    assert!(matches!(moved, Moved::Run { run: of, .. } if of == run), "{moved:?}");

    // Also where nothing but that was asked of the run.
    let mut tx = world.begin();
    assert_eq!(tx.next_event(&run).unwrap(), 3);
    tx.put("next", b"", b"3").unwrap();
    world.note(&run);
    overtaken(tx.commit().map(drop).unwrap_err());

    world.commit(|tx| {
        let new = tx.start(super::support::run("q")).unwrap();
        assert_eq!(tx.next_event(&new).unwrap(), 2);
        tx.close_run(&new, Close::completed(b"")).unwrap();
        assert!(matches!(tx.next_event(&new), Err(Error::RunClosed { run }) if run == new));
    });
    let unknown = RunId::from_bytes([9; 16]);
    assert!(matches!(world.begin().next_event(&unknown), Err(Error::RunNotFound { .. })));
    world.ends(|world| assert_eq!(world.run(&run).unwrap().events, 3));
}

/// The children of a chain: run, Initiated event, state.
fn of_chain(world: &World, run: &RunId) -> Vec<(RunId, u32, ChildState)> {
    let children = world.children_of_chain(run).unwrap();
    let children = children.map(|found| {
        let (run, child) = found.unwrap();
        (run, child.initiated_event_id, child.state)
    });
    children.collect()
}

#[test]
fn the_children_of_a_chain_are_those_of_all_its_runs_also_of_those_that_continued() {
    let world = World::new();
    let first = world.start("p");
    let a = world.spawn(&first, "a", ABANDON);
    world.spawn(&first, "b", ABANDON);
    let before = world.snapshot();
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("P")).unwrap());
    let third = world.commit(|tx| {
        let (close, next) = (Close::failed(b""), NextRun::retry("P", 2));
        tx.close_and_continue(&second, close, next).unwrap()
    });
    world.spawn(&third, "c", TERMINATE);
    world.complete(&a);
    world.complete(&third);
    world.drain();
    world.ends(|world| {
        let expected = [
            (first, 2, ChildState::Closed),
            (first, 4, ChildState::Running),
            (third, 2, ChildState::Closed),
        ];
        for run in [first, second, third] {
            assert_eq!(of_chain(world, &run), expected);
        }
        assert_eq!(of_chain(world, &a), []);
    });
    let seen: Vec<_> = before.children_of_chain(&first).unwrap().map(Result::unwrap).collect();
    assert!(seen.iter().all(|(run, child)| *run == first && child.state == ChildState::Running));
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_child_that_resets_make_several_runs_share_is_listed_once_by_the_last_of_them() {
    let world = World::new();
    let base = world.start("p");
    world.spawn(&base, "a", ABANDON);
    world.spawn(&base, "b", ABANDON);
    world.spawn(&base, "c", ABANDON);
    let first = world.commit(|tx| tx.reset(&base, NewReset::to(5)).unwrap());
    world.spawn(&first, "d", ABANDON);
    // Of the same base run, before the point of the first.
    let second = world.commit(|tx| tx.reset(&base, NewReset::to(3)).unwrap());
    let third = world.commit(|tx| tx.reset(&second, NewReset::to(3)).unwrap());
    world.spawn(&third, "e", TERMINATE);
    world.ends(|world| {
        let expected = [
            (base, 6, ChildState::Running),
            (first, 4, ChildState::Running),
            (first, 7, ChildState::Running),
            (third, 2, ChildState::Running),
            (third, 5, ChildState::Running),
        ];
        for run in [base, first, second, third] {
            assert_eq!(of_chain(world, &run), expected);
        }
    });
}

#[test]
fn an_engine_may_tell_of_an_outcome_itself_in_the_childs_own_commit_or_after_it() {
    let world = World::new();
    let parent = world.start("p");
    let (a, b) = (world.spawn(&parent, "a", TERMINATE), world.spawn(&parent, "b", TERMINATE));
    let completed = |closed| NewEvent::new(Body::ChildWorkflowExecutionCompleted(closed));
    let failed = |closed| NewEvent::new(Body::ChildWorkflowExecutionFailed(closed));
    world.commit(|tx| {
        let early = tx.append(&parent, completed(outcome(a, 2)));
        assert_illegal(early, parent, CHILD_COMPLETED, 2);
        tx.close_run(&a, Close::completed(b"done")).unwrap();
        assert_illegal(tx.append(&parent, failed(outcome(a, 2))), parent, CHILD_FAILED, 2);
        assert_illegal(tx.append(&parent, completed(outcome(b, 2))), parent, CHILD_COMPLETED, 2);
        tx.append(&parent, completed(outcome(a, 2)).payload(b"in the engine's words")).unwrap();
        assert_illegal(tx.append(&parent, completed(outcome(a, 2))), parent, CHILD_COMPLETED, 2);
        assert_illegal(tx.report_child(&parent, 2), parent, CHILD_COMPLETED, 2);
    });
    world.nothing_is_due();
    world.shut(&b, Close::failed(b"broken"));
    assert_eq!(world.due(DutyKind::ReportClose), 1);
    world.commit(|tx| tx.append(&parent, failed(outcome(b, 4))).unwrap());
    world.ends(|world| {
        world.event(&parent, 6, |event| assert_eq!(event.payload(), b"in the engine's words"));
        world.event(&parent, 7, |event| assert_eq!(event.payload(), b""));
        let children = world.children(&parent).unwrap().map(Result::unwrap);
        let ends: Vec<_> = children.map(|child| (child.outcome, child.reported)).collect();
        assert_eq!(ends, [(Some(RunStatus::Completed), true), (Some(RunStatus::Failed), true)]);
    });
}
