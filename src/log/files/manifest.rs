//! The manifest file: reading, writing and creating it. A slot is replaced while the other one stays valid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::missing::missing;
use crate::bytes::wide;
use crate::disk::{Disk, DiskFile, OpenMode, create_anew};
use crate::error::{Error, Result};
use crate::log::format::{MANIFEST_BYTES, Manifest, Paths, Slots, slot_offset, wrong_length};

/// Most readings until two in a row agree.
const READINGS: u32 = 16;

/// The open manifest and its content.
pub(crate) struct ManifestFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) current: Manifest,
    /// One of the slots is not valid: a torn write, or damage.
    pub(crate) damaged: bool,
}

impl ManifestFile {
    /// Creates the manifest of a new store.
    pub(crate) fn create(disk: &dyn Disk, paths: &Paths, manifest: Manifest) -> Result<Self> {
        Self::stage(disk, paths, manifest)?.establish(disk, paths)
    }

    /// Writes and syncs the manifest of a new store under a temporary name. The directory is not a store yet.
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

    /// Renames a staged manifest to its final name. The store exists from then on.
    pub(crate) fn establish(self, disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let path = &self.path;
        let failed = |operation| move |source| Error::io(operation, path, source);
        disk.rename(&paths.staged_manifest(), &self.path).map_err(failed("rename"))?;
        // The store exists from here on, so its directory entry must be durable.
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

    /// Writes the current slot again and syncs it. That it was read does not say that it is on the device:
    /// after a failed sync in another process it may be in the page cache only. The next
    /// [`ManifestFile::write`] overwrites the other slot, so this one must be durable.
    pub(crate) fn harden(&self) -> Result<()> {
        self.put(&self.current)
    }

    /// Writes `next` as the next generation, and returns when it is on the device. If that fails, the
    /// other slot stays the current one, and the next write goes to the same slot again, whose content is not
    /// known.
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

/// Both slots. Reads until two readings agree, because a writer may be writing one of them.
fn read_pages(file: &dyn DiskFile, path: &Path) -> Result<Vec<u8>> {
    let size = file.size().map_err(|e| Error::io("measure", path, e))?;
    let expected = wide(MANIFEST_BYTES);
    if size != expected {
        return Err(wrong_length(path, expected, size));
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
