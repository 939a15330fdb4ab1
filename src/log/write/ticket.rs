//! Waiting for the log: by blocking or by `await`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::durability::{Durability, Span};
use super::state::State;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::id::Position;

/// What is to come.
#[derive(Clone, Copy)]
enum Awaited {
    /// A part of the log is as durable as asked.
    Log(Span, Durability),
    /// There is room for a commit that was refused for want of it.
    Room,
}

/// Something of the log that is to come.
pub(crate) struct Ticket {
    writer: Arc<Writer>,
    awaited: Awaited,
}

impl Ticket {
    /// The ticket of a commit that was appended for the store's own thread to lead.
    pub(crate) fn new(writer: Arc<Writer>, span: Span, durability: Durability) -> Self {
        Ticket { writer, awaited: Awaited::Log(span, durability) }
    }

    /// The ticket of the log up to and with the commit at `position`; up to there if none is there yet.
    pub(crate) fn upto(
        writer: Arc<Writer>,
        position: Position,
        durability: Durability,
    ) -> Result<Self> {
        let next = writer.state.lock().next;
        if position > next {
            return Err(Error::invalid("a position behind the end of the log"));
        }
        // Should it fail, everything since the last sync is in doubt.
        let start = if position < next { position } else { writer.durable() };
        let end = position.plus(1).min(next);
        Ok(Ticket::new(writer, Span { start, end }, durability))
    }

    /// The ticket of a commit that was refused with [`Error::WouldBlock`].
    pub(crate) fn room(writer: Arc<Writer>) -> Self {
        Ticket { writer, awaited: Awaited::Room }
    }

    /// Blocks until it has come.
    pub(crate) fn wait(&self) -> Result<()> {
        self.writer.here()?;
        match self.awaited {
            Awaited::Log(span, durability) => self.writer.wait(span, durability),
            Awaited::Room => self.writer.await_room(),
        }
    }

    fn outcome(&self, state: &mut State) -> Option<Result<()>> {
        let outcome = match self.awaited {
            Awaited::Log(span, durability) => self.writer.outcome(state, span, durability),
            Awaited::Room => self.writer.room(state),
        };
        if outcome.is_none() {
            if let Awaited::Log(span, Durability::Sync) = self.awaited {
                self.writer.note_wanted(state, span.end);
            }
            self.writer.note_awaited(state);
        }
        outcome
    }
}

impl Future for Ticket {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Err(forked) = self.writer.here() {
            return Poll::Ready(Err(forked));
        }
        // Registered before the look: a change after it finds the waker.
        self.writer.published.register(context.waker());
        match self.outcome(&mut self.writer.state.lock()) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }
}
