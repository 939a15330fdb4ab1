//! Appending events to runs, and saying where a run is expected to be.

use super::new_run::{Close, check_policies};
use crate::error::{Error, Result};
use crate::event::{Body, Effect, NewEvent};
use crate::id::RunId;
use crate::log::format::is_start;
use crate::store::pending::{EventSource, Precondition};
use crate::store::tx::{Step, Stepped, Transaction};

/// Where a transaction expects a run to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The next event gets this id.
    NextEvent(u32),
    /// Wherever it is: what is appended to it is a blind append, which any number of threads can do beside
    /// each other.
    ///
    /// A blind append promises that the event is in the run, that the run was open, and that no limit and
    /// no rule stood against it at the place that it got. It does not promise that place: the ids that
    /// [`Transaction::append`] returns may be passed by other commits. Where a step needs them, as
    /// [`Transaction::spawn_child`] does, the run must stay where it is all the same.
    Any,
}

impl Transaction<'_> {
    /// States where `run` is expected to be when the transaction is committed, whether or not it
    /// adds events to it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not there now, [`Error::RunNotFound`].
    pub fn expect(&mut self, run: &RunId, expect: Expect) -> Result<()> {
        self.step(|step| step.expect(run, expect))
    }

    /// The id that the next event of `run` gets: the one after those in the store and those of this transaction.
    /// Nothing else may come in between, also if the run [may be anywhere](Expect::Any).
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunClosed`], [`Error::Overtaken`].
    pub fn next_event(&mut self, run: &RunId) -> Result<u32> {
        self.step(|step| step.next_event(run))
    }

    /// Appends an event to a run and returns its id. A closing event ends the run.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunClosed`], [`Error::LimitExceeded`] for a payload, a
    /// name or a run that is too long or waits for too much (what closes a run or asks it to cancel
    /// may be added to any open run), [`Error::IllegalEvent`] for a step of a relation out of turn,
    /// [`Error::InvalidArgument`] for an event that a method of its own writes: Started by
    /// [`Transaction::start`], ChildStarted by [`Transaction::start_child`], a closing event with a
    /// next run by [`Transaction::close_and_continue`], a reset by [`Transaction::reset`];
    /// [`Error::EventKeyExists`] for a [key](NewEvent::key) that the run has.
    pub fn append(&mut self, run: &RunId, event: NewEvent<'_>) -> Result<u32> {
        if is_plain(&event)
            && event.key.is_none()
            && self.overtaken.is_none()
            && let Some(id) = self.append_plain(run, &event)
        {
            return Ok(id);
        }
        self.step(|step| step.append(run, &event))
    }

    /// Appends an event of which no rule speaks to a run that has got one before: needs no look at the
    /// index. `None` if it is not as simple as that.
    fn append_plain(&mut self, run: &RunId, event: &NewEvent<'_>) -> Option<u32> {
        let at = self.work.pending_at(run)?;
        let pending = self.work.runs.get(at)?;
        // A run without events may have moved, or closed, since it was found.
        if pending.precondition == Precondition::Loose || pending.progress.count == 0 {
            return None;
        }
        self.work.put_unruled(at, event, EventSource::Caller, self.now).ok()
    }

    /// Closes a run. Possible however long the run has grown.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn close_run(&mut self, run: &RunId, close: Close<'_>) -> Result<u32> {
        self.append(run, close.0)
    }
}

impl Step<'_> {
    fn expect(&mut self, run: &RunId, expect: Expect) -> Result<()> {
        let at = self.find(run)?;
        if let Expect::NextEvent(_) = expect {
            self.check_unmoved(at)?;
        }
        let Some(pending) = self.work.runs.get_mut(at) else { return Ok(()) };
        match expect {
            Expect::Any => pending.precondition = Precondition::Anywhere,
            Expect::NextEvent(expected) => {
                let found = pending.next_event();
                if expected != found {
                    return Err(Error::Conflict { run: *run, expected, found });
                }
                pending.precondition = Precondition::Expected;
            }
        }
        Ok(())
    }

    fn next_event(&mut self, run: &RunId) -> Result<u32> {
        let at = self.find(run)?;
        self.hold(at)?;
        let pending = self.work.pending(at)?;
        match pending.progress.status.is_open() {
            true => Ok(pending.next_event()),
            false => Err(Error::RunClosed { run: *run }),
        }
    }

    fn append(&mut self, run: &RunId, event: &NewEvent<'_>) -> Stepped<u32> {
        let run = self.find(run)?;
        self.keyed(run, event.key, |step| step.append_to(run, event).map(|id| (id, id)))
    }

    fn append_to(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        if is_plain(event) {
            return self.put_unruled(run, event, EventSource::Caller);
        }
        let imported = self.work.pending(run)?.imported;
        check_appendable(event, imported)?;
        match event.body.effect() {
            Effect::SignaledOnce(request_id) if !imported => {
                self.signal_once(run, event, request_id)
            }
            _ => self.add(run, event, EventSource::Caller),
        }
    }
}

/// Whether no rule speaks of an event: the short way for most of them.
fn is_plain(event: &NewEvent<'_>) -> bool {
    match event.body {
        Body::Opaque(kind) => kind.number() != 0 && !is_start(kind) && !kind.is_ruled(),
        _ => false,
    }
}

/// Events that come with a change to another run are not appended by themselves.
fn check_appendable(event: &NewEvent<'_>, imported: bool) -> Result<()> {
    let kind = event.kind();
    if is_start(kind) || kind.number() == 0 || matches!(event.body, Body::WorkflowReset(_)) {
        return Err(Error::invalid(
            "a Started event is written by start, a reset by reset, and kind 0 means nothing",
        ));
    }
    if imported {
        return Ok(());
    }
    let what = match (event.body, event.body.effect()) {
        (Body::Opaque(kind), _) if kind.is_ruled() => "events of this kind need their typed record",
        (Body::WorkflowExecutionContinuedAsNew(_), _) => "a run continues by continue_as_new",
        (_, Effect::ChildInitiated(b)) => return check_policies(b.reuse_policy, b.conflict_policy),
        (_, Effect::ChildStarted(_)) => "ChildStarted is written by start_child",
        (_, Effect::RunClosed { next: Some(_), .. }) => "a run continues by close_and_continue",
        (_, Effect::RunClosed { replaced_by: Some(_), .. }) => "a run is replaced by reset",
        _ => return Ok(()),
    };
    Err(Error::invalid(what))
}
