//! Reading the bytes of segments in chunks, through one buffer.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bytes::dirty_end;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result};
use crate::event::Buffer;
use crate::id::Position;
use crate::log::files::header_of;
use crate::log::format::{
    CompactedFrames, Fault, Frame, HEADER_BYTES, Paths, SegmentHeader, corrupt, frame,
};

/// Bytes that are read at once: few enough to stay in a processor's cache until they are looked at.
const CHUNK_BYTES: usize = 256 << 10;
/// How much is looked at of free space in which nothing can have been acknowledged.
const FREE_BYTES: usize = 64 << 10;
/// Reads begin at multiples of it, so that what is aligned in the file is aligned in memory.
const PAGE_BYTES: usize = 4096;

/// Reads one segment after the other, by `read`, so that a bad sector is an error and not a SIGBUS.
pub(super) struct SegmentReader<'a> {
    disk: &'a dyn Disk,
    paths: &'a Paths,
    buffer: Buffer,
}

impl<'a> SegmentReader<'a> {
    pub(super) fn new(disk: &'a dyn Disk, paths: &'a Paths) -> Self {
        SegmentReader { disk, paths, buffer: Buffer::new() }
    }

    /// Opens the segment that has this header, or what a compaction has made of it since that was read.
    pub(super) fn open(&mut self, header: &SegmentHeader) -> Result<OpenSegment<'_>> {
        let path = self.paths.segment(header.number);
        let file = self.disk.open(&path, OpenMode::Read);
        let file = file.map_err(|e| Error::io("read", &path, e))?;
        let found = header_of(file.as_ref(), &path, header.number, &header.identity)?;
        if !found.is_same(header) {
            return Err(corrupt(&path, 0, "the segment is not the one that is open", 0, 0));
        }
        self.buffer.clear();
        Ok(OpenSegment { header: found, path, file, buffer: &mut self.buffer, start: 0 })
    }
}

/// A segment that is being read, at any offset, but best in order.
pub(super) struct OpenSegment<'a> {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// The bytes that were read last. Grows where one frame is longer than a chunk.
    buffer: &'a mut Buffer,
    /// The offset of the first of them.
    start: usize,
}

impl OpenSegment<'_> {
    /// The frame at a position in the segment, verified.
    pub(super) fn frame(&mut self, position: Position) -> Result<Result<Frame<'_>, Fault>> {
        let segment = self.header;
        let (_, offset) = segment.identity.locate(position);
        let bytes = self.bytes(offset, HEADER_BYTES)?;
        let header = match frame::verify_header(bytes, segment.scope(), position) {
            Ok(header) => header,
            Err(fault) => return Ok(Err(fault)),
        };
        let bytes = self.bytes(offset, header.frame_bytes())?;
        Ok(Frame::verify_payload(header, bytes, position))
    }

    /// The frames of a segment that was compacted, which is read whole.
    pub(super) fn compacted(&mut self) -> Result<Result<CompactedFrames<'_>, Fault>> {
        self.start = 0;
        self.buffer.resize(self.header.stored_len(), 0);
        let read = self.file.read_at(self.buffer, 0);
        read.map_err(|e| Error::io("read", &self.path, e))?;
        Ok(CompactedFrames::new(self.header, self.buffer))
    }

    /// From `from` to the last byte that is not zero; `None` if all are zero.
    pub(super) fn dirty(&mut self, from: usize) -> Result<Option<Range<usize>>> {
        let (mut at, mut end) = (from, from);
        while at < self.header.file_len() {
            let bytes = self.bytes(at, 1)?;
            let (read, dirty) = (bytes.len(), dirty_end(bytes, 0));
            if dirty > 0 {
                end = at + dirty;
            }
            at += read;
        }
        Ok((end > from).then_some(from..end))
    }

    /// Whether the bytes from `offset` on look like free space, by the first of them.
    pub(super) fn begins_free(&mut self, offset: usize) -> Result<bool> {
        let bytes = self.bytes(offset, FREE_BYTES)?;
        Ok(dirty_end(bytes.get(..FREE_BYTES).unwrap_or(bytes), 0) == 0)
    }

    /// All bytes from `offset` on.
    pub(super) fn rest(&mut self, offset: usize) -> Result<&[u8]> {
        self.bytes(offset, self.header.file_len().saturating_sub(offset))
    }

    /// The bytes from `offset` on: `len` of them and perhaps more, fewer only where the segment ends before.
    fn bytes(&mut self, offset: usize, len: usize) -> Result<&[u8]> {
        let left = self.header.file_len().saturating_sub(offset);
        if left == 0 {
            return Ok(&[]);
        }
        let len = len.clamp(1, left);
        if offset < self.start || offset + len > self.start + self.buffer.len() {
            self.read(offset, len)?;
        }
        Ok(self.buffer.get(offset - self.start..).unwrap_or_default())
    }

    /// Reads a chunk in which `len` bytes from `offset` on are.
    fn read(&mut self, offset: usize, len: usize) -> Result<()> {
        self.start = offset - offset % PAGE_BYTES;
        let end = (offset + len).max(self.start + CHUNK_BYTES).min(self.header.file_len());
        self.buffer.resize(end - self.start, 0);
        self.file
            .read_at(self.buffer, self.start as u64)
            .map_err(|e| Error::io("read", &self.path, e))
    }
}

