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
