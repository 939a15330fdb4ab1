//! Zeros where a file has no space on the device.

use std::sync::Arc;

use crate::bytes::wide;
use crate::disk::DiskFile;

/// As much as is zeroed at a time when a segment is prepared.
const ZERO_BYTES: usize = 64 << 10;

/// Writes zeros from `from` to the end of a file of `bytes`, which are zero, if any part of the file has no space
/// on the device.
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
