//! The rows that a transaction writes, and what it states about those of the store.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, Moved, Result};
use crate::id::Position;
use crate::index::{Index, ValueRef};
use crate::log::format::{Part, Parts};

/// What the caller stated about a row of the store.
pub(crate) struct StatedRow {
    pub(crate) table: Box<str>,
    pub(crate) key: Box<[u8]>,
    pub(crate) is: Stated,
    pub(crate) required: &'static str,
}

pub(crate) enum Stated {
    Present(bool),
    /// It is this very row, which was as required.
    Same(Option<ValueRef>),
}

/// The rows that a transaction has written so far, by table and key; where the value lies in the buffer of
/// rows, or `None` for a row that it deletes.
#[derive(Default)]
pub(crate) struct Written(BTreeMap<Box<str>, Own>);

pub(crate) type Own = BTreeMap<Box<[u8]>, Option<Range<usize>>>;

impl Written {
    /// Takes in the rows of the buffer from `start` on.
    pub(crate) fn add(&mut self, rows: &[u8], start: usize) {
        let rest = rows.get(start..).unwrap_or_default();
        let base = Position::START.plus(start as u64);
        for (part, _) in Parts::new(rest, base, 0).map_while(std::result::Result::ok) {
            let Part::Put(row) = part else { continue };
            let value = row.value.and_then(|(at, value)| {
                let at = usize::try_from(at.as_u64()).ok()?;
                Some(at..at + value.len())
            });
            self.0.entry(row.table.into()).or_default().insert(row.key.into(), value);
        }
    }

    pub(crate) fn table(&self, table: &str) -> Option<&Own> {
        self.0.get(table)
    }
}

impl StatedRow {
    pub(crate) fn check(&self, index: &Index) -> Result<()> {
        let found = index.tables.latest(&self.table, &self.key).0;
        let (table, key) = (self.table.to_string(), self.key.to_vec());
        match self.is {
            Stated::Present(present) if present == found.is_some() => Ok(()),
            Stated::Present(_) => Err(Error::RowConflict { table, key, required: self.required }),
            Stated::Same(value_ref) if value_ref == found => Ok(()),
            Stated::Same(_) => Err(Error::overtaken(Moved::Row { table, key })),
        }
    }
}
