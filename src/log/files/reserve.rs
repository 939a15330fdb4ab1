//! The reserve for a full disk: a part of each segment, for commits that close or cancel runs, and a file
//! that is removed to free space for opening the store.

use std::io::{Error as IoError, ErrorKind};

use super::holes::zero_holes;
use crate::disk::{Disk, OpenMode, create_anew};
use crate::error::{Error, Result};
use crate::log::format::Paths;

/// Bytes that are reserved in a segment of `file_bytes` while the next segment does not exist; also the size of the
/// reserve file.
pub(crate) fn reserve_bytes(file_bytes: u32) -> u64 {
    u64::from(file_bytes) / 16
}

/// Whether an error says that the disk or a quota is full.
pub(crate) fn is_full(error: &IoError) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The same of an error of this crate.
pub(crate) fn says_full(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if is_full(source))
}

/// Creates the reserve file for segments of `file_bytes`, replaces one that is too short, or allocates its holes. A
/// full disk is no error: the store then has the shorter one, or none, until there is space again.
pub(crate) fn keep(disk: &dyn Disk, paths: &Paths, file_bytes: u32) -> Result<()> {
    let path = paths.reserve();
    let bytes = reserve_bytes(file_bytes);
    let found = match disk.open(&path, OpenMode::Read) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let made = match found {
        Some(file) if file.allocated().is_ok_and(|allocated| allocated >= bytes) => Ok(()),
        Some(file) if file.size().is_ok_and(|size| size >= bytes) => {
            let filled = disk.open(&path, OpenMode::Write);
            filled.and_then(|file| zero_holes(&file, 0, bytes)).inspect_err(|error| {
                if is_full(error) {
                    // A part of the file would take space that commits can use.
                    let _ = disk.remove(&path);
                }
            })
        }
        _ => make(disk, paths, bytes),
    };
    match made {
        Err(error) if is_full(&error) => {
            let _ = disk.remove(&paths.staged_reserve());
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
    let path = paths.reserve();
    says_full(error)
        && disk.remove(&path).is_ok()
        // Some file systems free blocks only with the change of the directory.
        && disk.sync_dir(&paths.root).is_ok()
}
