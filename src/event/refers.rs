//! References of an event to an earlier event of its run.

use super::body::Body;

impl Body<'_> {
    /// The event that this one answers or follows: the Scheduled event of an activity or a workflow
    /// task, the Started event of a timer, the Initiated event of a child or a request. None for
    /// events that stand for themselves.
    ///
    /// ```
    /// use kinlog::Body;
    /// use kinlog::event::ActivityTask;
    ///
    /// let done = ActivityTask { scheduled_event_id: 5, started_event_id: 6 };
    /// assert_eq!(Body::ActivityTaskCompleted(done).answers(), Some(5));
    /// ```
    #[must_use]
    pub fn answers(&self) -> Option<u32> {
        let event = match self {
            Body::WorkflowTaskStarted(b)
            | Body::WorkflowTaskCompleted(b)
            | Body::WorkflowTaskFailed(b)
            | Body::WorkflowTaskTimedOut(b) => b.scheduled_event_id,
            Body::ActivityTaskStarted(b)
            | Body::ActivityTaskCompleted(b)
            | Body::ActivityTaskFailed(b)
            | Body::ActivityTaskTimedOut(b)
            | Body::ActivityTaskCancelRequested(b)
            | Body::ActivityTaskCanceled(b) => b.scheduled_event_id,
            Body::TimerFired(b) | Body::TimerCanceled(b) => b.started_event_id,
            Body::StartChildWorkflowExecutionFailed(b) => b.initiated_event_id,
            Body::ChildWorkflowExecutionStarted(b) => b.initiated_event_id,
            Body::ChildWorkflowExecutionCompleted(b)
            | Body::ChildWorkflowExecutionFailed(b)
            | Body::ChildWorkflowExecutionCanceled(b)
            | Body::ChildWorkflowExecutionTimedOut(b)
            | Body::ChildWorkflowExecutionTerminated(b) => b.initiated_event_id,
            Body::SignalExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionSignaled(b)
            | Body::RequestCancelExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionCancelRequested(b) => b.initiated_event_id,
            _ => return None,
        };
        Some(event)
    }
}
