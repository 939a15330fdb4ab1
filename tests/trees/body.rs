//! What the store is to say about an event of the model.

use kinlog::event::{
    ActivityScheduled, ActivityTask, CancelRequested, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, EventIds, ExternalFailedCause,
    ExternalInitiated, ExternalResolved, Reset, RetryState, Signaled, StartChildFailedCause,
    Started, Terminated,
};
use kinlog::{Body, DutyKind, EventKind, RunId, RunStatus};

use crate::naive::{Address, NAMESPACES, State, What, Wish};

pub(crate) const TYPE: &str = "T";
pub(crate) const SIGNAL: &str = "s";

/// The payload for a note.
pub(crate) fn payload(note: u64) -> Vec<u8> {
    if note == 0 { vec![] } else { note.to_le_bytes().to_vec() }
}

/// The body of an event that the run with the number `run` wrote.
pub(crate) fn body<'a>(state: &'a State, run: usize, what: &'a What) -> Body<'a> {
    let workflow_of = |run: &RunId| state.runs[state.find(run).unwrap()].workflow;
    match what {
        What::Started { .. } => Body::WorkflowExecutionStarted(started(state, run, what)),
        What::Closed { .. } => closing(what),
        What::Reset { base, activities, request } => Body::WorkflowReset(Reset {
            run_id: state.runs[run].id,
            base_run_id: *base,
            reason: "",
            request_id: request,
            open_activities: EventIds::from_bytes(activities),
        }),
        What::Initiated(wish) => Body::StartChildWorkflowExecutionInitiated(initiated(wish)),
        What::ChildRefused { initiated } => {
            let cause = StartChildFailedCause::WorkflowAlreadyExists;
            let initiated_event_id = *initiated;
            Body::StartChildWorkflowExecutionFailed(ChildStartFailed { initiated_event_id, cause })
        }
        What::ChildStarted { initiated, child } => {
            let (run_id, initiated_event_id) = (*child, *initiated);
            Body::ChildWorkflowExecutionStarted(ChildStarted { run_id, initiated_event_id })
        }
        What::ChildEnded { .. } => outcome(what),
        What::Signaled { from } => Body::WorkflowExecutionSignaled(Signaled {
            signal_name: SIGNAL,
            request_id: "",
            external_run_id: from.map(|from| from.0),
            external_initiated_event_id: from.map_or(0, |from| from.1),
        }),
        What::CancelRequested { from } => Body::WorkflowExecutionCancelRequested(CancelRequested {
            external_workflow_id: from.map_or("", |from| workflow_of(&from.0)),
            external_run_id: from.map(|from| from.0),
            external_initiated_event_id: from.map_or(0, |from| from.1),
        }),
        What::Asked { kind: DutyKind::DeliverSignal, address } => {
            Body::SignalExternalWorkflowExecutionInitiated(asked(address, SIGNAL))
        }
        What::Asked { address, .. } => {
            Body::RequestCancelExternalWorkflowExecutionInitiated(asked(address, ""))
        }
        What::Answered { .. } => answer(what),
        What::Scheduled => Body::ActivityTaskScheduled(ActivityScheduled {
            activity_id: "a",
            activity_type: TYPE,
            workflow_task_completed_event_id: 0,
        }),
        What::ActivityEnded { scheduled, kind } => {
            let ended = ActivityTask { scheduled_event_id: *scheduled, started_event_id: 0 };
            match *kind {
                EventKind::ACTIVITY_TASK_COMPLETED => Body::ActivityTaskCompleted(ended),
                EventKind::ACTIVITY_TASK_FAILED => Body::ActivityTaskFailed(ended),
                EventKind::ACTIVITY_TASK_TIMED_OUT => Body::ActivityTaskTimedOut(ended),
                _ => Body::ActivityTaskCanceled(ended),
            }
        }
        What::Marker => Body::Opaque(EventKind::MARKER_RECORDED),
    }
}

