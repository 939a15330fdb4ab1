//! Resets that meet others: of the same base run, of its children, in one commit with other steps.

use kinlog::event::{ActivityScheduled, ChildClosed, RetryState};
use kinlog::{Body, Close, NewEvent, NewReset, NextRun, RunId, Target};
use kinlog_testing::kinds::*;

use super::support::{REQUEST_CANCEL, TERMINATE, World, assert_limit, child, note};

fn reset(world: &World, base: &RunId, to: u32) -> RunId {
    world.commit(|tx| tx.reset(base, NewReset::to(to)).unwrap())
}

/// A second reset of the same base run takes its children from the first one's run. What was told
/// to that run after the point is told to the new one too.
#[test]
fn a_second_reset_takes_over_from_the_first() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let first = reset(&world, &parent, 3);
    world.complete(&kid);
    assert_eq!(world.drain(), 1);
    let second = reset(&world, &parent, 2);
    world.assert_kinds(&second, [STARTED, START_CHILD_INITIATED, RESET, CHILD_STARTED]);
    assert_eq!(world.drain(), 1);
    let third = reset(&world, &parent, 1);
    world.ends(|world| {
        world.assert_kinds(
            &first,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, CHILD_COMPLETED, TERMINATED],
        );
        world.assert_kinds(
            &second,
            [STARTED, START_CHILD_INITIATED, RESET, CHILD_STARTED, CHILD_COMPLETED, TERMINATED],
        );
        world.assert_kinds(&third, [STARTED, RESET]);
    });
}

/// The same for what only the first one's run did: a child that was started there is not started
/// again, a signal that was delivered there is not delivered again.
#[test]
fn what_a_sibling_did_is_not_done_again() {
    let world = World::new();
    let (parent, target) = (world.start("p"), world.start("t"));
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
        tx.signal_external(&parent, Target::workflow("t"), "s", b"").unwrap();
    });
    let first = reset(&world, &parent, 3);
    assert_eq!(world.drain(), 2);
    world.assert_kinds(
        &first,
        [
            STARTED, START_CHILD_INITIATED, SIGNAL_EXTERNAL_INITIATED, RESET, CHILD_STARTED,
            EXTERNAL_SIGNALED,
        ],
    );
    let second = reset(&world, &parent, 3);
    world.drain();
    world.complete(&second);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &second,
            [
                STARTED, START_CHILD_INITIATED, SIGNAL_EXTERNAL_INITIATED, RESET, CHILD_STARTED,
                EXTERNAL_SIGNALED, COMPLETED,
            ],
        );
        assert_eq!((world.runs_of("c"), world.kinds(&target)), (1, vec![STARTED, SIGNALED]));
    });
}

/// The reason of a reset is told in the run that it ends as well as in the one that it begins.
#[test]
fn a_reset_says_why_in_both_runs() {
    let world = World::new();
    let base = world.start("p");
    let made = world.commit(|tx| tx.reset(&base, NewReset::to(1).reason("bad code")).unwrap());
    world.ends(|world| {
        for run in [base, made] {
            world.event(&run, 2, |event| match event.body() {
                Body::WorkflowExecutionTerminated(body) => assert_eq!(body.reason, "bad code"),
                Body::WorkflowReset(body) => assert_eq!(body.reason, "bad code"),
                other => panic!("{other:?}"),
            });
        }
    });
}

/// What is for a child alone reaches those that were taken over.
#[test]
fn a_run_that_a_reset_made_reaches_the_children_it_took_over() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let again = reset(&world, &parent, 3);
    world.commit(|tx| {
        let to = Target::workflow("c").child_only();
        tx.signal_external(&again, to, "s", b"").unwrap();
        tx.cancel_external(&again, to).unwrap();
    });
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(
            &again,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, SIGNAL_EXTERNAL_INITIATED,
                REQUEST_CANCEL_EXTERNAL_INITIATED, EXTERNAL_SIGNALED, EXTERNAL_CANCEL_REQUESTED,
            ],
        );
        world.assert_kinds(&kid, [STARTED, SIGNALED, CANCEL_REQUESTED]);
    });
}

