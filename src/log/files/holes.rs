//! Allocates the holes of a sparse file by writing zeros.

use std::sync::Arc;

use crate::bytes::wide;
use crate::disk::DiskFile;

/// Bytes per write; as when a segment is prepared.
const ZERO_BYTES: usize = 64 << 10;

/// If a file of `bytes` has holes, writes zeros from `from` to its end and syncs it. All bytes from `from` on must
/// read as zero.
pub(crate) fn zero_holes(file: &Arc<dyn DiskFile>, from: u64, bytes: u64) -> std::io::Result<()> {
    if file.allocated()? >= bytes {
        return Ok(());
    }
    let zeros = vec![0; ZERO_BYTES];
    let mut offset = from;
    while offset < bytes {
        let len = usize::try_from(bytes - offset).unwrap_or(ZERO_BYTES).min(ZERO_BYTES);
        file.write_at(zeros.get(..len).unwrap_or_default(), offset)?;
        offset += wide(len);
    }
    file.sync()
}
