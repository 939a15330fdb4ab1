//! Looking up relations and the events they are made of.

use crate::event::{Body, ChildClosed, RetryState};
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Entry, Index, Relation, RunStatus};
use crate::store::read::EventRef;

/// The relation that an event of `parent` initiated, and the parent's number.
pub(crate) fn relation<'i>(
    index: &'i Index,
    parent: &RunId,
    initiated: u32,
) -> Option<(RunNumber, Entry<'i, Relation>)> {
    let number = index.runs.number(parent)?;
    Some((number, index.runs.relation_of(number, initiated)?.1))
}

/// Where the last event of a run lies that has closed: its batch, and the place in it.
pub(crate) fn closing_event(index: &Index, run: &RunId) -> Option<(Position, EventRef)> {
    let number = index.runs.number(run)?;
    let state = index.runs.state(number)?;
    let batch = state.last_batch;
    Some((batch, EventRef::of(index, number, batch, state.next_event - 1)))
}

/// What a parent records of a child that ended like this.
pub(crate) fn outcome(status: RunStatus, closed: ChildClosed) -> Option<Body<'static>> {
    match status {
        RunStatus::Completed => Some(Body::ChildWorkflowExecutionCompleted(closed)),
        RunStatus::Failed => Some(Body::ChildWorkflowExecutionFailed(closed)),
        RunStatus::Canceled => Some(Body::ChildWorkflowExecutionCanceled(closed)),
        RunStatus::TimedOut => Some(Body::ChildWorkflowExecutionTimedOut(closed)),
        RunStatus::Terminated => Some(Body::ChildWorkflowExecutionTerminated(closed)),
        RunStatus::Running | RunStatus::ContinuedAsNew => None,
    }
}

/// The retry state that a closing event tells.
pub(crate) fn retry_state(body: &Body<'_>) -> RetryState {
    match body {
        Body::WorkflowExecutionFailed(closed) | Body::WorkflowExecutionTimedOut(closed) => {
            closed.retry_state
        }
        _ => RetryState::Unspecified,
    }
}