/// A second reset to an earlier point leaves a child with the run of the first reset, which ends by it: its policy
/// applies to that child.
#[test]
fn a_second_reset_to_an_earlier_point() {
    let world = World::new();
    let parent = world.start("p");
    let (kept, left) = (world.spawn(&parent, "c", TERMINATE), world.spawn(&parent, "d", TERMINATE));
    let first = reset(&world, &parent, 5);
    let second = reset(&world, &parent, 3);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &first,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, RESET, TERMINATED,
            ],
        );
        world.assert_kinds(&second, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET]);
        assert_eq!(
            (world.kinds(&kept), world.kinds(&left)),
            (vec![STARTED], vec![STARTED, TERMINATED])
        );
    });
}

/// A child that is reset after its outcome was told is not told of again and no policy reaches it;
/// a reset of the parent to before the outcome takes it up again.
#[test]
fn a_child_that_is_reset_after_it_was_told_of() {
    let told = || {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", TERMINATE);
        world.complete(&kid);
        assert_eq!(world.drain(), 1);
        let again = reset(&world, &kid, 1);
        assert_eq!(world.drain(), 0);
        (world, parent, again)
    };
    let (world, parent, kid) = told();
    world.complete(&parent);
    world.ends(|world| world.assert_kinds(&kid, [STARTED, RESET]));

    let (world, parent, kid) = told();
    let again = reset(&world, &parent, 3);
    assert_eq!(world.children(&again).unwrap().open().count(), 1);
    world.complete(&kid);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &again,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, CHILD_COMPLETED],
        )
    });
}

/// A parent whose policy was applied and that is reset afterwards: the children are its own again,
/// and are not asked a second time.
#[test]
fn a_reset_after_the_policy_was_applied() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", REQUEST_CANCEL);
    let next = world.commit(|tx| tx.continue_as_new(&parent, NextRun::new("P")).unwrap());
    assert_eq!(world.drain(), 1);
    let again = reset(&world, &parent, 3);
    world.complete(&again);
    world.ends(|world| {
        world.assert_kinds(&kid, [STARTED, CANCEL_REQUESTED]);
        world.assert_kinds(&next, [STARTED, TERMINATED]);
        assert_eq!(world.parent(&kid).unwrap().unwrap().run, again);
    });
}

/// Parent and child may be reset in one commit, in either order.
#[test]
fn parent_and_child_in_one_commit() {
    for child_first in [true, false] {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", TERMINATE);
        world.complete(&kid);
        let mut order = [(parent, 3), (kid, 1)];
        if child_first {
            order.reverse();
        }
        world.commit(|tx| {
            for (base, to) in order {
                tx.reset(&base, NewReset::to(to)).unwrap();
            }
        });
        world.nothing_is_due();
        let [parent, kid] = ["p", "c"].map(|workflow_id| world.current(workflow_id).unwrap());
        world.complete(&parent);
        assert_eq!(world.drain(), 1);
        world.ends(|world| world.assert_kinds(&kid, [STARTED, RESET, TERMINATED]));
    }
}

/// A child may end in the commit that resets its parent, and be told of there.
#[test]
fn a_child_ends_in_the_commit_of_the_reset() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let again = world.commit(|tx| {
        let again = tx.reset(&parent, NewReset::to(3)).unwrap();
        tx.close_run(&kid, Close::completed(b"")).unwrap();
        again
    });
    assert_eq!(world.drain(), 1);
    let told = ChildClosed {
        run_id: kid,
        initiated_event_id: 2,
        started_event_id: 3,
        retry_state: RetryState::Unspecified,
    };
    let told = NewEvent::new(Body::ChildWorkflowExecutionCompleted(told));
    let third = world.commit(|tx| {
        let third = tx.reset(&again, NewReset::to(4)).unwrap();
        tx.append(&third, told).unwrap();
        third
    });
    world.ends(|world| {
        world.assert_kinds(
            &again,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, CHILD_COMPLETED, TERMINATED],
        );
        world.assert_kinds(
            &third,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, RESET, CHILD_COMPLETED],
        );
    });
}

