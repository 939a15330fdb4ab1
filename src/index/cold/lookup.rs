//! Look-ups in the files of the cold index: the newest file that knows a key is right.

use std::ops::{Bound, Range};
use std::sync::{Arc, OnceLock};

use super::family::Family;
use super::files::IndexFile;
use super::keys::{
    beyond_prefix, hash_key, hash_prefix, number_key, number_of_hash_key, number_of_key, place_key,
    place_of_key, row_key,
};
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::sorted::{Entries, Entry, Lookup};

/// The files of the cold index.
#[derive(Default)]
pub(crate) struct Cold {
    /// The newest one first.
    files: Vec<Arc<IndexFile>>,
    /// The first damage that a look-up has met.
    damage: OnceLock<Error>,
}

impl Cold {
    /// The cold index in these files, the newest one first.
    pub(crate) fn new(files: Vec<Arc<IndexFile>>) -> Self {
        Cold { files, damage: OnceLock::new() }
    }

    /// The files, the newest one first.
    pub(crate) fn files(&self) -> &[Arc<IndexFile>] {
        &self.files
    }

    /// Fails once a look-up has met damage: what it found was not there may be there.
    pub(crate) fn check(&self) -> Result<()> {
        self.damage.get().map_or(Ok(()), |damage| Err(damage.clone()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The bytes of an entry.
    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        let hash = family.hash(key);
        for file in &self.files {
            match self.sound(file.sorted.get_hashed(family.section(), key, hash))? {
                Lookup::Absent => {}
                Lookup::Deleted => return None,
                Lookup::Found(bytes) => return Some(bytes),
            }
        }
        None
    }

    /// The first number from `from` on of which any file says something.
    pub(crate) fn next_number(&self, family: Family, from: u32) -> Option<u32> {
        let from = number_key(from);
        let bounds = (Bound::Included(from.as_slice()), Bound::Unbounded);
        let firsts = self.files.iter().filter_map(|file| {
            let mut entries = self.sound(file.sorted.range(family.section(), bounds))?;
            let (key, _) = self.sound(entries.next()?)?;
            number_of_key(&key)
        });
        firsts.min()
    }

    /// The numbers that an id with this hash may stand for.
    pub(crate) fn numbers(&self, family: Family, id: u64) -> impl Iterator<Item = u32> {
        let mut deleted = vec![];
        let first = hash_prefix(id);
        let filtered = family.hash(&first);
        let from = hash_key(id, 0);
        let section = family.section();
        let numbers = self.files.iter().filter_map(move |file| {
            if !self.sound(file.sorted.may_hold(section, filtered))? {
                return None;
            }
            let bounds = (Bound::Included(from.as_slice()), Bound::Unbounded);
            let entries = self.sound(file.sorted.range(section, bounds))?;
            let entries = entries.map_while(|entry| self.sound(entry));
            // To search for their end, too, would take as long again.
            Some(entries.take_while(move |(key, _)| key.starts_with(&first)))
        });
        // The newest file comes first.
        numbers.flatten().filter_map(move |(key, value)| {
            let number = number_of_hash_key(&key)?;
            if value.is_none() {
                deleted.push(number);
            }
            Some(number).filter(|number| !deleted.contains(number))
        })
    }

    /// The bytes of a row.
    pub(crate) fn row(&self, table: &str, key: &[u8]) -> Option<&[u8]> {
        if self.is_empty() { None } else { self.get(Family::Rows, &row_key(table, key)) }
    }

    /// The rows of a key range in each file, the newest first.
    pub(crate) fn rows<'c>(
        &'c self,
        table: &str,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = ColdRows<'c>> {
        let bounds = (!self.is_empty()).then(|| {
            let prefix = row_key(table, &[]);
            let key = |key: &[u8]| [prefix.as_slice(), key].concat();
            let from = match from {
                Bound::Unbounded => Bound::Included(prefix.clone()),
                bound => bound.map(key),
            };
            let to = match to {
                Bound::Unbounded => match beyond_prefix(&prefix) {
                    Some(beyond) => Bound::Excluded(beyond),
                    None => Bound::Unbounded,
                },
                bound => bound.map(key),
            };
            (prefix.len(), from, to)
        });
        self.files.iter().filter_map(move |file| {
            let (prefix, from, to) = bounds.as_ref()?;
            let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
            let entries = self.sound(file.sorted.range(Family::Rows.section(), bounds))?;
            Some(ColdRows { cold: self, entries, prefix: *prefix })
        })
    }

    /// The places of a list in each file, the newest first, in a range.
    pub(crate) fn places<'c>(
        &'c self,
        family: Family,
        Range { start, end }: Range<u128>,
    ) -> impl Iterator<Item = ColdPlaces<'c>> {
        let (start, end) = (place_key(start), place_key(end));
        self.files.iter().filter_map(move |file| {
            let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
            let entries = self.sound(file.sorted.range(family.section(), bounds))?;
            Some(ColdPlaces { cold: self, entries })
        })
    }

    /// Keeps account of an entry that cannot be decoded, or is in no file and must be in one.
    pub(crate) fn note_malformed(&self, family: Family, number: u32) {
        let key = number_key(number);
        let holds = |file: &&Arc<IndexFile>| {
            matches!(file.sorted.get(family.section(), &key), Ok(Lookup::Found(_)))
        };
        let holder = self.files.iter().find(holds);
        if let Some(file) = holder.or(self.files.first()) {
            let what = match holder {
                Some(_) => "an entry of the index is malformed",
                None => "an entry of the index is missing",
            };
            let error = file.sorted.malformed(what, wide(family.section()), number.into());
            // The first one is kept.
            let _ = self.damage.set(error.of_index());
        }
    }

    /// Keeps account of a row that cannot be decoded.
    pub(crate) fn note_malformed_row(&self) {
        if let Some(file) = self.files.first() {
            let (what, section) = ("a row of the index is malformed", wide(Family::Rows.section()));
            // The first one is kept.
            let _ = self.damage.set(file.sorted.malformed(what, section, 0).of_index());
        }
    }

    fn sound<T>(&self, found: Result<T>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                // The first one is kept.
                let _ = self.damage.set(error.of_index());
                None
            }
        }
    }
}

