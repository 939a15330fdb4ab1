//! Checking everything in a file.

use super::checked::CheckedFile;
use super::directory::{GROUP, ROW_BYTES, prefix};
use super::file::SortedFile;
use super::filter;
use super::hash::hash;
use super::key::{Key, left_out};
use super::section::SectionReader;
use crate::bytes::wide;
use crate::error::{Error, Result};

impl SortedFile {
    /// Checks every checksum, that keys ascend, and that directories and filters are those of the entries.
    pub(crate) fn verify(&self) -> Result<()> {
        self.file.check_all()?;
        (0..self.sections.len()).try_for_each(|section| verify(self.section(section)?))
    }
}

fn verify(reader: SectionReader<'_>) -> Result<()> {
    let SectionReader { file, section } = reader;
    let mut filter = filter::Builder::new(section.filtered)
        .ok_or_else(|| Error::internal("a filter is larger than the address space"))?;
    let mut at = section.start;
    let mut last: Option<Key<'_>> = None;
    for group in 0..section.rows() {
        let row_at = section.directory + group * ROW_BYTES;
        let row = reader.row(group)?;
        if row.offset != wide(at) {
            let what = "a group is not where the directory says";
            return Err(file.corrupt(row_at, what, wide(at), row.offset));
        }
        let len = GROUP.min(section.entries - group * GROUP);
        if u32::from(row.deleted).checked_shr(u32::try_from(len).unwrap_or(GROUP_BITS)) > Some(0) {
            let what = "the directory says of entries that are not there that they are deleted";
            return Err(file.corrupt(row_at, what, wide(len), row.deleted.into()));
        }
        let mut entries = reader.group(group)?;
        let mut is_first = true;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let key = entries.key(&entry);
            if is_first && row.prefix != prefix(&key) {
                let what = "a group begins with another key than the directory says";
                return Err(file.corrupt(row_at, what, prefix(&key), row.prefix));
            }
            if last.is_some_and(|last| last >= key) {
                return Err(file.corrupt(at, "the keys of a section do not ascend", 0, 0));
            }
            if let Some(before) = last.filter(|_| matches!(key, Key::Built(_)) && !is_first)
                && entry.shared != left_out(&before, &key)
            {
                let (what, could) =
                    ("an entry repeats what it shares", wide(left_out(&before, &key)));
                return Err(file.corrupt(at, what, could, wide(entry.shared)));
            }
            if let Some(filtered) = section.kind.filtered(&key)
                && last.as_ref().and_then(|last| section.kind.filtered(last)) != Some(filtered)
            {
                filter.insert(hash(filtered));
            }
            (last, is_first) = (Some(key), false);
            at = entries.at();
        }
    }
    zero(file, at, section.directory)?;
    zero(file, section.directory + section.rows() * ROW_BYTES, section.filter)?;
    verify_filter(reader, filter)
}

const GROUP_BITS: u32 = 16;

/// Checks the padding between two parts.
fn zero(file: &CheckedFile, from: usize, to: usize) -> Result<()> {
    let what = "there is something between two parts of a section";
    let padding = file.bytes(from..to)?;
    match padding.iter().position(|byte| *byte != 0) {
        None if padding.len() < super::footer::ALIGN => Ok(()),
        found => Err(file.corrupt(from + found.unwrap_or(0), what, 0, wide(padding.len()))),
    }
}

fn verify_filter(reader: SectionReader<'_>, filter: filter::Builder) -> Result<()> {
    let SectionReader { file, section } = reader;
    let keys = filter.keys();
    let blocks = filter.finish().filter(|_| keys == section.filtered);
    let Some(blocks) = blocks else {
        let what = "the filter of a section is for another number of keys";
        return Err(file.corrupt(section.filter, what, wide(keys), wide(section.filtered)));
    };
    for (number, block) in blocks.enumerate() {
        let at = section.filter + number * filter::BLOCK_BYTES;
        let found = file.bytes(at..at + filter::BLOCK_BYTES)?;
        if found != block.map(u64::to_le_bytes).as_flattened() {
            return Err(file.corrupt(at, "the filter of a section is not that of its keys", 0, 0));
        }
    }
    Ok(())
}
