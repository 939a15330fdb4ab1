//! Look-ups in the files of the cold index.

use std::ops::Bound;

use super::family::Family;

/// The files of the cold index.
#[derive(Default)]
pub(crate) struct Cold {}

impl Cold {
    /// The bytes of an entry.
    pub(crate) fn get(&self, _family: Family, _key: &[u8]) -> Option<&[u8]> {
        None
    }

    /// The numbers that an id with this hash may stand for.
    pub(crate) fn numbers(&self, _family: Family, _hash: u64) -> impl Iterator<Item = u32> {
        std::iter::empty()
    }

    /// Keeps account of an entry that cannot be decoded.
    pub(crate) fn note_malformed(&self, _family: Family, _bytes: &[u8]) {}
}

/// The rows of a table in one file: keys, and rows or `None` for what is deleted.
pub(crate) type ColdRows<'c> = std::vec::IntoIter<(&'c [u8], Option<&'c [u8]>)>;

impl Cold {
    /// The bytes of a row.
    pub(crate) fn row(&self, _table: &str, _key: &[u8]) -> Option<&[u8]> {
        None
    }

    /// The rows of a key range in each file, the newest first.
    pub(crate) fn rows(
        &self,
        _table: &str,
        _range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = ColdRows<'_>> {
        std::iter::empty()
    }
}
