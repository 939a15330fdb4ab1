//! Waiting for a commit that was submitted: by blocking or by `await`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::durability::{Durability, Span};
use super::writer::Writer;
use crate::error::Result;

/// A commit on its way to the disk.
pub(crate) struct Ticket {
    writer: Arc<Writer>,
    span: Span,
    durability: Durability,
}

impl Ticket {
    /// The ticket of a commit that was appended for the store's own thread to lead.
    pub(crate) fn new(writer: Arc<Writer>, span: Span, durability: Durability) -> Self {
        Ticket { writer, span, durability }
    }

    /// Blocks until the commit is as durable as it asked for.
    pub(crate) fn wait(&self) -> Result<()> {
        self.writer.here()?;
        self.writer.wait(self.span, self.durability)
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
        let mut state = self.writer.state.lock();
        match self.writer.outcome(&state, self.span, self.durability) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.writer.note_awaited(&mut state);
                Poll::Pending
            }
        }
    }
}
