//! Close policies: whom a parent that closes reaches, and whom it leaves alone.

use kinlog::{Body, ChildState, Close, DutyKind, Error, Expect, NextRun, RunStatus};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, REQUEST_CANCEL, TERMINATE, World, child, note};

/// A child that continued as new is still the same child: the policy reaches the last run of its
/// chain, and the earlier ones stay as they are.
#[test]
fn s01_chain_following_terminate() {
    let world = World::new();
    let parent = world.start("p");
    let mut runs = vec![world.spawn(&parent, "c", TERMINATE)];
    for _ in 0..10 {
        let before = runs.last().unwrap();
        let next = world.commit(|tx| tx.continue_as_new(before, NextRun::new("C")).unwrap());
        runs.push(next);
    }
    world.shut(&parent, Close::terminated("stop"));
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        let (last, earlier) = runs.split_last().unwrap();
        world.assert_kinds(last, [STARTED, TERMINATED]);
        world.event(last, 2, |event| match event.body() {
            Body::WorkflowExecutionTerminated(body) => {
                assert_eq!(body.reason, "by parent close policy");
            }
            other => panic!("{other:?}"),
        });
        for run in earlier {
            world.assert_kinds(run, [STARTED, CONTINUED_AS_NEW]);
        }
        assert_eq!(
            world.kinds(&parent),
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED],
            "a closed parent is told nothing"
        );
    });
}

/// A stranger that took the workflow id of a child which has ended is not the child.
#[test]
fn s02_id_reused_by_a_stranger() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    let stranger = world.start("c");
    assert_eq!(world.due(DutyKind::ReportClose), 1, "the parent does not know yet");
    world.complete(&parent);
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        world.assert_kinds(&stranger, [STARTED]);
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, COMPLETED]);
        assert_eq!(world.parent(&stranger).unwrap(), None);
    });
}

/// A child that was not started has no run to reach; whoever has its workflow id is a stranger, and
/// the child never starts.
#[test]
fn s03_initiated_not_started_and_a_stranger_owns_the_id() {
    let world = World::new();
    let parent = world.start("p");
    let stranger = world.start("c");
    world.commit(|tx| tx.initiate_child(&parent, child("c", TERMINATE)).unwrap());
    assert_eq!(world.due(DutyKind::StartChild), 1);
    world.complete(&parent);
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        world.assert_kinds(&stranger, [STARTED]);
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, COMPLETED]);
        assert_eq!(world.runs_of("c"), 1);
        let kid = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!((kid.state, kid.first_run), (ChildState::NeverStarted, None));
    });
}

/// A child that is initiated in the commit that closes its parent never starts, also with Abandon,
/// and its workflow id is free.
#[test]
fn s04_abandon_initiated_and_closed_in_one_commit() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", ABANDON)).unwrap();
        tx.close_run(&parent, Close::completed(b"")).unwrap();
    });
    assert_eq!(world.drain(), 0);
    assert_eq!(world.runs_of("c"), 0);
    let other = world.start("c");
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, COMPLETED]);
        assert_eq!(world.current("c"), Some(other));
        assert_eq!(world.parent(&other).unwrap(), None);
    });
}

/// A parent initiates a second child with the workflow id of its first, and closes before that one is refused: its
/// policy is not applied to the first child, which has another.
#[test]
fn the_policy_of_a_child_that_never_started_reaches_nobody() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", ABANDON);
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
        tx.close_run(&parent, Close::completed(b"")).unwrap();
    });
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        world.assert_kinds(&kid, [STARTED]);
        let states: Vec<_> = world.children(&parent).unwrap().map(|it| it.unwrap().state).collect();
        assert_eq!(states, [ChildState::Running, ChildState::NeverStarted]);
    });
}

/// An abandoned child that has started goes on after its parent: it still gets its first workflow
/// task, and of two engines that write it only one succeeds.
#[test]
fn s05_abandoned_child_gets_its_first_task_once() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", ABANDON);
    world.complete(&parent);
    assert_eq!(world.drain(), 0);
    let schedule = || {
        let mut tx = world.begin();
        tx.expect(&kid, Expect::NextEvent(2)).unwrap();
        tx.append(&kid, note()).unwrap();
        tx
    };
    let (one, other) = (schedule(), schedule());
    one.commit().unwrap();
    match other.commit() {
        Err(Error::Conflict { run, expected: 2, found: 3 }) => assert_eq!(run, kid),
        other => panic!("{other:?}"),
    }
    world.ends(|world| {
        world.assert_kinds(&kid, [STARTED, MARKER_RECORDED]);
        assert_eq!(world.status(&kid), RunStatus::Running);
    });
}

