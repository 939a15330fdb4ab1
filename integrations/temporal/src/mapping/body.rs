//! Where the fields of each typed body are in Temporal's messages.

use kinlog::event::{
    ActivityScheduled, ActivityTask, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, ExternalInitiated, ExternalResolved,
    Reset, Signaled, Started, Terminated, TimerEnded, TimerStarted, WorkflowTask,
};
use kinlog::{Body, EventKind};

use super::slot::Slot;

/// Does something with each field of a body.
pub(super) trait Visit<'m> {
    /// `path` leads to the field in the event's attributes, if this kind of event has it.
    fn visit<S: Slot<'m>>(&mut self, path: &'static str, slot: &mut S);
}

/// A typed record, as a list of its fields that Temporal has too.
trait Record<'m> {
    fn visit(&mut self, visitor: &mut impl Visit<'m>);
}

/// Lists, for each record, its fields and their paths. The order is part of the format, because
/// absent fields are counted in it: new fields go to the end.
macro_rules! records {
    ($($name:ident $(<$lt:lifetime>)? { $($field:ident: $path:literal,)* })*) => {$(
        impl<'m> Record<'m> for record!($name $($lt)?) {
            fn visit(&mut self, visitor: &mut impl Visit<'m>) {
                $(visitor.visit($path, &mut self.$field);)*
            }
        }
    )*};
}

macro_rules! record {
    ($name:ident $lt:lifetime) => { $name<'m> };
    ($name:ident) => { $name };
}

records! {
    Started<'m> {
        run_id: "original_execution_run_id",
        first_run_id: "first_execution_run_id",
        continued_run_id: "continued_execution_run_id",
        workflow_id: "workflow_id",
        workflow_type: "workflow_type.name",
        task_queue: "task_queue.name",
        parent_workflow_id: "parent_workflow_execution.workflow_id",
        parent_run_id: "parent_workflow_execution.run_id",
        root_workflow_id: "root_workflow_execution.workflow_id",
        root_run_id: "root_workflow_execution.run_id",
        parent_initiated_event_id: "parent_initiated_event_id",
        attempt: "attempt",
        initiator: "initiator",
    }
    Closed {
        new_run_id: "new_execution_run_id",
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
        retry_state: "retry_state",
    }
    Canceled {
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
    }
    Terminated<'m> {
        reason: "reason",
    }
    Reset<'m> {
        base_run_id: "base_run_id",
        run_id: "new_run_id",
        reason: "failure.message",
    }
    ContinuedAsNew {
        new_run_id: "new_execution_run_id",
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
        initiator: "initiator",
    }
    CancelRequested<'m> {
        external_workflow_id: "external_workflow_execution.workflow_id",
        external_run_id: "external_workflow_execution.run_id",
        external_initiated_event_id: "external_initiated_event_id",
    }
    Signaled<'m> {
        signal_name: "signal_name",
        request_id: "request_id",
        external_run_id: "external_workflow_execution.run_id",
    }
    ExternalInitiated<'m> {
        workflow_id: "workflow_execution.workflow_id",
        run_id: "workflow_execution.run_id",
        signal_name: "signal_name",
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
        child_workflow_only: "child_workflow_only",
    }
    ExternalResolved {
        initiated_event_id: "initiated_event_id",
        cause: "cause",
    }
    ChildInitiated<'m> {
        workflow_id: "workflow_id",
        workflow_type: "workflow_type.name",
        task_queue: "task_queue.name",
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
        close_policy: "parent_close_policy",
        reuse_policy: "workflow_id_reuse_policy",
    }
    ChildStartFailed {
        initiated_event_id: "initiated_event_id",
        cause: "cause",
    }
    ChildStarted {
        run_id: "workflow_execution.run_id",
        initiated_event_id: "initiated_event_id",
    }
    ChildClosed {
        run_id: "workflow_execution.run_id",
        initiated_event_id: "initiated_event_id",
        started_event_id: "started_event_id",
        retry_state: "retry_state",
    }
    WorkflowTask {
        scheduled_event_id: "scheduled_event_id",
        started_event_id: "started_event_id",
    }
    ActivityScheduled<'m> {
        activity_id: "activity_id",
        activity_type: "activity_type.name",
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
    }
    ActivityTask {
        scheduled_event_id: "scheduled_event_id",
        started_event_id: "started_event_id",
    }
    TimerStarted<'m> {
        timer_id: "timer_id",
        workflow_task_completed_event_id: "workflow_task_completed_event_id",
    }
    TimerEnded<'m> {
        timer_id: "timer_id",
        started_event_id: "started_event_id",
    }
}

