//! The manifest file: two slots, written in turn, so that one is always whole.

use std::path::PathBuf;
use std::sync::Arc;

use super::layout::{Manifest, Paths, SLOT_BYTES, corrupt};
use crate::disk::{Disk, DiskFile, OpenMode, create_anew};
use crate::error::{Error, Result};

/// The open manifest and what it says.
pub(crate) struct ManifestFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    pub(crate) current: Manifest,
    /// One of the slots holds something that is no slot: a write cut short, or rot.
    pub(crate) damaged: bool,
}

impl ManifestFile {
    /// Makes the manifest of a new store.
    pub(crate) fn create(disk: &dyn Disk, paths: &Paths, manifest: Manifest) -> Result<Self> {
        Self::stage(disk, paths, manifest)?.establish(disk, paths)
    }

    /// Writes and syncs the manifest of a store to be, under a name that makes no store of its
    /// directory.
    pub(super) fn stage(disk: &dyn Disk, paths: &Paths, manifest: Manifest) -> Result<Self> {
        let path = paths.manifest();
        let temporary = paths.staged_manifest();
        let failed = |operation| {
            let path = path.clone();
            move |source| Error::io(operation, path, source)
        };
        let file = create_anew(disk, &temporary).map_err(failed("create"))?;
        let mut pages = manifest.encode();
        pages.resize(2 * SLOT_BYTES, 0);
        pages.rotate_right(slot_offset(manifest.generation));
        file.write_at(&pages, 0).map_err(failed("write"))?;
        file.sync().map_err(failed("sync"))?;
        Ok(ManifestFile { file, path, current: manifest, damaged: false })
    }

    /// Gives a staged manifest its name, with which the store exists.
    pub(super) fn establish(self, disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let path = &self.path;
        let failed = |operation| move |source| Error::io(operation, path, source);
        disk.rename(&paths.staged_manifest(), &self.path).map_err(failed("rename"))?;
        // The store exists from here on: the entry in its directory must last.
        disk.sync_dir(&paths.root).map_err(failed("sync the directory of"))?;
        Ok(self)
    }

    /// Reads the manifest; the whole slot with the higher generation counts.
    pub(crate) fn open(disk: &dyn Disk, paths: &Paths, mode: OpenMode) -> Result<Self> {
        let path = paths.manifest();
        let file = match disk.open(&path, mode) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NotAStore { path: paths.root.clone() });
            }
            Err(error) => return Err(Error::io("open", path, error)),
        };
        let mut pages = vec![0; 2 * SLOT_BYTES];
        let (size, expected) = (file.size(), pages.len() as u64);
        let size = size.map_err(|e| Error::io("measure", &path, e))?;
        if size < expected {
            return Err(corrupt(&path, size, "the file's length is wrong", expected, size));
        }
        file.read_at(&mut pages, 0).map_err(|e| Error::io("read", &path, e))?;
        let (first, second) = pages.split_at(SLOT_BYTES);
        let slots = (Manifest::decode(first, &path), Manifest::decode(second, &path));
        let current = match slots {
            (Ok(a), Ok(b)) => Ok(if a.generation > b.generation { a } else { b }),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            // Of two errors, the one about another format says more than the one about an empty
            // slot.
            (Err(a @ Error::UnsupportedFormat { .. }), _) => Err(a),
            (_, Err(b @ Error::UnsupportedFormat { .. })) => Err(b),
            (Err(a), Err(_)) => Err(a),
        }?;
        // A slot that was never written is zero, and only that of a new store's second generation.
        let written = |slot: &[u8]| slot.iter().any(|byte| *byte != 0);
        let whole = |slot| Manifest::decode(slot, &path).is_ok();
        let damaged = [first, second].iter().any(|slot| written(slot) && !whole(slot));
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

/// Where the slot of a generation lies.
pub(super) fn slot_offset(generation: u64) -> usize {
    if generation.is_multiple_of(2) { 0 } else { SLOT_BYTES }
}
