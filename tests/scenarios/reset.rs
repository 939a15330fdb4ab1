//! Resets: what the new run shares with its base run, which children it takes over, and which
//! relations it leaves alone.

use kinlog::event::{RetryState, StartChildFailedCause};
use kinlog::{
    Body, ChildState, Close, DutyKind, Error, EventKind, NewEvent, NewReset, NextRun, RunFilter,
    RunId, RunStatus, Target,
};
use kinlog_testing::kinds::*;

use super::support::{
    ABANDON, REQUEST_CANCEL, TERMINATE, World, assert_illegal, assert_limit, child, note,
};

fn reset(world: &World, base: &RunId, to: u32) -> RunId {
    world.commit(|tx| tx.reset(base, NewReset::to(to)).unwrap())
}

/// The run that holds a child now.
fn parent_of(world: &World, child: &RunId) -> RunId {
    world.parent(child).unwrap().unwrap().run
}

/// Children that are open when their parent is reset become the new run's: no policy reaches them,
/// and the new run is told how they end.
#[test]
fn s17_reset_parent_after_its_child_started() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.note(&parent);
    let again = reset(&world, &parent, 3);
    assert_eq!(world.drain(), 0, "no policy: the run was replaced");
    world.complete(&kid);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, MARKER_RECORDED, TERMINATED],
        );
        world.assert_kinds(
            &again,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, CHILD_COMPLETED],
        );
        world.assert_kinds(&kid, [STARTED, COMPLETED]);
        world.event(&parent, 5, |event| match event.body() {
            Body::WorkflowExecutionTerminated(body) => assert_eq!(body.reset_run_id, Some(again)),
            other => panic!("{other:?}"),
        });
        assert_eq!(parent_of(world, &kid), again);
        let old = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!((old.state, old.held_by), (ChildState::Moved, Some(again)));
        let new = world.children(&again).unwrap().next().unwrap().unwrap();
        assert_eq!((new.state, new.outcome), (ChildState::Closed, Some(RunStatus::Completed)));
    });
}

/// A child that was initiated after the point of the reset is not the new run's, even where an
/// event of the same number began another child there.
#[test]
fn s18_child_event_ids_collide_after_a_reset() {
    let world = World::new();
    let parent = world.start("p");
    world.note(&parent);
    world.note(&parent);
    let old = world.spawn(&parent, "x", TERMINATE);
    let again = reset(&world, &parent, 2);
    let new = world.spawn(&again, "y", TERMINATE);
    world.complete(&old);
    assert_eq!(world.drain(), 0, "nobody waits for it");
    let told = kinlog::event::ChildClosed {
        run_id: old,
        initiated_event_id: 4,
        started_event_id: 5,
        retry_state: RetryState::Unspecified,
    };
    let told = NewEvent::new(Body::ChildWorkflowExecutionCompleted(told));
    assert_illegal(world.begin().append(&again, told), again, CHILD_COMPLETED, 4);
    world.complete(&new);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, MARKER_RECORDED, MARKER_RECORDED, START_CHILD_INITIATED, CHILD_STARTED,
                TERMINATED,
            ],
        );
        world.assert_kinds(
            &again,
            [
                STARTED, MARKER_RECORDED, RESET, START_CHILD_INITIATED, CHILD_STARTED,
                CHILD_COMPLETED,
            ],
        );
        assert_eq!((parent_of(world, &old), parent_of(world, &new)), (parent, again));
    });
}

/// A child that is reset has not ended: its parent is told of the run that the reset made, and a
/// policy reaches that run.
#[test]
fn s19_reset_child() {
    let world = World::new();
    let parent = world.start("p");
    let first = world.spawn(&parent, "c", TERMINATE);
    world.note(&first);
    let second = reset(&world, &first, 1);
    assert_eq!(world.drain(), 0, "the parent hears nothing");
    assert_eq!(world.chain(&second).unwrap().first_run_id(), first);
    assert_eq!(parent_of(&world, &second), parent);
    world.complete(&second);
    assert_eq!(world.drain(), 1);
    world.event(&parent, 4, |event| match event.body() {
        Body::ChildWorkflowExecutionCompleted(closed) => assert_eq!(closed.run_id, second),
        other => panic!("{other:?}"),
    });

    let hit = world.spawn(&parent, "d", TERMINATE);
    let hit_again = reset(&world, &hit, 1);
    world.complete(&parent);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED,
                START_CHILD_INITIATED, CHILD_STARTED, COMPLETED,
            ],
        );
        world.assert_kinds(&first, [STARTED, MARKER_RECORDED, TERMINATED]);
        world.assert_kinds(&hit_again, [STARTED, RESET, TERMINATED]);
    });
}