/// Lists the kinds that have a typed body.
macro_rules! kinds {
    ($($constant:ident $variant:ident($record:ident),)*) => {
        /// A body of this kind with every field at its default.
        pub(super) fn empty<'m>(kind: EventKind) -> Body<'m> {
            match kind {
                $(EventKind::$constant => Body::$variant($record::default()),)*
                _ => Body::opaque(kind),
            }
        }

        /// Visits the fields of a body, in the order of the list above.
        pub(super) fn visit<'m>(body: &mut Body<'m>, visitor: &mut impl Visit<'m>) {
            match body {
                $(Body::$variant(record) => record.visit(visitor),)*
                // Written by kinlog alone: in Temporal it is a WorkflowTaskFailed like others.
                Body::WorkflowReset(record) => record.visit(visitor),
                _ => {}
            }
        }
    };
}

kinds! {
    WORKFLOW_EXECUTION_STARTED WorkflowExecutionStarted(Started),
    WORKFLOW_EXECUTION_COMPLETED WorkflowExecutionCompleted(Closed),
    WORKFLOW_EXECUTION_FAILED WorkflowExecutionFailed(Closed),
    WORKFLOW_EXECUTION_TIMED_OUT WorkflowExecutionTimedOut(Closed),
    WORKFLOW_TASK_STARTED WorkflowTaskStarted(WorkflowTask),
    WORKFLOW_TASK_COMPLETED WorkflowTaskCompleted(WorkflowTask),
    WORKFLOW_TASK_TIMED_OUT WorkflowTaskTimedOut(WorkflowTask),
    WORKFLOW_TASK_FAILED WorkflowTaskFailed(WorkflowTask),
    ACTIVITY_TASK_SCHEDULED ActivityTaskScheduled(ActivityScheduled),
    ACTIVITY_TASK_STARTED ActivityTaskStarted(ActivityTask),
    ACTIVITY_TASK_COMPLETED ActivityTaskCompleted(ActivityTask),
    ACTIVITY_TASK_FAILED ActivityTaskFailed(ActivityTask),
    ACTIVITY_TASK_TIMED_OUT ActivityTaskTimedOut(ActivityTask),
    ACTIVITY_TASK_CANCEL_REQUESTED ActivityTaskCancelRequested(ActivityTask),
    ACTIVITY_TASK_CANCELED ActivityTaskCanceled(ActivityTask),
    TIMER_STARTED TimerStarted(TimerStarted),
    TIMER_FIRED TimerFired(TimerEnded),
    TIMER_CANCELED TimerCanceled(TimerEnded),
    WORKFLOW_EXECUTION_CANCEL_REQUESTED WorkflowExecutionCancelRequested(CancelRequested),
    WORKFLOW_EXECUTION_CANCELED WorkflowExecutionCanceled(Canceled),
    REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
        RequestCancelExternalWorkflowExecutionInitiated(ExternalInitiated),
    REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
        RequestCancelExternalWorkflowExecutionFailed(ExternalResolved),
    EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED
        ExternalWorkflowExecutionCancelRequested(ExternalResolved),
    WORKFLOW_EXECUTION_SIGNALED WorkflowExecutionSignaled(Signaled),
    WORKFLOW_EXECUTION_TERMINATED WorkflowExecutionTerminated(Terminated),
    WORKFLOW_EXECUTION_CONTINUED_AS_NEW WorkflowExecutionContinuedAsNew(ContinuedAsNew),
    START_CHILD_WORKFLOW_EXECUTION_INITIATED StartChildWorkflowExecutionInitiated(ChildInitiated),
    START_CHILD_WORKFLOW_EXECUTION_FAILED StartChildWorkflowExecutionFailed(ChildStartFailed),
    CHILD_WORKFLOW_EXECUTION_STARTED ChildWorkflowExecutionStarted(ChildStarted),
    CHILD_WORKFLOW_EXECUTION_COMPLETED ChildWorkflowExecutionCompleted(ChildClosed),
    CHILD_WORKFLOW_EXECUTION_FAILED ChildWorkflowExecutionFailed(ChildClosed),
    CHILD_WORKFLOW_EXECUTION_CANCELED ChildWorkflowExecutionCanceled(ChildClosed),
    CHILD_WORKFLOW_EXECUTION_TIMED_OUT ChildWorkflowExecutionTimedOut(ChildClosed),
    CHILD_WORKFLOW_EXECUTION_TERMINATED ChildWorkflowExecutionTerminated(ChildClosed),
    SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
        SignalExternalWorkflowExecutionInitiated(ExternalInitiated),
    SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
        SignalExternalWorkflowExecutionFailed(ExternalResolved),
    EXTERNAL_WORKFLOW_EXECUTION_SIGNALED ExternalWorkflowExecutionSignaled(ExternalResolved),
}
