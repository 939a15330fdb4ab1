//! Space that a sparse copy has left out: `cp --sparse=always` makes holes of zeros, and so of all the space that
//! was prepared for commits to come. It is set aside again before there are any, as a disk that is full by
//! then would fail a commit that is on its way.

use std::sync::Arc;

use crate::bytes::wide;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result};
use crate::log::format::{Paths, SEGMENT_HEADER_BYTES};
use crate::log::open::Scan;

/// As much as is zeroed at a time when a segment is prepared.
const ZERO_BYTES: usize = 64 << 10;

/// Sets aside the space behind the end of the log, in all segments that are there for it. What lies behind the
/// end and is not zero stays as it is.
pub(crate) fn fill(disk: &dyn Disk, paths: &Paths, scan: &Scan) -> Result<()> {
    for header in &scan.segments {
        let (last, offset) = header.identity.locate(scan.end);
        let free = match header.number.cmp(&last) {
            std::cmp::Ordering::Less => continue,
            std::cmp::Ordering::Equal => offset,
            std::cmp::Ordering::Greater => SEGMENT_HEADER_BYTES,
        };
        let remains = scan.remains.iter().flat_map(|remains| &remains.pieces);
        let dirty =
            remains.filter(|(number, _)| *number == header.number).map(|(_, range)| range.end);
        let from = wide(dirty.max().unwrap_or(0).max(free));
        let path = paths.segment(header.number);
        let file = disk.open(&path, OpenMode::Write).map_err(|e| Error::io("open", &path, e))?;
        let operation = "set aside the space that a sparse copy has left out of";
        zero_holes(&file, from, header.identity.segment_bytes.into())
            .map_err(|e| Error::io(operation, path, e))?;
    }
    Ok(())
}

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
