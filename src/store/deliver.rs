//! Delivering signals and cancel requests from one run to another.

use super::bookmark::{Bookmark, Spot};
use super::request::is_child_of;
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::event::{
    Body, CancelRequested, EventKind, ExternalInitiated, ExternalResolved, NewEvent, Signaled,
};
use crate::id::RunId;
use crate::index::{DutyKey, DutyKind};

/// Temporal's causes for a request that fails: there is no such open run, it takes no more signals.
const NOT_FOUND: u8 = 1;
const SIGNAL_LIMIT: u8 = 3;

impl Transaction<'_> {
    /// Delivers a signal or a cancel request, or answers why not.
    pub(super) fn settle_request(&mut self, sender: &RunId, key: &DutyKey) -> Result<bool> {
        let place = {
            let index = self.shared.index.read();
            let ties = index.runs.get(key.run).and_then(|run| run.ties.as_deref());
            let external = ties.and_then(|ties| ties.externals.get(&key.event));
            external.map(|external| {
                (external.batch, Spot::of(&index, key.run, external.batch, key.event))
            })
        };
        let Some((batch, spot)) = place else { return Ok(false) };
        let view = self.shared.view_of(batch)?;
        let event = Bookmark::default().read(&view, spot)?;
        let (Body::SignalExternalWorkflowExecutionInitiated(request)
        | Body::RequestCancelExternalWorkflowExecutionInitiated(request)) = *event.body()
        else {
            return Ok(false);
        };
        let target = self.target(sender, key.run, &request);
        let touching: Vec<_> = [*sender].into_iter().chain(target).collect();
        let signals = key.kind == DutyKind::DeliverSignal;
        let from_kin = self.kinship(sender)?;
        let cancel = Body::WorkflowExecutionCancelRequested(CancelRequested {
            external_workflow_id: &from_kin.workflow_id,
            external_run_id: Some(*sender),
            external_initiated_event_id: key.event,
        });
        let signal = Body::WorkflowExecutionSignaled(Signaled {
            signal_name: request.signal_name,
            request_id: "",
            external_run_id: Some(*sender),
            external_initiated_event_id: key.event,
        });
        let body = if signals { signal } else { cancel };
        let delivery = NewEvent::new(body).payload(if signals { event.payload() } else { &[] });
        self.atomically(&touching, |tx| {
            let from = tx.find(sender)?;
            let delivered = match target {
                None => Err(NOT_FOUND),
                Some(target) => {
                    let target = tx.find(&target)?;
                    tx.deliver(target, &delivery)?.map(|id| Some((target, id?)))
                }
            };
            let cause = delivered.err().unwrap_or_default();
            let answer = ExternalResolved { initiated_event_id: key.event, cause };
            let answer = match (signals, cause) {
                (true, 0) => Body::ExternalWorkflowExecutionSignaled(answer),
                (true, _) => Body::SignalExternalWorkflowExecutionFailed(answer),
                (false, 0) => Body::ExternalWorkflowExecutionCancelRequested(answer),
                (false, _) => Body::RequestCancelExternalWorkflowExecutionFailed(answer),
            };
            tx.add(from, &NewEvent::new(answer))?;
            if let Ok(Some((target, id))) = delivered {
                tx.record(target, id, &body);
            }
            Ok(true)
        })
    }

    /// Writes a signal or a cancel request to its target; the cause if it cannot be delivered, no
    /// event if there is no need: a run that has closed, or was asked to cancel before.
    fn deliver(&mut self, target: usize, event: &NewEvent<'_>) -> Result<Result<Option<u32>, u8>> {
        let touched = self.touched(target)?;
        let (run, open) = (touched.id, touched.progress.status.is_open());
        if event.kind() == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED {
            let asked = self.work.draft.cancel_requested(&self.shared.index.read(), run);
            let needed = open && !asked;
            return needed.then(|| self.put_event(target, event)).transpose().map(Ok);
        }
        if !open {
            return Ok(Err(NOT_FOUND));
        }
        match self.put_event(target, event) {
            Err(Error::LimitExceeded { .. }) => Ok(Err(SIGNAL_LIMIT)),
            written => written.map(|id| Ok(Some(id))),
        }
    }

    /// The run that a request is for, if there is one and it may be reached.
    fn target(
        &self,
        sender: &RunId,
        number: u32,
        request: &ExternalInitiated<'_>,
    ) -> Option<RunId> {
        let namespace = self.kinship(sender).ok()?.namespace;
        let index = self.shared.index.read();
        let begun = self.begun_for(&namespace, request.workflow_id);
        if let Some(begun) = begun.filter(|_| request.run_id.is_none()) {
            let parent = begun.begins.as_ref().and_then(|begins| begins.kin.parent.as_ref());
            let child = parent.is_some_and(|(_, run, _)| run == sender);
            return (request.child_workflow_only == 0 || child).then_some(begun.id);
        }
        let workflow = index.namespaces.find(&namespace, request.workflow_id)?;
        let target = match request.run_id {
            Some(run) => index.runs.number(&run)?,
            None => *workflow.current.latest(),
        };
        let run = index.runs.get(target)?;
        let (found, of) = index.workflow_of(run)?;
        let related = request.child_workflow_only == 0 || is_child_of(&index, target, number);
        let named = *found.name == *namespace && *of.id == *request.workflow_id;
        (named && !run.recorded && related).then_some(run.id)
    }
}
