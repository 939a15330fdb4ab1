//! A compacted segment: what is left of a full one, piece by piece, each under the position that it had.
//!
//! ```text
//! 0        header page: that of the segment, with another magic number, and what was compacted
//! 4096     pieces, in any order
//! …        table: for each piece, in order of its position
//!          at u32 its offset in the segment as it was · len u32 · place u32 its offset in this file
//! ```
//!
//! A frame of which everything is left has the bytes that it had. One of which something was dropped is *cut*: its
//! header says how many batches are left, and its trailer is the checksum of the bytes that are left.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::batch::mark_hole;
use super::frame::{self, Fault, Frame, FrameKind, HEADER_BYTES, Header, TRAILER_BYTES};
use super::packed::Blocks;
use super::pieces::{Piece, PieceTable};
use super::segment::SegmentHeader;
use crate::bytes::{in_memory, u32_at};
use crate::event::Buffer;
use crate::id::Position;

/// The frames of a compacted segment in order, each put together from its pieces.
pub(crate) struct CompactedFrames<'a> {
    header: SegmentHeader,
    /// As it is unpacked.
    file: Cow<'a, [u8]>,
    table: Range<usize>,
    blocks: Blocks,
    next: usize,
    payload: Buffer,
}

impl<'a> CompactedFrames<'a> {
    /// `file` is the whole file, whose header is `header`. [`Fault::Table`] if its table is not sound, [`Fault::Blocks`] if
    /// it is packed and damaged.
    pub(crate) fn new(header: SegmentHeader, file: &'a [u8]) -> Result<Self, Fault> {
        let (frames, damaged) = Self::of_damaged(header, file)?;
        damaged.map_or(Ok(frames), |offset| Err(Fault::Blocks { offset }))
    }

    /// The same of a packed segment some of whose blocks may be damaged, or their table: they are zeros, which are part of no
    /// frame that verifies. And where the first one is that is, or the table.
    pub(crate) fn of_damaged(
        header: SegmentHeader,
        file: &'a [u8],
    ) -> Result<(Self, Option<usize>), Fault> {
        let compacted = header.compacted.ok_or(Fault::Pieces)?;
        let table = compacted.table();
        let stored_table = PieceTable::new(file.get(table.clone()).unwrap_or_default());
        if !stored_table.is_sound(&compacted, header.file_bytes) {
            return Err(Fault::Table { offset: table.start });
        }
        let offset = compacted.block_table().start;
        let found = Blocks::of(&compacted, file);
        let table_damaged = found.is_none().then_some(offset);
        let blocks = found.unwrap_or_else(|| Blocks::lost(&compacted));
        let (file, damaged) = blocks.unpack(&compacted, file);
        let damaged = table_damaged.or(damaged);
        let (table, payload) = (compacted.unpacked_table(), Buffer::new());
        Ok((CompactedFrames { header, file, table, blocks, next: 0, payload }, damaged))
    }

    fn table(&self) -> PieceTable<'_> {
        PieceTable::new(self.file.get(self.table.clone()).unwrap_or_default())
    }

    /// Leaves out the frames before a position.
    pub(crate) fn skip_to(&mut self, position: Position) {
        let first = self.header.identity.first_byte(self.header.number).as_u64();
        let offset = position.as_u64().saturating_sub(first);
        self.next = self.table().search(usize::try_from(offset).unwrap_or(usize::MAX));
    }

    /// The frame of the commit at a position; `None` if nothing of it is left. The next frame is the one behind it.
    pub(crate) fn at(&mut self, position: Position) -> Result<Option<Frame<'_>>, Fault> {
        self.skip_to(position);
        if self.position() != Some(position) {
            return Ok(None);
        }
        let frame = self.next().transpose()?;
        Ok(frame.filter(|frame| frame.header.kind == FrameKind::Commit))
    }

    /// Where the next frame begins; `None` after the last one.
    pub(crate) fn position(&self) -> Option<Position> {
        let piece = self.table().get(self.next)?;
        Some(self.header.identity.first_byte(self.header.number).plus(piece.at.into()))
    }

    /// The next frame, whose checksums are verified; `None` after the last one.
    pub(crate) fn next(&mut self) -> Option<Result<Frame<'_>, Fault>> {
        let position = self.position()?;
        Some(self.frame(position))
    }

    /// Leaves out pieces from that at `position` on, up to the next that begins with the header of a frame; returns
    /// where they are in the file. To be called after a fault in the frame at `position`.
    pub(crate) fn pass_damaged(&mut self, position: Position) -> Vec<Range<usize>> {
        self.skip_to(position);
        let mut passed = vec![];
        while let (Some(piece), Some(position)) = (self.table().get(self.next), self.position()) {
            let bytes = bytes_of(&self.file, piece);
            let begins = frame::verify_header(bytes, self.header.scope(), position);
            if begins.is_ok() && !passed.is_empty() {
                break;
            }
            passed.push(self.blocks.stored(piece.places()));
            self.next += 1;
        }
        // Many are of one block.
        passed.dedup();
        passed
    }

    fn frame(&mut self, position: Position) -> Result<Frame<'_>, Fault> {
        let first = self.table().get(self.next).ok_or(Fault::Pieces)?;
        let bytes = bytes_of(&self.file, first);
        let header = frame::verify_header(bytes, self.header.scope(), position)?;
        let end = in_memory(first.at) + header.frame_bytes();
        match first.end().cmp(&end) {
            Ordering::Less => self.assemble(header, in_memory(first.at), end, position),
            Ordering::Equal => {
                self.next += 1;
                Frame::verify_payload(header, bytes_of(&self.file, first), position)
            }
            // A piece is no more than a frame.
            Ordering::Greater => Err(Fault::Pieces),
        }
    }

    /// A frame that is several pieces.
    fn assemble(
        &mut self,
        header: Header,
        start: usize,
        end: usize,
        position: Position,
    ) -> Result<Frame<'_>, Fault> {
        let (mut at, mut cut) = (start, false);
        let mut check = crc32fast::Hasher::new_with_initial(0);
        let mut found = 0;
        self.payload.clear();
        while at < end {
            let piece = self.table().get(self.next).filter(|piece| piece.end() <= end);
            let piece = piece.ok_or(Fault::Pieces)?;
            let mut bytes = bytes_of(&self.file, piece);
            let offset = in_memory(piece.at);
            if offset > at {
                cut = true;
                mark_hole(&mut self.payload, offset - at).ok_or(Fault::Pieces)?;
            }
            if offset == start {
                check = crc32fast::Hasher::new_with_initial(u32_at(bytes, 0).unwrap_or_default());
                bytes = bytes.get(HEADER_BYTES..).ok_or(Fault::Pieces)?;
            }
            if piece.end() == end {
                let payload = bytes.len().checked_sub(TRAILER_BYTES).ok_or(Fault::Pieces)?;
                found = u32_at(bytes, payload).unwrap_or_default();
                bytes = bytes.get(..payload).unwrap_or_default();
            }
            check.update(bytes);
            self.payload.extend_from_slice(bytes);
            at = piece.end();
            self.next += 1;
        }
        let expected = check.finalize().max(1);
        if found != expected || self.payload.len() != header.payload_bytes {
            return Err(Fault::PayloadDamaged { header, expected, found });
        }
        Ok(Frame { header, position, payload: &self.payload, checksum: found, cut })
    }
}

fn bytes_of(file: &[u8], piece: Piece) -> &[u8] {
    file.get(piece.places()).unwrap_or_default()
}
