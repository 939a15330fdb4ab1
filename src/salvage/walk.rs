//! Goes from frame to frame through one segment, and resynchronises after damage.
//!
//! A frame's checksums bind its salt, its position and its bytes. So after a frame that does not verify, the
//! next offset at which one does is proof that the log continues there.

use std::ops::Range;

use super::image::Image;
use crate::bytes::wide;
use crate::id::Position;
use crate::log::format::{
    Fault, Frame, FrameKind, HEADER_BYTES, SEGMENT_HEADER_BYTES, Scope, frame,
};

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mismatch {
    pub(super) what: &'static str,
    pub(super) expected: u64,
    pub(super) found: u64,
    /// A checksum is zero: its sector was never written (torn write).
    pub(super) unwritten: bool,
}

impl Mismatch {
    pub(super) fn new(what: &'static str) -> Self {
        Mismatch { what, expected: 0, found: 0, unwritten: false }
    }
}

/// The next item in a segment.
pub(super) enum Step<'a> {
    /// A commit that verified.
    Frame(Frame<'a>),
    /// Damage between two frames.
    Gap(Range<usize>, Mismatch),
}

/// How the frames of a segment end.
pub(super) enum End {
    /// With its seal, which ends at this offset.
    Sealed(usize),
    /// At this offset, from which on no frame verifies.
    Open(usize, Mismatch),
}

/// An iterator over the frames and gaps of a segment.
pub(super) struct Walk<'a> {
    image: &'a Image,
    scope: Scope<'a>,
    /// The position of the segment's first byte.
    base: Position,
    /// The epoch of the last frame. A frame of a lower epoch is left over from before a healing.
    pub(super) epoch: u32,
    /// The highest durable mark of the frames so far.
    pub(super) durable_upto: Position,
    offset: usize,
    /// From here on all bytes are zero.
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

    /// The offset of the next step.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// How the frames end. To be called after the last step.
    pub(super) fn end(self) -> End {
        self.end.unwrap_or(End::Sealed(self.offset))
    }

    fn frame_at(&self, offset: usize) -> Result<Frame<'a>, Mismatch> {
        let bytes = self.image.bytes.get(offset..).unwrap_or_default();
        let position = self.base.plus(wide(offset));
        match Frame::verify(bytes, self.scope, position) {
            Ok(frame) if frame.header.epoch < self.epoch => Err(Mismatch {
                expected: self.epoch.into(),
                found: frame.header.epoch.into(),
                ..Mismatch::new("a frame is older than what comes before it")
            }),
            Ok(frame) => Ok(frame),
            Err(fault) => Err(self.mismatch(offset, &fault)),
        }
    }

    fn mismatch(&self, offset: usize, fault: &Fault) -> Mismatch {
        let bytes = match fault {
            Fault::TrailerMissing(header) | Fault::PayloadDamaged { header, .. } => {
                header.frame_bytes()
            }
            _ => HEADER_BYTES,
        };
        // A zero in place of unreadable bytes proves nothing.
        if let Some(what) = self.image.unread(&(offset..offset + bytes)) {
            return Mismatch::new(what);
        }
        let (expected, found) = fault.checksums();
        let unwritten = matches!(fault, Fault::HeaderMissing | Fault::TrailerMissing(_));
        Mismatch { what: fault.what(), expected, found, unwritten }
    }

    /// The next offset from `offset` on at which a frame verifies.
    fn resynchronise(&self, offset: usize) -> Option<usize> {
        (offset..self.dirty_end).step_by(4).find(|offset| {
            let bytes = self.image.bytes.get(*offset..).unwrap_or_default();
            let position = self.base.plus(wide(*offset));
            // Most offsets are ruled out by the first word or the header's checksum, which is cheap.
            frame::may_begin(bytes)
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
            Err(mismatch) => match self.resynchronise(from + 4) {
                Some(next) => {
                    self.offset = next;
                    Some(Step::Gap(from..next, mismatch))
                }
                None => {
                    self.end = Some(End::Open(from, mismatch));
                    None
                }
            },
        }
    }
}
