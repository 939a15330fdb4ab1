//! Reading one section: its groups, and the search for a key.

use std::cmp::Ordering;

use super::checked::{CheckedFile, Window};
use super::directory::{self, GROUP, ROW_BYTES, Row};
use super::entry::Place;
use super::filter;
use super::footer::Section;
use super::key::{Built, Key};
use super::kind::Width;
use crate::bytes::wide;
use crate::error::Result;

/// A section of a file.
#[derive(Clone, Copy)]
pub(super) struct SectionReader<'a> {
    pub(super) file: &'a CheckedFile,
    pub(super) section: &'a Section,
}

/// Where a key is, or would be.
pub(super) struct Found {
    /// The number of the first entry whose key is not less.
    pub(super) number: usize,
    /// The entry that has the key.
    pub(super) place: Option<Place>,
}

impl Found {
    /// The number of the first entry whose key is greater.
    pub(super) fn after(&self) -> usize {
        self.number + usize::from(self.place.is_some())
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
        let row = self.row(group)?;
        let at = usize::try_from(row.offset).unwrap_or(usize::MAX);
        if at < self.section.start || at > self.section.directory {
            let row_at = self.section.directory + group * ROW_BYTES;
            let what = "a group is said to lie outside of its section";
            return Err(self.file.corrupt(row_at, what, wide(self.section.start), row.offset));
        }
        let left = self.section.entries.saturating_sub(group * GROUP).min(GROUP);
        let window = Window::new(self.file, self.section.directory);
        Ok(Group { section: self.section, window, at, left, deleted: row.deleted, last: None })
    }

    /// Searches for a key.
    pub(super) fn find(self, key: &[u8]) -> Result<Found> {
        match self.group_of(key)? {
            Some(group) => self.find_in(group, key),
            None => Ok(Found { number: 0, place: None }),
        }
    }

    /// Searches for a key that is not before a group, and probably in it. If it is before, what is found is the
    /// beginning of the group.
    pub(super) fn find_from(self, group: usize, key: &[u8]) -> Result<Found> {
        let next = group + 1;
        if next < self.section.rows() && self.row(next)?.prefix <= directory::prefix(key) {
            return self.find(key);
        }
        self.find_in(group, key)
    }

    fn find_in(self, group: usize, key: &[u8]) -> Result<Found> {
        let mut number = group * GROUP;
        let mut group = self.group(group)?;
        while let Some(place) = group.next() {
            let place = place?;
            match group.compare(&place, key)? {
                Ordering::Less => number += 1,
                Ordering::Equal => return Ok(Found { number, place: Some(place) }),
                Ordering::Greater => break,
            }
        }
        Ok(Found { number, place: None })
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
            Some(place) => Ok(group.compare(&place?, key)?.is_le()),
            None => Ok(false),
        }
    }
}

/// Walks over the entries of a group that are left.
pub(super) struct Group<'a> {
    section: &'a Section,
    window: Window<'a>,
    at: usize,
    left: usize,
    deleted: u16,
    /// The key of the entry that was read last, if keys are front-coded.
    last: Option<Built>,
}

impl<'a> Group<'a> {
    /// The key of the entry that was read last.
    pub(super) fn key(&mut self, place: &Place) -> Result<Key<'a>> {
        match self.last {
            Some(built) => Ok(Key::Built(built)),
            None => place.own_key(&mut self.window).map(Key::InFile),
        }
    }

    /// How that key compares with another one.
    fn compare(&mut self, place: &Place, key: &[u8]) -> Result<Ordering> {
        match &self.last {
            Some(built) => Ok(built.bytes().cmp(key)),
            None => Ok(place.own_key(&mut self.window)?.cmp(key)),
        }
    }

    /// The next entry, which is there.
    fn read(&mut self, deleted: bool) -> Result<Place> {
        let Section { kind, directory, .. } = self.section;
        let place = Place::read(&mut self.window, kind, self.at, *directory, deleted)?;
        if let Width::FrontCoded(width) = kind.key {
            if self.last.is_none() && place.shared > 0 {
                let what = "the first entry of a group leaves something out";
                return Err(self.window.file().corrupt(self.at, what, 0, wide(place.shared)));
            }
            let own = place.own_key(&mut self.window)?;
            self.last.get_or_insert_with(|| Built::new(width)).follow(place.shared, own);
        }
        self.at = place.end();
        Ok(place)
    }
}

impl Iterator for Group<'_> {
    type Item = Result<Place>;

    fn next(&mut self) -> Option<Result<Place>> {
        self.left = self.left.checked_sub(1)?;
        let deleted = self.deleted & 1 != 0;
        self.deleted >>= 1;
        let place = self.read(deleted);
        if place.is_err() {
            self.left = 0;
        }
        Some(place)
    }
}
