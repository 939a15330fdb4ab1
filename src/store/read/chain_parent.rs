//! The relation of which a chain is the child, as of one position.

use super::lineage::run_of_event;
use crate::id::{ChainNumber, Position, RunNumber};
use crate::index::Index;

/// The run that has the chain as its child for a reader at `end`, and its Initiated event.
pub(crate) fn relation_of_chain(
    index: &Index,
    end: Position,
    chain: ChainNumber,
) -> Option<(RunNumber, u32)> {
    let held = index.chains.get(chain)?.parent?;
    let latest = index.runs.get(held.parent)?;
    let initiated = index.runs.relation(held)?.initiated;
    if latest.first_batch < end {
        return Some((held.parent, initiated));
    }
    // Resets after the reader's position have moved it. Follow the moves that it sees, from the run that
    // initiated the child.
    let mut run = run_of_event(index, held.parent, initiated);
    loop {
        let (_, relation) = index.runs.relation_of(run, initiated)?;
        match relation.moved {
            // A reset creates a run with a higher number, so this ends.
            Some((at, next)) if at < end && next > run => run = next,
            _ => return Some((run, initiated)),
        }
    }
}
