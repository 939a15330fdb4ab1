//! The way back along a run's batches, followed in several legs at once.

use crate::error::Result;
use crate::id::Position;
use crate::index::Waypoint;
use crate::log::files::View;

/// A way in legs: each leads from a batch back to where the next leg begins, the last one to where the
/// way ends. Only the last one may be longer than a stride.
pub(crate) struct BackwardWalk {
    /// Where each leg stands, the one from the end of the run first.
    at: Vec<Position>,
    /// Where each leg but the last ends.
    ends: Vec<Position>,
    stride: usize,
}

impl BackwardWalk {
    /// The way back from the batch `last` past `waypoints`, which are in order, at most `stride`
    /// batches apart and before `last`.
    pub(crate) fn new(last: Position, waypoints: &[Waypoint], stride: u32) -> Self {
        let ends: Vec<_> = waypoints.iter().rev().map(|point| point.batch).collect();
        let at = std::iter::once(last).chain(ends.iter().copied()).collect();
        BackwardWalk { at, ends, stride: usize::try_from(stride).unwrap_or(usize::MAX) }
    }

    /// Where each batch begins back to the one that holds the event `from`, the last one first.
    pub(crate) fn walk(&mut self, view: &View, from: u32) -> Result<Vec<Position>> {
        // A leg has a row of this; what stays empty is taken out at the end.
        let rows = self.ends.len() * self.stride;
        let mut found = Vec::with_capacity(rows + self.stride);
        found.resize(rows, Position::START);
        let mut under_way = true;
        for step in 0.. {
            if !under_way {
                break;
            }
            under_way = false;
            for (leg, end) in self.ends.iter().enumerate() {
                let Some(at) = self.at.get_mut(leg).filter(|at| *at != end) else { continue };
                let place = found.get_mut(leg * self.stride + step).filter(|_| step < self.stride);
                let Some(place) = place else {
                    return Err(view.corrupt(*at, "a batch's link misses the run's batches", 0, 0));
                };
                *place = *at;
                *at = view.link(*at)?.1;
                under_way = true;
            }
            if let Some(at) = self.at.last_mut().filter(|at| **at != Position::START) {
                found.push(*at);
                let (first_event, previous) = view.link(*at)?;
                *at = if first_event <= from { Position::START } else { previous };
                under_way = true;
            }
        }
        found.retain(|at| *at != Position::START);
        Ok(found)
    }
}
