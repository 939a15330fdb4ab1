//! Erased runs: deleted ones that the index forgets, and the tables that say in the log which, and what is to be known of
//! them all the same.

use std::collections::BTreeSet;

use super::runs::Size;
use crate::bytes::{put, u32_at, u64_at};
use crate::event::Malformed;
use crate::id::{RunId, RunNumber};
use crate::log::format::Put;

/// The table of the runs that were erased: key the number of the first run of the row, value the numbers of all, ascending.
/// Its rows are read once, where they are in the log, and are no rows of the index.
pub(crate) const ERASED_TABLE: &str = "kinlog.erased";

const NUMBER_BYTES: usize = size_of::<u32>();

/// A row that erases runs.
pub(crate) struct Erasure<'a>(&'a [u8]);

impl<'a> Erasure<'a> {
    /// What a row says, if it is of the table.
    pub(crate) fn of(row: &Put<'a>) -> Result<Option<Self>, Malformed> {
        if row.table != ERASED_TABLE {
            return Ok(None);
        }
        let (_, numbers) = row.value.ok_or(Malformed)?;
        let erasure = Erasure(numbers);
        let sound = numbers.len() % NUMBER_BYTES == 0
            && numbers.get(..NUMBER_BYTES) == Some(row.key)
            && erasure.runs().is_sorted_by(|a, b| a < b);
        sound.then_some(Some(erasure)).ok_or(Malformed)
    }

    /// The runs, ascending.
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = RunNumber> {
        let numbers = self.0.chunks_exact(NUMBER_BYTES);
        numbers.filter_map(|number| u32_at(number, 0)).map(RunNumber::from_u32)
    }

    /// Key and value of the row that erases some runs.
    pub(crate) fn row(runs: &BTreeSet<RunNumber>) -> ([u8; NUMBER_BYTES], Vec<u8>) {
        let first = runs.first().map_or(0, |run| run.as_u32());
        let value = runs.iter().flat_map(|run| run.as_u32().to_le_bytes()).collect();
        (first.to_le_bytes(), value)
    }
}

/// The table of what was erased of the chains of children, as a child's size is that of all runs of its chain: key the id of the
/// chain's first run, value how many runs, events and bytes.
pub(crate) const ERASED_SIZES_TABLE: &str = "kinlog.erased_sizes";

const SIZE_BYTES: usize = 3 * size_of::<u64>();

/// What was erased of a chain in sum, as a row of the table says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ErasedSize {
    /// The first run of the chain.
    pub(crate) first: RunId,
    pub(crate) size: Size,
}

impl ErasedSize {
    /// What a row says, if it is of the table.
    pub(crate) fn of(row: &Put<'_>) -> Result<Option<Self>, Malformed> {
        if row.table != ERASED_SIZES_TABLE {
            return Ok(None);
        }
        let first = RunId::from_bytes(row.key.try_into().map_err(|_| Malformed)?);
        let (_, value) = row.value.ok_or(Malformed)?;
        let value: [u8; SIZE_BYTES] = value.try_into().map_err(|_| Malformed)?;
        let at = |at| u64_at(&value, at).ok_or(Malformed);
        let size = Size { runs: at(0)?, events: at(8)?, bytes: at(16)? };
        // Sums of them are numbers, too.
        let sound = [size.runs, size.events, size.bytes].iter().all(|number| *number < 1 << 62);
        sound.then_some(Some(ErasedSize { first, size })).ok_or(Malformed)
    }

    /// Key and value of the row that says so.
    pub(crate) fn row(&self) -> ([u8; 16], [u8; SIZE_BYTES]) {
        let mut value = [0; SIZE_BYTES];
        let Size { runs, events, bytes } = self.size;
        for (at, number) in [runs, events, bytes].into_iter().enumerate() {
            put(&mut value, at * size_of::<u64>(), &number.to_le_bytes());
        }
        (*self.first.as_bytes(), value)
    }
}
