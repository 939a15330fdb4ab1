//! Resets: a new run that shares the events of another one up to some point.

use std::collections::{BTreeMap, BTreeSet};

use super::Snapshot;
use super::begin::Beginning;
use super::start::Current;
use super::touched::check_max;
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::event::{
    Body, ChildStartFailed, ChildStarted, EventIds, ExternalResolved, NewEvent, Reset, Terminated,
};
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Begun, Index};

/// A reset of a run. Borrowed; nothing is copied before the event is written.
#[derive(Clone, Copy, Debug)]
pub struct NewReset<'a> {
    last_event: u32,
    reason: &'a str,
    request_id: &'a str,
    payload: &'a [u8],
    id: Option<RunId>,
    time: Option<Timestamp>,
}

impl<'a> NewReset<'a> {
    /// A reset to the event `last_event`, which is the last one that the new run shares.
    #[must_use]
    pub fn to(last_event: u32) -> Self {
        NewReset { last_event, reason: "", request_id: "", payload: &[], id: None, time: None }
    }

    /// Why, in words.
    #[must_use]
    pub fn reason(mut self, reason: &'a str) -> Self {
        self.reason = reason;
        self
    }

    /// An id that makes a repeated reset return the run of the first one, for as long as that run
    /// is its workflow's current one.
    #[must_use]
    pub fn request_id(mut self, request_id: &'a str) -> Self {
        self.request_id = request_id;
        self
    }

    /// The payload of the event that marks the reset, in the engine's own encoding.
    #[must_use]
    pub fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// The new run's id; by default a fresh one.
    #[must_use]
    pub fn id(mut self, id: RunId) -> Self {
        self.id = Some(id);
        self
    }

    /// When it happens; by default now.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }
}

impl Transaction<'_> {
    /// Resets a run: the workflow's current run is terminated if it is open, and a new run of the
    /// same chain begins that shares the events of `base` up to a point, without copying them.
    /// Returns the new run; the event that follows the shared ones is of kind
    /// `WorkflowTaskFailed`, as in Temporal.
    ///
    /// The children that were initiated before that point and are still open become the new run's,
    /// and their outcomes are reported to it; what the base run learned after that point about
    /// children and requests initiated before it is recorded in the new run again. Children
    /// initiated later stay with the base run, and no close policy applies to them.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::InvalidArgument`] for a point that is not within the
    /// history or is its closing event, for a run recorded from elsewhere, and for a base run or a
    /// current run that this transaction has changed; [`Error::LimitExceeded`] for names that are
    /// too long and for a run without room for the event that marks the reset, [`Error::Corrupt`] if the history cannot be read.
    pub fn reset(&mut self, base: &RunId, reset: NewReset<'_>) -> Result<RunId> {
        let prior = match self.prior(base, &reset)? {
            Prior::Done(run) => return Ok(run),
            Prior::Base(prior) => prior,
        };
        let past = Past::read(self, base, reset.last_event, prior.last_batch)?;
        let kin = self.kinship(base)?;
        let (id, now) = self.fresh_id(reset.id);
        let time = reset.time.unwrap_or(now);
        let open: Vec<u8> = past.activities.iter().flat_map(|id| id.to_le_bytes()).collect();
        let body = Body::WorkflowReset(Reset {
            run_id: id,
            base_run_id: *base,
            reason: reset.reason,
            request_id: reset.request_id,
            open_activities: EventIds::from_bytes(&open),
        });
        let event = NewEvent::new(body).payload(reset.payload).at(time);
        let replaced = prior.current == *base;
        self.atomically(&[prior.current], |tx| {
            let current = tx.find(&prior.current)?;
            let terminated = Terminated {
                reason: if reset.reason.is_empty() { "reset" } else { reset.reason },
                reset_run_id: replaced.then_some(id),
            };
            let terminated = Body::WorkflowExecutionTerminated(terminated);
            let closing = match prior.current_is_open {
                true => Some(tx.put_event(current, &NewEvent::new(terminated).at(time))?),
                false => None,
            };
            tx.begin(Beginning {
                id,
                event,
                kin,
                seen: Some(prior.current),
                recorded: false,
                shares: Some((reset.last_event, past.batch, past.bytes)),
                begun: Begun { base: Some((*base, reset.last_event)), ..Default::default() },
            })?;
            let run = tx.find(&id)?;
            for body in past.repeated(&tx.shared.index.read(), base, reset.last_event) {
                let event = NewEvent::new(body).at(time);
                let event_id = tx.put_event(run, &event)?;
                tx.record(run, event_id, &body);
            }
            tx.record(run, reset.last_event + 1, &body);
            if let Some(closing) = closing {
                tx.record(current, closing, &terminated);
            }
            Ok(id)
        })
    }

    /// Checks what a reset is based on.
    fn prior(&self, base: &RunId, reset: &NewReset<'_>) -> Result<Prior> {
        let index = self.shared.index.read();
        let number = index.runs.number(base).ok_or(Error::RunNotFound { run: *base })?;
        let run = index.runs.get(number).ok_or(Error::RunNotFound { run: *base })?;
        let kin = index.kin(number).ok_or(Error::RunNotFound { run: *base })?;
        let current = Current::of(&index, kin.namespace, kin.workflow_id);
        let current = current.ok_or(Error::RunNotFound { run: *base })?;
        if !reset.request_id.is_empty() && reset.request_id == current.request_id {
            return Ok(Prior::Done(current.run));
        }
        let changed =
            |run: &RunId| self.touched_by_id(run).is_some_and(|touched| touched.progress.count > 0);
        let begun = self.begun_for(kin.namespace, kin.workflow_id).is_some();
        let extent = run.extent.latest();
        let last = extent.next_event - 1 - u32::from(!extent.status.is_open());
        let what = if run.recorded {
            "a run recorded from elsewhere is not reset here"
        } else if reset.last_event == 0 || reset.last_event > last {
            "the point of a reset must be within the history, before its closing event"
        } else if begun || changed(base) || changed(&current.run) {
            "a run that the transaction has changed cannot be reset in it"
        } else {
            return Ok(Prior::Base(Base {
                current: current.run,
                current_is_open: current.status.is_open(),
                last_batch: extent.last_batch,
            }));
        };
        Err(Error::invalid(what))
    }
}

