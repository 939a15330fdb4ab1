//! A packed segment: a compacted one, part of whose data is in blocks that are compressed with zstd.
//!
//! ```text
//! 0        header page: that of the compacted segment, and what is packed
//! 4096     the first bytes of the data, as they are (plain)
//! …        blocks: the rest of the data, compressed block by block
//! …        table of the pieces, whose places are those in the file before it was packed
//! …        for each block: len u32 its bytes, unpacked · packed u32 its bytes in the file · check u32 of the former
//!          · packed_check u32 of the latter
//! ```

use std::borrow::Cow;
use std::ops::Range;

use super::page::HEADER_PAGE_BYTES;
use super::pieces::{BLOCK_ENTRY_BYTES, Compacted, Piece, PieceTable};
use crate::bytes::{in_memory, u32_at};

/// A block of data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    /// Where its bytes are in the file as it would be unpacked.
    pub(crate) unpacked: Range<usize>,
    /// Where it is in the file.
    pub(crate) packed: Range<usize>,
    /// The checksums of either; `None` if they are not known.
    checks: Option<[u32; 2]>,
}

impl Block {
    /// What the table of blocks says of one.
    pub(crate) fn encode(unpacked: &[u8], packed: &[u8], to: &mut Vec<u8>) {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let checks = [crc32fast::hash(unpacked), crc32fast::hash(packed)];
        for field in [len(unpacked), len(packed), checks[0], checks[1]] {
            to.extend_from_slice(&field.to_le_bytes());
        }
    }

    /// Its bytes; `None` if it is damaged.
    pub(crate) fn unpack(&self, file: &[u8]) -> Option<Vec<u8>> {
        let [check, packed_check] = self.checks?;
        let packed = file.get(self.packed.clone())?;
        if crc32fast::hash(packed) != packed_check {
            return None;
        }
        let unpacked = decompress(packed, self.unpacked.len())?;
        let matches = unpacked.len() == self.unpacked.len() && crc32fast::hash(&unpacked) == check;
        matches.then_some(unpacked)
    }
}

/// The blocks of a packed segment, in order.
#[derive(Default)]
pub(crate) struct Blocks(Vec<Block>);

impl Blocks {
    /// The blocks of the segment in `file`, whose table of pieces is sound; none if it is not packed. `None` if their table is
    /// damaged, or a piece is not in one of them.
    pub(crate) fn of(compacted: &Compacted, file: &[u8]) -> Option<Self> {
        let Some(packed) = compacted.packed else { return Some(Blocks(vec![])) };
        let table = file.get(compacted.block_table())?;
        if crc32fast::hash(table) != packed.table_check {
            return None;
        }
        let mut unpacked = HEADER_PAGE_BYTES + in_memory(packed.plain_bytes);
        let mut place = unpacked;
        let mut blocks = Vec::with_capacity(table.len() / BLOCK_ENTRY_BYTES);
        for entry in table.chunks_exact(BLOCK_ENTRY_BYTES) {
            let field = |at| u32_at(entry, at);
            let (start, start_packed) = (unpacked, place);
            unpacked = unpacked.checked_add(in_memory(field(0)?))?;
            place = place.checked_add(in_memory(field(4)?))?;
            blocks.push(Block {
                unpacked: start..unpacked,
                packed: start_packed..place,
                checks: Some([field(8)?, field(12)?]),
            });
        }
        let is_all =
            unpacked == compacted.unpacked_table().start && place == compacted.table().start;
        let (blocks, plain) = (Blocks(blocks), compacted.plain().end);
        let pieces = PieceTable::new(file.get(compacted.table())?);
        let is_whole = is_all && pieces.iter().all(|piece| blocks.has_whole(piece, plain));
        is_whole.then_some(blocks)
    }

    /// In the place of those whose table is damaged: one of all that is packed, which is lost.
    pub(crate) fn lost(compacted: &Compacted) -> Self {
        let end = compacted.unpacked_table().start;
        let plain = compacted.plain().end.min(end);
        let packed = plain..compacted.table().start;
        Blocks(vec![Block { unpacked: plain..end, packed, checks: None }])
    }

    /// Whether a piece is in one block, or ends before the first one, where what is plain does.
    fn has_whole(&self, piece: Piece, plain: usize) -> bool {
        let places = piece.places();
        let block = self.at(places.start).and_then(|number| self.get(number));
        places.end <= block.map_or(plain, |block| block.unpacked.end)
    }

    /// The number of the block that has a byte of the unpacked file; `None` if it is plain.
    pub(crate) fn at(&self, place: usize) -> Option<usize> {
        self.0.partition_point(|block| block.unpacked.start <= place).checked_sub(1)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Block> {
        self.0.get(number)
    }

    /// Where bytes of the unpacked file are in the file: all of their block.
    pub(crate) fn stored(&self, place: Range<usize>) -> Range<usize> {
        let block = self.at(place.start).and_then(|number| self.get(number));
        block.map_or(place, |block| block.packed.clone())
    }

    /// The file as it would be unpacked, with zeros for the blocks that are damaged; and where the first one is that is.
    pub(crate) fn unpack<'f>(
        &self,
        compacted: &Compacted,
        file: &'f [u8],
    ) -> (Cow<'f, [u8]>, Option<usize>) {
        if compacted.packed.is_none() {
            return (file.into(), None);
        }
        let plain = self.0.first().map_or(0, |first| first.unpacked.start);
        let mut unpacked = Vec::with_capacity(compacted.unpacked_table().end);
        unpacked.extend_from_slice(file.get(..plain).unwrap_or_default());
        let mut damaged = None;
        for block in &self.0 {
            let bytes = block.unpack(file);
            if bytes.is_none() && damaged.is_none() {
                damaged = Some(block.packed.start);
            }
            unpacked.extend_from_slice(&bytes.unwrap_or_default());
            unpacked.resize(block.unpacked.end, 0);
        }
        unpacked.extend_from_slice(file.get(compacted.table()).unwrap_or_default());
        (unpacked.into(), damaged)
    }
}

/// Bytes that take no more than `len`, compressed with zstd; `None` if they are damaged, or more than one frame.
#[cfg(feature = "zstd")]
fn decompress(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let frame_bytes = zstd::zstd_safe::find_frame_compressed_size(packed).ok()?;
    (frame_bytes == packed.len()).then_some(())?;
    zstd::bulk::decompress(packed, len).ok()
}

/// Never called: without the feature, no packed segment is opened.
#[cfg(not(feature = "zstd"))]
fn decompress(_packed: &[u8], _len: usize) -> Option<Vec<u8>> {
    None
}
