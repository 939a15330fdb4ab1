//! Healing a torn tail: copies it into quarantine, then zeroes it. The log then is as if the unfinished write
//! had never begun. Idempotent: after a crash in between, the next opening heals again.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::recovery::UnverifiedTail;
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::StoreLocation;
use crate::log::format::{Paths, SEGMENT_HEADER_BYTES, SegmentHeader};

/// Copies `tail` into quarantine, then zeroes it; returns the paths of the copies. Zeroes nothing if the store is no
/// longer at its `location`.
pub(crate) fn heal(
    disk: &dyn Disk,
    paths: &Paths,
    location: &StoreLocation,
    epoch: u32,
    tail: &UnverifiedTail,
) -> Result<Vec<PathBuf>> {
    let mut copies = vec![];
    let dir = paths.quarantine();
    disk.create_dir(&dir).map_err(|e| Error::io("create", &dir, e))?;
    for (segment, range) in &tail.ranges {
        let path = paths.segment(*segment);
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        let mut bytes = vec![0; range.len()];
        file.read_at(&mut bytes, range.start as u64).map_err(|e| Error::io("read", &path, e))?;
        copies.push(quarantine(disk, paths, epoch, *segment, range.start, &bytes)?);
    }
    // Both entries must be durable before the bytes are zeroed.
    disk.sync_dir(&dir).map_err(|e| Error::io("sync", &dir, e))?;
    disk.sync_dir(&paths.root).map_err(|e| Error::io("sync", &paths.root, e))?;
    location.check(disk)?;
    // From the last range to the first, so that after a crash in between the tail still begins where it did.
    for (segment, range) in tail.ranges.iter().rev() {
        let path = paths.segment(*segment);
        let file = disk.open(&path, OpenMode::Write).map_err(|e| Error::io("open", &path, e))?;
        file.write_at(&vec![0; range.len()], range.start as u64)
            .map_err(|e| Error::io("zero", &path, e))?;
        // New frames are written here, and the old bytes must not come back after a power loss.
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
    }
    Ok(copies)
}

/// Writes a copy under an unused name. A copy of an earlier attempt is kept: it may hold more.
fn quarantine(
    disk: &dyn Disk,
    paths: &Paths,
    epoch: u32,
    segment: u32,
    offset: usize,
    bytes: &[u8],
) -> Result<PathBuf> {
    let mut attempt = 1u32;
    loop {
        let name = format!("{segment:08}-{offset}-epoch{epoch}-{attempt}.bin");
        let path = paths.quarantine().join(name);
        match disk.open(&path, OpenMode::Create) {
            Ok(file) => {
                let written = file
                    .write_at(bytes, 0)
                    .map_err(|e| Error::io("write", &path, e))
                    .and_then(|()| file.sync().map_err(|e| Error::io("sync", &path, e)));
                if written.is_err() {
                    // An incomplete copy is useless, and may be what fills the disk.
                    let _ = disk.remove(&path);
                }
                return written.map(|()| path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(Error::io("create", path, error)),
        }
    }
}

/// Makes the log in `range`, which was read and verified, durable.
///
/// It is written again before it is synced. After a failed `fsync` in another process, the page cache may hold
/// pages that are marked clean and are not on the device; a sync alone would succeed without writing them.
pub(crate) fn harden(
    disk: &dyn Disk,
    paths: &Paths,
    segments: &[SegmentHeader],
    range: Range<Position>,
) -> Result<()> {
    // A segment that was compacted was durable as a whole.
    let written = segments.iter().filter(|header| header.compacted.is_none());
    for header in written.filter(|_| !range.is_empty()) {
        let number = header.number;
        let (first, start) = header.identity.locate(range.start);
        let (last, end) = header.identity.locate(range.end);
        if !(first..=last).contains(&number) {
            continue;
        }
        let from = if number == first { start } else { SEGMENT_HEADER_BYTES };
        let to = if number == last { end } else { header.file_len() };
        let path = paths.segment(number);
        rewrite(disk, &path, wide(from)..wide(to))
            .map_err(|e| Error::io("write again and sync", path, e))?;
    }
    Ok(())
}

fn rewrite(disk: &dyn Disk, path: &Path, range: Range<u64>) -> io::Result<()> {
    const CHUNK_BYTES: u64 = 1 << 20;
    let file = disk.open(path, OpenMode::Write)?;
    let mut offset = range.start;
    while offset < range.end {
        let len = (range.end - offset).min(CHUNK_BYTES);
        let mut chunk = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_at(&mut chunk, offset)?;
        file.write_at(&chunk, offset)?;
        offset += len;
    }
    file.sync()
}