#[cfg(test)]
mod tests {
    use kinlog_testing::Rng;

    use super::*;
    use crate::disk::FileSystem;
    use crate::log::format::Identity;

    const LEN: usize = 3 * CHUNK_BYTES + 2 * PAGE_BYTES;

    fn with_segment(content: &[u8], test: impl FnOnce(OpenSegment<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { root: dir.path().to_owned() };
        std::fs::create_dir(paths.log()).unwrap();
        let file_bytes = u32::try_from(content.len()).unwrap();
        let identity = Identity { store: [7; 16], segment_bytes: file_bytes };
        let salt = [3; 16];
        let header =
            SegmentHeader { identity, number: 0, epoch: 1, salt, file_bytes, compacted: None };
        let mut file = content.to_vec();
        file[..PAGE_BYTES].copy_from_slice(&header.encode());
        std::fs::write(paths.segment(0), file).unwrap();
        let disk = FileSystem::new();
        test(SegmentReader::new(&disk, &paths).open(&header).unwrap());
    }

    #[test]
    fn the_bytes_are_those_of_the_file_in_any_order() {
        let content: Vec<u8> = (0..LEN).map(|at| u8::try_from(at % 251).unwrap()).collect();
        with_segment(&content, |mut segment| {
            let mut content = content.clone();
            content[..PAGE_BYTES].copy_from_slice(&segment.header.encode());
            let mut rng = Rng::new(7);
            for _ in 0..500 {
                let offset = rng.below(LEN + 8);
                let bits = rng.below(21);
                let len = rng.below(1 << bits);
                let bytes = segment.bytes(offset, len).unwrap();
                let file = content.get(offset..).unwrap_or_default();
                assert!(bytes.len() >= len.min(file.len()) && file.starts_with(bytes));
                if rng.chance(2) {
                    assert_eq!(segment.rest(offset).unwrap(), file);
                }
            }
        });
    }

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_in_any_chunk() {
        let edges = [1, PAGE_BYTES, CHUNK_BYTES, 2 * CHUNK_BYTES + PAGE_BYTES, LEN];
        let places = edges.iter().flat_map(|edge| [edge - 1, *edge]);
        let places = places.filter(|at| (PAGE_BYTES..LEN).contains(at));
        for at in places {
            let mut content = vec![0; LEN];
            content[at] = 1;
            content[PAGE_BYTES + (at - PAGE_BYTES) / 2] = 1;
            with_segment(&content, |mut segment| {
                for from in [PAGE_BYTES, PAGE_BYTES + (at - PAGE_BYTES) / 3, at, at + 1, LEN] {
                    let expected = (from <= at).then_some(from..at + 1);
                    assert_eq!(segment.dirty(from).unwrap(), expected, "{at}");
                }
            });
        }
    }
}