/// The rows of a table in one file: keys, and the bytes of rows or `None` for what is deleted.
pub(crate) struct ColdRows<'c> {
    cold: &'c Cold,
    entries: Entries<'c>,
    /// The bytes of the table's name before each key.
    prefix: usize,
}

impl<'c> ColdRows<'c> {
    pub(crate) fn cold(&self) -> &'c Cold {
        self.cold
    }

    fn row(&self, entry: Option<Result<Entry<'c>>>) -> Option<(&'c [u8], Option<&'c [u8]>)> {
        let (key, row) = self.cold.sound(entry?)?;
        Some((key.in_file()?.get(self.prefix..)?, row))
    }
}

impl<'c> Iterator for ColdRows<'c> {
    type Item = (&'c [u8], Option<&'c [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next();
        self.row(entry)
    }
}

impl DoubleEndedIterator for ColdRows<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next_back();
        self.row(entry)
    }
}

/// The places of a list in one file, and whether they are taken or deleted.
pub(crate) struct ColdPlaces<'c> {
    cold: &'c Cold,
    entries: Entries<'c>,
}

impl ColdPlaces<'_> {
    fn place(&self, entry: Option<Result<Entry<'_>>>) -> Option<(u128, bool)> {
        let (key, value) = self.cold.sound(entry?)?;
        Some((place_of_key(&key)?, value.is_some()))
    }
}

impl Iterator for ColdPlaces<'_> {
    type Item = (u128, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next();
        self.place(entry)
    }
}

impl DoubleEndedIterator for ColdPlaces<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next_back();
        self.place(entry)
    }
}
