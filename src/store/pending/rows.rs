//! Writing rows, and which deletes delete nothing: that is decided where the transaction is committed, as a delete
//! reads nothing.

use std::ops::Range;

use super::row_writes::Written;
use super::workspace::Workspace;
use crate::hash::Map;
use crate::id::Position;
use crate::index::{DELETED_TABLE, ERASED_SIZES_TABLE, ERASED_TABLE, Index};
use crate::log::format::{Part, Parts, write_put};

/// Deletes of rows that are not there: they are not logged.
#[derive(Default)]
pub(crate) struct IdleDeletes {
    /// Where they are in the buffer of rows.
    pub(crate) places: Vec<Range<usize>>,
    /// They delete nothing before this position.
    at: Position,
}

impl IdleDeletes {
    /// The bytes of the rows that are not logged.
    pub(crate) fn bytes(&self) -> usize {
        self.places.iter().map(Range::len).sum()
    }
}

impl Workspace {
    /// Sets a row or deletes it; lengths must be within their limits.
    pub(crate) fn put_row(&mut self, table: &str, key: &[u8], value: Option<&[u8]>) {
        let start = self.rows.len();
        self.deletes |= value.is_none();
        self.puts |=
            value.is_some() && ![DELETED_TABLE, ERASED_TABLE, ERASED_SIZES_TABLE].contains(&table);
        write_put(&mut self.rows, table, key, value);
        if let Some(written) = &mut self.written {
            written.add(self.rows.as_slice(), start);
        }
    }

    /// The rows written so far.
    pub(crate) fn written(&mut self) -> &Written {
        self.written.get_or_insert_with(|| {
            let mut written = Written::default();
            written.add(self.rows.as_slice(), 0);
            written
        })
    }

    /// The deletes of rows that are neither in the store nor written by the steps before.
    pub(crate) fn idle_deletes(&self, index: &Index) -> IdleDeletes {
        IdleDeletes { places: self.find_idle_deletes(index), at: index.end }
    }

    /// Whether the same deletes are idle by now.
    pub(crate) fn are_idle(&self, deletes: &IdleDeletes, index: &Index) -> bool {
        !self.deletes || deletes.at == index.end || self.find_idle_deletes(index) == deletes.places
    }

    fn find_idle_deletes(&self, index: &Index) -> Vec<Range<usize>> {
        let mut idle = vec![];
        let (mut own, mut start) = (Map::default(), 0);
        let parts = Parts::new(self.rows.as_slice(), Position::START, 0);
        for (part, size) in parts.map_while(std::result::Result::ok) {
            if let Part::Put(row) = part {
                let written = own.insert((row.table, row.key), row.value.is_some());
                let stored = || index.tables.latest(row.table, row.key).0.is_some();
                if row.value.is_none() && !written.unwrap_or_else(stored) {
                    idle.push(start..start + size);
                }
            }
            start += size;
        }
        idle
    }
}