/// The events that resets share stay readable from every run that shares them; a fork of a fork is
/// cut where it leaves its ancestors; a run that was reset takes no more events. (That the base run
/// can be deleted while others share its events waits for deletion.)
#[test]
fn s25_branches() {
    let world = World::new();
    let base = world.start("p");
    for payload in [b"b2", b"b3", b"b4", b"b5"] {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, payload);
        world.commit(|tx| tx.append(&base, event).unwrap());
    }
    let fork = reset(&world, &base, 3);
    for payload in [b"f5", b"f6"] {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, payload);
        world.commit(|tx| tx.append(&fork, event).unwrap());
    }
    let of_fork = reset(&world, &fork, 5);
    let of_base = reset(&world, &of_fork, 2);
    for replaced in [&base, &fork, &of_fork] {
        assert!(matches!(world.begin().append(replaced, note()), Err(Error::RunClosed { .. })));
    }
    world.ends(|world| {
        let told = |run: &RunId| -> Vec<String> {
            let history = world.history(run).unwrap();
            let events = history.iter().map(|event| event.unwrap());
            events.map(|event| String::from_utf8_lossy(event.payload()).into()).collect()
        };
        assert_eq!(told(&base), ["", "b2", "b3", "b4", "b5", ""]);
        assert_eq!(told(&fork), ["", "b2", "b3", "", "f5", "f6", ""]);
        assert_eq!(told(&of_fork), ["", "b2", "b3", "", "f5", "", ""]);
        assert_eq!(told(&of_base), ["", "b2", ""]);
        assert_eq!(world.run(&of_fork).unwrap().base, Some((fork, 5)));
        let chain = world.chain(&base).unwrap();
        assert_eq!((chain.len(), chain.current().id), (4, of_base));
    });
}

/// What the new run of a parent adopted is its own in full: its close policy reaches those
/// children. (In Temporal it does not; there the child still names the old run.)
#[test]
fn s30_adopted_children_are_hit_by_the_new_runs_policy() {
    let world = World::new();
    let parent = world.start("p");
    let terminated = world.spawn(&parent, "t", TERMINATE);
    let asked = world.spawn(&parent, "q", REQUEST_CANCEL);
    let left = world.spawn(&parent, "a", ABANDON);
    let again = reset(&world, &parent, 7);
    let twice = reset(&world, &again, 8);
    world.complete(&twice);
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(&terminated, [STARTED, TERMINATED]);
        world.assert_kinds(&asked, [STARTED, CANCEL_REQUESTED]);
        world.assert_kinds(&left, [STARTED]);
        for kid in [&terminated, &asked, &left] {
            assert_eq!(parent_of(world, kid), twice);
        }
    });
}

/// Children that were initiated after the point of a reset stay with the base run, unsupervised: no
/// policy reaches them, and nobody is told how they end.
#[test]
fn children_initiated_after_the_point_stay_with_the_base_run() {
    let world = World::new();
    let parent = world.start("p");
    world.note(&parent);
    let kid = world.spawn(&parent, "c", TERMINATE);
    let again = reset(&world, &parent, 2);
    world.complete(&again);
    assert_eq!(world.drain(), 0);
    assert_eq!(world.status(&kid), RunStatus::Running);
    world.complete(&kid);
    world.ends(|world| {
        assert_eq!(parent_of(world, &kid), parent);
        assert_eq!(world.children(&again).unwrap().count(), 0);
        let kid = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!((kid.outcome, kid.reported), (Some(RunStatus::Completed), false));
    });
}

