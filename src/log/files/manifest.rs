//! The manifest file: two slots, written in turn, so that one is always whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::missing::missing;
use crate::bytes::wide;
use crate::disk::{Disk, DiskFile, OpenMode, create_anew};
use crate::error::{Error, Result};
use crate::log::format::{MANIFEST_BYTES, Manifest, Paths, Slots, corrupt, slot_offset};

/// How often the manifest is read until two readings agree.
const READINGS: u32 = 16;

/// The open manifest and what it says.
pub(crate) struct ManifestFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) current: Manifest,
    /// One of the slots is not whole: a write cut short, or rot.
    pub(crate) damaged: bool,
}

impl ManifestFile {
    /// Makes the manifest of a new store.
    pub(crate) fn create(disk: &dyn Disk, paths: &Paths, manifest: Manifest) -> Result<Self> {
        Self::stage(disk, paths, manifest)?.establish(disk, paths)
    }

    /// Writes and syncs the manifest of a store to be, under a name that makes no store of its
    /// directory.
    pub(crate) fn stage(disk: &dyn Disk, paths: &Paths, manifest: Manifest) -> Result<Self> {
        let path = paths.manifest();
        let temporary = paths.staged_manifest();
        let failed = |operation| {
            let path = path.clone();
            move |source| Error::io(operation, path, source)
        };
        let file = create_anew(disk, &temporary).map_err(failed("create"))?;
        let mut pages = manifest.encode();
        pages.resize(MANIFEST_BYTES, 0);
        pages.rotate_right(slot_offset(manifest.generation));
        file.write_at(&pages, 0).map_err(failed("write"))?;
        file.sync().map_err(failed("sync"))?;
        Ok(ManifestFile { file, path, current: manifest, damaged: false })
    }

    /// Gives a staged manifest its name, with which the store exists.
    pub(crate) fn establish(self, disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let path = &self.path;
        let failed = |operation| move |source| Error::io(operation, path, source);
        disk.rename(&paths.staged_manifest(), &self.path).map_err(failed("rename"))?;
        // The store exists from here on: the entry in its directory must last.
        disk.sync_dir(&paths.root).map_err(failed("sync the directory of"))?;
        Ok(self)
    }

    /// Reads the manifest.
    pub(crate) fn open(disk: &dyn Disk, paths: &Paths, mode: OpenMode) -> Result<Self> {
        let path = paths.manifest();
        let file = match disk.open(&path, mode) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing(disk, paths));
            }
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let pages = read_pages(file.as_ref(), &path)?;
        let Slots { current, damaged } = Slots::decode(&pages, &path)?;
        Ok(ManifestFile { file, path, current, damaged })
    }

    /// Puts the slot in force on the device. It was read, which does not say that it is there: after a
    /// write that failed in another process only the other slot may be, and that is the one which the
    /// next [`ManifestFile::write`] goes over.
    pub(crate) fn harden(&self) -> Result<()> {
        self.put(&self.current)
    }

    /// Writes `next` as the following generation, and returns when it is on the device. A slot
    /// that fails to be written leaves the other one in force, and the next write goes to the same
    /// place: what became of the first one is not known.
    pub(crate) fn write(&mut self, next: Manifest) -> Result<()> {
        let next = Manifest { generation: self.current.generation.saturating_add(1), ..next };
        self.put(&next)?;
        self.current = next;
        Ok(())
    }

    fn put(&self, slot: &Manifest) -> Result<()> {
        let offset = slot_offset(slot.generation) as u64;
        let written = self.file.write_at(&slot.encode(), offset);
        written.map_err(|e| Error::io("write", &self.path, e))?;
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))
    }
}

/// Both slots, as two readings in a row found them: a writer may be writing one.
fn read_pages(file: &dyn DiskFile, path: &Path) -> Result<Vec<u8>> {
    let size = file.size().map_err(|e| Error::io("measure", path, e))?;
    let expected = wide(MANIFEST_BYTES);
    if size != expected {
        let what = "the file's length is wrong";
        return Err(corrupt(path, size.min(expected), what, expected, size));
    }
    let read = || {
        let mut pages = vec![0; MANIFEST_BYTES];
        file.read_at(&mut pages, 0).map_err(|e| Error::io("read", path, e))?;
        Ok::<_, Error>(pages)
    };
    let mut last = read()?;
    for _ in 1..READINGS {
        let next = read()?;
        if next == last {
            break;
        }
        last = next;
    }
    Ok(last)
}
