//! The entries of a range of keys, from both ends.

use std::ops::Bound;

use super::directory::GROUP;
use super::key::Key;
use super::section::{Group, SectionReader};
use crate::bytes::wide;
use crate::error::{Error, Result};

/// A key with its value, or with `None` if it is deleted.
pub(crate) type Entry<'a> = (Key<'a>, Option<&'a [u8]>);

/// Entries in order of their keys. Ends after an error.
pub(crate) struct Entries<'a> {
    reader: SectionReader<'a>,
    /// The numbers of the entries that are left.
    next: usize,
    end: usize,
    /// What is left of the group that the front is in.
    front: Option<Group<'a>>,
    back: Places<'a>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(
        reader: SectionReader<'a>,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    ) -> Result<Self> {
        let next = match from {
            Bound::Unbounded => 0,
            Bound::Included(key) => reader.find(key)?.number,
            Bound::Excluded(key) => reader.find(key)?.after(),
        };
        // Most ranges are short.
        let group = next / GROUP;
        let end = match to {
            _ if next >= reader.section.entries => next,
            Bound::Unbounded => reader.section.entries,
            Bound::Included(key) => reader.find_from(group, key)?.after(),
            Bound::Excluded(key) => reader.find_from(group, key)?.number,
        };
        Ok(Entries { reader, next, end, front: None, back: Places::NONE })
    }

    /// The error for keys that do not ascend where the next entry would be.
    pub(super) fn out_of_order(&self) -> Error {
        let (file, at) = (self.reader.file, self.reader.section.start);
        file.corrupt(at, "the keys of a section do not ascend", 0, wide(self.next))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let entry = read_on(&mut self.front, self.reader, self.next);
        self.next = if entry.is_ok() { self.next + 1 } else { self.end };
        Some(entry)
    }
}

impl DoubleEndedIterator for Entries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let entry = self.back.entry(self.reader, self.end - 1);
        self.end = if entry.is_ok() { self.end - 1 } else { self.next };
        Some(entry)
    }
}

/// Reads the entry of a number, which must be one of the section, behind the one read last: `rest` is what is left of the
/// group that it is in, unless that begins with it.
fn read_on<'a>(
    rest: &mut Option<Group<'a>>,
    reader: SectionReader<'a>,
    number: usize,
) -> Result<Entry<'a>> {
    let skipped = number % GROUP;
    let group = match rest.take().filter(|_| skipped > 0) {
        Some(group) => group,
        None => {
            let mut group = reader.group(number / GROUP)?;
            for skipped in group.by_ref().take(skipped) {
                skipped?;
            }
            group
        }
    };
    let group = rest.insert(group);
    let entry = group.next().transpose()?.ok_or_else(|| missing(reader, number))?;
    Ok((group.key(&entry), entry.value))
}

/// The entries of one group, for reading them backward.
struct Places<'a> {
    group: Option<usize>,
    entries: Vec<Entry<'a>>,
}

impl<'a> Places<'a> {
    const NONE: Self = Places { group: None, entries: vec![] };

    /// The entry of a number, which must be one of the section.
    fn entry(&mut self, reader: SectionReader<'a>, number: usize) -> Result<Entry<'a>> {
        let group = number / GROUP;
        if self.group != Some(group) {
            self.group = None;
            self.entries.clear();
            self.entries.reserve(GROUP);
            let mut entries = reader.group(group)?;
            while let Some(entry) = entries.next() {
                let entry = entry?;
                self.entries.push((entries.key(&entry), entry.value));
            }
            self.group = Some(group);
        }
        self.entries.get(number % GROUP).copied().ok_or_else(|| missing(reader, number))
    }
}

#[cold]
fn missing(reader: SectionReader<'_>, number: usize) -> Error {
    reader.file.corrupt(reader.section.directory, "an entry is missing", wide(number), 0)
}
