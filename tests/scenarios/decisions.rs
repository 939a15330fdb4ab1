//! Where kinlog decides on purpose, one test per row of the table in the design; the scenarios that
//! look closer are named in `docs/semantics.md`.

use kinlog::{ChildState, Close, Error, NewReset, NextRun, RunStatus};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, TERMINATE, World, assert_limit, child, note};

/// Initiated, never started, and the parent closes: it never starts, also with Abandon, and the
/// relation says so.
#[test]
fn a_child_that_was_never_started_says_so() {
    for policy in [TERMINATE, ABANDON] {
        let world = World::new();
        let parent = world.start("p");
        world.commit(|tx| tx.initiate_child(&parent, child("c", policy)).unwrap());
        let state = |world: &World| {
            let kid = world.children(&parent).unwrap().next().unwrap().unwrap();
            (kid.state, kid.outcome, kid.current.is_some())
        };
        assert_eq!(state(&world), (ChildState::Initiated, None, false));
        world.complete(&parent);
        world.ends(|world| {
            assert_eq!(state(world), (ChildState::NeverStarted, None, false));
            assert_eq!(world.runs_of("c"), 0);
        });
    }
}

/// A child that runs and whose parent does not know that it started cannot be: at every position of
/// the log both are there or neither.
#[test]
fn there_are_no_zombies() {
    let world = World::new();
    let parent = world.start("p");
    let before = world.snapshot();
    let kid = world.spawn(&parent, "c", ABANDON);
    let after = world.snapshot();
    let seen = |snapshot: &kinlog::Snapshot| {
        let children = snapshot.children(&parent).unwrap().map(|child| child.unwrap().state);
        (snapshot.run(&kid).is_ok(), children.collect::<Vec<_>>())
    };
    assert_eq!(seen(&before), (false, vec![]));
    assert_eq!(seen(&after), (true, vec![ChildState::Running]));
    world.ends(|world| assert_eq!(seen(&world.snapshot()), (true, vec![ChildState::Running])));
}

/// An outcome that comes after the parent closed is not told to it, but the relation keeps it.
#[test]
fn an_outcome_at_a_closed_parent_is_kept() {
    let world = World::new();
    let parent = world.start("p");
    let first = world.spawn(&parent, "c", ABANDON);
    world.complete(&parent);
    let last = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("C")).unwrap());
    world.shut(&last, Close::failed(b"why"));
    world.ends(|world| {
        let kid = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!((kid.state, kid.outcome), (ChildState::Closed, Some(RunStatus::Failed)));
        assert_eq!((kid.reported, kid.first_run), (false, Some(first)));
        assert_eq!(kid.current.unwrap().id, last);
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, COMPLETED]);
    });
}

/// After a reset of the parent the relation has moved: listing, parent, policy and report follow
/// the new run.
#[test]
fn relations_move_to_the_run_that_a_reset_makes() {
    let world = World::new();
    let parent = world.start("p");
    let (kid, other) = (world.spawn(&parent, "c", TERMINATE), world.spawn(&parent, "d", TERMINATE));
    let again = world.commit(|tx| tx.reset(&parent, NewReset::to(5)).unwrap());
    assert_eq!(world.children(&parent).unwrap().open().count(), 0);
    assert_eq!(world.children(&again).unwrap().open().count(), 2);
    world.complete(&other);
    assert_eq!(world.drain(), 1);
    world.complete(&again);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &again,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, RESET, CHILD_COMPLETED, COMPLETED,
            ],
        );
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
        assert_eq!(world.parent(&kid).unwrap().unwrap().run, again);
    });
}

/// Over the history limit: the crossing write is refused with the numbers, the run stays as it is,
/// and it can be closed.
#[test]
fn a_full_run_refuses_and_lives() {
    let world = World::new();
    let run = world.start("p");
    world.limit(|limits| limits.history_events = 1);
    assert_limit(world.append(&run, note()), (1, 2, 1));
    assert_eq!(world.status(&run), RunStatus::Running);
    world.complete(&run);
    world.ends(|world| world.assert_kinds(&run, [STARTED, COMPLETED]));
}

/// Children do not carry over to the run that continues their parent.
#[test]
fn children_do_not_carry_over() {
    let world = World::new();
    let first = world.start("p");
    let kid = world.spawn(&first, "c", ABANDON);
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("P")).unwrap());
    assert!(matches!(world.begin().report_child(&second, 2), Err(Error::IllegalEvent { .. })));
    world.complete(&kid);
    world.ends(|world| {
        assert_eq!(world.children(&second).unwrap().count(), 0);
        assert_eq!(world.children(&first).unwrap().count(), 1);
        world.assert_kinds(&second, [STARTED]);
    });
}

/// Children that have closed stay listed, in the order in which they were initiated. (Until
/// retention removes them, when there is retention.)
#[test]
fn closed_children_stay_listed() {
    let world = World::new();
    let parent = world.start("p");
    let kids = ["a", "b", "c"].map(|workflow_id| world.spawn(&parent, workflow_id, TERMINATE));
    world.complete(&kids[2]);
    world.shut(&kids[0], Close::failed(b""));
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        let children = world.children(&parent).unwrap().map(|child| child.unwrap());
        let all: Vec<_> = children.map(|kid| (kid.workflow_id, kid.state, kid.outcome)).collect();
        let (failed, completed) = (Some(RunStatus::Failed), Some(RunStatus::Completed));
        assert_eq!(all.len(), 3);
        assert_eq!((&*all[0].0, all[0].1, all[0].2), ("a", ChildState::Closed, failed));
        assert_eq!((&*all[1].0, all[1].1, all[1].2), ("b", ChildState::Running, None));
        assert_eq!((&*all[2].0, all[2].1, all[2].2), ("c", ChildState::Closed, completed));
    });
}