/// The new run may go on in the commit of the reset.
#[test]
fn the_new_run_goes_on_in_the_same_commit() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let (again, next) = world.commit(|tx| {
        let again = tx.reset(&parent, NewReset::to(3)).unwrap();
        tx.append(&again, note()).unwrap();
        (again, tx.continue_as_new(&again, NextRun::new("P")).unwrap())
    });
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &again,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, MARKER_RECORDED,
                CONTINUED_AS_NEW,
            ],
        );
        assert_eq!(
            (world.kinds(&next), world.kinds(&kid)),
            (vec![STARTED], vec![STARTED, TERMINATED])
        );
    });
}

/// The new run may have children of its own in the commit of the reset.
#[test]
fn the_new_run_starts_a_child_in_the_same_commit() {
    let world = World::new();
    let parent = world.start("p");
    let again = world.commit(|tx| {
        let again = tx.reset(&parent, NewReset::to(1)).unwrap();
        tx.spawn_child(&again, child("d", TERMINATE)).unwrap();
        again
    });
    world.ends(|world| {
        world.assert_kinds(&again, [STARTED, RESET, START_CHILD_INITIATED, CHILD_STARTED])
    });
}

fn activity() -> NewEvent<'static> {
    NewEvent::new(Body::ActivityTaskScheduled(ActivityScheduled::default()))
}

/// What the new run waits for counts against its limits, from the commit of the reset on.
#[test]
fn limits_count_what_was_taken_over() {
    let world = World::new();
    world.limit(|limits| {
        (limits.open_children, limits.open_activities, limits.open_signals) = (1, 1, 1);
    });
    let parent = world.start("p");
    let nobody = Target::workflow("nobody");
    world.commit(|tx| {
        tx.append(&parent, activity()).unwrap();
        tx.signal_external(&parent, nobody, "s", b"").unwrap();
        tx.spawn_child(&parent, child("c", TERMINATE)).unwrap();
    });
    let check = |tx: &mut kinlog::Transaction<'_>, run: &RunId| {
        assert_limit(tx.spawn_child(run, child("d", TERMINATE)), (1, 2, 1));
        assert_limit(tx.signal_external(run, nobody, "s", b""), (1, 2, 1));
    };
    let again = world.commit(|tx| {
        let again = tx.reset(&parent, NewReset::to(5)).unwrap();
        check(tx, &again);
        again
    });
    check(&mut world.begin(), &again);
    assert_limit(world.begin().append(&again, activity()), (1, 2, 1));
    let early = reset(&world, &parent, 1);
    world.commit(|tx| {
        tx.append(&early, activity()).unwrap();
        tx.signal_external(&early, nobody, "s", b"").unwrap();
        tx.spawn_child(&early, child("d", TERMINATE)).unwrap();
    });
    world.drain();
    world.ends(|world| {
        world.assert_kinds(
            &early,
            [
                STARTED, RESET, ACTIVITY_TASK_SCHEDULED, SIGNAL_EXTERNAL_INITIATED,
                START_CHILD_INITIATED, CHILD_STARTED, SIGNAL_EXTERNAL_FAILED,
            ],
        )
    });
}

/// So do its activities, which a cancel request in the commit of the reset names.
#[test]
fn activities_taken_over_are_known_in_the_commit_of_the_reset() {
    let world = World::new();
    world.limit(|limits| limits.open_activities = 1);
    let base = world.start("p");
    world.commit(|tx| tx.append(&base, activity()).unwrap());
    let again = world.commit(|tx| {
        let again = tx.reset(&base, NewReset::to(2)).unwrap();
        assert_limit(tx.append(&again, activity()), (1, 2, 1));
        assert_eq!(tx.request_cancel(&again, b"").unwrap().open_activities, [2]);
        again
    });
    world.ends(|world| assert_eq!(world.open_activities(&again).unwrap(), [2]));
}
