//! Signals and cancel requests, to a run and between runs.

use crate::error::Result;
use crate::event::{Body, CancelRequested, ExternalInitiated, NewEvent, Signaled};
use crate::id::{RunId, RunNumber};
use crate::index::Index;
use crate::store::pending::{EventSource, Read};
use crate::store::tx::{Step, Transaction};

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
            child_workflow_only: self.child_only,
        }
    }
}

/// What a request to cancel a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CancelOutcome {
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
    pub fn request_cancel(&mut self, run: &RunId, reason: &[u8]) -> Result<CancelOutcome> {
        self.step(|step| step.request_cancel(run, reason))
    }

    /// Signals a run: appends `WorkflowExecutionSignaled`. Returns the event's id.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn signal(&mut self, run: &RunId, name: &str, payload: &[u8]) -> Result<u32> {
        self.signal_once(run, name, "", payload)
    }

    /// Signals a run once for each request id, within this run: a repeated signal adds nothing, and
    /// the id of the first one's event is returned. An empty request id is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::NewRun;
    ///
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// let paid = tx.signal_once(&order, "paid", "payment-7", b"30 EUR")?;
    /// assert_eq!(tx.signal_once(&order, "paid", "payment-7", b"30 EUR")?, paid);
    /// tx.commit()?;
    /// assert_eq!(store.run(&order)?.events, 2);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn signal_once(
        &mut self,
        run: &RunId,
        name: &str,
        request_id: &str,
        payload: &[u8],
    ) -> Result<u32> {
        let signaled = Signaled { signal_name: name, request_id, ..Default::default() };
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
}

impl Step<'_> {
    fn request_cancel(&mut self, run: &RunId, reason: &[u8]) -> Result<CancelOutcome> {
        let at = self.find(run)?;
        // Which activities are open is part of the answer.
        self.hold(at)?;
        let open_activities = self.work.draft.activities(self.index, *run);
        let open = self.work.pending(at)?.progress.status.is_open();
        if open && self.work.draft.cancel_requested(self.index, *run) {
            return Ok(CancelOutcome { event_id: None, open_activities });
        }
        let body = Body::WorkflowExecutionCancelRequested(CancelRequested::default());
        let event = NewEvent::new(body).payload(reason);
        let event_id = Some(self.add(at, &event, EventSource::Caller)?);
        Ok(CancelOutcome { event_id, open_activities })
    }

    /// Appends a signal that has a request id, unless the run has it already.
    pub(crate) fn signal_once(
        &mut self,
        at: usize,
        event: &NewEvent<'_>,
        request_id: &str,
    ) -> Result<u32> {
        let pending = self.work.pending(at)?;
        let (run, number) = (pending.id, pending.number);
        if let Some(first) = self.work.draft.signaled(self.index, run, request_id) {
            return Ok(first);
        }
        let id = self.put_unruled(at, event, EventSource::Caller)?;
        if let Some(run) = number {
            self.work.keep(Read::NoSignal { run, request_id: request_id.into() });
        }
        self.work.draft.record(self.index, run, id, &event.body);
        Ok(id)
    }
}

/// Whether `run` is a child of `parent`.
pub(crate) fn is_child_of(index: &Index, run: RunNumber, parent: RunNumber) -> bool {
    let chain = index.runs.get(run).and_then(|run| index.chains.get(run.chain));
    chain.and_then(|chain| chain.parent).is_some_and(|of| of.parent == parent)
}
