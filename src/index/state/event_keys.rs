//! Keys of events: an engine's own numbers for them, in a table of the store's.

use crate::bytes::{array_at, u32_at};
use crate::id::RunId;

/// The table that holds them: key the run's id and the event's key, a `u64`; value the event's id, a `u32`.
pub(crate) const EVENT_KEYS_TABLE: &str = "kinlog.keys";

/// The key of the row of an event's key.
pub(crate) fn event_key_row(run: &RunId, key: u64) -> [u8; 24] {
    let mut row = [0; 24];
    let (of, number) = row.split_at_mut(16);
    of.copy_from_slice(run.as_bytes());
    number.copy_from_slice(&key.to_le_bytes());
    row
}

/// The event's id that such a row holds.
pub(crate) fn event_in_row(value: &[u8]) -> Option<u32> {
    u32_at(value, 0)
}

/// The run and the event that a row of the table names.
pub(crate) fn event_of_row(key: &[u8], value: &[u8]) -> Option<(RunId, u32)> {
    Some((RunId::from_bytes(array_at(key, 0)?), event_in_row(value)?))
}