enum Prior {
    /// The reset was made before.
    Done(RunId),
    Base(Base),
}

struct Base {
    /// The workflow's current run.
    current: RunId,
    current_is_open: bool,
    last_batch: Position,
}

/// What the base run's history says about the point of the reset.
struct Past {
    /// The batch with the last shared event, and the bytes of all that are shared.
    batch: Position,
    bytes: u64,
    /// Open at that point, by Scheduled event.
    activities: BTreeSet<u32>,
    /// Later answers to requests that had none at that point, by Initiated event.
    answers: BTreeMap<u32, Option<Body<'static>>>,
    /// Later refusals to start children.
    refusals: BTreeMap<u32, ChildStartFailed>,
}

impl Past {
    fn read(tx: &Transaction<'_>, base: &RunId, last: u32, upto: Position) -> Result<Self> {
        tx.shared.view_of(upto)?;
        let history = Snapshot::new(tx.shared).history(base)?;
        let (batch, bytes) = history.place_of(last)?;
        let mut past = Past {
            batch,
            bytes,
            activities: BTreeSet::new(),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
        };
        for event in &history {
            let event = event?;
            if event.id() <= last {
                past.before(event.id(), event.body());
            } else {
                past.after(event.body());
            }
        }
        past.learn_elsewhere(tx, base)?;
        check_max("open activities in a reset", past.activities.len(), u16::MAX.into())?;
        Ok(past)
    }

