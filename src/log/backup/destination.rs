//! The destination of a backup: a directory that becomes a store once everything in it is synced, and not
//! before.
//!
//! The manifest is created first, under its temporary name, and renamed last. The temporary name marks the
//! directory, so that the next attempt recognises and replaces what an unfinished one left.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::files::{Lock, ManifestFile};
use crate::log::format::{Manifest, Paths, segment_number};
use crate::log::open::make_directories;

/// A store that is being created. If dropped before [`Destination::finish`], the directory is not a store.
pub(crate) struct Destination<'a> {
    disk: &'a dyn Disk,
    paths: &'a Paths,
    manifest: ManifestFile,
    /// Keeps other processes from creating a store here meanwhile.
    lock: Lock,
}

impl<'a> Destination<'a> {
    /// Takes a directory that is empty, missing, or holds what an unfinished attempt left.
    pub(crate) fn claim(disk: &'a dyn Disk, paths: &'a Paths, manifest: Manifest) -> Result<Self> {
        // Checked before anything is created, and again under the lock.
        leftovers(disk, paths)?;
        make_directories(disk, paths)?;
        let lock = Lock::acquire(disk, paths)?;
        // Removed, not overwritten: a segment may be a hard link to one of another backup.
        for path in leftovers(disk, paths)? {
            disk.remove(&path).map_err(|e| Error::io("remove", path, e))?;
        }
        sync_dir(disk, &paths.log())?;
        let mut manifest = ManifestFile::stage(disk, paths, manifest)?;
        // Into both slots, as in any store that was opened, so that damage to one of them loses nothing.
        manifest.write(manifest.current)?;
        // The temporary manifest must be durable before the first segment is.
        sync_dir(disk, &paths.root)?;
        Ok(Destination { disk, paths, manifest, lock })
    }

    /// [`Error::Displaced`] if the directory was moved or replaced. To be checked before a file is created.
    pub(crate) fn check_location(&self) -> Result<()> {
        self.lock.check_location(self.disk, self.paths)
    }

    /// Makes the directory a store. Its segments must have been synced.
    pub(crate) fn finish(self) -> Result<()> {
        self.check_location()?;
        sync_dir(self.disk, &self.paths.log())?;
        self.manifest.establish(self.disk, self.paths)?;
        Ok(())
    }
}

/// The segments that an unfinished attempt left; an error if there is anything else.
fn leftovers(disk: &dyn Disk, paths: &Paths) -> Result<Vec<PathBuf>> {
    let names = list(disk, &paths.root)?;
    let staged = paths.staged_manifest();
    let known = [paths.lock_record(), staged.clone(), paths.log()];
    let found = names.iter().map(|name| paths.root.join(name));
    // The first by name, which in a store is the manifest.
    if let Some(path) = found.filter(|path| !known.contains(path)).min() {
        return Err(Error::NotEmpty { path });
    }
    let marked = names.iter().any(|name| paths.root.join(name) == staged);
    let segments = list(disk, &paths.log())?;
    let ours = |name: &&String| marked && segment_number(name).is_some();
    if let Some(name) = segments.iter().find(|name| !ours(name)) {
        return Err(Error::NotEmpty { path: paths.log().join(name) });
    }
    Ok(segments.iter().map(|name| paths.log().join(name)).collect())
}

/// The names in a directory; none if it is not there.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        listed => listed.map_err(|e| Error::io("list", dir, e)),
    }
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<()> {
    disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))
}
