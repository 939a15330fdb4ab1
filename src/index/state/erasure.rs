//! Erased runs: deleted ones that the index forgets, and the table that says so in the log.

use std::collections::BTreeSet;

use crate::bytes::u32_at;
use crate::event::Malformed;
use crate::id::RunNumber;
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
