//! A mapped file whose blocks are verified when they are first read.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bytes::{u32_at, wide};
use crate::disk::MappedFile;
use crate::error::{Corruption, Error, Result};
use crate::sync::atomic::{AtomicU64, Ordering};

/// Bytes that one checksum covers, of the data and of the table of checksums.
pub(super) const BLOCK_BYTES: usize = 4096;
pub(super) const SUM_BYTES: usize = 4;
const SUMS_PER_BLOCK: usize = BLOCK_BYTES / SUM_BYTES;

/// [`Error::Corrupt`] at `offset` of a file.
#[cold]
pub(super) fn corrupt(
    path: &Path,
    offset: usize,
    what: &'static str,
    expected: u64,
    found: u64,
) -> Error {
    let (path, offset) = (path.to_owned(), wide(offset));
    Error::Corrupt(Box::new(Corruption { path, offset, what, expected, found, runs: vec![] }))
}

/// The parts of a file: data, the table of its blocks' checksums, the checksums of that table's blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) data: usize,
    pub(super) table: usize,
    pub(super) sums: usize,
}

impl Parts {
    /// The lengths of the parts for so many bytes of data.
    pub(super) fn of(data: usize) -> Self {
        let table = data.div_ceil(BLOCK_BYTES) * SUM_BYTES;
        Parts { data, table, sums: table.div_ceil(BLOCK_BYTES) * SUM_BYTES }
    }
}

/// The data of a file, and which of its blocks have been verified.
pub(super) struct CheckedFile {
    pub(super) path: PathBuf,
    map: MappedFile,
    parts: Parts,
    data_checked: Bits,
    table_checked: Bits,
}

impl CheckedFile {
    /// A file whose checksums of the table have been verified.
    pub(super) fn new(path: PathBuf, map: MappedFile, parts: Parts) -> Self {
        let data_checked = Bits::new(parts.table / SUM_BYTES);
        let table_checked = Bits::new(parts.sums / SUM_BYTES);
        CheckedFile { path, map, parts, data_checked, table_checked }
    }

    /// Bytes of the data, all of which lie in blocks that match their checksums.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> Result<&[u8]> {
        let Some(bytes) = self.map.bytes(range.clone()).filter(|_| range.end <= self.parts.data)
        else {
            return Err(self.beyond(range.end));
        };
        if let Some(last) = range.end.checked_sub(1) {
            for block in range.start / BLOCK_BYTES..=last / BLOCK_BYTES {
                if !self.data_checked.has(block) {
                    self.check_data(block)?;
                }
            }
        }
        Ok(bytes)
    }

    /// Verifies every block.
    pub(super) fn check_all(&self) -> Result<()> {
        (0..self.parts.sums / SUM_BYTES).try_for_each(|block| self.check_table(block))?;
        (0..self.parts.table / SUM_BYTES).try_for_each(|block| self.check_data(block))
    }

    #[cold]
    fn check_data(&self, block: usize) -> Result<()> {
        let table_block = block / SUMS_PER_BLOCK;
        if !self.table_checked.has(table_block) {
            self.check_table(table_block)?;
        }
        let start = block * BLOCK_BYTES;
        let end = self.parts.data.min(start + BLOCK_BYTES);
        self.check(start..end, self.parts.data + block * SUM_BYTES)?;
        self.data_checked.set(block);
        Ok(())
    }

    #[cold]
    fn check_table(&self, block: usize) -> Result<()> {
        let table_end = self.parts.data + self.parts.table;
        let start = self.parts.data + block * BLOCK_BYTES;
        let end = table_end.min(start + BLOCK_BYTES);
        self.check(start..end, table_end + block * SUM_BYTES)?;
        self.table_checked.set(block);
        Ok(())
    }

    /// Compares bytes of the file with the checksum that lies at `sum_at`.
    fn check(&self, range: Range<usize>, sum_at: usize) -> Result<()> {
        let start = range.start;
        let bytes = self.map.bytes(range).ok_or_else(|| self.beyond(start))?;
        let sum = self.map.bytes(sum_at..sum_at + SUM_BYTES).and_then(|sum| u32_at(sum, 0));
        let expected = sum.ok_or_else(|| self.beyond(sum_at))?;
        let found = crc32fast::hash(bytes);
        if found == expected {
            return Ok(());
        }
        Err(self.corrupt(
            start,
            "a block does not match its checksum",
            expected.into(),
            found.into(),
        ))
    }

    #[cold]
    fn beyond(&self, end: usize) -> Error {
        let what = "something is said to lie beyond the data of the file";
        self.corrupt(self.parts.data, what, wide(self.parts.data), wide(end))
    }

    pub(super) fn corrupt(
        &self,
        offset: usize,
        what: &'static str,
        expected: u64,
        found: u64,
    ) -> Error {
        corrupt(&self.path, offset, what, expected, found)
    }
}

/// Bits that are set once and by any thread. What they vouch for never changes, so that no order is needed.
struct Bits(Box<[AtomicU64]>);

impl Bits {
    fn new(len: usize) -> Self {
        Bits((0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    fn has(&self, bit: usize) -> bool {
        let word = self.0.get(bit / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (bit % 64)) != 0)
    }

    fn set(&self, bit: usize) {
        if let Some(word) = self.0.get(bit / 64) {
            word.fetch_or(1 << (bit % 64), Ordering::Relaxed);
        }
    }
}
