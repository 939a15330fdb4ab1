//! Where some of a run's batches lie: at most 32 of them, evenly spread. A reader that wants an event in the
//! middle starts next to it; one that wants all of them follows several parts of the way back at
//! once, as memory that is slow to come comes for all of them at the same time.

use crate::id::Position;
use crate::index::pack::{Pack, Unpack};
use crate::log::format::Batch;

/// How far apart waypoints are at first, in batches; the distance doubles as the run grows.
const STRIDE_MIN: u32 = 8;
const POINTS_MAX: u32 = 32;

/// A batch on the way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waypoint {
    /// The id of its first event.
    pub(crate) event: u32,
    pub(crate) batch: Position,
}

/// The waypoints of one run, which follow from how many batches it has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Waypoints {
    batches: u32,
    points: Vec<Waypoint>,
}

impl Waypoints {
    /// Those in order, from the first batch to the last.
    pub(crate) fn points(&self) -> &[Waypoint] {
        &self.points
    }

    /// How much memory they take beside themselves.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(self.points.as_slice())
    }

    /// The most batches from one waypoint to the one before it.
    pub(crate) fn stride(&self) -> u32 {
        self.batches.div_ceil(POINTS_MAX).next_power_of_two().max(STRIDE_MIN)
    }

    /// Appends their bytes; `first` is the position of the run's first batch.
    pub(super) fn encode(&self, first: Position, to: &mut Vec<u8>) {
        to.number(self.batches.into());
        let (mut event, mut batch) = (0, first);
        for point in &self.points {
            to.number((point.event - event).into());
            to.number(point.batch.as_u64() - batch.as_u64());
            (event, batch) = (point.event, point.batch);
        }
    }

    /// The waypoints that [`Waypoints::encode`] has appended.
    pub(super) fn decode(first: Position, from: &mut Unpack<'_>) -> Option<Self> {
        let mut waypoints = Waypoints { batches: from.narrow()?, points: vec![] };
        let (mut event, mut batch) = (0u32, first);
        for _ in 0..waypoints.batches / waypoints.stride() {
            event = event.checked_add(from.narrow()?)?;
            batch = Position::from_u64(batch.as_u64().checked_add(from.number()?)?);
            waypoints.points.push(Waypoint { event, batch });
        }
        Some(waypoints)
    }

    /// Takes in the run's next batch.
    pub(crate) fn pass(&mut self, batch: &Batch<'_>) {
        let before = self.stride();
        // No run has more batches than events, and those are numbered in a u32.
        self.batches += 1;
        if self.stride() > before {
            let mut even = true;
            self.points.retain(|_| {
                even = !even;
                even
            });
        }
        if self.batches.is_multiple_of(self.stride()) {
            self.points.push(Waypoint { event: batch.first_event, batch: batch.position });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunNumber;

    #[test]
    fn waypoints_are_few_and_evenly_spread() {
        let mut waypoints = Waypoints::default();
        for number in 1..=5_000u32 {
            let mut buffer = crate::event::Buffer::new();
            let previous = Position::from_u64(u64::from(number - 1) * 64);
            crate::log::format::write_batch_header(
                &mut buffer,
                RunNumber::FIRST,
                number,
                1,
                previous,
                16,
            );
            let position = Position::from_u64(u64::from(number) * 64);
            waypoints.pass(&Batch::parse(&buffer, position).unwrap());

            let stride = waypoints.stride();
            let events: Vec<_> = waypoints.points().iter().map(|point| point.event).collect();
            let expected: Vec<_> = (1..=number / stride).map(|place| place * stride).collect();
            assert_eq!(events, expected, "after {number} batches");
            assert!(events.len() <= POINTS_MAX as usize);
            assert!(stride == STRIDE_MIN || number > stride / 2 * POINTS_MAX);
        }
    }
}