/// The three policies, when the parent's chain goes on: children belong to a run, so they are
/// reached, and the next run has none.
fn the_chain_goes_on(how: impl Fn(&mut kinlog::Transaction<'_>, &kinlog::RunId) -> kinlog::RunId) {
    let world = World::new();
    let parent = world.start("p");
    let terminated = world.spawn(&parent, "t", TERMINATE);
    let asked = world.spawn(&parent, "q", REQUEST_CANCEL);
    let abandoned = world.spawn(&parent, "a", ABANDON);
    let next = world.commit(|tx| how(tx, &parent));
    assert_eq!(world.due(DutyKind::ApplyClosePolicy), 2);
    assert_eq!(world.drain(), 2);
    world.assert_kinds(&abandoned, [STARTED]);
    world.complete(&abandoned);
    world.shut(&asked, Close::canceled(b""));
    assert_eq!(world.drain(), 0, "nobody is left to be told");
    world.ends(|world| {
        world.assert_kinds(&terminated, [STARTED, TERMINATED]);
        world.assert_kinds(&asked, [STARTED, CANCEL_REQUESTED, CANCELED]);
        world.event(&asked, 2, |event| match event.body() {
            Body::WorkflowExecutionCancelRequested(body) => {
                let from = (body.external_workflow_id, body.external_run_id);
                assert_eq!(from, ("p", Some(parent)));
                assert_eq!(body.external_initiated_event_id, 0, "it answers no request");
            }
            other => panic!("{other:?}"),
        });
        world.assert_kinds(&next, [STARTED]);
        assert_eq!(world.children(&next).unwrap().count(), 0);
        assert_eq!(world.parent(&abandoned).unwrap().unwrap().run, parent, "the run that closed");
    });
}

/// A parent that continues as new closes: its policies apply, and the next run has no children.
#[test]
fn s12_parent_continue_as_new_applies_the_policy() {
    the_chain_goes_on(|tx, parent| tx.continue_as_new(parent, NextRun::new("P")).unwrap());
}

/// The same when the parent fails and is tried again, or runs again by its schedule.
#[test]
fn s13_parent_retry_applies_the_policy() {
    let failed = || Close::failed(b"no");
    let retry = NextRun::retry("P", 2);
    the_chain_goes_on(|tx, parent| tx.close_and_continue(parent, failed(), retry).unwrap());
    let timed_out = Close::timed_out;
    the_chain_goes_on(|tx, parent| tx.close_and_continue(parent, timed_out(), retry).unwrap());
    let (done, cron) = (|| Close::completed(b""), NextRun::cron("P"));
    the_chain_goes_on(|tx, parent| tx.close_and_continue(parent, done(), cron).unwrap());
}

/// A child that was asked to cancel before, or has closed, is not asked again; settling a duty a
/// second time changes nothing.
#[test]
fn s14_request_cancel_is_idempotent() {
    let world = World::new();
    let parent = world.start("p");
    let asked = world.spawn(&parent, "asked", REQUEST_CANCEL);
    let closed = world.spawn(&parent, "closed", REQUEST_CANCEL);
    let open = world.spawn(&parent, "open", REQUEST_CANCEL);
    let mut tx = world.begin();
    assert_eq!(tx.request_cancel(&asked, b"").unwrap().event_id, Some(2));
    assert_eq!(tx.request_cancel(&asked, b"").unwrap().event_id, None);
    tx.commit().unwrap();
    world.complete(&closed);
    let commit = world.close_run(&parent, Close::completed(b"")).unwrap();
    let duties: Vec<_> = commit.duties().map(Result::unwrap).collect();
    assert_eq!(duties.len(), 1, "only for the child that is open and was not asked");
    assert!(world.settle(&duties[0]).unwrap().is_some());
    let end = world.end();
    assert!(world.settle(&duties[0]).unwrap().is_none());
    assert_eq!(world.end(), end, "nothing was written");
    world.ends(|world| {
        world.assert_kinds(&asked, [STARTED, CANCEL_REQUESTED]);
        world.assert_kinds(&closed, [STARTED, COMPLETED]);
        world.assert_kinds(&open, [STARTED, CANCEL_REQUESTED]);
    });
}

/// A policy reaches children; what becomes of grandchildren follows from the child's own close.
#[test]
fn s16_three_level_cascade() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let grandchild = world.spawn(&kid, "g", TERMINATE);
    let left = world.spawn(&kid, "h", ABANDON);
    world.shut(&parent, Close::terminated("stop"));
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        assert_eq!(world.status(&kid), RunStatus::Terminated);
        assert_eq!(world.status(&grandchild), RunStatus::Terminated);
        world.assert_kinds(&left, [STARTED]);
    });

    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", REQUEST_CANCEL);
    let grandchild = world.spawn(&kid, "g", TERMINATE);
    world.shut(&parent, Close::terminated("stop"));
    assert_eq!(world.drain(), 1);
    world.assert_kinds(&kid, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CANCEL_REQUESTED]);
    assert_eq!(world.kinds(&grandchild), [STARTED], "untouched until the child closes");
    world.shut(&kid, Close::canceled(b""));
    assert_eq!(world.drain(), 1);
    world.ends(|world| world.assert_kinds(&grandchild, [STARTED, TERMINATED]));
}

