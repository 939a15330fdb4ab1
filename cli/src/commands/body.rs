//! The typed fields of an event, by name.

use kinlog::event::{EventIds, ExternalFailedCause, Initiator, RetryState, StartChildFailedCause};
use kinlog::{Body, IdConflictPolicy, IdReusePolicy, ParentClosePolicy, RunId};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Fields in their order.
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// The fields that say something.
    pub(super) fn telling(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter().filter(|(_, value)| {
            let empty = value.as_array().is_some_and(Vec::is_empty);
            let nothing = value.is_null()
                || value == 0
                || value == false
                || value == ""
                || value == "Unspecified";
            !(nothing || empty)
        })
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A field's value as JSON.
trait Field {
    fn value(&self) -> Value;
}

macro_rules! plain {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn value(&self) -> Value {
                Value::from(*self)
            }
        }
    )*};
}
plain!(bool u32 &str);

impl Field for RunId {
    fn value(&self) -> Value {
        Value::from(self.to_string())
    }
}

impl Field for Option<RunId> {
    fn value(&self) -> Value {
        self.map_or(Value::Null, |run| run.value())
    }
}

impl Field for EventIds<'_> {
    fn value(&self) -> Value {
        self.iter().collect()
    }
}

macro_rules! named {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn value(&self) -> Value {
                Value::from(format!("{self:?}"))
            }
        }
    )*};
}
named!(ExternalFailedCause IdConflictPolicy IdReusePolicy Initiator ParentClosePolicy RetryState StartChildFailedCause);

macro_rules! records {
    ($body:expr, $(($($variant:ident)+) { $($field:ident)* })*) => {
        match $body {
            $($(Body::$variant(record))|+ => {
                vec![$((stringify!($field), record.$field.value()),)*]
            })*
            _ => vec![],
        }
    };
}

/// The typed fields of a body; none where the payload says everything.
pub(super) fn fields(body: &Body<'_>) -> Fields {
    Fields(records! { body,
        (WorkflowExecutionStarted) {
            run_id first_run_id continued_run_id namespace workflow_id workflow_type task_queue
            request_id parent_workflow_id parent_run_id root_workflow_id root_run_id
            parent_initiated_event_id attempt initiator imported
        }
        (WorkflowExecutionCompleted WorkflowExecutionFailed WorkflowExecutionTimedOut) {
            new_run_id workflow_task_completed_event_id retry_state
        }
        (WorkflowExecutionCanceled) { workflow_task_completed_event_id }
        (WorkflowExecutionTerminated) { reason reset_run_id }
        (WorkflowReset) { run_id base_run_id reason request_id open_activities }
        (WorkflowExecutionContinuedAsNew) {
            new_run_id workflow_task_completed_event_id initiator
        }
        (WorkflowExecutionCancelRequested) {
            external_workflow_id external_run_id external_initiated_event_id
        }
        (WorkflowExecutionSignaled) {
            signal_name request_id external_run_id external_initiated_event_id
        }
        (SignalExternalWorkflowExecutionInitiated RequestCancelExternalWorkflowExecutionInitiated) {
            workflow_id run_id signal_name workflow_task_completed_event_id child_workflow_only
        }
        (SignalExternalWorkflowExecutionFailed ExternalWorkflowExecutionSignaled
         RequestCancelExternalWorkflowExecutionFailed ExternalWorkflowExecutionCancelRequested) {
            initiated_event_id cause
        }
        (StartChildWorkflowExecutionInitiated) {
            workflow_id workflow_type task_queue workflow_task_completed_event_id close_policy
            reuse_policy conflict_policy
        }
        (StartChildWorkflowExecutionFailed) { initiated_event_id cause }
        (ChildWorkflowExecutionStarted) { run_id initiated_event_id }
        (ChildWorkflowExecutionCompleted ChildWorkflowExecutionFailed
         ChildWorkflowExecutionCanceled ChildWorkflowExecutionTimedOut
         ChildWorkflowExecutionTerminated) {
            run_id initiated_event_id started_event_id retry_state
        }
        (WorkflowTaskStarted WorkflowTaskCompleted WorkflowTaskTimedOut WorkflowTaskFailed) {
            scheduled_event_id started_event_id
        }
        (ActivityTaskScheduled) { activity_id activity_type workflow_task_completed_event_id }
        (ActivityTaskStarted ActivityTaskCompleted ActivityTaskFailed ActivityTaskTimedOut
         ActivityTaskCancelRequested ActivityTaskCanceled) {
            scheduled_event_id started_event_id
        }
        (TimerStarted) { timer_id workflow_task_completed_event_id }
        (TimerFired TimerCanceled) { timer_id started_event_id }
    })
}
