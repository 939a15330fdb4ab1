//! What a parent is told of its children: each outcome once, after the child's start, and only when
//! the child's chain has ended.

use kinlog::error::Moved;
use kinlog::event::{ChildClosed, Closed, RetryState};
use kinlog::{
    Body, ChildState, Close, DutyFilter, DutyKind, Error, EventKind, NewEvent, NextRun, RunId,
    RunStatus,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, TERMINATE, World, assert_illegal, child, note, overtaken};

type Closing = fn() -> Close<'static>;

fn terminated(run_id: RunId, initiated_event_id: u32, started_event_id: u32) -> NewEvent<'static> {
    let closed = ChildClosed {
        run_id,
        initiated_event_id,
        started_event_id,
        retry_state: RetryState::Unspecified,
    };
    NewEvent::new(Body::ChildWorkflowExecutionTerminated(closed))
}

fn completed(run_id: RunId, initiated_event_id: u32, started_event_id: u32) -> NewEvent<'static> {
    let closed = ChildClosed {
        run_id,
        initiated_event_id,
        started_event_id,
        retry_state: RetryState::Unspecified,
    };
    NewEvent::new(Body::ChildWorkflowExecutionCompleted(closed))
}

/// What a parent's event says about a child's end.
fn outcome(world: &World, parent: &RunId, id: u32) -> ChildClosed {
    world.event(parent, id, |event| match event.body() {
        Body::ChildWorkflowExecutionCompleted(closed)
        | Body::ChildWorkflowExecutionFailed(closed)
        | Body::ChildWorkflowExecutionCanceled(closed)
        | Body::ChildWorkflowExecutionTimedOut(closed)
        | Body::ChildWorkflowExecutionTerminated(closed) => closed,
        other => panic!("{other:?}"),
    })
}

/// An outcome never comes before ChildStarted, which is written with the child's first event; a
/// child that ends in the commit in which it starts is told of in that order.
#[test]
fn s07_completion_before_started() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| tx.initiate_child(&parent, child("c", TERMINATE)).unwrap());
    let mut tx = world.begin();
    assert_illegal(tx.append(&parent, terminated(parent, 2, 0)), parent, CHILD_TERMINATED, 2);
    let kid = tx.start_child(&parent, 2, None).unwrap();
    tx.close_run(&kid, Close::terminated("outside")).unwrap();
    tx.commit().unwrap();
    assert_eq!(world.drain(), 1);

    // The same by the engine's own hand, all of it in one commit.
    let (second, told) = world.commit(|tx| {
        let initiated = tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
        let second = tx.start_child(&parent, initiated, None).unwrap();
        tx.close_run(&second, Close::terminated("outside")).unwrap();
        let told = tx.append(&parent, terminated(second, initiated, initiated + 1)).unwrap();
        (second, told)
    });
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_TERMINATED,
                START_CHILD_INITIATED, CHILD_STARTED, CHILD_TERMINATED,
            ],
        );
        let (first, second_told) = (outcome(world, &parent, 4), outcome(world, &parent, told));
        assert_eq!((first.run_id, first.started_event_id), (kid, 3));
        assert_eq!((second_told.run_id, second_told.started_event_id), (second, 6));
    });
}

/// An outcome is told once.
#[test]
fn s08_duplicate_completion() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let commit = world.close_run(&kid, Close::completed(b"result")).unwrap();
    let duty = commit.duties().map(Result::unwrap).next().unwrap();
    assert_eq!(duty.kind(), DutyKind::ReportClose);
    let build = || {
        let mut tx = world.begin();
        tx.report_child(&parent, 2).unwrap();
        tx
    };
    let (one, other) = (build(), build());
    one.commit().unwrap();
    let moved = other.commit().map_err(overtaken).unwrap_err();
    assert_eq!(moved, Moved::Run { run: parent, expected: 4, found: 5 });
    assert!(world.settle(&duty).unwrap().is_none());
    assert_illegal(world.begin().report_child(&parent, 2), parent, CHILD_COMPLETED, 2);
    assert_illegal(world.begin().append(&parent, completed(kid, 2, 3)), parent, CHILD_COMPLETED, 2);
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED],
        );
        world.event(&parent, 4, |event| assert_eq!(event.payload(), b"result"));
    });
}

