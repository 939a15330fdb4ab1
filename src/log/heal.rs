//! Healing a torn tail: a copy into quarantine, then zeros. Ends with the log as if the unfinished
//! group had never begun; a crash in the middle leaves what the next opening heals again.

use std::path::PathBuf;

use super::layout::Paths;
use super::recovery::Remains;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};

/// Copies `remains` into quarantine and zeroes them; returns where the copies are.
pub(crate) fn heal(
    disk: &dyn Disk,
    paths: &Paths,
    epoch: u32,
    remains: &Remains,
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
                file.write_at(bytes, 0).map_err(|e| Error::io("write", &path, e))?;
                file.sync().map_err(|e| Error::io("sync", &path, e))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(Error::io("create", path, error)),
        }
    }
}
