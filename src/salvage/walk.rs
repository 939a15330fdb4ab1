//! From frame to frame through one segment, and over what is damaged in between.
//!
//! A frame's checks bind its salt, its place and its bytes. So where a frame does not verify, the
//! next place at which one does is proof that the log goes on there.

use std::ops::Range;

use super::image::Image;
use crate::bytes::{u32_at, wide};
use crate::id::Position;
use crate::log::format::{
    Fault, Frame, FrameKind, HEADER_BYTES, SEGMENT_HEADER_BYTES, Scope, frame,
};

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrong {
    pub(super) what: &'static str,
    pub(super) expected: u64,
    pub(super) found: u64,
    /// A check is zero where one belongs: its sector was never written.
    pub(super) unwritten: bool,
}

impl Wrong {
    pub(super) fn new(what: &'static str) -> Self {
        Wrong { what, expected: 0, found: 0, unwritten: false }
    }
}

/// What comes next in a segment.
pub(super) enum Step<'a> {
    /// A commit, proven.
    Frame(Frame<'a>),
    /// Damage between two frames.
    Gap(Range<usize>, Wrong),
}

/// How the frames of a segment end.
pub(super) enum End {
    /// With the frame that seals it, which ends here.
    Sealed(usize),
    /// Here, where no frame verifies and none follows.
    Open(usize, Wrong),
}

/// Goes through a segment.
pub(super) struct Walk<'a> {
    image: &'a Image,
    scope: Scope<'a>,
    /// The position of the segment's first byte.
    base: Position,
    /// Of the last frame: later frames are not older. What is older was left over.
    pub(super) epoch: u32,
    /// The frames so far say that everything below was on the device.
    pub(super) durable_upto: Position,
    offset: usize,
    /// Behind it there is nothing.
    dirty_end: usize,
    end: Option<End>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(image: &'a Image, salt: &'a [u8; 16], base: Position, epoch: u32) -> Self {
        // An image has the length of its segment.
        let scope = Scope { salt, end: base.plus(wide(image.bytes.len())) };
        let offset = SEGMENT_HEADER_BYTES;
        let (durable_upto, dirty_end) = (Position::START, image.dirty_end(offset));
        Walk { image, scope, base, epoch, durable_upto, offset, dirty_end, end: None }
    }

    /// Where the next step begins.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// How the frames end; known once there are no more steps.
    pub(super) fn end(self) -> End {
        self.end.unwrap_or(End::Sealed(self.offset))
    }

    fn frame_at(&self, offset: usize) -> Result<Frame<'a>, Wrong> {
        let bytes = self.image.bytes.get(offset..).unwrap_or_default();
        let position = self.base.plus(wide(offset));
        match Frame::verify(bytes, self.scope, position) {
            Ok(frame) if frame.header.epoch < self.epoch => Err(Wrong {
                expected: self.epoch.into(),
                found: frame.header.epoch.into(),
                ..Wrong::new("a frame is older than what comes before it")
            }),
            Ok(frame) => Ok(frame),
            Err(fault) => Err(self.wrong(offset, &fault)),
        }
    }

    fn wrong(&self, offset: usize, fault: &Fault) -> Wrong {
        let bytes = match fault {
            Fault::TrailerMissing(header) | Fault::PayloadDamaged { header, .. } => {
                header.frame_bytes()
            }
            _ => HEADER_BYTES,
        };
        // A zero that could not be read proves nothing.
        if let Some(what) = self.image.unread(&(offset..offset + bytes)) {
            return Wrong::new(what);
        }
        let (expected, found) = fault.checksums();
        let unwritten = matches!(fault, Fault::HeaderMissing | Fault::TrailerMissing(_));
        Wrong { what: fault.what(), expected, found, unwritten }
    }

    /// The next place from `offset` on at which a frame verifies.
    fn resynchronise(&self, offset: usize) -> Option<usize> {
        (offset..self.dirty_end).step_by(4).find(|offset| {
            let bytes = self.image.bytes.get(*offset..).unwrap_or_default();
            let position = self.base.plus(wide(*offset));
            // Most places fail on their first word or on the header alone, which is cheap.
            u32_at(bytes, 0) != Some(0)
                && frame::verify_header(bytes, self.scope, position).is_ok()
                && self.frame_at(*offset).is_ok()
        })
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if self.end.is_some() {
            return None;
        }
        let from = self.offset;
        match self.frame_at(from) {
            Ok(frame) => {
                self.epoch = frame.header.epoch;
                self.durable_upto = self.durable_upto.max(frame.header.durable_upto);
                self.offset += frame.header.frame_bytes();
                if frame.header.kind == FrameKind::Seal {
                    self.end = Some(End::Sealed(self.offset));
                    return None;
                }
                Some(Step::Frame(frame))
            }
            Err(wrong) => match self.resynchronise(from + 4) {
                Some(next) => {
                    self.offset = next;
                    Some(Step::Gap(from..next, wrong))
                }
                None => {
                    self.end = Some(End::Open(from, wrong));
                    None
                }
            },
        }
    }
}
