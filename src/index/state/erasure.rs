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
/// Sums of such numbers are numbers, too.
const SIZE_MAX: u64 = (1 << 62) - 1;

/// What was erased of a chain in sum, as a row of the table says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ErasedSize {
    /// The first run of the chain.
    pub(crate) first: RunId,
    pub(crate) size: Size,
}

impl ErasedSize {
    /// So much of a chain, or the most that a row can say.
    pub(crate) fn new(first: RunId, Size { runs, events, bytes }: Size) -> Self {
        let [runs, events, bytes] = [runs, events, bytes].map(|number| number.min(SIZE_MAX));
        ErasedSize { first, size: Size { runs, events, bytes } }
    }

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
        let sound = [size.runs, size.events, size.bytes].iter().all(|number| *number <= SIZE_MAX);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Position;

    fn said(
        table: &str,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<ErasedSize>, Malformed> {
        let value = value.map(|value| (Position::START, value));
        ErasedSize::of(&Put { table, key, value })
    }

    #[test]
    fn a_size_is_said_as_it_is_and_in_no_other_form() {
        let first = RunId::from_bytes([7; 16]);
        let most = Size { runs: SIZE_MAX, events: SIZE_MAX, bytes: SIZE_MAX };
        let more = Size { runs: u64::MAX, events: u64::MAX, bytes: SIZE_MAX + 1 };
        let few = Size { runs: 1, events: 2, bytes: 3 };
        for (size, expected) in [(few, few), (most, most), (more, most)] {
            let (key, value) = ErasedSize::new(first, size).row();
            let said = said(ERASED_SIZES_TABLE, &key, Some(&value));
            assert_eq!(said.ok().flatten(), Some(ErasedSize { first, size: expected }));
        }
        let (key, value) = ErasedSize::new(first, few).row();
        assert!(matches!(said("rows", &key, Some(&value)), Ok(None)));
        let refused: [(&[u8], Option<&[u8]>); 5] = [
            (&key, None),
            (&key[1..], Some(&value)),
            (&key, Some(&value[8..])),
            (&key, Some(&[value, value].concat())),
            (&key, Some(&[0xff; SIZE_BYTES])),
        ];
        for (key, value) in refused {
            assert!(said(ERASED_SIZES_TABLE, key, value).is_err(), "{key:?} {value:?}");
        }
    }
}
