//! Healing a torn tail: a copy into quarantine, then zeros. Ends with the log as if the unfinished
//! group had never begun; a crash in the middle leaves what the next opening heals again.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::recovery::UnverifiedTail;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::StoreLocation;
use crate::log::format::{Identity, Paths, SEGMENT_HEADER_BYTES};

/// Copies `remains` into quarantine and zeroes them; returns where the copies are. Zeroes nothing unless the store
/// is still in its `place`.
pub(crate) fn heal(
    disk: &dyn Disk,
    paths: &Paths,
    place: &StoreLocation,
    epoch: u32,
    remains: &UnverifiedTail,
) -> Result<Vec<PathBuf>> {
    let mut copies = vec![];
    let dir = paths.quarantine();
    disk.create_dir(&dir).map_err(|e| Error::io("create", &dir, e))?;
    for (segment, range) in &remains.pieces {
        let path = paths.segment(*segment);
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        let mut bytes = vec![0; range.len()];
        file.read_at(&mut bytes, range.start as u64).map_err(|e| Error::io("read", &path, e))?;
        copies.push(quarantine(disk, paths, epoch, *segment, range.start, &bytes)?);
    }
    // Both entries must last before the only other copy of the bytes is overwritten.
    disk.sync_dir(&dir).map_err(|e| Error::io("sync", &dir, e))?;
    disk.sync_dir(&paths.root).map_err(|e| Error::io("sync", &paths.root, e))?;
    place.check(disk)?;
    // From the back, so that a crash in between leaves remains that still begin where they did.
    for (segment, range) in remains.pieces.iter().rev() {
        let path = paths.segment(*segment);
        let file = disk.open(&path, OpenMode::Write).map_err(|e| Error::io("open", &path, e))?;
        file.write_at(&vec![0; range.len()], range.start as u64)
            .map_err(|e| Error::io("zero", &path, e))?;
        // New frames go here; what they replace must not come back.
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
    }
    Ok(copies)
}

/// Writes a copy under a name that is not taken: an earlier attempt's copy is the better one.
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
                    // Half a copy is none, and may be what fills the disk.
                    let _ = disk.remove(&path);
                }
                return written.map(|()| path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(Error::io("create", path, error)),
        }
    }
}

/// Puts the log within `range`, which was read and found whole, on the device.
///
/// It is written once more before it is synced: after a sync that failed in another process the
/// system may hold pages that are not on the device and take them for clean, so that a sync alone
/// would succeed and mean nothing.
pub(crate) fn harden(
    disk: &dyn Disk,
    paths: &Paths,
    identity: &Identity,
    range: Range<Position>,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let (first, start) = identity.locate(range.start);
    let (last, end) = identity.locate(range.end);
    for number in first..=last {
        let from = if number == first { start } else { SEGMENT_HEADER_BYTES } as u64;
        let to = if number == last { end as u64 } else { u64::from(identity.segment_bytes) };
        let path = paths.segment(number);
        rewrite(disk, &path, from..to).map_err(|e| Error::io("write again and sync", path, e))?;
    }
    Ok(())
}

fn rewrite(disk: &dyn Disk, path: &Path, range: Range<u64>) -> io::Result<()> {
    const PIECE_BYTES: u64 = 1 << 20;
    let file = disk.open(path, OpenMode::Write)?;
    let mut offset = range.start;
    while offset < range.end {
        let len = (range.end - offset).min(PIECE_BYTES);
        let mut piece = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_at(&mut piece, offset)?;
        file.write_at(&piece, offset)?;
        offset += len;
    }
    file.sync()
}
