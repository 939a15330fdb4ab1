//! A replay that freezes the index at the same commits as a writer does.

use super::freezer::Freezer;
use crate::event::Malformed;
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Index, Payload};
use crate::log::format::Frame;
use crate::log::open::Replay;

/// Takes commits into an index.
pub(crate) struct FreezingReplay<'a> {
    pub(crate) index: &'a mut Index,
    pub(crate) freezer: &'a Freezer,
    /// The oldest position that a reader holds; none while the store is being opened.
    pub(crate) oldest: Option<Position>,
}

impl Replay for FreezingReplay<'_> {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        self.freezer.freeze_before_commit(self.index);
        self.index.check(payload).map_err(|_| Malformed)?;
        let oldest = self.oldest.unwrap_or(payload.end);
        self.index.apply(payload, oldest).map_err(|_| Malformed)?;
        // It is not the log that is damaged then: who replays asks the index.
        self.index.check_cold().map_err(|_| Malformed)
    }

    fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId> {
        self.index.run_ids(numbers)
    }
}
