//! Allocates the holes of a sparse copy. `cp --sparse=always` turns zeros into holes, hence all space that was
//! allocated for future commits. It is allocated again at opening; otherwise a full disk would fail a commit
//! in flight.

use super::recovery::Scan;
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::log::files::zero_holes;
use crate::log::format::{Paths, SEGMENT_HEADER_BYTES};

/// Allocates the space after the end of the log in all segments. The unverified tail is not changed.
pub(crate) fn fill_holes(disk: &dyn Disk, paths: &Paths, scan: &Scan) -> Result<()> {
    for header in &scan.segments {
        let (last, offset) = header.identity.locate(scan.end);
        let free = match header.number.cmp(&last) {
            std::cmp::Ordering::Less => continue,
            std::cmp::Ordering::Equal => offset,
            std::cmp::Ordering::Greater => SEGMENT_HEADER_BYTES,
        };
        let ranges = scan.tail.iter().flat_map(|tail| &tail.ranges);
        let dirty =
            ranges.filter(|(number, _)| *number == header.number).map(|(_, range)| range.end);
        let from = wide(dirty.max().unwrap_or(0).max(free));
        let path = paths.segment(header.number);
        let file = disk.open(&path, OpenMode::Write).map_err(|e| Error::io("open", &path, e))?;
        let operation = "set aside the space that a sparse copy has left out of";
        zero_holes(&file, from, header.file_bytes.into())
            .map_err(|e| Error::io(operation, path, e))?;
    }
    Ok(())
}
