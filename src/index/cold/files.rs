//! The sorted files of the cold index.

use super::checkpoint::FileEntry;
use super::family::{Family, KINDS};
use crate::disk::Disk;
use crate::error::Result;
use crate::log::format::Paths;
use crate::sorted::SortedFile;

/// An open file of the cold index.
pub(crate) struct IndexFile {
    pub(crate) entry: FileEntry,
    pub(crate) sorted: SortedFile,
}

impl IndexFile {
    /// Opens a file that a checkpoint names. Reads its footer alone.
    pub(crate) fn open(disk: &dyn Disk, paths: &Paths, entry: FileEntry) -> Result<Self> {
        let path = entry.path(paths);
        let sorted = SortedFile::open(disk, &path, &KINDS, entry.len, entry.checksum)?;
        Ok(IndexFile { entry, sorted })
    }

    /// The bytes of its lists.
    pub(crate) fn list_bytes(&self) -> u64 {
        let sections = [Family::Started, Family::Closed].into_iter();
        sections.filter_map(|list| self.sorted.section_bytes(list.section()).ok()).sum()
    }
}