/// An outcome names the last run of the child's own chain and how that one closed; anything else is
/// refused and leaves the parent as it was.
#[test]
fn s09_wrong_chain_completion() {
    let world = World::new();
    let parent = world.start("p");
    let first = world.spawn(&parent, "c", TERMINATE);
    let other = world.spawn(&parent, "d", TERMINATE);
    let last = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("C")).unwrap());
    let tell = |event| world.begin().append(&parent, event);
    assert_illegal(tell(completed(last, 2, 3)), parent, CHILD_COMPLETED, 2);
    world.complete(&last);
    world.complete(&other);
    for wrong in [completed(other, 2, 3), completed(first, 2, 3)] {
        assert_illegal(tell(wrong), parent, CHILD_COMPLETED, 2);
    }
    assert_illegal(tell(terminated(last, 2, 3)), parent, CHILD_TERMINATED, 2);
    assert_illegal(
        world.begin().append(&parent, completed(last, 2, 5)),
        parent,
        CHILD_COMPLETED,
        2,
    );
    world.assert_kinds(
        &parent,
        [STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED, CHILD_STARTED],
    );
    world.commit(|tx| tx.append(&parent, completed(last, 2, 3)).unwrap());
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, CHILD_COMPLETED, CHILD_COMPLETED,
            ],
        )
    });
}

/// A child that continues as new has not ended: its parent hears of its first run and of the end of
/// its last one.
#[test]
fn s10_continue_as_new_of_a_child_is_not_reported() {
    let world = World::new();
    let parent = world.start("p");
    let first = world.spawn(&parent, "c", TERMINATE);
    let mut last = first;
    for _ in 0..10 {
        last = world.commit(|tx| tx.continue_as_new(&last, NextRun::new("C")).unwrap());
        world.nothing_is_due();
    }
    world.complete(&last);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED],
        );
        world.event(&parent, 3, |event| match event.body() {
            Body::ChildWorkflowExecutionStarted(started) => assert_eq!(started.run_id, first),
            other => panic!("{other:?}"),
        });
        assert_eq!(outcome(world, &parent, 4).run_id, last);
        assert_eq!(world.chain(&first).unwrap().len(), 11);
    });
}

/// A child that is tried again, or runs by a schedule, has not ended either. The last failure is
/// told with its retry state; a schedule ends when somebody ends it.
#[test]
fn s11_retry_and_cron_child() {
    let world = World::new();
    let parent = world.start("p");
    let mut run = world.spawn(&parent, "c", TERMINATE);
    for attempt in [2, 3] {
        let next = NextRun::retry("C", attempt);
        run = world.commit(|tx| tx.close_and_continue(&run, Close::failed(b"no"), next).unwrap());
        world.nothing_is_due();
        world.event(&run, 1, |event| match event.body() {
            Body::WorkflowExecutionStarted(started) => assert_eq!(started.attempt, attempt),
            other => panic!("{other:?}"),
        });
    }
    let retry_state = RetryState::RetryPolicyNotSet;
    let failed = Body::WorkflowExecutionFailed(Closed { retry_state, ..Closed::default() });
    world.commit(|tx| tx.append(&run, NewEvent::new(failed).payload(b"at last")).unwrap());

    let mut scheduled = world.spawn(&parent, "d", TERMINATE);
    for _ in 0..3 {
        let next = NextRun::cron("D");
        scheduled = world
            .commit(|tx| tx.close_and_continue(&scheduled, Close::completed(b""), next).unwrap());
        assert_eq!(world.due(DutyKind::ReportClose), 1, "only the first child has ended");
    }
    world.shut(&scheduled, Close::terminated("enough"));
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, CHILD_FAILED, CHILD_TERMINATED,
            ],
        );
        let told = outcome(world, &parent, 6);
        assert_eq!((told.run_id, told.retry_state), (run, retry_state));
        assert_eq!(outcome(world, &parent, 7).run_id, scheduled);
    });
}

