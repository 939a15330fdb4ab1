//! Encoding and validated decoding of records by rkyv.

use rkyv::api::low::{self, LowSerializer, LowValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Failure;
use rkyv::ser::allocator::SubAllocator;
use rkyv::util::AlignedVec;
use rkyv::{Portable, Serialize};

/// An aligned buffer, in which records are written and read in place.
pub(crate) type Buffer = AlignedVec<16>;

/// The bytes are not a valid record of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends the archive of `record`, root last. Records hold only bytes, text and integers, so no
/// scratch memory is needed and nothing is allocated but room in `buffer`.
pub(super) fn encode<'b, R>(record: &R, buffer: &'b mut Buffer) -> Result<(), Malformed>
where
    R: for<'s> Serialize<LowSerializer<&'b mut Buffer, SubAllocator<'s>, Failure>>,
{
    low::to_bytes_in_with_alloc::<_, _, Failure>(record, buffer, SubAllocator::empty())
        .map(|_| ())
        .map_err(|Failure| Malformed)
}

/// The record at the end of `bytes`. Every length, offset and text in it is validated first.
pub(super) fn access<A>(bytes: &[u8]) -> Result<&A, Malformed>
where
    A: Portable + for<'c> CheckBytes<LowValidator<'c, Failure>>,
{
    low::access::<A, Failure>(bytes).map_err(|Failure| Malformed)
}
