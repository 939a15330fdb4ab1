//! A replay that freezes the index at the same commits as a writer does.

use super::freezer::Freezer;
use crate::error::Error;
use crate::event::Malformed;
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Index, Payload};
use crate::log::format::{Compacted, Frame, SegmentHeader};
use crate::log::open::Replay;

/// Takes commits into an index.
pub(crate) struct FreezingReplay<'a> {
    pub(crate) index: &'a mut Index,
    pub(crate) freezer: &'a Freezer,
    /// The oldest position that a reader holds; none while the store is being opened.
    pub(crate) oldest: Option<Position>,
    /// A commit that erases runs which that reader sees undeleted: it is not taken in.
    pub(crate) held: Option<Error>,
}

impl Replay for FreezingReplay<'_> {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        // A layer ends with a segment that was compacted, or before.
        if payload.commit >= self.index.cuts.segment_end {
            self.freezer.freeze_before_commit(self.index);
        }
        if let Some(snapshot) =
            self.oldest.filter(|oldest| self.index.erases_seen(payload, *oldest))
        {
            self.held = Some(Error::SnapshotHeld { snapshot, commit: payload.commit });
            return Err(Malformed);
        }
        let oldest = self.oldest.unwrap_or(payload.end);
        self.index.replay(payload, oldest)?;
        // It is not the log that is damaged then: who replays asks the index.
        self.index.check_cold().map_err(|_| Malformed)
    }

    fn compacted(&mut self, segment: &SegmentHeader, compacted: &Compacted, left_out: bool) {
        if !left_out {
            self.freezer.freeze_before_commit(self.index);
        }
        self.index.begin_compacted(segment, compacted, left_out);
    }

    fn is_whole(&self) -> bool {
        self.index.is_whole()
    }

    fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId> {
        self.index.run_ids(numbers)
    }
}
