//! Waiting for the log, from threads and from async code.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::Result;
use crate::id::Position;
use crate::log::write::{Durability, Ticket, Writer};
use crate::store::shared::Store;

/// Something of the log that is to come, to be waited for or awaited: a future that needs no runtime. Dropping it
/// takes nothing back, and whoever waits again misses nothing.
#[must_use = "nothing is waited for until it is awaited, or `wait` is called"]
pub struct Waiting(Result<Ticket>);

impl Waiting {
    fn of(
        writer: Result<&Arc<Writer>>,
        ticket: impl FnOnce(Arc<Writer>) -> Result<Ticket>,
    ) -> Self {
        Waiting(writer.cloned().and_then(ticket))
    }

    /// Blocks until it has come.
    ///
    /// # Errors
    /// As the method that returned it says.
    pub fn wait(self) -> Result<()> {
        self.0?.wait()
    }
}

impl Future for Waiting {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            Ok(ticket) => Pin::new(ticket).poll(context),
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Store {
    /// How far the log is known to be on the device: every commit at a lower position is durable.
    ///
    /// # Errors
    /// [`Error::ReadOnly`](crate::Error::ReadOnly), [`Error::Forked`](crate::Error::Forked).
    pub fn durable_end(&self) -> Result<Position> {
        Ok(self.shared.writer()?.durable())
    }

    /// Comes when the commit at `position`, and with it every earlier one, is on the device, however durable it was
    /// asked to be. Waiting asks for the sync (`fsync`): a thread that waits does it itself if nobody else does;
    /// for a task that awaits, the store's own thread does. At the [end](Store::end) of the log there is no commit
    /// yet; all before it is meant then.
    ///
    /// # Errors
    /// [`Error::NotWritten`](crate::Error::NotWritten) or [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown)
    /// if the log failed; [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a position behind the end
    /// of the log; [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn durable(&self, position: Position) -> Waiting {
        let ticket = |writer| Ticket::upto(writer, position, Durability::Sync);
        Waiting::of(self.shared.writer(), ticket)
    }

    /// Comes when the commit at `position`, and with it every earlier one, is in the log and published: it survives
    /// a kill of the process. Asks for no sync.
    ///
    /// # Errors
    /// As [`Store::durable`].
    pub fn logged(&self, position: Position) -> Waiting {
        let ticket = |writer| Ticket::upto(writer, position, Durability::Buffered);
        Waiting::of(self.shared.writer(), ticket)
    }

    /// Comes when a commit that was refused with [`Error::WouldBlock`](crate::Error::WouldBlock) can be tried again:
    /// the next segment was prepared, or that failed, as the next attempt to commit will say; or the disk has caught
    /// up. At once where nothing is lacking.
    ///
    /// # Errors
    /// [`Error::NotWritten`](crate::Error::NotWritten) once the log takes no more commits;
    /// [`Error::ReadOnly`](crate::Error::ReadOnly).
    pub fn room(&self) -> Waiting {
        Waiting::of(self.shared.writer(), |writer| Ok(Ticket::room(writer)))
    }
}
