//! Transactions: built and checked step by step, and written in one frame when they are committed, if what
//! they have seen still holds (`store/reads.rs`).

use std::sync::Arc;

use super::commit::{Commit, CommitHandle};
use super::step::Step;
use crate::error::{Error, Result};
use crate::event::{Body, NewEvent};
use crate::id::{Position, RunId, Timestamp};
use crate::index::{NAMESPACES_TABLE, is_ruled};
use crate::limits::{KEY_BYTES_MAX, TABLE_NAME_BYTES_MAX, VALUE_BYTES_MAX};
use crate::log::format::{is_start, write_put};
use crate::log::write::{Durability, Lead, Span, Ticket};
use crate::store::shared::Shared;
use crate::store::tx::ops::{Close, check_policies};
use crate::store::workspace::{Place, Source, Workspace, check_max};

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

/// Changes to any number of runs and tables, which happen together or not at all.
///
/// Each step is checked when it is taken: a wrong one is an error and leaves the transaction as it
/// was.
///
/// Transactions are serializable in the order of their [positions](Commit::position): a commit is what the
/// same steps would have done in a store that ends at its position, with nobody else there. Nothing is
/// locked for it (optimistic concurrency control). What the steps saw, refusals among it, is compared when
/// the transaction is committed; if another commit changed it, the transaction is refused with
/// [`Error::Overtaken`], which names what moved, and can be begun again. [`Store::transact`] does that.
/// Any step may say so, too, as soon as it is known.
///
/// [`Store::transact`]: crate::Store::transact
pub struct Transaction<'s> {
    pub(crate) shared: &'s Arc<Shared>,
    /// When it began: the time of its events that do not say theirs.
    pub(crate) now: Timestamp,
    pub(crate) work: Workspace,
    /// What a step was told that can never be committed any more.
    pub(crate) overtaken: Option<Error>,
}

impl<'s> Transaction<'s> {
    pub(crate) fn new(shared: &'s Arc<Shared>) -> Self {
        let here = shared.here().is_ok();
        let work = if here { shared.workspaces.take() } else { Workspace::default() };
        let now = shared.now();
        Transaction { shared, now, work, overtaken: None }
    }

    /// Whether `run` begins in this transaction, as opposed to one that [`Transaction::start`]
    /// found.
    #[must_use]
    pub fn begins(&self, run: &RunId) -> bool {
        let touched = self.work.by_id.get(run).and_then(|index| self.work.runs.get(*index));
        touched.is_some_and(|touched| touched.begins.is_some())
    }

    /// States where `run` is expected to be when the transaction is committed, whether or not it
    /// adds events to it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not there now, [`Error::RunNotFound`].
    pub fn expect(&mut self, run: &RunId, expect: Expect) -> Result<()> {
        self.step(|step| step.expect(run, expect))
    }

    /// Appends an event to a run and returns its id. A closing event ends the run.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunClosed`], [`Error::LimitExceeded`] for a payload, a
    /// name or a run that is too long or waits for too much (what closes a run or asks it to cancel
    /// may be added to any open run), [`Error::IllegalEvent`] for a step of a relation out of turn,
    /// [`Error::InvalidArgument`] for an event that a method of its own writes: Started by
    /// [`Transaction::start`], ChildStarted by [`Transaction::start_child`], a closing event with a
    /// next run by [`Transaction::close_and_continue`], a reset by [`Transaction::reset`].
    pub fn append(&mut self, run: &RunId, event: NewEvent<'_>) -> Result<u32> {
        if is_plain(&event)
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
        let place = self.work.place_of(run)?;
        let touched = self.work.runs.get(place)?;
        // A run without events may have moved, or closed, since it was found.
        if touched.place == Place::Loose || touched.progress.count == 0 {
            return None;
        }
        self.work.put_unruled(place, event, Source::Caller, self.now).ok()
    }

