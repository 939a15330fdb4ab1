//! Each step of a relation happens once and in its turn; a wrong one is refused and leaves the
//! transaction as it was.

use kinlog::event::{
    CancelRequested, ChildClosed, ChildInitiated, ChildStarted, Closed, ContinuedAsNew,
    ExternalFailedCause, ExternalInitiated, ExternalResolved, RetryState, StartChildFailedCause,
    Terminated,
};
use kinlog::{Body, Close, Error, EventKind, NewEvent, NextRun, ParentClosePolicy, RunId, Target};
use kinlog_testing::kinds::*;

use super::support::{TERMINATE, World, assert_illegal, child, note};

const TAKEN: StartChildFailedCause = StartChildFailedCause::WorkflowAlreadyExists;

fn resolved(initiated_event_id: u32) -> ExternalResolved {
    ExternalResolved { initiated_event_id, cause: ExternalFailedCause::Unspecified }
}

/// A start or a refusal needs an initiation that waits for it.
#[test]
fn a_child_starts_or_is_refused_once() {
    let world = World::new();
    let parent = world.start("p");
    let mut tx = world.begin();
    for event in [0, 1, 2, 77] {
        assert_illegal(tx.start_child(&parent, event, None), parent, CHILD_STARTED, event);
        assert_illegal(tx.fail_child(&parent, event, TAKEN), parent, START_CHILD_FAILED, event);
    }
    let started = tx.initiate_child(&parent, child("a", TERMINATE)).unwrap();
    let failed = tx.initiate_child(&parent, child("b", TERMINATE)).unwrap();
    let open = tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
    let check = |tx: &mut kinlog::Transaction<'_>| {
        for event in [started, failed] {
            assert_illegal(tx.start_child(&parent, event, None), parent, CHILD_STARTED, event);
            assert_illegal(tx.fail_child(&parent, event, TAKEN), parent, START_CHILD_FAILED, event);
        }
    };
    tx.start_child(&parent, started, None).unwrap();
    tx.fail_child(&parent, failed, TAKEN).unwrap();
    check(&mut tx);
    tx.commit().unwrap();
    check(&mut world.begin());
    world.commit(|tx| tx.start_child(&parent, open, None).unwrap());
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, START_CHILD_INITIATED, START_CHILD_INITIATED,
                CHILD_STARTED, START_CHILD_FAILED, CHILD_STARTED,
            ],
        )
    });
}

/// An outcome needs a child that started and has not been told of.
#[test]
fn an_outcome_comes_last_and_once() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let initiated = world.commit(|tx| tx.initiate_child(&parent, child("d", TERMINATE)).unwrap());
    let closed = |initiated_event_id, started_event_id| ChildClosed {
        run_id: kid,
        initiated_event_id,
        started_event_id,
        retry_state: RetryState::Unspecified,
    };
    let bodies: [fn(ChildClosed) -> Body<'static>; 5] = [
        Body::ChildWorkflowExecutionCompleted,
        Body::ChildWorkflowExecutionFailed,
        Body::ChildWorkflowExecutionCanceled,
        Body::ChildWorkflowExecutionTimedOut,
        Body::ChildWorkflowExecutionTerminated,
    ];
    let refused = |(initiated, started): (u32, u32)| {
        for body in bodies {
            let body = body(closed(initiated, started));
            let refused = world.begin().append(&parent, NewEvent::new(body));
            assert_illegal(refused, parent, body.kind(), initiated);
        }
    };
    // No such initiation, one whose child has not started, the wrong ChildStarted.
    [(1, 3), (77, 3), (initiated, 0), (2, 0), (2, 2)].into_iter().for_each(refused);
    assert_illegal(world.begin().report_child(&parent, 2), parent, CHILD_COMPLETED, 2);
    world.complete(&kid);
    assert_eq!(world.drain(), 2);
    refused((2, 3));
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, CHILD_COMPLETED,
            ],
        )
    });
}

