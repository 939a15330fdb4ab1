//! Where a store is: what its names led to when it was opened, and whether they still do.
//!
//! People move, replace and restore directories while a process has the store in them open. What is open
//! stays what it is, and a name that is made goes into whatever is there by then. So names are looked at
//! before anything is made under them, and before anything is vouched for.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::ManifestFile;
use crate::disk::{Disk, DiskDir, DiskFile, FileId, OpenMode, Opener};
use crate::error::{Error, Result};
use crate::log::format::{Paths, corrupt};

/// The directories and the manifest of an open store.
pub(crate) struct StoreLocation {
    named: [(PathBuf, FileId); 3],
    /// Open, so that no other directory or file gets their numbers.
    _dirs: [Arc<dyn DiskDir>; 2],
    _manifest: Arc<dyn DiskFile>,
}

impl StoreLocation {
    /// Where the store is whose `manifest` was opened.
    pub(crate) fn enter(disk: &dyn Disk, paths: &Paths, manifest: &ManifestFile) -> Result<Self> {
        let (root, log) = (paths.root.clone(), paths.log());
        let open = |path: &Path| {
            disk.open_dir(path).map_err(|error| match error.kind() {
                ErrorKind::NotFound if path != root => {
                    corrupt(&paths.segment(0), 0, "the segment is missing", 0, 0)
                }
                _ => Error::io("open", path, error),
            })
        };
        let dirs = [open(&root)?, open(&log)?];
        let [root_id, log_id] = dirs.each_ref().map(|dir| dir.id());
        let manifest_id = manifest.file.id();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::io("look at", path, source)
        };
        let root_id = root_id.map_err(failed(&root))?;
        let log_id = log_id.map_err(failed(&log))?;
        let manifest_id = manifest_id.map_err(failed(&manifest.path))?;
        let named = [(root, root_id), (log, log_id), (manifest.path.clone(), manifest_id)];
        Ok(StoreLocation { named, _dirs: dirs, _manifest: manifest.file.clone() })
    }

    /// [`Error::Displaced`] if a name no longer leads to what was opened.
    pub(crate) fn check(&self, disk: &dyn Disk) -> Result<()> {
        self.named.iter().try_for_each(|(path, opened)| check_at(disk, path, *opened))
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

/// [`Error::Linked`] if another directory has the manifest as well. Asked before anything is written.
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