    /// Closes a run. Possible however long the run has grown.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn close(&mut self, run: &RunId, close: Close<'_>) -> Result<u32> {
        self.append(run, close.0)
    }

    /// Sets a row of a table of the engine's own. Table names that begin with `kinlog.` are taken.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for a name of more than 255 bytes, a key of more than 4 KiB or a
    /// value of more than 16 MiB, [`Error::InvalidArgument`] for a name that is empty or taken.
    pub fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<()> {
        check_table(table)?;
        self.put_row(table, key, Some(value))
    }

    /// Deletes a row of a table, if it is there.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&mut self, table: &str, key: &[u8]) -> Result<()> {
        check_table(table)?;
        self.put_row(table, key, None)
    }

    pub(crate) fn put_row(&mut self, table: &str, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        check_max("bytes in the name of a table", table.len(), TABLE_NAME_BYTES_MAX)?;
        check_max("bytes in a key", key.len(), KEY_BYTES_MAX)?;
        check_max("bytes in a value", value.map_or(0, <[u8]>::len), VALUE_BYTES_MAX)?;
        let start = self.work.rows.len();
        write_put(&mut self.work.rows, table, key, value);
        if let Some(written) = &mut self.work.written {
            written.add(self.work.rows.as_slice(), start);
        }
        Ok(())
    }

    /// Commits, and returns when the commit is on the device.
    ///
    /// # Errors
    /// [`Error::Overtaken`] if another commit changed what the steps saw. [`Error::Conflict`] and
    /// [`Error::RowConflict`] if it changed what [`Transaction::expect`] and [`Transaction::require`] state,
    /// [`Error::RunClosed`] and [`Error::LimitExceeded`] for a blind append that has no place any more,
    /// [`Error::RunExists`] for a run id that is in use by now. [`Error::LimitExceeded`] for a commit larger
    /// than a segment, [`Error::ReadOnly`]. Nothing was written then. [`Error::NotWritten`] and
    /// [`Error::OutcomeUnknown`] tell what became of it when the disk fails.
    pub fn commit(self) -> Result<Commit> {
        self.commit_with(Durability::Sync)
    }

    /// Commits, and returns when the commit is as durable as asked. A transaction that changes nothing
    /// returns when all that it has seen is published.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<Commit> {
        let (shared, at) = (self.shared, self.stands_at());
        let Some((span, notices)) = self.enqueue(durability, Lead::Caller)? else {
            // What it has seen may still be on its way, and could be lost.
            shared.writer()?.wait(Span { start: at, end: at }, Durability::Buffered)?;
            return Ok(Commit::new(shared, at, vec![]));
        };
        shared.writer()?.wait(span, durability)?;
        Ok(Commit::new(shared, span.start, notices))
    }

    /// Commits without waiting. The handle can be waited on or awaited; whatever was submitted is
    /// written in order even if the handle is dropped. Buffered commits that nobody waits for or
    /// awaits may gather for up to 100 us before they are written: a kill within that time takes
    /// them.
    ///
    /// # Errors
    /// As [`Transaction::commit`], as far as it is known by now.
    pub fn submit(self, durability: Durability) -> Result<CommitHandle> {
        let (shared, at) = (self.shared, self.stands_at());
        let Some((span, notices)) = self.enqueue(durability, Lead::Thread)? else {
            let seen = Span { start: at, end: at };
            let ticket = Ticket::new(shared.writer()?.clone(), seen, Durability::Buffered);
            return Ok(CommitHandle::new(Commit::new(shared, at, vec![]), ticket));
        };
        let ticket = Ticket::new(shared.writer()?.clone(), span, durability);
        Ok(CommitHandle::new(Commit::new(shared, span.start, notices), ticket))
    }

    /// The position at which all that was seen is so; that of now before the first look.
    fn stands_at(&self) -> Position {
        match self.work.at {
            Position::START => self.shared.published.end(),
            at => at,
        }
    }

    /// The most bytes that a commit to this store can have: its events and rows, and 20 more for
    /// each run. Nearly a segment.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.shared.published.identity.payload_bytes_max()
    }

    /// The runs that the transaction adds events to so far, those among them that settling a duty
    /// or starting a child reaches: whom an engine has to wake.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let touched = self.work.runs.iter().filter(|touched| touched.progress.count > 0);
        touched.map(|touched| touched.id).collect()
    }

    /// When the transaction began, which is when its events happen that do not say a time of their
    /// own.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.shared.here().is_ok() {
            self.shared.workspaces.give_back(std::mem::take(&mut self.work));
        }
    }
}

impl Step<'_> {
    fn expect(&mut self, run: &RunId, expect: Expect) -> Result<()> {
        let place = self.find(run)?;
        if let Expect::NextEvent(_) = expect {
            self.check_unmoved(place)?;
        }
        let Some(touched) = self.work.runs.get_mut(place) else { return Ok(()) };
        match expect {
            Expect::Any => touched.place = Place::Anywhere,
            Expect::NextEvent(expected) => {
                let found = touched.next_event();
                if expected != found {
                    return Err(Error::Conflict { run: *run, expected, found });
                }
                touched.place = Place::Expected;
            }
        }
        Ok(())
    }

    fn append(&mut self, run: &RunId, event: &NewEvent<'_>) -> Result<u32> {
        let run = self.find(run)?;
        if is_plain(event) {
            return self.put_unruled(run, event, Source::Caller);
        }
        let recorded = self.work.touched(run)?.recorded;
        check_appendable(event, recorded)?;
        match event.body {
            Body::WorkflowExecutionSignaled(signaled)
                if !recorded && !signaled.request_id.is_empty() =>
            {
                self.signal_once(run, event, signaled.request_id)
            }
            _ => self.add(run, event, Source::Caller),
        }
    }
}

/// Whether no rule speaks of an event: the short way for most of them.
fn is_plain(event: &NewEvent<'_>) -> bool {
    match event.body {
        Body::Opaque(kind) => kind.number() != 0 && !is_start(kind) && !is_ruled(kind),
        _ => false,
    }
}

/// Events that come with a change to another run are not appended by themselves.
fn check_appendable(event: &NewEvent<'_>, recorded: bool) -> Result<()> {
    let kind = event.kind();
    if is_start(kind) || kind.number() == 0 || matches!(event.body, Body::WorkflowReset(_)) {
        return Err(Error::invalid(
            "a Started event is written by start, a reset by reset, and kind 0 means nothing",
        ));
    }
    if recorded {
        return Ok(());
    }
    let what = match event.body {
        Body::StartChildWorkflowExecutionInitiated(b) => {
            return check_policies(b.reuse_policy, b.conflict_policy);
        }
        Body::ChildWorkflowExecutionStarted(_) => "ChildStarted is written by start_child",
        Body::WorkflowExecutionContinuedAsNew(_) => "a run continues by continue_as_new",
        body if body.next_run().is_some() => "a run continues by close_and_continue",
        body if body.replaced_by().is_some() => "a run is replaced by reset",
        Body::Opaque(kind) if is_ruled(kind) => "events of this kind need their typed record",
        _ => return Ok(()),
    };
    Err(Error::invalid(what))
}

fn check_table(table: &str) -> Result<()> {
    let taken = table.is_empty() || table.starts_with("kinlog.");
    debug_assert!(NAMESPACES_TABLE.starts_with("kinlog."));
    if taken { Err(Error::invalid("the name of the table is empty or taken")) } else { Ok(()) }
}
