//! Reading a log commit by commit.

use std::sync::Arc;

use super::segment::Segment;
use super::view::View;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::format::{Fault, Frame, FrameKind};

impl View {
    /// The frames from `position` on, which must be the start of a frame, or the end.
    pub(crate) fn frames(&self, position: Position) -> Frames<'_> {
        Frames { view: self, position: position.max(self.identity.first_frame(0)) }
    }

    /// [`Error::Compacted`] if commits cannot be read one by one from a position on, up to the end.
    pub(crate) fn check_whole(&self, position: Position) -> Result<()> {
        let mut frames = self.frames(position);
        frames.pass_compacted_seal();
        match frames.segments().iter().rfind(|segment| segment.header.compacted.is_some()) {
            None => Ok(()),
            Some(last) => Err(frames.compacted(last)),
        }
    }
}

/// Frames in log order; the checksums of each are verified when it is read.
pub(crate) struct Frames<'a> {
    view: &'a View,
    position: Position,
}

impl Frames<'_> {
    /// Where the next frame begins.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Goes on in the next segment if all frames of one were read before it was compacted; whether it did.
    fn pass_compacted_seal(&mut self) -> bool {
        let (number, offset) = self.view.identity.locate(self.position);
        let segment = usize::try_from(number).ok().and_then(|at| self.view.segments().get(at));
        let is_there = segment.is_some_and(|segment| segment.compacted_seal() == Some(offset));
        if is_there {
            self.position = self.view.identity.first_frame(number.saturating_add(1));
        }
        is_there
    }

    /// [`Error::Compacted`] if the next frame is in a segment that was compacted.
    fn check_next(&self) -> Result<()> {
        let segments = self.segments().iter();
        match segments.take_while(|segment| segment.header.compacted.is_some()).last() {
            None => Ok(()),
            Some(last) => Err(self.compacted(last)),
        }
    }

    /// The segments from the next frame's on.
    fn segments(&self) -> &[Arc<Segment>] {
        let (number, _) = self.view.identity.locate(self.position);
        let from = usize::try_from(number).unwrap_or(usize::MAX);
        self.view.segments().get(from..).unwrap_or_default()
    }

    /// The error for a reader that can go on behind `last`.
    fn compacted(&self, last: &Segment) -> Error {
        let next = last.header.number.saturating_add(1);
        let resume = self.view.identity.first_frame(next);
        Error::Compacted { position: self.position, resume }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.position < self.view.end {
            let at = self.position;
            if self.pass_compacted_seal() {
                continue;
            }
            if let Err(error) = self.check_next() {
                self.position = self.view.end;
                return Some(Err(error));
            }
            let verified = self.view.bytes_from(at).ok_or(Fault::Overlong);
            let verified = verified
                .and_then(|(segment, bytes)| Frame::verify(bytes, segment.header.scope(), at));
            match verified {
                Ok(frame) if frame.header.kind == FrameKind::Seal => {
                    let (number, _) = self.view.identity.locate(at);
                    self.position = self.view.identity.first_frame(number.saturating_add(1));
                }
                Ok(frame) => {
                    self.position = frame.end();
                    return Some(Ok(frame));
                }
                Err(fault) => {
                    self.position = self.view.end;
                    let (expected, found) = fault.checksums();
                    return Some(Err(self.view.corrupt(at, fault.what(), expected, found)));
                }
            }
        }
        None
    }
}
