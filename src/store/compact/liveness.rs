//! What is live: what a reader may still ask for, and what the index follows from.
//!
//! Of a run that was deleted stay where it began, how it closed, its relations, and the requests to cancel it, without their
//! payloads, but for the closing event's where its outcome was kept; and the events that a reset shares whose run was not
//! deleted. Of rows stays the last one of each key, and all settings of
//! namespaces.

use crate::error::Result;
use crate::event::{Effect, Event, EventKind, Left, RawEvent};
use crate::hash::Map;
use crate::id::{ChainNumber, Position, RunNumber};
use crate::index::{Deletion, ERASED_TABLE, Erasure, Index, NAMESPACES_TABLE, Run};
use crate::log::compact::{Fate, Judge};
use crate::log::format::{Batch, Put};
use crate::retention::Keep;
use crate::store::read::Snapshot;

/// Knows what is live for a snapshot.
pub(super) struct Liveness<'s> {
    pub(super) snapshot: &'s Snapshot,
    /// Whether no row that was deleted is left in segments before.
    pub(super) before_are_clean: bool,
    /// Whether nothing of a run that was erased is left in segments before.
    pub(super) before_lack_erased: bool,
    /// Whether the segment that is looked at has something of a run that was erased.
    pub(super) has_erased: bool,
    /// By chain with resets: the last event of a run that another one needs.
    needed: Map<ChainNumber, Map<RunNumber, u32>>,
}

impl<'s> Liveness<'s> {
    pub(super) fn new(snapshot: &'s Snapshot) -> Self {
        let (before_are_clean, before_lack_erased) = (true, true);
        let (has_erased, needed) = (false, Map::default());
        Liveness { snapshot, before_are_clean, before_lack_erased, has_erased, needed }
    }

    /// Whether what is left of a run is packed: no event comes to it any more.
    pub(super) fn packs(&self, run: RunNumber) -> Result<bool> {
        let index = self.snapshot.index();
        let end = self.snapshot.end();
        let state = index.runs.get(run).and_then(|run| index.runs.state_at(&run, end));
        index.sure(state.is_some_and(|state| !state.status.is_open()))
    }

    /// What there is to know of a batch.
    fn of_batch(&mut self, index: &Index, batch: &Batch<'_>) -> OfBatch {
        // No run is erased during a compaction.
        let Some(run) = index.runs.get(batch.run) else { return OfBatch::Erased };
        let deleted = self.deleted(index, batch, &run);
        deleted.map_or(OfBatch::Live, |(keep, is_first)| OfBatch::Deleted { keep, is_first })
    }

    /// Whether a row erases runs without which the log would not tell the number of the next run.
    fn has_last_number(&self, index: &Index, row: &Put<'_>) -> bool {
        let last = Erasure::of(row).ok().flatten().and_then(|erasure| erasure.runs().next_back());
        let later = std::iter::successors(last.and_then(RunNumber::next), |number| number.next());
        let mut later = later.take_while(|number| Some(*number) < index.runs.next());
        let begun = |number| index.runs.look(number, |run| run.first_batch < self.snapshot.end());
        last.is_some() && !later.any(|number| begun(number) == Some(true))
    }

    /// What was kept of the run of a batch, if it was deleted and no other run needs the batch.
    fn deleted(&mut self, index: &Index, batch: &Batch<'_>, run: &Run) -> Option<(Keep, bool)> {
        let keep = index.runs.state_at(run, self.snapshot.end())?.deleted?;
        let needed = self
            .needed
            .entry(run.chain)
            .or_insert_with(|| needed_in(index, run.chain, self.snapshot.end()));
        let is_needed = needed.get(&batch.run).is_some_and(|last| batch.first_event <= *last);
        (!is_needed).then_some((keep, run.first_batch == batch.position))
    }
}

