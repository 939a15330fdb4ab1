//! The end of a file: what its sections are, and where.

use std::path::Path;

use super::checked::{Parts, corrupt};
use super::directory::{GROUP, ROW_BYTES};
use super::filter;
use super::kind::SectionKind;
use crate::bytes::{u32_at, u64_at, wide};
use crate::error::Result;

/// At what the parts of a section are aligned.
pub(super) const ALIGN: usize = filter::BLOCK_BYTES;
const MAGIC: [u8; 8] = *b"KINLOGSF";
const VERSION: u32 = 2;
const SECTION_BYTES: usize = 32;
const END_BYTES: usize = 16;

/// A section and its parts: entries, directory, filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Section {
    pub(super) kind: SectionKind,
    pub(super) entries: usize,
    /// How many keys the filter knows: those that differ in what it knows of them.
    pub(super) filtered: usize,
    /// Where its entries begin.
    pub(super) start: usize,
    /// Where its directory begins.
    pub(super) directory: usize,
    /// Where its filter begins.
    pub(super) filter: usize,
    /// Where the next section begins.
    pub(super) end: usize,
}

impl Section {
    /// Where the parts lie: all follows from these numbers. `None` if it is out of bounds.
    pub(super) fn new(
        kind: SectionKind,
        entries: usize,
        filtered: usize,
        start: usize,
        directory: usize,
    ) -> Option<Self> {
        let rows = entries.div_ceil(GROUP).checked_mul(ROW_BYTES)?;
        let filter = directory.checked_add(rows)?.checked_next_multiple_of(ALIGN)?;
        let blocks = filter::blocks(filtered)?.checked_mul(filter::BLOCK_BYTES)?;
        let end = filter.checked_add(blocks)?;
        Some(Section { kind, entries, filtered, start, directory, filter, end })
    }

    pub(super) fn rows(&self) -> usize {
        self.entries.div_ceil(GROUP)
    }

    pub(super) fn filter_blocks(&self) -> usize {
        (self.end - self.filter) / filter::BLOCK_BYTES
    }

    fn encode(&self) -> [[u8; 8]; SECTION_BYTES / 8] {
        let numbers = [self.entries, self.filtered, self.directory];
        let [entries, filtered, directory] = numbers.map(|number| wide(number).to_le_bytes());
        [self.kind.encode(), entries, filtered, directory]
    }

    /// A section that begins at `start`. `None` if it is of another kind or out of bounds.
    fn decode(bytes: &[u8], kind: SectionKind, start: usize) -> Option<Self> {
        let number = |at| usize::try_from(u64_at(bytes, at)?).ok();
        let (entries, filtered, directory) = (number(8)?, number(16)?, number(24)?);
        let section = Section::new(kind, entries, filtered, start, directory)?;
        let fits = bytes.starts_with(&kind.encode())
            && directory >= start
            && directory.is_multiple_of(ALIGN)
            && filtered <= entries
            && (filtered == 0 || kind.filtered > 0);
        fits.then_some(section)
    }
}

/// What follows the table of checksums: the checksums of its blocks, then the sections. And the checksum of it all.
pub(super) fn encode(table_sums: &[u32], sections: &[Section]) -> (Vec<u8>, u32) {
    let mut bytes: Vec<u8> = table_sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    for section in sections {
        bytes.extend_from_slice(section.encode().as_flattened());
    }
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend(u32::try_from(sections.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&MAGIC);
    let checksum = crc32fast::hash(&bytes);
    (bytes, checksum)
}

/// What a footer says.
pub(super) struct Footer {
    pub(super) sections: Vec<Section>,
    pub(super) parts: Parts,
}

impl Footer {
    /// Reads the footer of a file of sections of these kinds, all of which is `file`, and checks it against its checksum.
    pub(super) fn read(
        file: &[u8],
        path: &Path,
        kinds: &[SectionKind],
        checksum: u32,
    ) -> Result<Self> {
        let len = file.len();
        let fixed = kinds.len() * SECTION_BYTES + END_BYTES;
        let no_footer = |found| {
            corrupt(path, len.saturating_sub(fixed), "there is no footer", VERSION.into(), found)
        };
        let at = len.checked_sub(fixed).ok_or_else(|| no_footer(0))?;
        let sections = file.get(at..len - END_BYTES).unwrap_or_default();
        let end = file.get(len - END_BYTES..).unwrap_or_default();
        let version = u32_at(end, 0).unwrap_or_default();
        if !end.ends_with(&MAGIC) || version != VERSION {
            return Err(no_footer(version.into()));
        }
        let count = u64::from(u32_at(end, 4).unwrap_or_default());
        if count != wide(kinds.len()) {
            return Err(corrupt(path, len - 12, "other sections", wide(kinds.len()), count));
        }
        let wrong = |offset| corrupt(path, offset, "a section of the footer is wrong", 0, 0);
        let mut found = Vec::with_capacity(kinds.len());
        let mut data = 0;
        for (number, (kind, bytes)) in kinds.iter().zip(sections.chunks(SECTION_BYTES)).enumerate()
        {
            let section = Section::decode(bytes, *kind, data).filter(|section| section.end <= len);
            let section = section.ok_or_else(|| wrong(at + number * SECTION_BYTES))?;
            data = section.end;
            found.push(section);
        }
        let parts = Parts::of(data);
        let expected = parts.data + parts.table + parts.sums + fixed;
        if expected != len {
            return Err(corrupt(path, at, "the sections add up wrong", wide(len), wide(expected)));
        }
        let footer = file.get(at - parts.sums..).unwrap_or_default();
        let sum = crc32fast::hash(footer);
        if sum != checksum {
            let what = "the footer does not match its checksum";
            return Err(corrupt(path, at - parts.sums, what, checksum.into(), sum.into()));
        }
        Ok(Footer { sections: found, parts })
    }
}

/// The table of checksums as bytes, and the checksums of its blocks.
pub(super) fn table(sums: &[u32]) -> (Vec<u8>, Vec<u32>) {
    let table: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    let sums = table.chunks(super::checked::BLOCK_BYTES).map(crc32fast::hash).collect();
    (table, sums)
}
