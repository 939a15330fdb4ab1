//! Single events out of batches.

use super::lineage::holder;
use crate::error::{Error, Result};
use crate::event::{Event, Malformed};
use crate::id::Position;
use crate::index::Index;
use crate::log::files::View;

/// Where one event lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventRef {
    /// The run that the batch belongs to.
    run: u32,
    batch: Position,
    event: u32,
}

/// Where the last event was found in its batch: who reads a batch's events one by one, in order,
/// does not begin anew each time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchCursor {
    batch: Position,
    event: u32,
    bytes: usize,
}

impl EventRef {
    /// An event of the run `number`, in the batch at `batch`.
    pub(crate) fn of(index: &Index, number: u32, batch: Position, event: u32) -> Self {
        EventRef { run: holder(index, number, event), batch, event }
    }

    /// The error that says that the event is not of the kind that it should be.
    pub(crate) fn unexpected(&self, view: &View) -> Error {
        view.corrupt(self.batch, "an event is of another kind than it should be", 0, 0)
    }
}

impl BatchCursor {
    /// The event at `spot`.
    pub(crate) fn read<'v>(&mut self, view: &'v View, spot: EventRef) -> Result<Event<'v>> {
        let batch = view.batch(spot.batch, spot.run)?;
        let goes_on =
            self.batch == spot.batch && (batch.first_event..=spot.event).contains(&self.event);
        if !goes_on {
            *self = BatchCursor { batch: spot.batch, event: batch.first_event, bytes: 0 };
        }
        for event in batch.raw_events_from(self.event, self.bytes) {
            let (id, raw) = event.map_err(|Malformed| malformed(view, spot))?;
            if id == spot.event {
                return Event::check(id, raw).map_err(|Malformed| malformed(view, spot));
            }
            self.event = id + 1;
            self.bytes = self.bytes.saturating_add(usize::try_from(raw.size).unwrap_or(usize::MAX));
        }
        Err(view.corrupt(spot.batch, "a batch does not hold the event that it should", 0, 0))
    }
}

fn malformed(view: &View, spot: EventRef) -> Error {
    view.corrupt(spot.batch, "an event is malformed", 0, 0)
}
