//! A directory that becomes a store when everything in it is there and synced, and not before.
//!
//! The manifest is made first and gets its name last. Its temporary name marks the directory: what
//! an attempt that was cut short left there is known by it, and made anew.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::files::{Lock, ManifestFile};
use crate::log::format::{Manifest, Paths, segment_number};
use crate::log::open::make_directories;

/// A store in the making. Dropping it leaves something that is no store.
pub(crate) struct Destination<'a> {
    disk: &'a dyn Disk,
    paths: &'a Paths,
    manifest: ManifestFile,
    /// Keeps others from making a store here meanwhile.
    lock: Lock,
}

impl<'a> Destination<'a> {
    /// Takes a directory that is empty, or not there, or holds what is left of an attempt before.
    pub(crate) fn claim(disk: &'a dyn Disk, paths: &'a Paths, manifest: Manifest) -> Result<Self> {
        // Before anything is made there, and then again: another process may have come.
        leftovers(disk, paths)?;
        make_directories(disk, paths)?;
        let lock = Lock::acquire(disk, paths)?;
        // Never written to: a segment may have a second name in another backup.
        for path in leftovers(disk, paths)? {
            disk.remove(&path).map_err(|e| Error::io("remove", path, e))?;
        }
        sync_dir(disk, &paths.log())?;
        let mut manifest = ManifestFile::stage(disk, paths, manifest)?;
        // Into both slots, as in any store that was opened: one of them may rot.
        manifest.write(manifest.current)?;
        // The mark is there before what it marks.
        sync_dir(disk, &paths.root)?;
        Ok(Destination { disk, paths, manifest, lock })
    }

    /// [`Error::Displaced`] if another directory has come in its place, in which nothing is to be made.
    pub(crate) fn check_place(&self) -> Result<()> {
        self.lock.check_place(self.disk, self.paths)
    }

    /// Makes it a store. Its segments must have been synced.
    pub(crate) fn finish(self) -> Result<()> {
        self.check_place()?;
        sync_dir(self.disk, &self.paths.log())?;
        self.manifest.establish(self.disk, self.paths)?;
        Ok(())
    }
}

/// The segments that an attempt before left; an error if there is anything else.
fn leftovers(disk: &dyn Disk, paths: &Paths) -> Result<Vec<PathBuf>> {
    let names = list(disk, &paths.root)?;
    let staged = paths.staged_manifest();
    let known = [paths.lock_record(), staged.clone(), paths.log()];
    let found = names.iter().map(|name| paths.root.join(name));
    // Of several, the first by name: of a store, its manifest.
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
