//! The damaged places of the log, and, once all of it was read, what was lost there.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use super::report::{LostRange, Standing};
use super::walk::Wrong;
use crate::bytes::wide;
use crate::id::{Position, RunId};
use crate::log::format::{Identity, SEGMENT_HEADER_BYTES};

/// What is known when all of the source was read.
pub(super) struct Known {
    pub(super) identity: Identity,
    /// Everything below was on the device once.
    pub(super) durable_upto: Position,
    /// The manifest says that the log ends there.
    pub(super) closed_at: Option<Position>,
    /// Where the last frame ends.
    pub(super) end: Position,
}

/// A damaged place.
pub(super) struct Damage {
    pub(super) segment: u32,
    pub(super) path: PathBuf,
    pub(super) range: Range<usize>,
    pub(super) wrong: Wrong,
    pub(super) extent: LostExtent,
    /// Runs that the damaged bytes name.
    pub(super) runs: Vec<RunId>,
    /// Where the new store ended when this place was reached.
    pub(super) mark: Position,
}

/// What is known about where a damaged place ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LostExtent {
    /// The log goes on behind it.
    Gap,
    /// No frame follows in the segment. Behind the range there are zeros, which are free space if
    /// the log ends here, and lost as well if it does not.
    Tail,
    /// It lies where nothing is ever written.
    Unused,
}

impl Damage {
    /// What was lost here; `None` if it is free space.
    pub(super) fn settle(self, known: &Known) -> Option<(LostRange, Position)> {
        let base = first_byte(&known.identity, self.segment);
        let place = base.plus(wide(self.range.start));
        let mut to = wide(self.range.end);
        if self.extent == LostExtent::Tail {
            let segment_bytes = u64::from(known.identity.segment_bytes);
            let reaches = known.durable_upto.as_u64().saturating_sub(base.as_u64());
            to = if known.end > place { segment_bytes } else { to.max(reaches.min(segment_bytes)) };
        }
        if to <= wide(self.range.start) {
            return None;
        }
        let beyond = known.closed_at.is_some_and(|end| place >= end);
        let standing = match self.extent {
            LostExtent::Unused => Standing::NeverAcknowledged,
            _ if known.durable_upto > place => Standing::Acknowledged,
            _ if self.wrong.unwritten || beyond => Standing::NeverAcknowledged,
            _ => Standing::Unknown,
        };
        let Wrong { what, expected, found, .. } = self.wrong;
        let (path, from, runs) = (self.path, wide(self.range.start), self.runs);
        let lost = LostRange { path, from, to, what, expected, found, standing, runs };
        Some((lost, self.mark))
    }
}

/// Where the first byte of a segment lies.
pub(super) fn first_byte(identity: &Identity, segment: u32) -> Position {
    let first = identity.first_frame(segment).as_u64();
    Position::from_u64(first - wide(SEGMENT_HEADER_BYTES))
}

/// The numbers below `end` that are not in `present`, which is ascending.
pub(super) fn missing(present: impl Iterator<Item = u32>, end: u32) -> Vec<RangeInclusive<u32>> {
    let mut missing = vec![];
    let mut next = 0;
    for number in present.chain([end]) {
        if let Some(last) = number.checked_sub(1).filter(|last| *last >= next) {
            missing.push(next..=last);
        }
        next = next.max(number.saturating_add(1));
    }
    missing
}
