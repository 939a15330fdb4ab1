//! What a commit returns.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::Result;
use crate::id::Position;
use crate::log::Ticket;

/// A commit that is in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    position: Position,
}

impl Commit {
    pub(super) fn new(position: Position) -> Self {
        Commit { position }
    }

    /// Where it lies in the log. For a transaction that held nothing: where the log ended.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

/// A commit on its way, to be waited on or awaited. Dropping it takes nothing back.
pub struct CommitHandle {
    commit: Commit,
    ticket: Option<Ticket>,
}

impl CommitHandle {
    pub(super) fn new(ticket: Ticket) -> Self {
        CommitHandle { commit: Commit::new(ticket.position()), ticket: Some(ticket) }
    }

    /// For a transaction that held nothing.
    pub(super) fn done(commit: Commit) -> Self {
        CommitHandle { commit, ticket: None }
    }

    /// Blocks until the commit is as durable as was asked.
    ///
    /// # Errors
    /// [`Error::NotWritten`](crate::Error::NotWritten) or
    /// [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) when the disk fails.
    pub fn wait(self) -> Result<Commit> {
        self.ticket.map_or(Ok(()), |ticket| ticket.wait())?;
        Ok(self.commit)
    }
}

impl Future for CommitHandle {
    type Output = Result<Commit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Commit>> {
        let commit = self.commit;
        match &mut self.ticket {
            Some(ticket) => Pin::new(ticket).poll(context).map_ok(|()| commit),
            None => Poll::Ready(Ok(commit)),
        }
    }
}

impl std::fmt::Debug for CommitHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitHandle").field("position", &self.commit.position).finish()
    }
}
