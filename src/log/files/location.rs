//! The location of a store: the files and directories that its paths led to when it was opened, and the check
//! that they still do (fencing).
//!
//! A directory can be moved, replaced or restored while a process has the store in it open. Open files and
//! maps are not affected, but a file created by path would go into the replacement. So paths are checked before
//! a file is created under them, and before a durable mark is written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::ManifestFile;
use crate::disk::{Disk, DiskDir, DiskFile, FileId, OpenMode, Opener};
use crate::error::{Error, Result};
use crate::log::format::{Paths, corrupt};

/// The directories and the manifest of an open store.
pub(crate) struct StoreLocation {
    opened: [(PathBuf, FileId); 3],
    /// Kept open, so that their inode numbers are not reused.
    _dirs: [Arc<dyn DiskDir>; 2],
    _manifest: Arc<dyn DiskFile>,
}

impl StoreLocation {
    /// The location of the store whose `manifest` was opened.
    pub(crate) fn open(disk: &dyn Disk, paths: &Paths, manifest: &ManifestFile) -> Result<Self> {
        let (root, log) = (paths.root.clone(), paths.log());
        let open_dir = |path: &Path| {
            disk.open_dir(path).map_err(|error| match error.kind() {
                ErrorKind::NotFound if path != root => {
                    corrupt(&paths.segment(0), 0, "the segment is missing", 0, 0)
                }
                _ => Error::io("open", path, error),
            })
        };
        let dirs = [open_dir(&root)?, open_dir(&log)?];
        let [root_id, log_id] = dirs.each_ref().map(|dir| dir.id());
        let manifest_id = manifest.file.id();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::io("look at", path, source)
        };
        let root_id = root_id.map_err(failed(&root))?;
        let log_id = log_id.map_err(failed(&log))?;
        let manifest_id = manifest_id.map_err(failed(&manifest.path))?;
        let opened = [(root, root_id), (log, log_id), (manifest.path.clone(), manifest_id)];
        Ok(StoreLocation { opened, _dirs: dirs, _manifest: manifest.file.clone() })
    }

    /// [`Error::Displaced`] if a path no longer leads to what was opened.
    pub(crate) fn check(&self, disk: &dyn Disk) -> Result<()> {
        self.opened.iter().try_for_each(|(path, id)| check_at(disk, path, *id))
    }
}

/// [`Error::Displaced`] if `path` does not lead to what was `opened` there.
pub(crate) fn check_at(disk: &dyn Disk, path: &Path, opened: FileId) -> Result<()> {
    let replaced = match disk.id_at(path) {
        Ok(found) if found == opened => return Ok(()),
        Ok(_) => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            false
        }
        Err(error) => return Err(Error::io("look at", path, error)),
    };
    Err(Error::Displaced { path: path.to_owned(), replaced })
}

/// A symbolic link within the store is not followed: it could lead writes out of its directory.
pub(crate) fn refuse_link(disk: &dyn Disk, path: &Path) -> Result<()> {
    if disk.is_link(path).map_err(|e| Error::io("look at", path, e))? {
        let source = std::io::Error::other("a symbolic link, which is not followed");
        return Err(Error::io("enter", path, source));
    }
    Ok(())
}

/// [`Error::Linked`] if the manifest has another hard link, so that another directory shares the store's
/// files. To be called before anything is written.
pub(crate) fn check_unshared(disk: &dyn Disk, paths: &Paths) -> Result<()> {
    let path = paths.manifest();
    let file = match disk.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|e| Error::io("open", &path, e))?,
    };
    match file.names().map_err(|e| Error::io("look at", &path, e))? {
        0 | 1 => Ok(()),
        names => Err(Error::Linked { path, names }),
    }
}

/// [`Error::Forked`] in a process that did not open the store.
#[inline]
pub(crate) fn here(opener: &Opener, paths: &Paths) -> Result<()> {
    if opener.is_this_process() { Ok(()) } else { Err(forked(opener, paths)) }
}

#[cold]
fn forked(opener: &Opener, paths: &Paths) -> Error {
    Error::Forked { path: paths.root.clone(), opened_by: opener.process() }
}
