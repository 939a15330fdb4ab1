//! A batch that is to be kept, and the payload of a commit of such batches.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::runs::Name;
use crate::event::{Buffer, Reset, Started};
use crate::id::{Position, RunId, RunNumber};
use crate::log::format::{Batch, write_batch_header};

const BEFORE_LOST: &str = "the run before it is lost";

/// A batch to be kept.
#[derive(Clone)]
pub(super) struct KeptBatch<'a> {
    /// The batch as it is in the source; `None` for one of a run that was erased there.
    pub(super) source: Option<Batch<'a>>,
    pub(super) id: RunId,
    pub(super) first_event: u32,
    pub(super) count: u16,
    pub(super) events: Cow<'a, [u8]>,
    /// What the run's events take in the new store, up to the end of this batch.
    pub(super) run_bytes: u32,
    pub(super) origin: Origin<'a>,
}

impl KeptBatch<'_> {
    /// Its first event, and the one after its last.
    pub(super) fn event_ids(&self) -> Range<u32> {
        self.first_event..self.first_event.saturating_add(self.count.into())
    }
}

/// How a batch relates to its run in the new store.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// It continues a run of the new store, after the batch at `previous`.
    Continues { number: RunNumber, previous: Position },
    /// It starts a run.
    Starts(Started<'a>),
    /// It is the first one of a run that a reset created, which shares the events up to the batch at `previous`.
    Resets { reset: Reset<'a>, previous: Position },
    /// It begins a run that continues another one and was erased in the source.
    Bridges { run: RunId, continued: RunId },
}

impl Origin<'_> {
    /// The run's number in the new store, if it has one.
    pub(super) fn number(&self) -> Option<RunNumber> {
        match self {
            Origin::Continues { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// The id of a new run.
    pub(super) fn id(&self) -> RunId {
        match self {
            Origin::Continues { .. } => RunId::NIL,
            Origin::Starts(started) => started.run_id,
            Origin::Resets { reset, .. } => reset.run_id,
            Origin::Bridges { run, .. } => *run,
        }
    }

    /// The id and names of a new run, as far as its first event has them.
    pub(super) fn name(&self) -> Name {
        let id = self.id();
        match self {
            Origin::Starts(started) => Name {
                id,
                namespace: started.namespace.to_owned(),
                workflow_id: started.workflow_id.to_owned(),
            },
            _ => Name { id, ..Name::default() },
        }
    }

    /// The run that must record the start of this one in the same commit: the one that it continues, or its
    /// parent.
    fn announced_by(&self) -> Option<(RunId, &'static str)> {
        let started = match self {
            Origin::Starts(started) => started,
            Origin::Bridges { continued, .. } => return Some((*continued, BEFORE_LOST)),
            _ => return None,
        };
        let continued = started.continued_run_id.map(|run| (run, BEFORE_LOST));
        let parent = started.parent_run_id.map(|run| (run, "its parent's record of it is lost"));
        continued.or(parent).filter(|_| !started.imported)
    }
}

/// Removes the batches that start a run whose start no batch of the commit records. The rules would refuse them
/// too, but one at a time, and a lost parent can have any number of children.
pub(super) fn drop_orphans<'a>(
    batches: &mut Vec<KeptBatch<'a>>,
) -> Vec<(KeptBatch<'a>, &'static str)> {
    let mut present: HashSet<RunId> = batches.iter().map(|kept| kept.id).collect();
    let mut orphans = vec![];
    loop {
        let before = orphans.len();
        batches.retain(|kept| match kept.origin.announced_by() {
            Some((run, why)) if !present.contains(&run) => {
                present.remove(&kept.id);
                orphans.push((kept.clone(), why));
                false
            }
            _ => true,
        });
        if orphans.len() == before {
            return orphans;
        }
    }
}

/// Writes the payload of a commit: batches, in the order of their runs' numbers, then rows. New runs get the
/// numbers from `next_new` on.
pub(super) fn assemble(
    payload: &mut Buffer,
    batches: &[KeptBatch<'_>],
    rows: &[&[u8]],
    mut next_new: RunNumber,
) {
    payload.clear();
    for KeptBatch { first_event, count, events, run_bytes, origin, .. } in batches {
        let (number, previous) = match origin {
            Origin::Continues { number, previous } => (*number, *previous),
            Origin::Starts(_) | Origin::Bridges { .. } => (next_new, Position::START),
            Origin::Resets { previous, .. } => (next_new, *previous),
        };
        if origin.number().is_none() {
            // The store refuses a commit with more runs than it has numbers.
            next_new = next_new.next().unwrap_or(RunNumber::NONE);
        }
        write_batch_header(payload, number, *first_event, *count, previous, *run_bytes);
        payload.extend_from_slice(events);
    }
    rows.iter().for_each(|row| payload.extend_from_slice(row));
}