/// What the base run learned after the point about what it had begun before is known to the new run
/// too: it is repeated, and outcomes are reported again.
#[test]
fn what_was_learned_after_the_point_is_repeated() {
    let world = World::new();
    let target = world.start("target");
    let parent = world.start("p");
    world.commit(|tx| {
        for workflow_id in ["started", "target", "ended"] {
            tx.initiate_child(&parent, child(workflow_id, TERMINATE)).unwrap();
        }
        tx.signal_external(&parent, Target::workflow("target"), "hello", b"").unwrap();
        tx.cancel_external(&parent, Target::workflow("target")).unwrap();
        tx.signal_external(&parent, Target::workflow("nobody"), "hello", b"").unwrap();
    });
    assert_eq!(world.drain(), 6);
    assert_eq!(
        world.kinds(&parent)[7..],
        [
            CHILD_STARTED, START_CHILD_FAILED, CHILD_STARTED, EXTERNAL_SIGNALED,
            SIGNAL_EXTERNAL_FAILED, EXTERNAL_CANCEL_REQUESTED
        ]
    );
    let (started, ended) = (world.current("started").unwrap(), world.current("ended").unwrap());
    world.complete(&ended);
    assert_eq!(world.drain(), 1);
    assert_eq!(world.kinds(&parent)[13..], [CHILD_COMPLETED]);

    let again = reset(&world, &parent, 7);
    assert_eq!(
        world.kinds(&again)[7..],
        [
            RESET, CHILD_STARTED, START_CHILD_FAILED, CHILD_STARTED, EXTERNAL_SIGNALED,
            EXTERNAL_CANCEL_REQUESTED, SIGNAL_EXTERNAL_FAILED
        ]
    );
    assert_eq!(world.drain(), 1, "the outcome is a duty again");
    world.complete(&started);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        assert_eq!(world.kinds(&again)[14..], [CHILD_COMPLETED, CHILD_COMPLETED]);
        assert_eq!(
            world.kinds(&target),
            [STARTED, SIGNALED, CANCEL_REQUESTED],
            "nothing was delivered twice"
        );
        assert_eq!(world.runs_of("started"), 1, "nothing was started twice");
        world.event(&again, 9, |event| match event.body() {
            Body::ChildWorkflowExecutionStarted(told) => {
                assert_eq!((told.run_id, told.initiated_event_id), (started, 2));
            }
            other => panic!("{other:?}"),
        });
    });
}

/// What was initiated before the point and has no answer yet is a duty of the new run.
#[test]
fn open_requests_and_starts_become_duties_of_the_new_run() {
    let world = World::new();
    let target = world.start("target");
    let parent = world.start("p");
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
        tx.signal_external(&parent, Target::workflow("target"), "hello", b"").unwrap();
    });
    let again = reset(&world, &parent, 3);
    let due: Vec<_> = world.duties(kinlog::DutyFilter::all()).map(Result::unwrap).collect();
    assert!(due.iter().all(|duty| duty.run() == again));
    assert_eq!((due.len(), world.drain()), (2, 2));
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, SIGNAL_EXTERNAL_INITIATED, TERMINATED],
        );
        world.assert_kinds(
            &again,
            [
                STARTED, START_CHILD_INITIATED, SIGNAL_EXTERNAL_INITIATED, RESET, CHILD_STARTED,
                EXTERNAL_SIGNALED,
            ],
        );
        world.assert_kinds(&target, [STARTED, SIGNALED]);
        assert_eq!(parent_of(world, &world.current("c").unwrap()), again);
    });
}

/// A reset of an older run of the workflow terminates the current one. That run was not replaced by
/// a run which goes on with its children, so it counts as one that ended: its policies apply.
#[test]
fn the_current_run_is_terminated_also_if_it_is_not_the_base() {
    let world = World::new();
    let first = world.start("p");
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("P")).unwrap());
    let kid = world.spawn(&second, "c", TERMINATE);
    let again = reset(&world, &first, 1);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(&second, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED]);
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
        assert_eq!(world.current("p"), Some(again));
        assert_eq!(world.chain(&first).unwrap().len(), 3);
    });
}

/// A run of another chain that a reset terminates has ended, and its parent is told.
#[test]
fn a_run_of_another_chain_that_a_reset_terminates_is_reported() {
    let world = World::new();
    let parent = world.start("p");
    let old = world.start("c");
    world.complete(&old);
    let kid = world.spawn(&parent, "c", TERMINATE);
    let again = reset(&world, &old, 1);
    assert_eq!(world.due(DutyKind::ReportClose), 1);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_TERMINATED],
        );
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
        assert_eq!(world.current("c"), Some(again));
        assert_eq!(world.parent(&again).unwrap(), None);
    });
}

