//! The reserve for a full disk: a part of each segment, for commits that close or cancel runs, and a file
//! that is removed to free space for opening the store.

use std::io::{Error as IoError, ErrorKind};

use super::holes::zero_holes;
use crate::disk::{Disk, OpenMode, create_anew};
use crate::error::{Error, Result};
use crate::log::format::{Identity, Paths};

/// Bytes that are reserved in a segment while the next segment does not exist; also the size of the file.
pub(crate) fn reserve_bytes(segment_bytes: u32) -> u64 {
    u64::from(segment_bytes) / 16
}

/// Whether an error says that the disk or a quota is full.
pub(crate) fn is_full(error: &IoError) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Creates the reserve file, or allocates its holes. A full disk is no error: the store then has no reserve
/// until an opening finds space.
pub(crate) fn keep(disk: &dyn Disk, paths: &Paths, identity: &Identity) -> Result<()> {
    let path = paths.reserve();
    let bytes = reserve_bytes(identity.segment_bytes);
    let made = match disk.open(&path, OpenMode::Read) {
        Ok(file) if file.allocated().is_ok_and(|allocated| allocated >= bytes) => Ok(()),
        Ok(_) => disk.open(&path, OpenMode::Write).and_then(|file| zero_holes(&file, 0, bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => make(disk, paths, bytes),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    match made {
        Err(error) if is_full(&error) => {
            // A part of the file would take space that commits can use.
            let _ = disk.remove(&paths.staged_reserve());
            let _ = disk.remove(&path);
            Ok(())
        }
        made => made.map_err(|e| Error::io("make", path, e)),
    }
}

fn make(disk: &dyn Disk, paths: &Paths, bytes: u64) -> Result<(), IoError> {
    let temporary = paths.staged_reserve();
    let zeros = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let file = create_anew(disk, &temporary)?;
    file.write_at(&zeros, 0)?;
    file.sync()?;
    disk.rename(&temporary, &paths.reserve())?;
    disk.sync_dir(&paths.root)
}

/// Removes the reserve file if `error` says that the disk is full; returns whether space was freed, so that
/// the operation may be tried again.
pub(crate) fn release(disk: &dyn Disk, paths: &Paths, error: &Error) -> bool {
    let Error::Io { source, .. } = error else { return false };
    let path = paths.reserve();
    is_full(source)
        && disk.remove(&path).is_ok()
        // Some file systems free blocks only with the change of the directory.
        && disk.sync_dir(&paths.root).is_ok()
}