    fn before(&mut self, id: u32, body: &Body<'_>) {
        match body {
            Body::ActivityTaskScheduled(_) => {
                self.activities.insert(id);
            }
            Body::ActivityTaskCompleted(b)
            | Body::ActivityTaskFailed(b)
            | Body::ActivityTaskTimedOut(b)
            | Body::ActivityTaskCanceled(b) => {
                self.activities.remove(&b.scheduled_event_id);
            }
            Body::SignalExternalWorkflowExecutionInitiated(_)
            | Body::RequestCancelExternalWorkflowExecutionInitiated(_) => {
                self.answers.insert(id, None);
            }
            _ => {
                if let Some((answered, _)) = answer(body) {
                    self.answers.remove(&answered);
                }
            }
        }
    }

    fn after(&mut self, body: &Body<'_>) {
        if let Body::StartChildWorkflowExecutionFailed(failed) = body {
            self.refusals.insert(failed.initiated_event_id, *failed);
        }
        if let Some((answered, body)) = answer(body)
            && let Some(waiting) = self.answers.get_mut(&answered)
        {
            *waiting = Some(body);
        }
    }

    /// A former reset of the base run gave its requests away: what became of them is told by the
    /// run that has them.
    fn learn_elsewhere(&mut self, tx: &Transaction<'_>, base_id: &RunId) -> Result<()> {
        let unanswered = self.answers.iter().filter(|(_, answer)| answer.is_none());
        let mut held: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        {
            let index = tx.shared.index.read();
            let base = index.runs.number(base_id);
            for (initiated, _) in unanswered {
                let holder = base.and_then(|base| index.request_holder(base, *initiated));
                let holder = holder.and_then(|holder| index.runs.get(holder));
                let Some(run) = holder.filter(|run| run.id != *base_id) else { continue };
                let last_batch = run.extent.latest().last_batch;
                held.entry((run.id, last_batch)).or_default().insert(*initiated);
            }
        }
        for ((run, last_batch), requests) in held {
            tx.shared.view_of(last_batch)?;
            for event in &Snapshot::new(tx.shared).history(&run)? {
                // Its own requests may have the numbers of others of the base run.
                if let Some((answered, body)) = answer(event?.body())
                    && requests.contains(&answered)
                {
                    self.answers.insert(answered, Some(body));
                }
            }
        }
        Ok(())
    }

    /// What the base run learned after the point of the reset about what it had begun before.
    fn repeated(&self, index: &Index, base: &RunId, last: u32) -> Vec<Body<'static>> {
        let base = index.runs.number(base);
        let ties = base.and_then(|base| index.runs.get(base)?.ties.as_deref());
        let initiated = ties.map(|ties| ties.children.iter().map(|child| child.initiated));
        let initiated = initiated.into_iter().flatten().take_while(|initiated| *initiated <= last);
        let children = initiated.filter_map(|initiated| {
            let relation = index.relation_until(base?, initiated, last)?;
            if relation.started != 0 || relation.ended != 0 {
                return None;
            }
            if let Some(failed) = self.refusals.get(&initiated) {
                return Some(Body::StartChildWorkflowExecutionFailed(*failed));
            }
            let run_id = index.runs.get(relation.child?)?.id;
            let started = ChildStarted { run_id, initiated_event_id: initiated };
            Some(Body::ChildWorkflowExecutionStarted(started))
        });
        children.chain(self.answers.values().copied().flatten()).collect()
    }
}

/// The answer to a signal or a cancel request, and the event that it answers.
fn answer(body: &Body<'_>) -> Option<(u32, Body<'static>)> {
    let of = |b: &ExternalResolved, body| Some((b.initiated_event_id, body));
    match body {
        Body::SignalExternalWorkflowExecutionFailed(b) => {
            of(b, Body::SignalExternalWorkflowExecutionFailed(*b))
        }
        Body::ExternalWorkflowExecutionSignaled(b) => {
            of(b, Body::ExternalWorkflowExecutionSignaled(*b))
        }
        Body::RequestCancelExternalWorkflowExecutionFailed(b) => {
            of(b, Body::RequestCancelExternalWorkflowExecutionFailed(*b))
        }
        Body::ExternalWorkflowExecutionCancelRequested(b) => {
            of(b, Body::ExternalWorkflowExecutionCancelRequested(*b))
        }
        _ => None,
    }
}
