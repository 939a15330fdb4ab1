//! Writing a sorted file.

use std::path::Path;

use super::directory::{GROUP, Row, prefix};
use super::entry::Head;
use super::filter;
use super::footer::{self, ALIGN, Section};
use super::hash::hash;
use super::key;
use super::kind::{SectionKind, Width};
use super::output::Output;
use crate::bytes::wide;
use crate::disk::Disk;
use crate::error::{Error, Result};

/// What a file is opened with, and what it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    /// Its length in bytes.
    pub(crate) len: u64,
    /// The checksum of its footer, and so of everything in it.
    pub(crate) checksum: u32,
    /// How many entries each section has, tombstones included.
    pub(crate) entries: Vec<u64>,
}

/// A sorted file that is being written. If it is dropped before it is finished, or fails, the file is to be removed.
pub(crate) struct SortedWriter {
    output: Output,
    kinds: &'static [SectionKind],
    sections: Vec<Section>,
    open: Option<OpenSection>,
}

/// The section that entries are added to.
struct OpenSection {
    kind: SectionKind,
    start: usize,
    entries: usize,
    rows: Vec<Row>,
    filter: Option<filter::Builder>,
    last_key: Vec<u8>,
}

impl SortedWriter {
    /// Creates a file, which must not exist. The caller syncs its directory.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        kinds: &'static [SectionKind],
    ) -> Result<Self> {
        let output = Output::create(disk, path)?;
        Ok(SortedWriter { output, kinds, sections: vec![], open: None })
    }

    pub(super) fn kinds(&self) -> &'static [SectionKind] {
        self.kinds
    }

    /// Ends the section before, and begins another one, which must come later among the kinds; those between are empty.
    /// It will have at most so many entries: the memory of its filter is reserved for these.
    pub(crate) fn begin(&mut self, section: usize, at_most: u64) -> Result<()> {
        self.end_section()?;
        while self.sections.len() < section {
            self.open_section(0)?;
            self.end_section()?;
        }
        if self.sections.len() != section {
            return Err(Error::internal("the sections of a sorted file are not written in order"));
        }
        self.open_section(at_most)
    }

    fn open_section(&mut self, at_most: u64) -> Result<()> {
        let Some(kind) = self.kinds.get(self.sections.len()).copied() else {
            return Err(Error::internal("a sorted file has no such section"));
        };
        let filter = match kind.filtered {
            0 => None,
            _ => Some(
                usize::try_from(at_most)
                    .ok()
                    .and_then(filter::Builder::new)
                    .ok_or_else(|| Error::internal("a filter is larger than the address space"))?,
            ),
        };
        let (start, rows, last_key) = (self.output.len(), vec![], vec![]);
        self.open = Some(OpenSection { kind, start, entries: 0, rows, filter, last_key });
        Ok(())
    }

    /// Adds an entry to the section that was begun; `None` is a tombstone. Keys must ascend.
    pub(crate) fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let Some(section) = &mut self.open else {
            return Err(Error::internal("no section of the sorted file was begun"));
        };
        let (head, shared) = section.add(key, value, wide(self.output.len()))?;
        self.output.push(head.bytes())?;
        self.output.push(key.get(shared..).unwrap_or_default())?;
        self.output.push(value.unwrap_or_default())
    }

    fn end_section(&mut self) -> Result<()> {
        let Some(OpenSection { kind, start, entries, rows, filter, .. }) = self.open.take() else {
            return Ok(());
        };
        self.output.pad(ALIGN)?;
        let directory = self.output.len();
        for row in rows {
            let row = row.encode().ok_or_else(|| Error::internal("a sorted file is too long"))?;
            self.output.push(&row)?;
        }
        self.output.pad(ALIGN)?;
        let filtered = filter.as_ref().map_or(0, filter::Builder::keys);
        if let Some(filter) = filter {
            let what = "a section of a sorted file has more entries than was said";
            for block in filter.finish().ok_or_else(|| Error::internal(what))? {
                self.output.push(block.map(u64::to_le_bytes).as_flattened())?;
            }
        }
        let section = Section::new(kind, entries, filtered, start, directory);
        match section.filter(|section| section.end == self.output.len()) {
            Some(section) => self.sections.push(section),
            None => return Err(Error::internal("a section of a sorted file adds up wrong")),
        }
        Ok(())
    }

    /// Writes the rest of the file, and syncs it.
    pub(crate) fn finish(mut self) -> Result<Summary> {
        self.end_section()?;
        while self.sections.len() < self.kinds.len() {
            self.open_section(0)?;
            self.end_section()?;
        }
        let (table, table_sums) = footer::table(&self.output.end_data()?);
        let (footer, checksum) = footer::encode(&table_sums, &self.sections);
        let len = self.output.finish(&[&table, &footer])?;
        let entries = self.sections.iter().map(|section| wide(section.entries)).collect();
        Ok(Summary { len, checksum, entries })
    }
}

impl OpenSection {
    /// Notes an entry that will lie at `offset`; returns what precedes it there, and how many first bytes of its key are left
    /// out.
    fn add(&mut self, key: &[u8], value: Option<&[u8]>, offset: u64) -> Result<(Head, usize)> {
        if self.entries > 0 && key <= self.last_key.as_slice() {
            return Err(Error::internal("the keys of a sorted file do not ascend"));
        }
        let in_group = self.entries % GROUP;
        let shared = match self.kind.key {
            Width::FrontCoded(_) if in_group > 0 => key::left_out(&self.last_key, key),
            _ => 0,
        };
        let head = Head::new(&self.kind, key, shared, value);
        let head = head.filter(|_| self.kind.key.allows(key.len()));
        let what = "an entry of a sorted file is of another width than its section";
        let head = head.ok_or_else(|| Error::internal(what))?;
        if in_group == 0 {
            self.rows.push(Row { prefix: prefix(key), offset, deleted: 0 });
        }
        if value.is_none()
            && let Some(row) = self.rows.last_mut()
        {
            row.deleted |= 1 << in_group;
        }
        if let (Some(filter), Some(filtered)) = (&mut self.filter, self.kind.filtered(key))
            // Keys that begin alike are neighbours, and the filter takes them for one.
            && (self.entries == 0 || self.kind.filtered(&self.last_key) != Some(filtered))
        {
            filter.insert(hash(filtered));
        }
        self.entries += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok((head, shared))
    }
}
