//! Resets: a new run that shares the events of another one up to some point.

use super::new_run::CurrentRun;
use super::reset_point::ResetPoint;
use super::start::{Beginning, SharedEvents};
use crate::error::{Error, Moved, Result};
use crate::event::{Body, EventIds, NewEvent, Reset, Terminated};
use crate::id::{RunId, Timestamp};
use crate::index::{ForkPoint, Run, RunOrigin};
use crate::retention::Keep;
use crate::store::pending::{EventSource, Read};
use crate::store::tx::{Step, Transaction, Unrecorded};

/// How often the history of the base run is read on before the reset gives up.
const READS_MAX: usize = 100;

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
    /// [`Error::RunNotFound`]. [`Error::RunDeleted`] if the history of the base run was deleted, or that of a run which a
    /// former reset gave its requests, or if nothing was kept of a child that has ended and whose outcome would be told
    /// again. [`Error::InvalidArgument`] for a point that is not within the
    /// history or is its closing event, for an imported run, and for a base run or a
    /// current run that this transaction has changed or of whose chain it has told the end;
    /// [`Error::LimitExceeded`] for names that are too long and for a run without room for the event that
    /// marks the reset, [`Error::Corrupt`] if the history cannot be read. [`Error::Overtaken`] also if the base
    /// run grows faster than its history is read.
    pub fn reset(&mut self, base: &RunId, reset: NewReset<'_>) -> Result<RunId> {
        // The history is read beside other commits. What came meanwhile is read on, until nothing did.
        let mut past = ResetPoint::new(reset.last_event);
        for _ in 0..READS_MAX {
            match self.step(|step| step.reset(base, &reset, &past))? {
                Some(run) => return Ok(run),
                None => past.read_on(self.shared, base)?,
            }
        }
        let (expected, found) = (past.next_event(), self.shared.index.read().next_event(base));
        Err(Error::overtaken(Moved::Run { run: *base, expected, found }))
    }
}

impl Step<'_> {
    /// Resets a run whose history was read; `None` if it was not read to its end.
    fn reset(
        &mut self,
        base: &RunId,
        reset: &NewReset<'_>,
        past: &ResetPoint,
    ) -> Result<Option<RunId>> {
        let index = self.index;
        let number = index.runs.number(base);
        let Some((number, run)) = number.and_then(|n| Some((n, index.runs.get(n)?))) else {
            self.work.keep(Read::NoRun(*base));
            return Err(Error::RunNotFound { run: *base });
        };
        let identity = self.identity(base)?;
        let current = self.current(&identity.namespace, &identity.workflow_id, reset.request_id)?;
        if let Some(current) = current.as_ref().filter(|current| current.repeats) {
            return Ok(Some(current.run));
        }
        self.work.named.push(number);
        self.see(run.state.changed())?;
        self.check_base(base, &run, reset, current.as_ref())?;
        self.check_history(number)?;
        for holder in past.holders(index, number).into_keys() {
            self.check_history(holder)?;
        }
        if !past.is_read(index, base) {
            return Ok(None);
        }
        past.check_open()?;
        let last = reset.last_event;
        if let Some(child) = index.child_gone_at_reset(number, last) {
            self.see(index.runs.look(child, |run| run.state.changed()).unwrap_or(index.end))?;
            let run = index.runs.look(child, |run| run.id).unwrap_or(*base);
            return Err(Error::RunDeleted { run, kept: Keep::Nothing });
        }
        self.work.keep(Read::NoChildGone { base: number, last });
        // Everything that the base run and those that took over from it have learned is repeated.
        past.read_from().for_each(|number| self.keep_end(number));
        past.holders_of_children(index, number).for_each(|number| self.keep_end(number));
        let (id, now) = self.fresh_id(reset.id);
        let time = reset.time.unwrap_or(now);
        let open: Vec<u8> = past.activities.iter().flat_map(|id| id.to_le_bytes()).collect();
        let first = Reset {
            run_id: id,
            base_run_id: *base,
            reason: reset.reason,
            request_id: reset.request_id,
            open_activities: EventIds::from_bytes(&open),
        };
        let event = NewEvent::new(Body::WorkflowReset(first)).payload(reset.payload).at(time);
        let current = current.filter(|current| current.status.is_open());
        let terminated = current.as_ref().map(|current| current.run);
        self.atomically(terminated.as_slice(), |step| {
            let closing = terminated.map(|run| step.terminate_for(base, reset, run, id, time));
            let closing = closing.transpose()?;
            step.begin(Beginning {
                id,
                event,
                source: EventSource::Caller,
                identity,
                request_id: reset.request_id,
                imported: false,
                shares: Some(SharedEvents {
                    last: reset.last_event,
                    batch: past.batch,
                    bytes: past.bytes,
                }),
                origin: RunOrigin {
                    base: Some(ForkPoint { base: *base, shared: reset.last_event }),
                    ..Default::default()
                },
            })?;
            let run = step.find(&id)?;
            for body in past.repeated(index, number) {
                let event = NewEvent::new(body).at(time);
                let event_id = step.put_event(run, &event, EventSource::Store)?;
                step.record(run, event_id, &body);
            }
            step.work.draft.record_reset(&first);
            if let Some(closing) = closing {
                step.note(&closing);
            }
            Ok(Some(id))
        })
    }

    /// Terminates the workflow's current run for the run `id` that the reset begins. What was written is to be noted by
    /// the caller.
    fn terminate_for<'a>(
        &mut self,
        base: &RunId,
        reset: &NewReset<'a>,
        current: RunId,
        id: RunId,
        time: Timestamp,
    ) -> Result<Unrecorded<'a>> {
        let run = self.find(&current)?;
        let body = Body::WorkflowExecutionTerminated(Terminated {
            reason: if reset.reason.is_empty() { "reset" } else { reset.reason },
            reset_run_id: (current == *base).then_some(id),
        });
        let id = self.put_event(run, &NewEvent::new(body).at(time), EventSource::Store)?;
        Ok(Unrecorded { run, id, body })
    }

    /// Checks what a reset is based on.
    fn check_base(
        &self,
        base: &RunId,
        run: &Run,
        reset: &NewReset<'_>,
        current: Option<&CurrentRun>,
    ) -> Result<()> {
        let changes = |run: &RunId| {
            let pending = self.work.run_by_id(run);
            pending.is_some_and(|pending| pending.progress.count > 0 || pending.begins.is_some())
        };
        let state = run.state.latest();
        let last = state.next_event - 1 - u32::from(!state.status.is_open());
        let what = if run.imported {
            "an imported run is not reset here"
        } else if reset.last_event == 0 || reset.last_event > last {
            "the point of a reset must be within the history, before its closing event"
        } else if changes(base) || current.is_some_and(|current| changes(&current.run)) {
            "a run that the transaction has changed cannot be reset in it"
        } else if !self.work.deletions.is_empty() {
            "a transaction that deletes runs resets none"
        } else if self.work.draft.tells_end_of(self.index, *base) {
            "a run cannot be reset in the transaction that tells a parent how its chain ended"
        } else {
            return Ok(());
        };
        Err(Error::invalid(what))
    }
}
