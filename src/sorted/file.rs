//! A sorted file that is open for reading.

use std::ops::Bound;
use std::path::Path;

use super::checked::{CheckedFile, corrupt};
use super::footer::{Footer, Section};
use super::hash::hash;
use super::kind::SectionKind;
use super::range::Entries;
use super::section::SectionReader;
use crate::bytes::wide;
use crate::disk::{Disk, MappedFile, OpenMode};
use crate::error::{Error, Result};

/// What a file knows of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lookup<'a> {
    /// Nothing.
    Absent,
    /// It is deleted: older files must not be asked.
    Deleted,
    /// It has this value.
    Found(&'a [u8]),
}

/// A sorted file. It keeps no descriptor open. Sections are named by their number among the file's kinds.
pub(crate) struct SortedFile {
    pub(super) file: CheckedFile,
    pub(super) sections: Vec<Section>,
}

impl SortedFile {
    /// Opens a file of sections of these kinds, whose length and checksum are those that [`Summary`](super::Summary)
    /// said. Reads its footer alone.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        kinds: &[SectionKind],
        len: u64,
        checksum: u32,
    ) -> Result<Self> {
        let file = disk.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        let size = file.size().map_err(|e| Error::io("measure", path, e))?;
        let wrong_length = || corrupt(path, 0, "the file's length is wrong", len, size);
        let in_memory = usize::try_from(len).map_err(|_| wrong_length())?;
        if size != len || len == 0 {
            return Err(wrong_length());
        }
        let map = file.map(in_memory).map_err(|e| Error::io("map", path, e))?;
        let map = MappedFile::new(map, in_memory);
        let bytes = map.bytes(0..in_memory).unwrap_or_default();
        let Footer { sections, parts } = Footer::read(bytes, path, kinds, checksum)?;
        let file = CheckedFile::new(path.to_owned(), map, parts);
        Ok(SortedFile { file, sections })
    }

    /// The error for an entry that makes no sense to whoever wrote it.
    pub(crate) fn malformed(&self, what: &'static str, expected: u64, found: u64) -> Error {
        self.file.corrupt(0, what, expected, found)
    }

    /// How many entries a section has, tombstones included.
    pub(crate) fn entries(&self, section: usize) -> Result<u64> {
        Ok(wide(self.section(section)?.section.entries))
    }

    /// How many bytes a section takes.
    pub(crate) fn section_bytes(&self, section: usize) -> Result<u64> {
        let Section { start, end, .. } = self.section(section)?.section;
        Ok(wide(end - start))
    }

    /// Whether a section may have a key whose filtered bytes have this [`hash`](super::hash()); `false` is for sure. A
    /// section without a filter may have any.
    pub(crate) fn may_hold(&self, section: usize, hash: u64) -> Result<bool> {
        self.section(section)?.may_hold(hash)
    }

    /// What the file knows of a key.
    pub(crate) fn get(&self, section: usize, key: &[u8]) -> Result<Lookup<'_>> {
        let reader = self.section(section)?;
        match reader.section.kind.filtered(key) {
            Some(filtered) => self.get_hashed(section, key, hash(filtered)),
            None => self.find(reader, key),
        }
    }

    /// What the file knows of a key, whose filtered bytes have this hash. The key must not be shorter than what is filtered.
    pub(crate) fn get_hashed(&self, section: usize, key: &[u8], hash: u64) -> Result<Lookup<'_>> {
        let reader = self.section(section)?;
        if reader.may_hold(hash)? { self.find(reader, key) } else { Ok(Lookup::Absent) }
    }

    fn find<'a>(&'a self, reader: SectionReader<'a>, key: &[u8]) -> Result<Lookup<'a>> {
        Ok(match reader.find(key)?.entry {
            None => Lookup::Absent,
            Some(entry) => entry.value.map_or(Lookup::Deleted, Lookup::Found),
        })
    }

    /// The entries between two bounds, tombstones included; none if the bounds exclude each other.
    pub(crate) fn range(
        &self,
        section: usize,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Result<Entries<'_>> {
        Entries::new(self.section(section)?, bounds)
    }

    pub(super) fn section(&self, section: usize) -> Result<SectionReader<'_>> {
        let found = self.sections.get(section);
        let section = found.ok_or_else(|| Error::internal("a sorted file has no such section"))?;
        Ok(SectionReader { file: &self.file, section })
    }
}
