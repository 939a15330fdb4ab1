//! Reading through a map: the only user of memmap2, and the only `unsafe` of the crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use super::DiskFile;

/// A file in memory, for reading. It hands out no bytes by itself.
#[derive(Debug)]
pub struct Map(MmapRaw);

impl Map {
    /// Maps the first `len` bytes of `file`, which must be at least that long.
    pub(super) fn of_file(file: &File, len: usize) -> io::Result<Self> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        MmapOptions::new().len(len).map_raw_read_only(file).map(Map)
    }
}

/// A file that is written through `pwrite` and read through a map, divided by a mark that only
/// rises: bytes below it are readable and never change again, bytes above it are writable.
pub(crate) struct MappedFile {
    file: Arc<dyn DiskFile>,
    map: Map,
    mark: AtomicUsize,
}

impl MappedFile {
    /// Divides `file`, mapped whole as `map`, at `mark`.
    pub(crate) fn new(file: Arc<dyn DiskFile>, map: Map, mark: usize) -> Self {
        let mark = AtomicUsize::new(mark.min(map.0.len()));
        MappedFile { file, map, mark }
    }

    /// The readable bytes in `range`; `None` if they are not all below the mark.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        let readable = range.start <= range.end && range.end <= self.mark();
        if !readable {
            return None;
        }
        // SAFETY: `range` lies within the map, as the mark never exceeds its length.
        let start = unsafe { self.map.0.as_ptr().add(range.start) };
        // SAFETY: the bytes are mapped for as long as `self` is borrowed, they are initialised
        // (they are a file's), and nobody changes them: `write_at` refuses offsets below the mark,
        // which never falls, and the store's lock keeps other writers out. A process that writes
        // to the file in spite of the lock breaks this; docs/safety.md says so.
        Some(unsafe { slice::from_raw_parts(start, range.len()) })
    }

    /// Up to where the file is readable.
    pub(crate) fn mark(&self) -> usize {
        self.mark.load(Ordering::Acquire)
    }

    /// Whether the whole file is readable.
    pub(crate) fn is_published_whole(&self) -> bool {
        self.mark() == self.map.0.len()
    }

    /// Makes everything up to `mark` readable, and final. A mark never falls.
    pub(crate) fn publish(&self, mark: usize) {
        self.mark.fetch_max(mark.min(self.map.0.len()), Ordering::Release);
    }

    /// Writes above the mark.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<()> {
        let end = offset.checked_add(bytes.len());
        if offset < self.mark() || end.is_none_or(|end| end > self.map.0.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file.write_at(bytes, offset as u64)
    }

    /// Returns when everything written is on the device.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
