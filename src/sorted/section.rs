//! Reading one section: its groups, and the search for a key.

use std::cmp::Ordering;

use super::checked::CheckedFile;
use super::directory::{self, GROUP, ROW_BYTES, Row};
use super::entry::Stored;
use super::filter;
use super::footer::Section;
use super::key::{Key, KeyNumber};
use super::kind::{SectionKind, Width};
use crate::bytes::wide;
use crate::error::{Error, Result};

/// A section of a file.
#[derive(Clone, Copy)]
pub(super) struct SectionReader<'a> {
    pub(super) file: &'a CheckedFile,
    pub(super) section: &'a Section,
}

/// Where a key is, or would be.
pub(super) struct Found<'a> {
    /// The number of the first entry whose key is not less.
    pub(super) number: usize,
    /// The entry that has the key.
    pub(super) entry: Option<Stored<'a>>,
}

impl Found<'_> {
    /// The number of the first entry whose key is greater.
    pub(super) fn after(&self) -> usize {
        self.number + usize::from(self.entry.is_some())
    }
}

impl<'a> SectionReader<'a> {
    /// Whether a key with this hash may be in the section; `false` is for sure.
    pub(super) fn may_hold(self, hash: u64) -> Result<bool> {
        if self.section.kind.filtered == 0 {
            return Ok(true);
        }
        let blocks = self.section.filter_blocks();
        if blocks == 0 {
            return Ok(false);
        }
        let at = self.section.filter + filter::block_of(hash, blocks) * filter::BLOCK_BYTES;
        Ok(filter::may_hold(self.file.bytes(at..at + filter::BLOCK_BYTES)?, hash))
    }

    pub(super) fn row(self, group: usize) -> Result<Row> {
        let at = self.section.directory + group * ROW_BYTES;
        let bytes = self.file.bytes(at..at + ROW_BYTES)?;
        Row::decode(bytes).ok_or_else(|| self.file.corrupt(at, "there is no row", 0, 0))
    }

    /// The entries of a group, which must be one of the section.
    pub(super) fn group(self, group: usize) -> Result<Group<'a>> {
        let Section { start, directory, entries, kind, .. } = self.section;
        let row = self.row(group)?;
        let next = group + 1;
        let end = match next < self.section.rows() {
            true => usize::try_from(self.row(next)?.offset).unwrap_or(usize::MAX),
            false => *directory,
        };
        let at = usize::try_from(row.offset).unwrap_or(usize::MAX);
        if at < *start || at > end || end > *directory {
            let row_at = directory + group * ROW_BYTES;
            let what = "a group is said to lie outside of its section";
            return Err(self.file.corrupt(row_at, what, wide(*start), row.offset));
        }
        let (rest, left) =
            (self.file.bytes(at..end)?, entries.saturating_sub(group * GROUP).min(GROUP));
        let (file, deleted, is_first, last) = (self.file, row.deleted, true, KeyNumber::ZERO);
        Ok(Group { file, kind, rest, end, left, deleted, is_first, last })
    }

    /// Searches for a key.
    pub(super) fn find(self, key: &[u8]) -> Result<Found<'a>> {
        match self.group_of(key)? {
            Some(group) => self.find_in(group, key),
            None => Ok(Found { number: 0, entry: None }),
        }
    }

    /// Searches for a key that is not before a group, and probably in it. If it is before, what is found is the
    /// beginning of the group.
    pub(super) fn find_from(self, group: usize, key: &[u8]) -> Result<Found<'a>> {
        let next = group + 1;
        if next < self.section.rows() && self.row(next)?.prefix <= directory::prefix(key) {
            return self.find(key);
        }
        self.find_in(group, key)
    }

    fn find_in(self, group: usize, key: &[u8]) -> Result<Found<'a>> {
        let (less, entry) = self.group(group)?.find(key)?;
        Ok(Found { number: group * GROUP + less, entry })
    }

    /// The last group whose first key is at most `key`.
    fn group_of(self, key: &[u8]) -> Result<Option<usize>> {
        let prefix = directory::prefix(key);
        let number = |row| Ok(self.row(row)?.prefix);
        let rows = directory::at_most(self.section.rows(), prefix, number)?;
        let Some(last) = rows.checked_sub(1) else { return Ok(None) };
        if self.row(last)?.prefix < prefix || self.begins_by(last, key)? {
            return Ok(Some(last));
        }
        // The last of the groups that begin alike is behind the key. Among the others whole keys decide.
        let mut from = match prefix.checked_sub(1) {
            Some(less) => directory::at_most(last, less, number)?,
            None => 0,
        };
        let mut to = last;
        while from < to {
            let middle = from.midpoint(to);
            if self.begins_by(middle, key)? {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from.checked_sub(1))
    }

    /// Whether the first key of a group is at most `key`.
    fn begins_by(self, group: usize, key: &[u8]) -> Result<bool> {
        let mut group = self.group(group)?;
        match group.next() {
            Some(entry) => Ok(group.compare(&entry?, key, KeyNumber::of(key)).is_le()),
            None => Ok(false),
        }
    }
}