/// A parent that closed and is reset before its policies were applied keeps its children after all:
/// adoption wins. What was applied before stays.
#[test]
fn adoption_wins_over_policies_that_are_pending() {
    let world = World::new();
    let parent = world.start("p");
    let early = world.spawn(&parent, "early", TERMINATE);
    let late = world.spawn(&parent, "late", TERMINATE);
    let commit = world.close_run(&parent, Close::failed(b"")).unwrap();
    let duty = commit.duties().map(Result::unwrap).next().unwrap();
    assert!(world.settle(&duty).unwrap().is_some());
    let again = reset(&world, &parent, 5);
    assert_eq!(world.drain(), 1, "only that the child ended is news to the new run");
    world.ends(|world| {
        world.assert_kinds(&early, [STARTED, TERMINATED]);
        world.assert_kinds(&late, [STARTED]);
        world.assert_kinds(
            &again,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, RESET, CHILD_TERMINATED,
            ],
        );
        assert_eq!(parent_of(world, &late), again);
    });
}

/// A reset is asked for once per request id; its point lies within the history.
#[test]
fn a_reset_has_a_point_and_is_made_once() {
    let world = World::new();
    let base = world.start("p");
    world.note(&base);
    world.complete(&base);
    for wrong in [0, 3, 4] {
        let refused = world.begin().reset(&base, NewReset::to(wrong));
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{wrong}");
    }
    world.limit(|limits| limits.history_events = 2);
    assert_limit(world.begin().reset(&base, NewReset::to(2)), (2, 3, 2));
    world.limit(|limits| limits.history_events = 3);
    let ask = |tx: &mut kinlog::Transaction<'_>| {
        tx.reset(&base, NewReset::to(2).request_id("r").reason("bad deploy")).unwrap()
    };
    let again = world.commit(ask);
    assert_eq!(world.commit(ask), again);
    world.ends(|world| {
        assert_eq!(world.runs_of("p"), 2);
        world.assert_kinds(&again, [STARTED, MARKER_RECORDED, RESET]);
    });
}

/// What a run's own history tells of a child's end stands, whatever later resets have taken over.
#[test]
fn a_child_is_shown_as_it_ended_in_every_run_that_tells_so() {
    let world = World::new();
    let first = world.start("p");
    world.commit(|tx| {
        let refused = tx.initiate_child(&first, child("r", TERMINATE)).unwrap();
        tx.fail_child(&first, refused, StartChildFailedCause::WorkflowAlreadyExists).unwrap();
    });
    let kid = world.spawn(&first, "c", TERMINATE);
    world.complete(&kid);
    assert_eq!(world.drain(), 1);
    // The second run shares both ends; the third is reset to before either.
    let second = reset(&world, &first, 6);
    let third = reset(&world, &second, 2);
    world.ends(|world| {
        let children = |run: &RunId| -> Vec<_> {
            let children = world.children(run).unwrap().map(Result::unwrap);
            children.map(|child| (child.state, child.reported, child.held_by)).collect()
        };
        assert_eq!(children(&third), [(ChildState::StartFailed, false, None)]);
        for run in [&first, &second] {
            let [refused, closed] = children(run)[..] else { panic!("{run}") };
            assert_eq!(refused, (ChildState::StartFailed, false, None), "{run}");
            assert_eq!((closed.0, closed.1), (ChildState::Closed, true), "{run}");
        }
    });
}

#[test]
fn stats_count_the_relations_that_runs_list() {
    let world = World::new();
    let first = world.start("p");
    world.spawn(&first, "a", TERMINATE);
    let kid = world.spawn(&first, "b", TERMINATE);
    world.spawn(&kid, "c", ABANDON);
    let again = reset(&world, &first, 5);
    world.spawn(&again, "d", TERMINATE);
    reset(&world, &again, 3);
    world.ends(|world| {
        let snapshot = world.snapshot();
        let runs = snapshot.runs(RunFilter::all()).map(Result::unwrap);
        let listed: usize = runs.map(|run| world.children(&run.id).unwrap().count()).sum();
        assert_eq!((world.stats().unwrap().relations, listed), (7, 7));
    });
}