fn started<'a>(state: &State, run: usize, what: &'a What) -> Started<'a> {
    let What::Started { continued, parent, root, request, attempt, initiator } = what else {
        return Started::default();
    };
    let it = &state.runs[run];
    let workflow_of = |run: RunId| state.runs[state.find(&run).unwrap()].workflow;
    Started {
        run_id: it.id,
        first_run_id: state.runs[it.first].id,
        continued_run_id: *continued,
        namespace: NAMESPACES[it.namespace],
        workflow_id: it.workflow,
        workflow_type: TYPE,
        task_queue: "",
        request_id: request,
        parent_workflow_id: parent.map_or("", |(parent, _)| workflow_of(parent)),
        parent_run_id: parent.map(|(parent, _)| parent),
        root_workflow_id: root.map_or("", workflow_of),
        root_run_id: *root,
        parent_initiated_event_id: parent.map_or(0, |(_, event)| event),
        attempt: *attempt,
        initiator: *initiator,
        imported: false,
    }
}

fn closing(what: &What) -> Body<'_> {
    let What::Closed { how, next, replaced, reason, initiator } = what else { panic!() };
    let closed = Closed { new_run_id: *next, ..Closed::default() };
    match how {
        RunStatus::Completed => Body::WorkflowExecutionCompleted(closed),
        RunStatus::Failed => Body::WorkflowExecutionFailed(closed),
        RunStatus::TimedOut => Body::WorkflowExecutionTimedOut(closed),
        RunStatus::Canceled => Body::WorkflowExecutionCanceled(kinlog::event::Canceled::default()),
        RunStatus::Terminated => {
            let reset_run_id = *replaced;
            Body::WorkflowExecutionTerminated(Terminated { reason, reset_run_id })
        }
        _ => Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew {
            new_run_id: *next,
            workflow_task_completed_event_id: 0,
            initiator: *initiator,
        }),
    }
}

fn initiated<'a>(wish: &Wish) -> ChildInitiated<'a> {
    ChildInitiated {
        workflow_id: wish.workflow,
        workflow_type: TYPE,
        task_queue: "",
        workflow_task_completed_event_id: 0,
        close_policy: wish.policy,
        reuse_policy: wish.reuse,
        conflict_policy: wish.conflict,
    }
}

fn outcome(what: &What) -> Body<'_> {
    let What::ChildEnded { initiated, started, last, how } = what else { panic!() };
    let closed = ChildClosed {
        run_id: *last,
        initiated_event_id: *initiated,
        started_event_id: *started,
        retry_state: RetryState::Unspecified,
    };
    match how {
        RunStatus::Completed => Body::ChildWorkflowExecutionCompleted(closed),
        RunStatus::Failed => Body::ChildWorkflowExecutionFailed(closed),
        RunStatus::Canceled => Body::ChildWorkflowExecutionCanceled(closed),
        RunStatus::TimedOut => Body::ChildWorkflowExecutionTimedOut(closed),
        _ => Body::ChildWorkflowExecutionTerminated(closed),
    }
}

fn asked<'a>(address: &Address, signal_name: &'a str) -> ExternalInitiated<'a> {
    ExternalInitiated {
        workflow_id: address.workflow,
        run_id: address.run,
        signal_name,
        workflow_task_completed_event_id: 0,
        child_workflow_only: address.child_only,
    }
}

fn answer(what: &What) -> Body<'_> {
    let What::Answered { kind, initiated, cause } = what else { panic!() };
    let resolved = ExternalResolved {
        initiated_event_id: *initiated,
        cause: ExternalFailedCause::from_number(*cause),
    };
    match (kind, cause) {
        (DutyKind::DeliverSignal, 0) => Body::ExternalWorkflowExecutionSignaled(resolved),
        (DutyKind::DeliverSignal, _) => Body::SignalExternalWorkflowExecutionFailed(resolved),
        (_, 0) => Body::ExternalWorkflowExecutionCancelRequested(resolved),
        (..) => Body::RequestCancelExternalWorkflowExecutionFailed(resolved),
    }
}
