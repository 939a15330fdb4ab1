//! Space that a sparse copy has left out: `cp --sparse=always` makes holes of zeros, and so of all the space that
//! was prepared for commits to come. It is set aside again before there are any, as a disk that is full by
//! then would fail a commit that is on its way.

use super::recovery::Scan;
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::log::files::zero_holes;
use crate::log::format::{Paths, SEGMENT_HEADER_BYTES};

/// Sets aside the space behind the end of the log, in all segments that are there for it. What lies behind the
/// end and is not zero stays as it is.
pub(crate) fn fill_holes(disk: &dyn Disk, paths: &Paths, scan: &Scan) -> Result<()> {
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
