//! A file that is written from its beginning to its end, with the checksums of its blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checked::BLOCK_BYTES;
use crate::bytes::wide;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result};

/// Bytes of a write.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes between two syncs. A commit's sync may have to wait for one of these.
const SYNC_BYTES: usize = 8 << 20;

/// The file being written.
pub(super) struct Output {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// What was not written yet, less than a chunk.
    buffer: Vec<u8>,
    written: usize,
    unsynced: usize,
    /// The checksums of the blocks that were written.
    sums: Vec<u32>,
}

impl Output {
    pub(super) fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let opened = disk.open(path, OpenMode::Create);
        let file = opened.map_err(|e| Error::io("create", path, e))?;
        let (path, buffer) = (path.to_owned(), Vec::with_capacity(CHUNK_BYTES));
        Ok(Output { file, path, buffer, written: 0, unsynced: 0, sums: vec![] })
    }

    /// How many bytes there are so far.
    pub(super) fn len(&self) -> usize {
        self.written + self.buffer.len()
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while self.buffer.len() + bytes.len() >= CHUNK_BYTES {
            let (now, later) = bytes.split_at(CHUNK_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(now);
            self.write()?;
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds zeros up to the next multiple of `to`.
    pub(super) fn pad(&mut self, to: usize) -> Result<()> {
        let zeros = self.len().next_multiple_of(to) - self.len();
        (0..zeros).try_for_each(|_| self.push(&[0]))
    }

    /// Writes what is in the buffer: whole blocks, but for the last call.
    fn write(&mut self) -> Result<()> {
        self.sums.extend(self.buffer.chunks(BLOCK_BYTES).map(crc32fast::hash));
        self.write_unchecked()?;
        if self.unsynced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn write_unchecked(&mut self) -> Result<()> {
        let written = self.file.write_at(&self.buffer, wide(self.written));
        written.map_err(|e| Error::io("write", &self.path, e))?;
        self.written += self.buffer.len();
        self.unsynced += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.unsynced = 0;
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))
    }

    /// Ends the data, and returns the checksums of its blocks.
    pub(super) fn end_data(&mut self) -> Result<Vec<u32>> {
        self.write()?;
        Ok(std::mem::take(&mut self.sums))
    }

    /// Writes what follows the data, and syncs the file. Returns its length.
    pub(super) fn finish(mut self, tail: &[&[u8]]) -> Result<u64> {
        for part in tail {
            self.buffer.extend_from_slice(part);
            self.write_unchecked()?;
        }
        self.sync()?;
        Ok(wide(self.written))
    }
}
