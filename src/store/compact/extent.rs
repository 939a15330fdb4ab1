//! How far a pass goes, and for whom it leaves the rest.

use crate::error::Result;
use crate::id::Position;
use crate::retention::{Compaction, HeldBack};
use crate::store::read::Snapshot;
use crate::store::shared::Shared;

/// The segments that a pass looks at.
pub(super) struct Extent {
    /// The number of the first one that must stay as it is.
    pub(super) limit: u32,
    pub(super) held_back: Option<HeldBack>,
}

impl Extent {
    /// `unseen`: the least position of consumers that the snapshot does not see. Consumers that move meanwhile go forward,
    /// and need no more than this leaves.
    pub(super) fn of(
        shared: &Shared,
        compaction: &Compaction,
        snapshot: &Snapshot,
        unseen: Option<Position>,
    ) -> Result<Self> {
        let consumers = snapshot.consumers()?;
        let consumers = consumers.into_iter().map(|it| (it.position, Some(it.name)));
        let others = [compaction.keep_from, unseen].into_iter().flatten().map(|at| (at, None));
        let slowest = consumers.chain(others).min_by_key(|(position, _)| *position);
        let full = full(shared, snapshot.end());
        let Some((position, consumer)) = slowest else {
            return Ok(Extent { limit: full, held_back: None });
        };
        let limit = full.min(last_of(shared, position));
        let bytes = |upto| snapshot.view().file_bytes_before(upto);
        let held_back = (limit < full).then(|| HeldBack {
            consumer,
            position,
            segments: full - limit,
            bytes: bytes(full) - bytes(limit),
        });
        Ok(Extent { limit, held_back })
    }

    /// Whether somebody is to read a segment commit by commit which would be looked at otherwise.
    pub(super) fn holds_back(&self, segment: u32) -> bool {
        let held = self.held_back.as_ref().map_or(0, |held| held.segments);
        (self.limit..self.limit + held).contains(&segment)
    }

    /// The first position from which on all commits stay.
    pub(super) fn end(&self, shared: &Shared) -> Position {
        match self.limit {
            0 => Position::START,
            limit => shared.published.identity.first_frame(limit),
        }
    }
}

/// The number of the first segment that a pass as of a position must leave in any case: the log may go on there, the index
/// in files must end behind what is compacted, and so must every layer that will be written.
fn full(shared: &Shared, as_of: Position) -> u32 {
    let index = shared.index.read();
    let files = index.files_upto();
    let layer = index.oldest_layer().filter(|_| files.is_none());
    let ends = [Some(as_of), files, layer].into_iter().flatten();
    ends.map(|end| last_of(shared, end)).min().unwrap_or_default()
}

/// The number of the segment that has the last byte before a position, which may be the first byte of a segment that has
/// nothing of it.
fn last_of(shared: &Shared, end: Position) -> u32 {
    let before = Position::from_u64(end.as_u64().saturating_sub(1));
    shared.published.identity.locate(before).0
}
