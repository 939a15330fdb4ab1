//! Packs the pieces of runs that have closed into blocks, compressed with zstd. A block holds whole runs, but for runs that are
//! longer than a block.

use crate::error::{Error, Result};
use crate::log::format::{Block, Packed};

/// A block is full with so many bytes, unpacked. Blocks of 64 KiB take a quarter more, and unpacking one this long takes
/// 0.15 to 0.3 ms: docs/performance.md.
const BLOCK_BYTES: usize = 512 << 10;
/// Beyond this level, zstd takes longer and saves next to nothing.
#[cfg(feature = "zstd")]
const LEVEL: i32 = 9;

/// Blocks that are being filled.
#[derive(Default)]
pub(super) struct Packing {
    /// Of the block that is being filled.
    unpacked: Vec<u8>,
    packed: Vec<u8>,
    /// The table of the blocks.
    table: Vec<u8>,
    blocks: u32,
}

impl Packing {
    /// The next pieces are those of a run, and have so many bytes together.
    pub(super) fn begin_run(&mut self, bytes: usize) -> Result<()> {
        if self.unpacked.len() + bytes > BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.unpacked.extend_from_slice(piece);
        if self.unpacked.len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        if self.unpacked.is_empty() {
            return Ok(());
        }
        let packed = compress(&self.unpacked);
        let packed = packed.ok_or_else(|| Error::internal("a block cannot be compressed"))?;
        Block::encode(&self.unpacked, &packed, &mut self.table);
        self.packed.extend(packed);
        self.blocks += 1;
        self.unpacked.clear();
        Ok(())
    }

    /// Appends the blocks to the file, before which `plain_bytes` were not packed. Returns their table; `None` if there is none.
    pub(super) fn finish(
        mut self,
        plain_bytes: u32,
        file: &mut Vec<u8>,
    ) -> Result<Option<(Packed, Vec<u8>)>> {
        self.end_block()?;
        if self.blocks == 0 {
            return Ok(None);
        }
        file.extend_from_slice(&self.packed);
        let packed = Packed {
            plain_bytes,
            blocks: self.blocks,
            packed_bytes: u32::try_from(self.packed.len()).unwrap_or(u32::MAX),
            table_check: crc32fast::hash(&self.table),
        };
        Ok(Some((packed, self.table)))
    }
}

#[cfg(feature = "zstd")]
fn compress(unpacked: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(unpacked, LEVEL).ok()
}

/// Never called: without the feature, nothing is packed.
#[cfg(not(feature = "zstd"))]
fn compress(_unpacked: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
#[cfg(feature = "zstd")]
mod tests {
    use super::*;
    use crate::bytes::{in_memory, u32_at};

    /// How long the blocks of runs are, each of which has pieces of so many bytes.
    fn blocks(runs: &[&[usize]]) -> Vec<usize> {
        let mut packing = Packing::default();
        for pieces in runs {
            packing.begin_run(pieces.iter().sum()).unwrap();
            pieces.iter().for_each(|piece| packing.push(&vec![7; *piece]).unwrap());
        }
        let (_, table) = packing.finish(0, &mut vec![]).unwrap().unwrap();
        table.chunks(16).map(|block| in_memory(u32_at(block, 0).unwrap())).collect()
    }

    #[test]
    fn a_run_that_fits_into_a_block_is_in_one() {
        const K: usize = 1 << 10;
        assert_eq!(blocks(&[&[100 * K, 200 * K], &[212 * K]]), [512 * K]);
        assert_eq!(blocks(&[&[300 * K], &[200 * K, 13 * K], &[8]]), [300 * K, 213 * K + 8]);
        assert_eq!(blocks(&[&[8], &[512 * K], &[8]]), [8, 512 * K, 8]);
        // A longer one begins a block, and others follow in its last one. A piece is in one.
        assert_eq!(blocks(&[&[8], &[500 * K; 3], &[8]]), [8, 1000 * K, 500 * K + 8]);
    }
}