/// What an initiation must say.
#[test]
fn an_initiation_names_a_workflow_and_a_policy() {
    let world = World::new();
    let parent = world.start("p");
    let sound = ChildInitiated {
        workflow_id: "c",
        close_policy: ParentClosePolicy::Abandon,
        ..ChildInitiated::default()
    };
    let no_policy = ChildInitiated { close_policy: ParentClosePolicy::Unspecified, ..sound };
    let unknown = ChildInitiated { close_policy: ParentClosePolicy::Unknown(9), ..sound };
    let mut tx = world.begin();
    for wrong in [ChildInitiated { workflow_id: "", ..sound }, no_policy, unknown] {
        let event = NewEvent::new(Body::StartChildWorkflowExecutionInitiated(wrong));
        assert_illegal(tx.append(&parent, event), parent, START_CHILD_INITIATED, 0);
    }
    for body in [
        Body::SignalExternalWorkflowExecutionInitiated(ExternalInitiated::default()),
        Body::RequestCancelExternalWorkflowExecutionInitiated(ExternalInitiated::default()),
    ] {
        assert_illegal(tx.append(&parent, NewEvent::new(body)), parent, body.kind(), 0);
    }
    tx.append(&parent, note()).unwrap();
    tx.commit().unwrap();
    world.ends(|world| world.assert_kinds(&parent, [STARTED, MARKER_RECORDED]));
}

/// A run is asked to cancel once.
#[test]
fn one_cancel_request_per_run() {
    let world = World::new();
    let run = world.start("p");
    let asked =
        || NewEvent::new(Body::WorkflowExecutionCancelRequested(CancelRequested::default()));
    let mut tx = world.begin();
    tx.append(&run, asked()).unwrap();
    assert_illegal(tx.append(&run, asked()), run, CANCEL_REQUESTED, 0);
    tx.commit().unwrap();
    assert_illegal(world.begin().append(&run, asked()), run, CANCEL_REQUESTED, 0);
    let next = world.commit(|tx| tx.continue_as_new(&run, NextRun::new("P")).unwrap());
    world.commit(|tx| tx.append(&next, asked()).unwrap());
    world.ends(|world| {
        assert_eq!(
            world.kinds(&next),
            [STARTED, CANCEL_REQUESTED],
            "the next run may be asked again"
        )
    });
}

type Answer = fn(ExternalResolved) -> Body<'static>;

/// An answer needs a request of its kind that waits for it.
#[test]
fn signals_and_cancels_are_answered_once() {
    let answers: [(Answer, bool); 4] = [
        (Body::ExternalWorkflowExecutionSignaled, true),
        (Body::SignalExternalWorkflowExecutionFailed, true),
        (Body::ExternalWorkflowExecutionCancelRequested, false),
        (Body::RequestCancelExternalWorkflowExecutionFailed, false),
    ];
    let world = World::new();
    let run = world.start("p");
    let to = Target::workflow("t");
    for (answer, answers_signal) in answers {
        let (signal, cancel) = world.commit(|tx| {
            let signal = tx.signal_external(&run, to, "s", b"").unwrap();
            (signal, tx.cancel_external(&run, to).unwrap())
        });
        let (right, wrong) = if answers_signal { (signal, cancel) } else { (cancel, signal) };
        let kind = answer(resolved(1)).kind();
        let event = |id| NewEvent::new(answer(resolved(id)));
        let mut tx = world.begin();
        for wrong in [1, wrong, 99] {
            assert_illegal(tx.append(&run, event(wrong)), run, kind, wrong);
        }
        tx.append(&run, event(right)).unwrap();
        assert_illegal(tx.append(&run, event(right)), run, kind, right);
        tx.commit().unwrap();
        assert_illegal(world.begin().append(&run, event(right)), run, kind, right);
    }
    assert_eq!(world.drain(), 4, "the other half of them");
    world.ends(|world| assert_eq!(world.run(&run).unwrap().events, 1 + 8 + 8));
}

/// What changes two runs has a method of its own, and no event appended by hand does it.
#[test]
fn steps_between_runs_are_not_appended() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| tx.initiate_child(&parent, child("c", TERMINATE)).unwrap());
    let next = Some(RunId::from_bytes([9; 16]));
    let bodies = [
        Body::ChildWorkflowExecutionStarted(ChildStarted { run_id: parent, initiated_event_id: 2 }),
        Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew::default()),
        Body::WorkflowExecutionCompleted(Closed { new_run_id: next, ..Closed::default() }),
        Body::WorkflowExecutionTerminated(Terminated { reason: "", reset_run_id: next }),
        Body::WorkflowReset(kinlog::event::Reset::default()),
        Body::WorkflowExecutionStarted(kinlog::event::Started::default()),
        Body::Opaque(EventKind::START_CHILD_WORKFLOW_EXECUTION_INITIATED),
        Body::Opaque(EventKind::WORKFLOW_EXECUTION_TERMINATED),
        Body::Opaque(EventKind::from_number(0)),
    ];
    let mut tx = world.begin();
    for body in bodies {
        let refused = tx.append(&parent, NewEvent::new(body));
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{body:?}");
    }
    tx.commit().unwrap();
    world.complete(&parent);
    world.ends(|world| world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, COMPLETED]));
}

