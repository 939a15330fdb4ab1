//! A commit as the index takes it in: its payload and its place.

use crate::event::{Body, Malformed, Reset, Started};
use crate::id::Position;
use crate::log::format::{Batch, Frame, Parts};

/// A commit's payload and its place.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub(crate) bytes: &'a [u8],
    /// Of the first byte.
    pub(crate) position: Position,
    pub(crate) batches: u16,
    /// Where the commit's frame begins.
    pub(crate) commit: Position,
    /// Where it ends.
    pub(crate) end: Position,
    /// A compaction dropped something of it.
    pub(crate) cut: bool,
}

impl<'a> Payload<'a> {
    pub(crate) fn of(frame: &Frame<'a>) -> Self {
        Payload {
            bytes: frame.payload,
            position: frame.payload_position(),
            batches: frame.header.batches,
            commit: frame.position,
            end: frame.end(),
            cut: frame.cut,
        }
    }

    pub(crate) fn parts(&self) -> Parts<'a> {
        Parts::new(self.bytes, self.position, self.batches).cut(self.cut)
    }
}

/// What a run begins with.
#[derive(Clone, Copy)]
pub(crate) enum Beginning<'a> {
    Started(Started<'a>),
    Reset(Reset<'a>),
}

/// What a run's first batch says; `None` for a later batch. A batch of a run that `is_new` is the first one.
pub(crate) fn beginning<'a>(
    batch: &Batch<'a>,
    is_new: bool,
) -> Result<Option<Beginning<'a>>, Malformed> {
    if batch.first_event != 1 && !is_new {
        return Ok(None);
    }
    match batch.events().next().ok_or(Malformed)??.body() {
        Body::WorkflowExecutionStarted(started) => Ok(Some(Beginning::Started(started))),
        Body::WorkflowReset(reset) => Ok(Some(Beginning::Reset(reset))),
        _ => Err(Malformed),
    }
}
