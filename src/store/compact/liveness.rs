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
use crate::index::{Index, NAMESPACES_TABLE, Run};
use crate::log::compact::{Fate, Judge};
use crate::log::format::{Batch, Put};
use crate::retention::Keep;
use crate::store::read::Snapshot;

/// Knows what is live for a snapshot.
pub(super) struct Liveness<'s> {
    pub(super) snapshot: &'s Snapshot,
    /// Whether no row that was deleted is left in segments before.
    pub(super) before_are_clean: bool,
    /// By chain with resets: the last event of a run that another one needs.
    needed: Map<ChainNumber, Map<RunNumber, u32>>,
}

impl<'s> Liveness<'s> {
    pub(super) fn new(snapshot: &'s Snapshot) -> Self {
        Liveness { snapshot, before_are_clean: true, needed: Map::default() }
    }

    /// What was kept of the run of a batch, if it was deleted and no other run needs the batch.
    fn deleted(&mut self, index: &Index, batch: &Batch<'_>) -> Option<(Keep, bool)> {
        let run = index.runs.get(batch.run)?;
        let keep = index.runs.state_at(&run, self.snapshot.end())?.deleted?;
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
        let deleted = index.sure(self.deleted(&index, batch))?;
        drop(index);
        let Some((keep, is_first)) = deleted else { return Ok(Fate::Keep) };
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
        let live = index.tables.get(row.table, row.key, self.snapshot.end());
        index.check_cold()?;
        Ok(live.is_some_and(|live| live.value == at))
    }
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
