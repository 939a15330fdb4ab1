//! The on-disk format: encoding and decoding of bytes. No file is opened here.

mod batch;
mod compacted;
pub(crate) mod frame;
mod manifest;
mod names;
mod packed;
mod page;
mod pieces;
mod segment;

pub(crate) use batch::{
    BATCH_HEADER_BYTES, Batch, HOLE_BYTES_MIN, Part, Parts, Put, RawEvents, claimed_runs, is_start,
    prefetch_first_event, write_batch_header, write_put,
};
pub(crate) use compacted::CompactedFrames;
pub(crate) use frame::{
    Fault, Frame, FrameKind, HEADER_BYTES, OVERHEAD_BYTES, Scope, TRAILER_BYTES,
};
pub(crate) use manifest::{MANIFEST_BYTES, Manifest, SLOT_BYTES, Slots, slot_offset};
pub(crate) use names::{Paths, segment_number};
pub(crate) use packed::{Block, Blocks};
pub(crate) use page::{FORMAT_VERSION, corrupt, wrong_length};
pub(crate) use pieces::{
    Compacted, Dropped, PIECE_BYTES, Packed, Piece, PieceDirectory, PieceTable,
};
pub(crate) use segment::{
    ClaimedHeader, Identity, SEGMENT_HEADER_BYTES, SegmentHeader, is_segment_size,
};