/// Walks over the entries of a group that are left.
pub(super) struct Group<'a> {
    file: &'a CheckedFile,
    kind: &'a SectionKind,
    /// The bytes of those that are left.
    rest: &'a [u8],
    /// Where the group ends in the file.
    end: usize,
    left: usize,
    deleted: u16,
    is_first: bool,
    /// The key of the entry that was read last, if keys are front-coded.
    last: KeyNumber,
}

impl<'a> Group<'a> {
    /// The key of the entry that was read last.
    pub(super) fn key(&self, entry: &Stored<'a>) -> Key<'a> {
        match self.kind.key {
            Width::FrontCoded(width) => Key::Built(self.last.built(width)),
            _ => Key::InFile(entry.own_key()),
        }
    }

    /// How that key compares with another one, which as a number is `wanted`.
    #[inline]
    fn compare(&self, entry: &Stored<'a>, key: &[u8], wanted: KeyNumber) -> Ordering {
        match self.kind.key {
            // Where one begins as the other does, zeros behind it make no difference.
            Width::FrontCoded(width) => {
                self.last.cmp(&wanted).then_with(|| usize::from(width).cmp(&key.len()))
            }
            _ => entry.own_key().cmp(key),
        }
    }

    /// The next entry, which is there; `None` if it makes no sense.
    #[inline]
    fn take(&mut self) -> Option<Stored<'a>> {
        self.left -= 1;
        let deleted = self.deleted & 1 != 0;
        self.deleted >>= 1;
        let entry = Stored::take(&mut self.rest, self.kind, deleted)?;
        if let Width::FrontCoded(width) = self.kind.key {
            if self.is_first && entry.shared > 0 {
                return None;
            }
            self.is_first = false;
            self.last = entry.key_number(width, self.last);
        }
        Some(entry)
    }

    /// Where what is left begins in the file.
    pub(super) fn at(&self) -> usize {
        self.end - self.rest.len()
    }

    /// The error for an entry that makes no sense.
    #[cold]
    fn malformed(&mut self) -> Error {
        self.left = 0;
        let (what, at) =
            ("an entry goes beyond its group, or leaves out what is not before it", self.at());
        self.file.corrupt(at, what, wide(self.end), wide(at))
    }

    /// How many of the entries that are left are less than a key, and the one that has it.
    fn find(&mut self, key: &[u8]) -> Result<(usize, Option<Stored<'a>>)> {
        let wanted = KeyNumber::of(key);
        let mut less = 0;
        while self.left > 0 {
            let Some(entry) = self.take() else { return Err(self.malformed()) };
            match self.compare(&entry, key, wanted) {
                Ordering::Less => less += 1,
                Ordering::Equal => return Ok((less, Some(entry))),
                Ordering::Greater => break,
            }
        }
        Ok((less, None))
    }
}

impl<'a> Iterator for Group<'a> {
    type Item = Result<Stored<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        Some(self.take().ok_or_else(|| self.malformed()))
    }
}