/// However a parent closes, its policies apply once; a child that was told nothing of it is not
/// reported to it either.
#[test]
fn every_way_to_close_applies_the_policy() {
    let closes: [fn() -> Close<'static>; 5] = [
        || Close::completed(b""),
        || Close::failed(b""),
        || Close::canceled(b""),
        || Close::terminated("stop"),
        Close::timed_out,
    ];
    for close in closes {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", TERMINATE);
        world.shut(&parent, close());
        assert_eq!(world.drain(), 1);
        world.ends(|world| world.assert_kinds(&kid, [STARTED, TERMINATED]));
    }
}

/// A policy reaches each child once: one that is reset after its parent's policy reached it, or
/// after it had ended by itself, is left alone.
#[test]
fn a_policy_applies_once_per_child_also_if_the_child_is_reset_later() {
    for policy in [TERMINATE, REQUEST_CANCEL] {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", policy);
        world.complete(&parent);
        assert_eq!(world.drain(), 1);
        let again = world.commit(|tx| tx.reset(&kid, kinlog::NewReset::to(1)).unwrap());
        assert_eq!(world.drain(), 0);
        world.ends(|world| world.assert_kinds(&again, [STARTED, RESET]));
    }
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    world.complete(&parent);
    let again = world.commit(|tx| tx.reset(&kid, kinlog::NewReset::to(1)).unwrap());
    assert_eq!(world.drain(), 0);
    world.ends(|world| world.assert_kinds(&again, [STARTED, RESET]));
}

/// The policy asks for one cancellation. A child that got a cancel request by itself, before or
/// after its parent closed, needs no other.
#[test]
fn a_cancel_request_the_child_got_by_itself_settles_the_policy() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", REQUEST_CANCEL);
    world.complete(&parent);
    assert_eq!(world.due(DutyKind::ApplyClosePolicy), 1);
    world.commit(|tx| tx.request_cancel(&kid, b"user").unwrap());
    world.ends(|world| world.assert_kinds(&kid, [STARTED, CANCEL_REQUESTED]));
}

/// A child that ends by itself, or continues as new, while the policy is still to be applied: the
/// first needs nothing more, the second is reached in its next run.
#[test]
fn children_that_move_before_the_policy_reaches_them() {
    let world = World::new();
    let parent = world.start("p");
    let ended = world.spawn(&parent, "ended", TERMINATE);
    let moved = world.spawn(&parent, "moved", TERMINATE);
    let both = world.spawn(&parent, "both", REQUEST_CANCEL);
    world.complete(&parent);
    assert_eq!(world.due(DutyKind::ApplyClosePolicy), 3);
    world.complete(&ended);
    let next = world.commit(|tx| {
        tx.continue_as_new(&both, NextRun::new("C")).unwrap();
        tx.continue_as_new(&moved, NextRun::new("C")).unwrap()
    });
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(&ended, [STARTED, COMPLETED]);
        world.assert_kinds(&moved, [STARTED, CONTINUED_AS_NEW]);
        world.assert_kinds(&next, [STARTED, TERMINATED]);
        world.assert_kinds(&world.current("both").unwrap(), [STARTED, CANCEL_REQUESTED]);
        assert_eq!(world.current("moved"), Some(next));
    });
}
