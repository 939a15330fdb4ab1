//! A directory without a manifest: not a store, a store or backup whose creation did not finish, or a store
//! whose manifest is missing.

use std::io::{ErrorKind, Result as IoResult};
use std::path::Path;

use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::log::format::{Paths, SEGMENT_HEADER_BYTES, corrupt, segment_number};

/// What is in a directory without a manifest.
enum Found {
    /// No segments.
    Nothing,
    /// The first segment of a store whose creation did not finish.
    Unfinished,
    /// Segments of a backup that did not finish.
    Backup,
    /// Segments of a store.
    Log,
}

/// The error for a directory without a manifest; the same for writers, readers and commands.
pub(crate) fn missing(disk: &dyn Disk, paths: &Paths) -> Error {
    let path = paths.root.clone();
    match find(disk, paths) {
        Ok(Found::Nothing | Found::Unfinished) => Error::NotAStore { path, unfinished: false },
        Ok(Found::Backup) => Error::NotAStore { path, unfinished: true },
        Ok(Found::Log) => corrupt(&paths.manifest(), 0, "the manifest is missing", 1, 0),
        Err(error) => error,
    }
}

/// Removes what an unfinished creation of a store left behind; an error if there is anything else.
pub(crate) fn remove_unfinished(disk: &dyn Disk, paths: &Paths) -> Result<()> {
    match find(disk, paths)? {
        Found::Nothing => Ok(()),
        Found::Unfinished => {
            let path = paths.segment(0);
            disk.remove(&path).map_err(|e| Error::io("remove", &path, e))
        }
        Found::Backup | Found::Log => Err(missing(disk, paths)),
    }
}

fn find(disk: &dyn Disk, paths: &Paths) -> Result<Found> {
    let dir = paths.log();
    let names = match disk.list(&dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => vec![],
        listed => listed.map_err(|e| Error::io("list", &dir, e))?,
    };
    let numbers: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
    let first = paths.segment(0);
    let unused = match numbers.as_slice() {
        [] => return Ok(Found::Nothing),
        [0] => is_unused(disk, &first).map_err(|e| Error::io("read", &first, e))?,
        _ => false,
    };
    if unused {
        return Ok(Found::Unfinished);
    }
    match disk.id_at(&paths.staged_manifest()) {
        Ok(_) => Ok(Found::Backup),
        Err(_) => Ok(Found::Log),
    }
}

/// Whether a segment holds its header only.
fn is_unused(disk: &dyn Disk, path: &Path) -> IoResult<bool> {
    let file = disk.open(path, OpenMode::Read)?;
    let size = file.size()?;
    let mut page = vec![0; SEGMENT_HEADER_BYTES];
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    while offset < size {
        // The file may be shorter than a segment.
        page.truncate(usize::try_from(size - offset).unwrap_or(SEGMENT_HEADER_BYTES));
        file.read_at(&mut page, offset)?;
        if page.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += SEGMENT_HEADER_BYTES as u64;
    }
    Ok(true)
}
