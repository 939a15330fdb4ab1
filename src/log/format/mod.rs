//! The bytes of a store, and nothing else: no file is opened here.

mod batch;
pub(crate) mod frame;
mod layout;

pub(crate) use batch::{
    BATCH_HEADER_BYTES, Batch, Part, Parts, Put, RawEvents, end_of_first_event, is_start, link_of,
    write_batch_header, write_put,
};
pub(crate) use frame::{
    Fault, Frame, FrameKind, HEADER_BYTES, OVERHEAD_BYTES, Scope, TRAILER_BYTES,
};
pub(crate) use layout::{
    Identity, MANIFEST_BYTES, Manifest, Paths, SEGMENT_HEADER_BYTES, SLOT_BYTES, SegmentHeader,
    Slots, corrupt, is_segment_size, segment_number, slot_offset,
};
