//! What the header of a compacted segment says, and the table of its pieces.

use std::ops::Range;

use super::page::HEADER_PAGE_BYTES;
use crate::bytes::{in_memory, u32_at, wide};
use crate::id::Position;

/// Bytes of a piece in the table.
pub(crate) const PIECE_BYTES: usize = 12;
/// Bytes of a block in the table of blocks.
pub(crate) const BLOCK_ENTRY_BYTES: usize = 16;

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
    /// How it is packed, if it is.
    pub(crate) packed: Option<Packed>,
}

impl Compacted {
    /// Where the data that is not packed is in the file.
    pub(crate) fn plain(&self) -> Range<usize> {
        let bytes = self.packed.map_or(self.data_bytes, |packed| packed.plain_bytes);
        HEADER_PAGE_BYTES..HEADER_PAGE_BYTES + in_memory(bytes)
    }

    /// Where the table is in the file.
    pub(crate) fn table(&self) -> Range<usize> {
        let data = match self.packed {
            None => in_memory(self.data_bytes),
            Some(packed) => in_memory(packed.plain_bytes) + in_memory(packed.packed_bytes),
        };
        self.table_behind(data)
    }

    /// Where the table would be in the file if nothing were packed.
    pub(crate) fn unpacked_table(&self) -> Range<usize> {
        self.table_behind(in_memory(self.data_bytes))
    }

    fn table_behind(&self, data: usize) -> Range<usize> {
        let start = HEADER_PAGE_BYTES + data;
        start..start + in_memory(self.pieces) * PIECE_BYTES
    }

    /// How many bytes of the data are packed.
    pub(crate) fn packed_data_bytes(&self) -> u64 {
        let packed = self.packed.map(|packed| self.data_bytes.saturating_sub(packed.plain_bytes));
        packed.map_or(0, u64::from)
    }

    /// What they take in the file, with the table of the blocks.
    pub(crate) fn packed_file_bytes(&self) -> u64 {
        let blocks = self.packed.map_or(0, |packed| u64::from(packed.packed_bytes));
        blocks + wide(self.block_table().len())
    }

    /// Where the table of the blocks is in the file.
    pub(crate) fn block_table(&self) -> Range<usize> {
        let start = self.table().end;
        let blocks = self.packed.map_or(0, |packed| in_memory(packed.blocks));
        start..start + blocks * BLOCK_ENTRY_BYTES
    }
}

/// What the header of a packedsegment says besides that of a compacted one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packed {
    /// How many bytes of the data are not packed; they are the first ones.
    pub(crate) plain_bytes: u32,
    pub(crate) blocks: u32,
    /// What the blocks take in the file together.
    pub(crate) packed_bytes: u32,
    /// The checksum of the table of blocks.
    pub(crate) table_check: u32,
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

    /// Where it is in the file as it would be unpacked.
    pub(crate) fn places(self) -> Range<usize> {
        let place = in_memory(self.place);
        place..place.saturating_add(in_memory(self.len))
    }

    /// The offset in the segment behind it.
    pub(super) fn end(self) -> usize {
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

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Piece> {
        (0..self.len()).map_while(|number| self.get(number))
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

    /// The same from where the piece would be if all in `range` were of one length: a few steps, to neighbours in memory.
    fn search_near(&self, range: Range<usize>, offset: usize) -> usize {
        let into = offset % PieceDirectory::STRIDE;
        let mut at = range.start + (range.end - 1 - range.start) * into / PieceDirectory::STRIDE;
        let is_before = |at: usize| self.get(at).is_some_and(|piece| piece.end() <= offset);
        while at > range.start && !is_before(at - 1) {
            at -= 1;
        }
        while at < range.end && is_before(at) {
            at += 1;
        }
        at
    }

    /// The piece that has the byte at this offset of the segment.
    pub(crate) fn find(&self, directory: &PieceDirectory, offset: usize) -> Option<Piece> {
        let piece = self.get(self.search_near(directory.around(offset)?, offset))?;
        (in_memory(piece.at) <= offset).then_some(piece)
    }

    /// Whether the table matches its checksum, pieces ascend and lie in the data, and their lengths add up to it.
    pub(crate) fn is_sound(&self, compacted: &Compacted, file_bytes: u32) -> bool {
        let mut end = HEADER_PAGE_BYTES;
        let mut sum = 0;
        let data = HEADER_PAGE_BYTES..HEADER_PAGE_BYTES + in_memory(compacted.data_bytes);
        let follows = |piece: Piece| {
            let places = piece.places();
            let sound = in_memory(piece.at) >= end
                && piece.end() <= in_memory(file_bytes)
                && places.start >= data.start
                && places.end <= data.end
                && piece.len > 0
                && [piece.at, piece.len, piece.place].iter().all(|field| field % 4 == 0);
            end = piece.end();
            sum += wide(in_memory(piece.len));
            sound
        };
        crc32fast::hash(self.0) == compacted.table_check
            && self.iter().all(follows)
            && sum == u64::from(compacted.data_bytes)
    }
}

/// Where in the table to look for an offset. It is held in memory: a search through the whole table would wait for memory
/// at each step.
pub(crate) struct PieceDirectory(Vec<u32>);

impl PieceDirectory {
    /// Bytes of the segment that share an entry.
    const STRIDE: usize = 16 << 10;

    /// The directory of a table that is sound; `None` for any other one.
    pub(crate) fn new(
        table: PieceTable<'_>,
        compacted: &Compacted,
        file_bytes: u32,
    ) -> Option<Self> {
        if !table.is_sound(compacted, file_bytes) {
            return None;
        }
        let strides = in_memory(file_bytes).div_ceil(Self::STRIDE) + 1;
        let first = |stride: usize| u32::try_from(table.search(stride * Self::STRIDE)).ok();
        (0..strides).map(first).collect::<Option<Vec<_>>>().map(PieceDirectory)
    }

    /// The numbers of the pieces among which the one is that has the byte at an offset.
    fn around(&self, offset: usize) -> Option<Range<usize>> {
        let stride = offset / Self::STRIDE;
        let [first, last] = self.0.get(stride..stride + 2)? else { return None };
        Some(in_memory(*first)..in_memory(*last) + 1)
    }
}