impl Judge for Liveness<'_> {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Fate> {
        let snapshot = self.snapshot;
        let index = snapshot.index();
        let found = index.sure(self.of_batch(&index, batch))?;
        drop(index);
        let (keep, is_first) = match found {
            OfBatch::Live => return Ok(Fate::Keep),
            OfBatch::Erased => {
                self.has_erased = true;
                return Ok(Fate::Drop);
            }
            OfBatch::Deleted { keep, is_first } => (keep, is_first),
        };
        let malformed =
            |_| self.snapshot.view().corrupt(batch.position, "an event is malformed", 0, 0);
        let mut left = Vec::with_capacity(usize::from(batch.count));
        for event in batch.raw_events() {
            let (id, raw) = event.map_err(malformed)?;
            let begins = id == 1 || (is_first && id == batch.first_event);
            left.push(if begins { Left::Record } else { left_of(id, raw, keep) });
        }
        Ok(match left.iter().all(|left| *left == Left::Header) {
            true => Fate::Drop,
            false => Fate::Shrink(left),
        })
    }

    fn keeps_row(&mut self, row: &Put<'_>) -> Result<bool> {
        if row.table == NAMESPACES_TABLE {
            // Namespaces are numbered in the order in which the log has them first.
            return Ok(true);
        }
        let Some((at, _)) = row.value else { return Ok(!self.before_are_clean) };
        let index = self.snapshot.index();
        if row.table == ERASED_TABLE || is_of_erased(&index, row) {
            let is_needed = !self.before_lack_erased || self.has_last_number(&index, row);
            return index.sure(is_needed);
        }
        let live = index.tables.get(row.table, row.key, self.snapshot.end());
        index.check_cold()?;
        Ok(live.is_some_and(|live| live.value == at))
    }
}

/// What there is to know of a batch.
enum OfBatch {
    Live,
    /// Its run was deleted, and no other run needs it.
    Deleted {
        keep: Keep,
        /// It is the first one of its run.
        is_first: bool,
    },
    /// Its run was erased.
    Erased,
}

/// Whether a row says that a run was deleted that was erased since.
fn is_of_erased(index: &Index, row: &Put<'_>) -> bool {
    let deletion = Deletion::of(row).ok().flatten();
    deletion.is_some_and(|deletion| index.runs.number(&deletion.run).is_none())
}

/// What is left of an event, not the first one, of a run that was deleted.
fn left_of(id: u32, raw: RawEvent<'_>, keep: Keep) -> Left {
    if raw.kind.is_closing() {
        return match keep {
            Keep::Outcome => Left::Whole,
            Keep::Nothing => Left::Record,
        };
    }
    // It asks to cancel also without a record.
    let stays = raw.kind == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED
        || (raw.kind.changes_links() && !raw.is_opaque() && is_of_relation(id, raw));
    if stays { Left::Record } else { Left::Header }
}

/// Whether an event begins or ends a relation, or goes on with one.
fn is_of_relation(id: u32, raw: RawEvent<'_>) -> bool {
    let event = Event::check(id, raw);
    event.is_ok_and(|event| {
        matches!(
            event.body().effect(),
            Effect::ChildInitiated(_)
                | Effect::ChildStarted(_)
                | Effect::ChildStartFailed(_)
                | Effect::ChildClosed(_)
        )
    })
}

/// For each run of a chain that others need, the last event that they do. Those deleted after `end` need theirs: their
/// deletion may not be durable.
fn needed_in(index: &Index, chain: ChainNumber, end: Position) -> Map<RunNumber, u32> {
    let mut needed: Map<RunNumber, u32> = Map::default();
    let Some(chain) = index.chains.get(chain) else { return needed };
    // A reset makes a later run.
    for number in chain.runs().iter().rev() {
        let look = |run: &Run| {
            let deleted = index.runs.state_at(run, end).and_then(|state| state.deleted);
            Some((run.fork.as_deref().copied()?, deleted))
        };
        let Some((fork, deleted)) = index.runs.look(*number, look).flatten() else { continue };
        let last = match deleted {
            None => Some(fork.shared),
            Some(_) => needed.get(number).map(|last| fork.shared.min(*last)),
        };
        if let Some(last) = last {
            let of_base = needed.entry(fork.base).or_default();
            *of_base = last.max(*of_base);
        }
    }
    needed
}
