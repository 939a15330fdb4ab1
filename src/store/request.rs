//! Signals and cancel requests, to a run and between runs.

use super::transaction::Transaction;
use crate::error::Result;
use crate::event::{Body, CancelRequested, ExternalInitiated, NewEvent, Signaled};
use crate::id::RunId;
use crate::index::Index;

/// A workflow to be signaled or asked to cancel by another one, in the same namespace.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    workflow_id: &'a str,
    run: Option<RunId>,
    child_only: bool,
}

impl<'a> Target<'a> {
    /// The current run of a workflow, at the time of the delivery.
    #[must_use]
    pub fn workflow(workflow_id: &'a str) -> Self {
        Target { workflow_id, run: None, child_only: false }
    }

    /// This run and no other.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Only if it is a child of the run that sends.
    #[must_use]
    pub fn child_only(mut self) -> Self {
        self.child_only = true;
        self
    }

    fn initiated(&self, signal_name: &'a str) -> ExternalInitiated<'a> {
        ExternalInitiated {
            workflow_id: self.workflow_id,
            run_id: self.run,
            signal_name,
            workflow_task_completed_event_id: 0,
            child_workflow_only: u8::from(self.child_only),
        }
    }
}

/// What a request to cancel a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CancelRequest {
    /// The event that asks; none if the run had been asked before.
    pub event_id: Option<u32>,
    /// The Scheduled events of the run's open activities, which are canceled with it whatever
    /// happens to its children.
    pub open_activities: Vec<u32>,
}

impl Transaction<'_> {
    /// Asks a run to cancel: appends `WorkflowExecutionCancelRequested`, once. Possible however
    /// long the run has grown. Its children follow their policies when it closes.
    ///
    /// # Errors
    /// [`Error::RunNotFound`](crate::Error::RunNotFound),
    /// [`Error::RunClosed`](crate::Error::RunClosed).
    pub fn request_cancel(&mut self, run: &RunId, reason: &[u8]) -> Result<CancelRequest> {
        let index = self.find(run)?;
        let open_activities = self.open_activities(run);
        let body = Body::WorkflowExecutionCancelRequested(CancelRequested::default());
        let touched = self.touched(index)?;
        let open = touched.progress.status.is_open();
        if open && self.work.draft.cancel_requested(&self.shared.index.read(), *run) {
            return Ok(CancelRequest { event_id: None, open_activities });
        }
        let event_id = Some(self.add(index, &NewEvent::new(body).payload(reason))?);
        Ok(CancelRequest { event_id, open_activities })
    }

    /// Signals a run: appends `WorkflowExecutionSignaled`. Returns the event's id.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn signal(&mut self, run: &RunId, name: &str, payload: &[u8]) -> Result<u32> {
        let signaled = Signaled { signal_name: name, ..Default::default() };
        let body = Body::WorkflowExecutionSignaled(signaled);
        self.append(run, NewEvent::new(body).payload(payload))
    }

    /// Begins a signal from `sender` to another workflow: a duty until it is delivered or refused,
    /// or the sender closes. Returns the Initiated event.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) for too many signals on their way,
    /// and as [`Transaction::append`].
    pub fn signal_external(
        &mut self,
        sender: &RunId,
        target: Target<'_>,
        name: &str,
        payload: &[u8],
    ) -> Result<u32> {
        let body = Body::SignalExternalWorkflowExecutionInitiated(target.initiated(name));
        self.append(sender, NewEvent::new(body).payload(payload))
    }

    /// Begins a cancel request from `sender` to another workflow: a duty until it is delivered or
    /// refused, or the sender closes. Returns the Initiated event.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) for too many cancel requests on their
    /// way, and as [`Transaction::append`].
    pub fn cancel_external(&mut self, sender: &RunId, target: Target<'_>) -> Result<u32> {
        let body = Body::RequestCancelExternalWorkflowExecutionInitiated(target.initiated(""));
        self.append(sender, NewEvent::new(body))
    }

    /// The open activities of a run, with what the transaction has done to them.
    fn open_activities(&self, run: &RunId) -> Vec<u32> {
        self.work.draft.activities(&self.shared.index.read(), *run)
    }
}

/// Whether `run` is a child of `parent`.
pub(super) fn is_child_of(index: &Index, run: u32, parent: u32) -> bool {
    let chain = index.runs.get(run).and_then(|run| index.chains.get(run.chain));
    chain.and_then(|chain| chain.parent).is_some_and(|(found, _)| found == parent)
}