/// A child that was initiated by an appended event starts as any other, also in the same commit.
#[test]
fn an_appended_initiation_is_an_initiation() {
    let world = World::new();
    let parent = world.start("p");
    let initiated = ChildInitiated {
        workflow_id: "c",
        close_policy: ParentClosePolicy::Abandon,
        ..ChildInitiated::default()
    };
    let event = NewEvent::new(Body::StartChildWorkflowExecutionInitiated(initiated));
    let id = world.commit(|tx| tx.append(&parent, event).unwrap());
    world.commit(|tx| tx.start_child(&parent, id, None).unwrap());
    let other = ChildInitiated { workflow_id: "d", ..initiated };
    let event = NewEvent::new(Body::StartChildWorkflowExecutionInitiated(other));
    world.commit(|tx| {
        let id = tx.append(&parent, event).unwrap();
        tx.start_child(&parent, id, None).unwrap();
    });
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED, CHILD_STARTED],
        )
    });
}

/// A closed run takes no step at all.
#[test]
fn a_closed_run_takes_no_steps() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", ParentClosePolicy::Abandon);
    let open = world.commit(|tx| tx.initiate_child(&parent, child("d", TERMINATE)).unwrap());
    world.complete(&parent);
    world.complete(&kid);
    let mut tx = world.begin();
    let to = Target::workflow("c");
    let refused = [
        tx.append(&parent, note()).map(|_| ()),
        tx.close_run(&parent, Close::completed(b"")).map(|_| ()),
        tx.spawn_child(&parent, child("e", TERMINATE)).map(|_| ()),
        tx.initiate_child(&parent, child("e", TERMINATE)).map(|_| ()),
        tx.start_child(&parent, open, None).map(|_| ()),
        tx.fail_child(&parent, open, TAKEN).map(|_| ()),
        tx.report_child(&parent, 2).map(|_| ()),
        tx.request_cancel(&parent, b"").map(|_| ()),
        tx.signal(&parent, "s", b"").map(|_| ()),
        tx.signal_external(&parent, to, "s", b"").map(|_| ()),
        tx.cancel_external(&parent, to).map(|_| ()),
        tx.continue_as_new(&parent, NextRun::new("P")).map(|_| ()),
    ];
    for (step, refused) in refused.into_iter().enumerate() {
        assert!(matches!(refused, Err(Error::RunClosed { run }) if run == parent), "step {step}");
    }
    let end = world.end();
    tx.commit().unwrap();
    assert_eq!(world.end(), end, "nothing was written");
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED, COMPLETED],
        )
    });
}

/// After a step that was refused the transaction goes on as if it had not been asked.
#[test]
fn a_refused_step_leaves_the_transaction_as_it_was() {
    let world = World::new();
    let (parent, stranger) = (world.start("p"), world.start("taken"));
    let mut tx = world.begin();
    let kid = tx.spawn_child(&parent, child("c", TERMINATE)).unwrap().run;
    assert!(tx.spawn_child(&parent, child("taken", TERMINATE)).is_err());
    assert!(tx.spawn_child(&parent, child("c", TERMINATE)).is_err());
    assert_illegal(tx.start_child(&parent, 2, None), parent, CHILD_STARTED, 2);
    let canceled = tx.close_and_continue(&kid, Close::canceled(b""), NextRun::new("C"));
    assert!(matches!(canceled, Err(Error::InvalidArgument { .. })));
    assert_eq!(tx.append(&parent, note()).unwrap(), 4);
    assert_eq!(tx.append(&kid, note()).unwrap(), 2);
    tx.commit().unwrap();
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, MARKER_RECORDED],
        );
        world.assert_kinds(&kid, [STARTED, MARKER_RECORDED]);
        world.assert_kinds(&stranger, [STARTED]);
    });
}
