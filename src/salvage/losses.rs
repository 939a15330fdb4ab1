//! Damaged ranges of the log, and, once all of it was read, the verdict on each.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use super::report::{LossStatus, LostRange};
use super::walk::Mismatch;
use crate::bytes::wide;
use crate::id::{Position, RunId};
use crate::log::format::Identity;

/// What is known after all of the source was read.
pub(super) struct Known {
    pub(super) identity: Identity,
    /// The highest durable mark: everything below was on the device once.
    pub(super) durable_upto: Position,
    /// Where the log ends according to the manifest, if the store was shut down.
    pub(super) closed_at: Option<Position>,
    /// Where the last frame ends.
    pub(super) end: Position,
}

/// A damaged range.
pub(super) struct Damage {
    pub(super) segment: u32,
    /// The length of its file.
    pub(super) segment_bytes: u64,
    pub(super) path: PathBuf,
    pub(super) range: Range<usize>,
    pub(super) mismatch: Mismatch,
    pub(super) extent: LostExtent,
    /// Runs that the damaged bytes name.
    pub(super) runs: Vec<RunId>,
    /// The end of the new store when this range was reached.
    pub(super) mark: Position,
}

/// What is known about the end of a damaged range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LostExtent {
    /// The log continues after it.
    Gap,
    /// No frame follows in the segment. The zeros after the range are free space if the log ends here, and lost
    /// otherwise.
    Tail,
    /// Nothing is ever written there.
    Unused,
}

impl Damage {
    /// What was lost here; `None` if it is free space.
    pub(super) fn judge(self, known: &Known) -> Option<(LostRange, Position)> {
        let base = known.identity.first_byte(self.segment);
        let position = base.plus(wide(self.range.start));
        let mut to = wide(self.range.end);
        if self.extent == LostExtent::Tail {
            let reaches = known.durable_upto.as_u64().saturating_sub(base.as_u64());
            to = if known.end > position {
                self.segment_bytes
            } else {
                to.max(reaches.min(self.segment_bytes))
            };
        }
        if to <= wide(self.range.start) {
            return None;
        }
        let beyond = known.closed_at.is_some_and(|end| position >= end);
        let status = match self.extent {
            LostExtent::Unused => LossStatus::NeverAcknowledged,
            _ if known.durable_upto > position => LossStatus::Acknowledged,
            _ if self.mismatch.unwritten || beyond => LossStatus::NeverAcknowledged,
            _ => LossStatus::Unknown,
        };
        let Mismatch { what, expected, found, .. } = self.mismatch;
        let (path, from, runs) = (self.path, wide(self.range.start), self.runs);
        let lost = LostRange { path, from, to, what, expected, found, status, runs };
        Some((lost, self.mark))
    }
}

/// The ranges of numbers below `end` that are not in `present`, which is ascending.
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
