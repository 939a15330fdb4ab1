//! Delivering signals and cancel requests from one run to another.

use super::request::is_child_of;
use crate::error::{Error, Result};
use crate::event::{
    Body, CancelRequested, EventKind, ExternalFailedCause, ExternalInitiated, ExternalResolved,
    NewEvent, Signaled,
};
use crate::id::{RunId, RunNumber};
use crate::index::{DutyKey, DutyKind};
use crate::retention::Keep;
use crate::store::pending::{EventSource, Precondition, Read};
use crate::store::read::{BatchCursor, EventRef};
use crate::store::tx::{Step, Stepped};

/// What the target of a request gets.
struct Delivery<'a> {
    target: Option<RunId>,
    event: NewEvent<'a>,
}

impl Step<'_> {
    /// Delivers a signal or a cancel request, or answers why not.
    pub(crate) fn settle_request(&mut self, sender: &RunId, key: &DutyKey) -> Stepped<bool> {
        let index = self.index;
        let Some(sent) = index.runs.request(key.run, key.event) else { return Ok(false) };
        let view = self.view_of(sent.batch)?;
        let spot = EventRef::of(index, key.run, sent.batch, key.event);
        let event = BatchCursor::default().read(&view, spot)?;
        let (Body::SignalExternalWorkflowExecutionInitiated(request)
        | Body::RequestCancelExternalWorkflowExecutionInitiated(request)) = event.body()
        else {
            return Err(spot.unexpected(&view).into());
        };
        let from = self.identity(sender)?;
        let signals = key.kind == DutyKind::DeliverSignal;
        let body = match signals {
            true => Body::WorkflowExecutionSignaled(Signaled {
                signal_name: request.signal_name,
                request_id: "",
                external_run_id: Some(*sender),
                external_initiated_event_id: key.event,
            }),
            false => Body::WorkflowExecutionCancelRequested(CancelRequested {
                external_workflow_id: &from.workflow_id,
                external_run_id: Some(*sender),
                external_initiated_event_id: key.event,
            }),
        };
        let target = self.target(&from.namespace, sender, key.run, &request)?;
        let payload = if signals { event.payload() } else { &[] };
        let delivery = Delivery { target, event: NewEvent::new(body).payload(payload) };
        match self.deliver_and_answer(sender, key, &delivery) {
            // There is room for the answer, but not for the signal as well.
            Err(Error::LimitExceeded { .. }) if signals && target == Some(*sender) => {
                self.keep_named();
                self.answer(sender, key, ExternalFailedCause::SignalCountLimitExceeded)?;
            }
            settled => settled?,
        }
        Ok(true)
    }

    fn deliver_and_answer(
        &mut self,
        sender: &RunId,
        key: &DutyKey,
        delivery: &Delivery<'_>,
    ) -> Result<()> {
        let touching: Vec<_> = [*sender].into_iter().chain(delivery.target).collect();
        self.atomically(&touching, |step| {
            let delivered = match delivery.target {
                None => Err(ExternalFailedCause::ExternalWorkflowExecutionNotFound),
                Some(target) => {
                    let target = step.find_at(&target, Precondition::Loose)?;
                    step.deliver(target, &delivery.event)?.map(|id| Some((target, id?)))
                }
            };
            step.answer(sender, key, delivered.err().unwrap_or_default())?;
            if let Ok(Some((target, id))) = delivered {
                step.record(target, id, &delivery.event.body);
            }
            Ok(())
        })
    }

    /// Records in the run that sent a request what became of it; no cause: it was delivered.
    fn answer(&mut self, sender: &RunId, key: &DutyKey, cause: ExternalFailedCause) -> Result<()> {
        let from = self.find_at(sender, Precondition::Loose)?;
        let answer = ExternalResolved { initiated_event_id: key.event, cause };
        let answer = match (key.kind == DutyKind::DeliverSignal, cause) {
            (true, ExternalFailedCause::Unspecified) => {
                Body::ExternalWorkflowExecutionSignaled(answer)
            }
            (true, _) => Body::SignalExternalWorkflowExecutionFailed(answer),
            (false, ExternalFailedCause::Unspecified) => {
                Body::ExternalWorkflowExecutionCancelRequested(answer)
            }
            (false, _) => Body::RequestCancelExternalWorkflowExecutionFailed(answer),
        };
        self.add(from, &NewEvent::new(answer), EventSource::Store)?;
        Ok(())
    }

    /// Writes a signal or a cancel request to its target; the cause if it cannot be delivered, no
    /// event if there is no need: a run that has closed, or was asked to cancel before.
    fn deliver(
        &mut self,
        target: usize,
        event: &NewEvent<'_>,
    ) -> Result<Result<Option<u32>, ExternalFailedCause>> {
        let pending = self.work.pending(target)?;
        let (run, number) = (pending.id, pending.number);
        let open = pending.progress.status.is_open();
        if event.kind() == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED {
            let needed = open && !self.work.draft.cancel_requested(self.index, run);
            let put = needed.then(|| self.put_event(target, event, EventSource::Store));
            return put.transpose().map(Ok);
        }
        if !open {
            return Ok(Err(ExternalFailedCause::ExternalWorkflowExecutionNotFound));
        }
        match self.put_event(target, event, EventSource::Store) {
            Err(Error::LimitExceeded { .. }) => {
                // As long as the run stays as it is.
                number.into_iter().for_each(|number| self.keep_end(number));
                Ok(Err(ExternalFailedCause::SignalCountLimitExceeded))
            }
            written => written.map(|id| Ok(Some(id))),
        }
    }

    /// The run that a request is for, if there is one and it may be reached.
    fn target(
        &mut self,
        namespace: &str,
        sender: &RunId,
        number: RunNumber,
        request: &ExternalInitiated<'_>,
    ) -> Result<Option<RunId>> {
        let target = match request.run_id {
            Some(run) => Some(run),
            None => self.current(namespace, request.workflow_id, "")?.map(|current| current.run),
        };
        let Some(target) = target else { return Ok(None) };
        let child_only = request.child_workflow_only;
        let begins = self.work.run_by_id(&target).and_then(|run| run.begins.as_ref());
        if let Some(begins) = begins {
            let identity = &begins.identity;
            let child = identity.parent.as_ref().is_some_and(|parent| parent.run == *sender);
            let named =
                *identity.namespace == *namespace && *identity.workflow_id == *request.workflow_id;
            return Ok((named && (child || !child_only)).then_some(target));
        }
        let index = self.index;
        let known = index.runs.number(&target).and_then(|at| Some((at, index.runs.get(at)?)));
        let Some((at, run)) = known else {
            self.work.keep(Read::NoRun(target));
            return Ok(None);
        };
        if self.deletion(at)? == Some(Keep::Nothing) {
            return Ok(None);
        }
        let named = index
            .workflow_of(&run)
            .is_some_and(|(found, of)| *found.name == *namespace && *of.id == *request.workflow_id);
        if child_only {
            self.read_parent(run.chain)?;
        }
        let related = !child_only || is_child_of(index, at, number);
        Ok((named && !run.imported && related).then_some(target))
    }
}
