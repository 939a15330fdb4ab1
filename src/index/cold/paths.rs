//! The directory of the index: reading and replacing the checkpoint, and removing files that it does not name.

use std::collections::HashSet;
use std::io::ErrorKind::{self, NotFound};
use std::path::PathBuf;

use super::checkpoint::{Checkpoint, FileEntry};
use crate::disk::{Disk, OpenMode, create_anew};
use crate::error::{Error, Result};
use crate::log::format::Paths;

/// The checkpoint; `None` if there is none that this build can use.
pub(crate) fn read_checkpoint(disk: &dyn Disk, paths: &Paths) -> Option<Checkpoint> {
    let bytes = checkpoint_bytes(disk, paths).ok()??;
    Checkpoint::decode(&bytes)
}

/// The bytes of the checkpoint, if there is one.
pub(crate) fn checkpoint_bytes(disk: &dyn Disk, paths: &Paths) -> Result<Option<Vec<u8>>> {
    let path = paths.checkpoint();
    let failed = |source| Error::io("read", &path, source);
    let file = match disk.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let too_long = |_| failed(ErrorKind::FileTooLarge.into());
    let mut bytes = vec![0; usize::try_from(file.size().map_err(failed)?).map_err(too_long)?];
    file.read_at(&mut bytes, 0).map_err(failed)?;
    Ok(Some(bytes))
}

/// Removes the checkpoint, so that the next opening builds the index anew.
pub(crate) fn remove_checkpoint(disk: &dyn Disk, paths: &Paths) -> Result<()> {
    let (path, dir) = (paths.checkpoint(), paths.index());
    match disk.remove(&path) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        removed => removed.map_err(|e| Error::io("remove", path, e))?,
    }
    disk.sync_dir(&dir).map_err(|e| Error::io("sync", dir, e))
}

/// Replaces the checkpoint. All that it names must be durable, and the log up to what it covers.
pub(crate) fn write_checkpoint(disk: &dyn Disk, paths: &Paths, next: &Checkpoint) -> Result<()> {
    let staged = paths.staged_checkpoint();
    let failed = |operation| {
        let path = staged.clone();
        move |source| Error::io(operation, path, source)
    };
    let file = create_anew(disk, &staged).map_err(failed("create"))?;
    file.write_at(&next.encode(), 0).map_err(failed("write"))?;
    file.sync().map_err(failed("sync"))?;
    disk.rename(&staged, &paths.checkpoint()).map_err(failed("rename"))?;
    let dir = paths.index();
    disk.sync_dir(&dir).map_err(|source| Error::io("sync", dir, source))
}

/// Files in the directory of the index that no writer has made.
pub(crate) fn unknown_files(disk: &dyn Disk, paths: &Paths) -> Result<Vec<PathBuf>> {
    let dir = paths.index();
    let names = match disk.list(&dir) {
        Err(error) if error.kind() == NotFound => vec![],
        listed => listed.map_err(|e| Error::io("list", &dir, e))?,
    };
    let own = [paths.checkpoint(), paths.staged_checkpoint()];
    let unknown = names.iter().filter(|name| !FileEntry::is_name(name)).map(|name| dir.join(name));
    Ok(unknown.filter(|path| !own.contains(path)).collect())
}

/// Removes files of the index that are not among `named`, all that can be; an error if one could not.
pub(crate) fn remove_others<'a>(
    disk: &dyn Disk,
    paths: &Paths,
    named: impl Iterator<Item = &'a FileEntry>,
) -> Result<()> {
    let named: HashSet<String> = named.map(FileEntry::name).collect();
    let dir = paths.index();
    let names = match disk.list(&dir) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        names => names.map_err(|e| Error::io("list", &dir, e))?,
    };
    let mut removed = Ok(());
    for name in names.iter().filter(|name| FileEntry::is_name(name) && !named.contains(*name)) {
        let path = dir.join(name);
        removed = removed.and(disk.remove(&path).map_err(|e| Error::io("remove", path, e)));
    }
    removed
}

/// Removes the index. No power loss brings anything of it back.
pub(crate) fn remove_index(disk: &dyn Disk, paths: &Paths) -> Result<()> {
    remove_checkpoint(disk, paths)?;
    remove_others(disk, paths, std::iter::empty())?;
    let dir = paths.index();
    match disk.sync_dir(&dir) {
        Err(error) if error.kind() == NotFound => Ok(()),
        synced => synced.map_err(|e| Error::io("sync", dir, e)),
    }
}
