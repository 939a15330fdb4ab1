//! A batch of the source that is to be kept, and the payload that such batches make.

use std::collections::HashSet;

use super::runs::Name;
use crate::event::{Buffer, Reset, Started};
use crate::id::{Position, RunId};
use crate::log::format::{Batch, write_batch_header};

/// A batch to be kept.
#[derive(Clone)]
pub(super) struct Piece<'a> {
    pub(super) batch: Batch<'a>,
    pub(super) events: &'a [u8],
    pub(super) id: RunId,
    pub(super) origin: Origin<'a>,
}

/// What a batch is to its run.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// It goes on with a run of the new store, behind the batch at `previous`.
    Follows { number: u32, previous: Position },
    /// It begins one.
    Starts(Started<'a>),
    /// It begins one that shares what leads up to the batch at `previous`.
    Resets { reset: Reset<'a>, previous: Position },
}

impl Origin<'_> {
    /// The run's number in the new store, if it has one.
    pub(super) fn number(&self) -> Option<u32> {
        match self {
            Origin::Follows { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// The id of a run that begins.
    pub(super) fn id(&self) -> RunId {
        match self {
            Origin::Follows { .. } => RunId::NIL,
            Origin::Starts(started) => started.run_id,
            Origin::Resets { reset, .. } => reset.run_id,
        }
    }

    /// Who a run is that begins, as far as it says so itself.
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

    /// The run that must say in the same commit that this one begins: the one that it continues, or
    /// its parent.
    fn announced_by(&self) -> Option<(RunId, &'static str)> {
        let Origin::Starts(started) = self else { return None };
        let continued = started.continued_run_id.map(|run| (run, "the run before it is lost"));
        let parent = started.parent_run_id.map(|run| (run, "its parent's record of it is lost"));
        continued.or(parent).filter(|_| !started.imported)
    }
}

/// Takes out the batches that begin a run which nobody in the commit announces. The rules would
/// refuse them one by one; a parent that is lost takes any number of children with it.
pub(super) fn drop_orphans<'a>(pieces: &mut Vec<Piece<'a>>) -> Vec<(Piece<'a>, &'static str)> {
    let mut here: HashSet<RunId> = pieces.iter().map(|piece| piece.id).collect();
    let mut orphans = vec![];
    loop {
        let before = orphans.len();
        pieces.retain(|piece| match piece.origin.announced_by() {
            Some((run, why)) if !here.contains(&run) => {
                here.remove(&piece.id);
                orphans.push((piece.clone(), why));
                false
            }
            _ => true,
        });
        if orphans.len() == before {
            return orphans;
        }
    }
}

/// Writes the payload of a commit: batches in the order of their runs' numbers, of which those
/// that begin get the next ones, and rows.
pub(super) fn assemble(
    payload: &mut Buffer,
    pieces: &[Piece<'_>],
    rows: &[&[u8]],
    mut next_new: u32,
) {
    payload.clear();
    for Piece { batch, events, origin, .. } in pieces {
        let (number, previous) = match origin {
            Origin::Follows { number, previous } => (*number, *previous),
            Origin::Starts(_) => (next_new, Position::START),
            Origin::Resets { previous, .. } => (next_new, *previous),
        };
        next_new = next_new.saturating_add(u32::from(origin.number().is_none()));
        let Batch { first_event, count, run_bytes, .. } = *batch;
        write_batch_header(payload, number, first_event, count, previous, run_bytes);
        payload.extend_from_slice(events);
    }
    rows.iter().for_each(|row| payload.extend_from_slice(row));
}
