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

use std::ops::Range;

use super::batch::mark_hole;
use super::frame::{self, Fault, Frame, FrameKind, HEADER_BYTES, Header, TRAILER_BYTES};
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::bytes::{in_memory, u32_at, wide};
use crate::event::Buffer;
use crate::id::Position;

/// Bytes of a piece in the table.
pub(crate) const PIECE_BYTES: usize = 12;

/// What the header of a compacted segment says besides that of the segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Compacted {
    /// How many pieces there are.
    pub(crate) pieces: u32,
    /// What they take together.
    pub(crate) data_bytes: u32,
    /// The checksum of the table.
    pub(crate) table_check: u32,
    /// It lacks what the commits before this position had made dead.
    pub(crate) as_of: Position,
    pub(crate) dropped: Dropped,
}

impl Compacted {
    /// Where the table is in the file.
    pub(crate) fn table(&self) -> Range<usize> {
        let start = SEGMENT_HEADER_BYTES + in_memory(self.data_bytes);
        start..start + in_memory(self.pieces) * PIECE_BYTES
    }
}

/// What a compacted segment has no more, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) commits: u64,
    pub(crate) batches: u64,
    /// Bytes of events. An event of which its header alone is left counts with the rest.
    pub(crate) event_bytes: u64,
    pub(crate) events: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) row_bytes: u64,
}

impl Dropped {
    /// All numbers, in the order in which they are stored.
    pub(crate) fn fields(&mut self) -> [&mut u64; 7] {
        let Dropped { commits, batches, events, event_bytes, payload_bytes, rows, row_bytes } =
            self;
        [commits, batches, events, event_bytes, payload_bytes, rows, row_bytes]
    }

    /// With `other`.
    pub(crate) fn plus(mut self, mut other: Dropped) -> Dropped {
        for (sum, more) in self.fields().into_iter().zip(other.fields()) {
            *sum = sum.saturating_add(*more);
        }
        self
    }
}

/// Bytes that a compacted segment has of the one that it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// The offset in the segment as it was.
    pub(crate) at: u32,
    pub(crate) len: u32,
    /// The offset in the file.
    pub(crate) place: u32,
}

impl Piece {
    pub(crate) fn encode(self, to: &mut Vec<u8>) {
        for field in [self.at, self.len, self.place] {
            to.extend_from_slice(&field.to_le_bytes());
        }
    }

    fn end(self) -> usize {
        in_memory(self.at).saturating_add(in_memory(self.len))
    }
}

/// The pieces of a compacted segment in order of their positions.
#[derive(Clone, Copy)]
pub(crate) struct PieceTable<'a>(&'a [u8]);

impl<'a> PieceTable<'a> {
    pub(crate) fn new(table: &'a [u8]) -> Self {
        PieceTable(table)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() / PIECE_BYTES
    }

    pub(crate) fn get(&self, number: usize) -> Option<Piece> {
        let bytes = self.0.get(number * PIECE_BYTES..)?;
        Some(Piece { at: u32_at(bytes, 0)?, len: u32_at(bytes, 4)?, place: u32_at(bytes, 8)? })
    }

    /// The number of the piece that has the byte at this offset of the segment, or of the next one.
    pub(crate) fn search(&self, offset: usize) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                Some(piece) if piece.end() <= offset => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Where the byte at this offset of the segment is in the file, and the rest of its piece.
    pub(crate) fn find(&self, offset: usize) -> Option<Range<usize>> {
        let piece = self.get(self.search(offset))?;
        let into = offset.checked_sub(in_memory(piece.at))?;
        let place = in_memory(piece.place);
        Some(place + into..place.checked_add(in_memory(piece.len))?)
    }

    /// Whether the table matches its checksum, pieces ascend, and each byte of the data is in one.
    pub(crate) fn is_sound(&self, compacted: &Compacted, file_bytes: u32) -> bool {
        let mut end = SEGMENT_HEADER_BYTES;
        let mut sum = 0;
        let data = SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + in_memory(compacted.data_bytes);
        let follows = |piece: Piece| {
            let place = in_memory(piece.place);
            let sound = in_memory(piece.at) >= end
                && piece.end() <= in_memory(file_bytes)
                && place >= data.start
                && place.saturating_add(in_memory(piece.len)) <= data.end
                && piece.len > 0
                && [piece.at, piece.len, piece.place].iter().all(|field| field % 4 == 0);
            end = piece.end();
            sum += wide(in_memory(piece.len));
            sound
        };
        crc32fast::hash(self.0) == compacted.table_check
            && (0..self.len()).map_while(|number| self.get(number)).all(follows)
            && sum == u64::from(compacted.data_bytes)
    }
}

/// The frames of a compacted segment in order, each put together from its pieces.
pub(crate) struct CompactedFrames<'a> {
    header: SegmentHeader,
    file: &'a [u8],
    table: PieceTable<'a>,
    next: usize,
    payload: Buffer,
}

impl<'a> CompactedFrames<'a> {
    /// `file` is the whole file, whose header is `header`. [`Fault::Pieces`] if its table is not sound.
    pub(crate) fn new(header: SegmentHeader, file: &'a [u8]) -> Result<Self, Fault> {
        let compacted = header.compacted.ok_or(Fault::Pieces)?;
        let table = PieceTable::new(file.get(compacted.table()).ok_or(Fault::Pieces)?);
        if !table.is_sound(&compacted, header.file_bytes) {
            return Err(Fault::Pieces);
        }
        Ok(CompactedFrames { header, file, table, next: 0, payload: Buffer::new() })
    }

    /// Leaves out the frames before a position.
    pub(crate) fn skip_to(&mut self, position: Position) {
        let first = self.header.identity.first_byte(self.header.number).as_u64();
        let offset = position.as_u64().saturating_sub(first);
        self.next = self.table.search(usize::try_from(offset).unwrap_or(usize::MAX));
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
        let piece = self.table.get(self.next)?;
        Some(self.header.identity.first_byte(self.header.number).plus(piece.at.into()))
    }

    /// The next frame, whose checksums are verified; `None` after the last one.
    pub(crate) fn next(&mut self) -> Option<Result<Frame<'_>, Fault>> {
        let position = self.position()?;
        Some(self.frame(position))
    }

    fn bytes(&self, piece: Piece) -> &'a [u8] {
        let place = in_memory(piece.place);
        self.file.get(place..place + in_memory(piece.len)).unwrap_or_default()
    }

    fn frame(&mut self, position: Position) -> Result<Frame<'_>, Fault> {
        let first = self.table.get(self.next).ok_or(Fault::Pieces)?;
        let bytes = self.bytes(first);
        let header = frame::verify_header(bytes, self.header.scope(), position)?;
        let end = in_memory(first.at) + header.frame_bytes();
        if first.end() >= end {
            self.next += usize::from(first.end() == end);
            // A piece is no more than a frame.
            let whole = first.end() == end;
            return if whole {
                Frame::verify_payload(header, bytes, position)
            } else {
                Err(Fault::Pieces)
            };
        }
        self.assemble(header, in_memory(first.at), end, position)
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
            let piece = self.table.get(self.next).filter(|piece| piece.end() <= end);
            let piece = piece.ok_or(Fault::Pieces)?;
            let mut bytes = self.bytes(piece);
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
