//! Transactions: built and checked step by step, and written in one frame when they are committed, if what
//! they have seen still holds (`store/pending/read_set.rs`).

use std::sync::Arc;

use super::commit::{Commit, CommitHandle, Enqueued};
use super::step::{Step, Stop};
use crate::error::{Error, Result};
use crate::id::{Position, RunId, Timestamp};
use crate::log::write::{Durability, Lead, Span, Ticket};
use crate::store::pending::Workspace;
use crate::store::shared::Shared;

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
/// Any step may say so, too, as soon as it is known; and any step may fail with [`Error::DamagedIndex`].
///
/// [`Store::transact`]: crate::Store::transact
pub struct Transaction<'s> {
    pub(crate) shared: &'s Arc<Shared>,
    /// When it began: the time of its events that do not say theirs.
    pub(crate) now: Timestamp,
    pub(crate) work: Workspace,
    /// What a step was told that can never be committed any more.
    pub(crate) overtaken: Option<Error>,
    /// Whether it may use the reserve, if the caller said so.
    pub(crate) uses_reserve: Option<bool>,
}

impl<'s> Transaction<'s> {
    pub(crate) fn new(shared: &'s Arc<Shared>) -> Self {
        let here = shared.here().is_ok();
        let work = if here { shared.workspaces.take() } else { Workspace::default() };
        let now = shared.now();
        Transaction { shared, now, work, overtaken: None, uses_reserve: None }
    }

    /// Whether `run` begins in this transaction, as opposed to one that [`Transaction::start`]
    /// found.
    #[must_use]
    pub fn starts(&self, run: &RunId) -> bool {
        let pending = self.work.by_id.get(run).and_then(|index| self.work.runs.get(*index));
        pending.is_some_and(|pending| pending.begins.is_some())
    }

    /// Commits, and returns when the commit is on the device.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
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
    /// returns when all that it has seen is published; if it deletes rows that are not there, when the log is as
    /// durable as asked.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<Commit> {
        self.commit_recorded(durability)
    }

    pub(crate) fn commit_unrecorded(self, durability: Durability) -> Result<Commit> {
        let shared = self.shared;
        match self.enqueue_recorded(durability, Lead::Caller, true)? {
            Enqueued::Commit(span, notices) => {
                shared.writer()?.wait(span, durability)?;
                Ok(Commit::new(shared, span.start, notices))
            }
            // What it has seen may still be on its way, and could be lost.
            Enqueued::Nothing(at, least) => {
                shared.writer()?.wait(Span { start: at, end: at }, least)?;
                Ok(Commit::new(shared, at, vec![]))
            }
        }
    }

    /// Commits without waiting. The handle can be waited on or awaited; whatever was submitted is
    /// written in order even if the handle is dropped. Buffered commits that nobody waits for or
    /// awaits may gather for up to 100 us before they are written: a kill within that time takes
    /// them.
    ///
    /// Waits only where there is no room: the next segment of the log is needed before it is prepared, or
    /// 8 MiB of commits are waiting to be written. [`Transaction::try_submit`] does not wait then, either.
    ///
    /// # Errors
    /// As [`Transaction::commit`], as far as it is known by now.
    pub fn submit(self, durability: Durability) -> Result<CommitHandle> {
        self.submit_as(durability, true)
    }

    /// The same, and never blocks on the disk: for async code.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// # let _ = async {
    /// let commit = loop {
    ///     let mut tx = store.begin();
    ///     tx.put("jobs", b"key", b"value")?;
    ///     match tx.try_submit(kinlog::Durability::Sync) {
    ///         Err(kinlog::Error::WouldBlock { .. }) => store.room().await?,
    ///         submitted => break submitted?,
    ///     }
    /// };
    /// commit.await
    /// # };
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::WouldBlock`] where there is no room; otherwise as [`Transaction::submit`].
    pub fn try_submit(self, durability: Durability) -> Result<CommitHandle> {
        self.submit_as(durability, false)
    }

    fn submit_as(self, durability: Durability, waits: bool) -> Result<CommitHandle> {
        let shared = self.shared;
        let (span, durability, notices) =
            match self.enqueue_recorded(durability, Lead::Thread, waits)? {
                Enqueued::Commit(span, notices) => (span, durability, notices),
                Enqueued::Nothing(at, least) => (Span { start: at, end: at }, least, vec![]),
            };
        let ticket = Ticket::new(shared.writer()?.clone(), span, durability);
        Ok(CommitHandle::new(Commit::new(shared, span.start, notices), ticket))
    }

    /// The position at which all that was seen is so; that of now before the first look.
    pub(crate) fn stands_at(&self) -> Position {
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
        let pending = self.work.runs.iter().filter(|pending| pending.progress.count > 0);
        pending.map(|pending| pending.id).collect()
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

impl Transaction<'_> {
    /// Takes a step. Where it is refused, the refusal becomes part of what was read, and nothing else
    /// changes.
    pub(crate) fn step<T, E: Into<Stop>>(
        &mut self,
        mut take: impl FnMut(&mut Step<'_>) -> std::result::Result<T, E>,
    ) -> Result<T> {
        self.shared.here()?;
        if let Some(overtaken) = &self.overtaken {
            return Err(overtaken.clone());
        }
        loop {
            let index = self.shared.index.read();
            if self.work.at == Position::START {
                self.work.at = index.end;
            }
            self.work.named.clear();
            let mut step = Step {
                index: &index,
                work: &mut self.work,
                now: self.now,
                disk: self.shared.disk.as_ref(),
                published: &self.shared.published,
                is_over: false,
            };
            let taken = take(&mut step).map_err(Into::into);
            self.shared.check_cold(&index)?;
            match taken {
                Ok(taken) => return Ok(taken),
                Err(Stop::Refused(error)) => {
                    let error = step.refuse(error);
                    // What it was told must hold at the commit too, and what a row is stated to be may by then.
                    let is_over = step.is_over || error.is_retryable();
                    self.overtaken = is_over.then(|| error.clone());
                    return Err(error);
                }
                Err(Stop::Unwritten(position)) => {
                    drop(index);
                    self.shared.await_written(position)?;
                }
            }
        }
    }
}

impl Shared {
    /// Returns when what lies at `position` is written and published.
    pub(crate) fn await_written(&self, position: Position) -> Result<()> {
        if self.published.end() <= position {
            let end = self.index.read().end;
            let span = Span { start: position, end };
            self.writer()?.wait(span, Durability::Buffered)?;
        }
        Ok(())
    }
}