/// The engine commits what it was told once it has ids for it: there is no buffer in the store.
/// What remains of the rule: ids have no gaps, a child's start comes before its outcome, and there
/// is one start per initiation.
#[test]
fn s21_events_come_in_order_with_contiguous_ids() {
    let world = World::new();
    let parent = world.start("p");
    let ended = world.spawn(&parent, "b", TERMINATE);
    world.commit(|tx| tx.initiate_child(&parent, child("a", TERMINATE)).unwrap());
    world.complete(&ended);
    let duties: Vec<_> = world.duties(DutyFilter::all()).map(Result::unwrap).collect();
    let kinds: Vec<_> = duties.iter().map(kinlog::Duty::kind).collect();
    assert_eq!(kinds, [DutyKind::StartChild, DutyKind::ReportClose]);
    world.commit(|tx| {
        assert!(tx.settle(&duties[0]).unwrap());
        tx.signal(&parent, "hello", b"").unwrap();
        assert!(tx.settle(&duties[1]).unwrap());
        assert_illegal(tx.start_child(&parent, 4, None), parent, CHILD_STARTED, 4);
        assert_illegal(tx.append(&parent, completed(ended, 2, 3)), parent, CHILD_COMPLETED, 2);
    });
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, SIGNALED, CHILD_COMPLETED,
            ],
        );
        assert_eq!(outcome(world, &parent, 7).started_event_id, 3);
    });
}

/// A run can be terminated at any moment. What was committed before it stays and counts; what the
/// engine had not committed is the engine's to drop.
#[test]
fn s22_terminate_keeps_what_was_committed() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| {
        for kind in [EventKind::WORKFLOW_TASK_SCHEDULED, EventKind::WORKFLOW_TASK_STARTED] {
            tx.append(&parent, NewEvent::opaque(kind, b"")).unwrap();
        }
    });
    let kid = world.spawn(&parent, "c", ABANDON);
    world.commit(|tx| tx.signal(&parent, "hello", b"").unwrap());
    let before = world.run(&parent).unwrap();
    let mut dropped = world.begin();
    dropped.append(&parent, note()).unwrap();
    world.commit(|tx| {
        let failed = NewEvent::opaque(EventKind::WORKFLOW_TASK_FAILED, b"");
        tx.append(&parent, failed).unwrap();
        tx.close_run(&parent, Close::terminated("force")).unwrap();
    });
    let moved = dropped.commit().map_err(overtaken).unwrap_err();
    assert_eq!(moved, Moved::Run { run: parent, expected: 7, found: 9 });
    let again = world.begin().append(&parent, note());
    assert!(matches!(again, Err(Error::RunClosed { run }) if run == parent));
    world.complete(&kid);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, WORKFLOW_TASK_SCHEDULED, WORKFLOW_TASK_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, SIGNALED, RESET, TERMINATED,
            ],
        );
        let now = world.run(&parent).unwrap();
        assert_eq!(now.events, before.events + 2);
        let last: u64 = [7, 8].map(|id| world.event(&parent, id, |e| e.size()).into()).iter().sum();
        assert_eq!(now.bytes, before.bytes + last);
    });
}

/// How each close of a child is told.
#[test]
fn every_outcome_has_its_event() {
    let outcomes: [(Closing, EventKind, RunStatus); 5] = [
        (|| Close::completed(b"data"), CHILD_COMPLETED, RunStatus::Completed),
        (|| Close::failed(b"data"), CHILD_FAILED, RunStatus::Failed),
        (|| Close::canceled(b"data"), CHILD_CANCELED, RunStatus::Canceled),
        (Close::timed_out, CHILD_TIMED_OUT, RunStatus::TimedOut),
        (|| Close::terminated("stop"), CHILD_TERMINATED, RunStatus::Terminated),
    ];
    for (close, kind, status) in outcomes {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", TERMINATE);
        world.shut(&kid, close());
        assert_eq!(world.drain(), 1);
        world.ends(|world| {
            world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, kind]);
            let told = world.event(&parent, 4, |event| event.payload().to_vec());
            assert_eq!(told, world.event(&kid, 2, |event| event.payload().to_vec()));
            let child = world.children(&parent).unwrap().next().unwrap().unwrap();
            assert_eq!(child.outcome, Some(status));
            assert_eq!((child.state, child.reported), (ChildState::Closed, true));
        });
    }
}
