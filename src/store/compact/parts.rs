//! The parts of a segment's file: what is live, dead, pinned, index and free.

use std::cmp::Ordering;

use super::extent::Extent;
use crate::bytes::wide;
use crate::id::Position;
use crate::log::compact::Remains;
use crate::log::files::Segment;
use crate::log::format::SEGMENT_HEADER_BYTES;
use crate::retention::SegmentSpace;

/// What the bytes of a segment's file are used for, where the log ends at `end`.
pub(super) fn parts_of(
    segment: &Segment,
    remains: &Remains<'_>,
    end: Position,
    extent: &Extent,
) -> SegmentSpace {
    let header = segment.header;
    let tables = header.compacted.map_or(0, |it| it.table().len() + it.block_table().len());
    let file_bytes = wide(header.stored_len());
    let index_bytes = wide(SEGMENT_HEADER_BYTES + tables);
    let (last, used) = header.identity.locate(end);
    let used = match header.number.cmp(&last) {
        Ordering::Less => file_bytes,
        Ordering::Equal => wide(used).max(index_bytes),
        Ordering::Greater => index_bytes,
    };
    let of_commits = used - index_bytes;
    let live_bytes = remains.live_bytes().min(of_commits);
    let dead = of_commits - live_bytes;
    let is_pinned = extent.holds_back(header.number);
    SegmentSpace {
        segment: header.number,
        file_bytes,
        live_bytes,
        dead_bytes: if is_pinned { 0 } else { dead },
        pinned_bytes: if is_pinned { dead } else { 0 },
        index_bytes,
        free_bytes: file_bytes - used,
        ..SegmentSpace::default()
    }
}
