//! Reading single events.

use super::lineage::{run_of_event, run_of_forked_event};
use crate::error::{Error, Result};
use crate::event::{Event, Malformed};
use crate::id::{Position, RunNumber};
use crate::index::{Index, Run};
use crate::log::files::View;

/// The location of one event in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventRef {
    /// The run of the batch.
    run: RunNumber,
    /// The position of the batch.
    batch: Position,
    event: u32,
}

/// Remembers where the last event was found in its batch. Reading the events of one batch in order then does not
/// scan it from the start each time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchCursor {
    batch: Position,
    event: u32,
    bytes: usize,
}

impl EventRef {
    /// An event of the run `number`, in the batch at `batch`.
    pub(crate) fn of(index: &Index, number: RunNumber, batch: Position, event: u32) -> Self {
        EventRef { run: run_of_event(index, number, event), batch, event }
    }

    /// The same of a run that is known.
    pub(super) fn of_run(
        index: &Index,
        (number, run): (RunNumber, &Run),
        batch: Position,
        event: u32,
    ) -> Self {
        let fork = run.fork.as_deref().copied();
        EventRef { run: run_of_forked_event(index, number, fork, event), batch, event }
    }

    /// The error for an event that is of another kind than expected.
    pub(crate) fn unexpected(&self, view: &View) -> Error {
        view.corrupt(self.batch, "an event is of another kind than it should be", 0, 0)
    }
}

impl BatchCursor {
    /// The event at `at`.
    pub(crate) fn read<'v>(&mut self, view: &'v View, at: EventRef) -> Result<Event<'v>> {
        let batch = view.batch(at.batch, at.run)?;
        let continues =
            self.batch == at.batch && (batch.first_event..=at.event).contains(&self.event);
        if !continues {
            *self = BatchCursor { batch: at.batch, event: batch.first_event, bytes: 0 };
        }
        for event in batch.raw_events_from(self.event, self.bytes) {
            let (id, raw) = event.map_err(|Malformed| malformed(view, at))?;
            if id == at.event {
                return Event::check(id, raw).map_err(|Malformed| malformed(view, at));
            }
            self.event = id + 1;
            self.bytes = self.bytes.saturating_add(usize::try_from(raw.size).unwrap_or(usize::MAX));
        }
        Err(view.corrupt(at.batch, "a batch does not hold the event that it should", 0, 0))
    }
}

fn malformed(view: &View, at: EventRef) -> Error {
    view.corrupt(at.batch, "an event is malformed", 0, 0)
}
