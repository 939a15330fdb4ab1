//! What becomes of each part of a commit.

use crate::error::Result;
use crate::event::{Buffer, Left, Malformed, encode_left};
use crate::log::format::{BATCH_HEADER_BYTES, Batch, HOLE_BYTES_MIN, Put};

/// What a compaction leaves of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Keep,
    Drop,
    /// This of each of its events.
    Shrink(Vec<Left>),
}

/// Knows what is dead.
pub(crate) trait Judge {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Fate>;
    /// Whether a row is kept; a deletion of one if `row` has no value.
    fn keeps_row(&mut self, row: &Put<'_>) -> Result<bool>;
}

/// The batch in `bytes` with what is left of its events; `None` if that would not make it smaller by enough to be told.
pub(super) fn shrunk(
    batch: &Batch<'_>,
    bytes: &[u8],
    left: &[Left],
) -> std::result::Result<Option<Buffer>, Malformed> {
    let mut shrunk = Buffer::new();
    shrunk.extend_from_slice(bytes.get(..BATCH_HEADER_BYTES).ok_or(Malformed)?);
    for (event, left) in batch.raw_events().zip(left) {
        encode_left(&event?.1, *left, &mut shrunk);
    }
    Ok((shrunk.len() + HOLE_BYTES_MIN <= bytes.len()).then_some(shrunk))
}
