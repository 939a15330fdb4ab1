//! Collects the positions of a run's batches along the chain of links to earlier batches, in several legs at
//! once: the memory of all legs is fetched in parallel (prefetch).

use crate::error::Result;
use crate::id::Position;
use crate::index::Waypoint;
use crate::log::files::View;

/// A walk in legs. Each goes from a batch back to where the next leg begins, the last one to the end of the walk.
/// Only the last one may be longer than a stride.
pub(crate) struct BackwardWalk {
    /// The current batch of each leg, the one from the end of the run first.
    at: Vec<Position>,
    /// Where each leg but the last ends.
    ends: Vec<Position>,
    stride: usize,
}

impl BackwardWalk {
    /// A walk back from the batch `last` past `waypoints`, which are in order, at most `stride` batches apart
    /// and before `last`.
    pub(crate) fn new(last: Position, waypoints: &[Waypoint], stride: u32) -> Self {
        let ends: Vec<_> = waypoints.iter().rev().map(|point| point.batch).collect();
        let at = std::iter::once(last).chain(ends.iter().copied()).collect();
        BackwardWalk { at, ends, stride: usize::try_from(stride).unwrap_or(usize::MAX) }
    }

    /// The position of each batch back to the one that holds the event `from`, the last one first.
    pub(crate) fn walk(&mut self, view: &View, from: u32) -> Result<Vec<Position>> {
        // Each leg has a row of this. Entries that stay empty are removed at the end.
        let rows = self.ends.len() * self.stride;
        let mut found = Vec::with_capacity(rows + self.stride);
        found.resize(rows, Position::START);
        let mut unfinished = true;
        for step in 0.. {
            if !unfinished {
                break;
            }
            unfinished = false;
            // The memory of all legs, before any of it is waited for (prefetch).
            self.at.iter().for_each(|at| view.prefetch(*at));
            for (leg, end) in self.ends.iter().enumerate() {
                let Some(at) = self.at.get_mut(leg).filter(|at| *at != end) else { continue };
                let entry = found.get_mut(leg * self.stride + step).filter(|_| step < self.stride);
                let Some(entry) = entry else {
                    return Err(view.corrupt(*at, "a batch's link misses the run's batches", 0, 0));
                };
                *entry = *at;
                *at = view.link(*at)?.1;
                unfinished = true;
            }
            if let Some(at) = self.at.last_mut().filter(|at| **at != Position::START) {
                found.push(*at);
                let (first_event, previous) = view.link(*at)?;
                *at = if first_event <= from { Position::START } else { previous };
                unfinished = true;
            }
        }
        found.retain(|at| *at != Position::START);
        Ok(found)
    }
}
