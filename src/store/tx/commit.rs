//! What a commit returns.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Result;
use crate::id::{Position, RunId};
use crate::index::RunState;
use crate::log::write::{Durability, Span, Ticket};
use crate::store::pending::PendingRun;
use crate::store::read::{DutyFilter, DutyList};
use crate::store::shared::Shared;

/// What became of a transaction.
pub(crate) enum Enqueued {
    Commit(Span, Vec<Notice>),
    /// It holds nothing. All that it has seen was so before this position, and the log up to there is to be as
    /// durable as this.
    Nothing(Position, Durability),
}

/// A commit that is in the log.
#[derive(Clone)]
pub struct Commit {
    position: Position,
    shared: Arc<Shared>,
    notices: Vec<Notice>,
}

impl Commit {
    pub(crate) fn new(shared: &Arc<Shared>, position: Position, notices: Vec<Notice>) -> Self {
        Commit { position, shared: shared.clone(), notices }
    }

    /// Where it lies in the log. For a transaction that changed nothing: the position before which the log was
    /// as the transaction saw it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The duties that this commit opened and that nobody has settled since.
    #[must_use]
    pub fn duties(&self) -> DutyList<'_> {
        DutyList::new(&self.shared, DutyFilter::all().opened_by(self.position))
    }

    /// The runs of this commit that are past a level of their namespace's
    /// [`Limits`](crate::Limits).
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Whether `run`, as this commit left it, is so long that it should continue as new.
    #[must_use]
    pub fn suggests_continue_as_new(&self, run: &RunId) -> bool {
        self.notices.iter().any(|notice| notice.run == *run && notice.suggest_continue_as_new)
    }
}

impl std::fmt::Debug for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commit").field("position", &self.position).finish_non_exhaustive()
    }
}

/// An open run that a commit left past a level of its namespace's limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// The run.
    pub run: RunId,
    /// How many events it has.
    pub events: u32,
    /// The bytes that they take.
    pub bytes: u64,
    /// It has reached [`Limits::suggest_events`](crate::Limits::suggest_events) or
    /// [`Limits::suggest_bytes`](crate::Limits::suggest_bytes).
    pub suggest_continue_as_new: bool,
    /// It is past [`Limits::warn_events`](crate::Limits::warn_events) or
    /// [`Limits::warn_bytes`](crate::Limits::warn_bytes).
    pub warn: bool,
}

impl Notice {
    pub(crate) fn of(pending: &PendingRun, state: &RunState) -> Option<Self> {
        let (limits, events, bytes) = (&pending.limits, state.next_event - 1, state.bytes);
        let suggest = events >= limits.suggest_events || bytes >= limits.suggest_bytes;
        let warn = events > limits.warn_events || bytes > limits.warn_bytes;
        let noticed = (suggest || warn) && state.status.is_open() && !pending.imported;
        noticed.then_some(Notice {
            run: pending.id,
            events,
            bytes: bytes.into(),
            suggest_continue_as_new: suggest,
            warn,
        })
    }
}

/// A commit on its way, to be waited on or awaited. Dropping it takes nothing back.
pub struct CommitHandle {
    commit: Commit,
    ticket: Ticket,
}

impl CommitHandle {
    pub(crate) fn new(commit: Commit, ticket: Ticket) -> Self {
        CommitHandle { commit, ticket }
    }

    /// Where the commit lies in the log: known at once, whether it is written yet or not.
    #[must_use]
    pub fn position(&self) -> Position {
        self.commit.position
    }

    /// Blocks until the commit is as durable as was asked.
    ///
    /// # Errors
    /// [`Error::NotWritten`](crate::Error::NotWritten) or
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) when the disk fails.
    pub fn wait(self) -> Result<Commit> {
        self.ticket.wait()?;
        Ok(self.commit)
    }
}

impl Future for CommitHandle {
    type Output = Result<Commit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Commit>> {
        let outcome = Pin::new(&mut self.ticket).poll(context);
        outcome.map_ok(|()| self.commit.clone())
    }
}

impl std::fmt::Debug for CommitHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitHandle").field("position", &self.commit.position).finish()
    }
}
