//! The bytes of one segment, with unreadable ranges noted.

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::bytes::{dirty_end, wide};
use crate::disk::{Disk, OpenMode};
use crate::event::Buffer;

/// After a failed read, each page of this size is read by itself.
const PAGE_BYTES: usize = 4096;

/// A segment in memory, zero where it cannot be read.
#[derive(Default)]
pub(super) struct Image {
    pub(super) bytes: Buffer,
    /// Ranges that could not be read, in order.
    unread: Vec<Unread>,
}

/// A range that could not be read.
struct Unread {
    range: Range<usize>,
    what: &'static str,
}

impl Image {
    /// Reads the `len` bytes of a segment from a file of `size` bytes.
    pub(super) fn load(&mut self, disk: &dyn Disk, path: &Path, size: u64, len: usize) {
        self.bytes.clear();
        self.bytes.resize(len, 0);
        self.unread.clear();
        let there = usize::try_from(size).unwrap_or(usize::MAX).min(len);
        if self.read(disk, path, 0..there).is_err() {
            for start in (0..there).step_by(PAGE_BYTES) {
                let page = start..there.min(start + PAGE_BYTES);
                if self.read(disk, path, page.clone()).is_err() {
                    self.note_unread(page, "the system cannot read it");
                }
            }
        }
        if there < len {
            self.note_unread(there..len, "the file ends before");
        }
    }

    fn read(&mut self, disk: &dyn Disk, path: &Path, range: Range<usize>) -> io::Result<()> {
        let file = disk.open(path, OpenMode::Read)?;
        let offset = wide(range.start);
        file.read_at(self.bytes.get_mut(range).unwrap_or_default(), offset)
    }

    fn note_unread(&mut self, range: Range<usize>, what: &'static str) {
        // A failed read may have changed the buffer.
        self.bytes.get_mut(range.clone()).unwrap_or_default().fill(0);
        match self.unread.last_mut() {
            Some(last) if last.range.end == range.start && last.what == what => {
                last.range.end = range.end;
            }
            _ => self.unread.push(Unread { range, what }),
        }
    }

    /// Why some byte of `range` could not be read; `None` if all were read.
    pub(super) fn unread(&self, range: &Range<usize>) -> Option<&'static str> {
        let overlaps =
            |unread: &&Unread| unread.range.start < range.end && range.start < unread.range.end;
        self.unread.iter().find(overlaps).map(|unread| unread.what)
    }

    /// The offset after the last byte from `from` on that is not zero or could not be read; `from` if there
    /// is none.
    pub(super) fn dirty_end(&self, from: usize) -> usize {
        let unread = self.unread.last().map_or(from, |unread| unread.range.end);
        dirty_end(&self.bytes, from).max(unread)
    }
}
