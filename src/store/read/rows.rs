//! Rows of tables as a snapshot sees them.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use super::snapshot::Snapshot;
use crate::bytes::wide;
use crate::error::Result;
use crate::id::Position;
use crate::index::{ValueRef, beyond_prefix};

/// How many rows of a table are looked up at a time.
const PAGE_ROWS: usize = 256;

type Key = Box<[u8]>;

/// A row of a table, borrowed from the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Rows in the order of their keys, from either end. See [`Snapshot::rows`].
pub struct Rows<'s> {
    snapshot: &'s Snapshot,
    table: String,
    front: End,
    back: End,
}

/// One end of a range that is read page by page.
struct End {
    /// Where keys begin that were not looked up from here; `None` once there are no more.
    rest: Option<Bound<Key>>,
    /// Rows that were looked up, the next one first.
    page: VecDeque<ValueRef>,
    /// How many are looked up next: the first one by itself, as many want no other.
    ask: usize,
}

impl Snapshot {
    /// A row of a table, borrowed from the log; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::Corrupt`](crate::Error::Corrupt) if the row cannot be read.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<&[u8]>> {
        self.here()?;
        let value = {
            let index = self.index();
            let value = index.tables.get(table, key, self.end());
            index.check_cold()?;
            value
        };
        Ok(value.map(|value| self.row(value)).transpose()?.map(|row| row.value))
    }

    /// The rows of a table whose keys lie in `range`, in the order of their keys; from the back with
    /// [`Iterator::rev`]. The first row from either end takes one look-up, as [`Snapshot::get`] does.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// let mut tx = store.begin();
    /// tx.put("timers", b"2026-11-21 wake", b"order-42")?;
    /// tx.put("timers", b"2026-12-24 wake", b"order-43")?;
    /// tx.commit()?;
    /// let snapshot = store.snapshot();
    /// let due: Vec<_> = snapshot.rows("timers", ..b"2026-12".as_slice()).collect();
    /// assert_eq!(due[0].as_ref().unwrap().value, b"order-42");
    /// let last = snapshot.rows("timers", ..).next_back().unwrap()?;
    /// assert_eq!(last.value, b"order-43");
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn rows<'k>(&self, table: &str, range: impl RangeBounds<&'k [u8]>) -> Rows<'_> {
        let end = |bound: Bound<&&[u8]>| {
            let rest = Some(bound.map(|key| Key::from(*key)));
            End { rest, page: VecDeque::new(), ask: 1 }
        };
        let (front, back) = (end(range.start_bound()), end(range.end_bound()));
        Rows { snapshot: self, table: table.to_owned(), front, back }
    }

    /// The rows of a table whose keys begin with `prefix`; see [`Snapshot::rows`].
    pub fn rows_with_prefix(&self, table: &str, prefix: &[u8]) -> Rows<'_> {
        let beyond = beyond_prefix(prefix);
        let to = beyond.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.rows(table, (Bound::Included(prefix), to))
    }

    /// The names of the tables that ever held a row, in order; kinlog's own begin with `kinlog.`. One that holds none may be
    /// missing once a [compaction](crate::Store::compact) has dropped all that it held.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        let index = self.index();
        let mut names: Vec<_> = index.tables.names(self.end()).map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    fn row(&self, value: ValueRef) -> Result<Row<'_>> {
        let key_len = usize::from(value.key_len);
        let value_len = usize::try_from(value.value_len).unwrap_or(usize::MAX);
        let start = Position::from_u64(value.value.as_u64() - wide(key_len));
        let bytes = self.view().bytes(start, key_len.saturating_add(value_len))?;
        let (key, value) = bytes.split_at_checked(key_len).unwrap_or_default();
        Ok(Row { key, value })
    }
}

impl<'s> Rows<'s> {
    fn step(&mut self, backwards: bool) -> Option<Result<Row<'s>>> {
        loop {
            let (end, other) = match backwards {
                false => (&mut self.front, &mut self.back),
                true => (&mut self.back, &mut self.front),
            };
            if let Some(value) = end.page.pop_front() {
                return Some(self.snapshot.row(value));
            }
            let (Some(from), Some(to)) = (&end.rest, &other.rest) else {
                // All keys were looked up: what is left lies in the other end's page.
                return other.page.pop_back().map(|value| self.snapshot.row(value));
            };
            let (from, to) = (from.as_ref().map(|key| &**key), to.as_ref().map(|key| &**key));
            let range = if backwards { (to, from) } else { (from, to) };
            let index = self.snapshot.index();
            let at = self.snapshot.end();
            let (values, last) = index.tables.page(&self.table, range, at, end.ask, backwards);
            if let Err(damage) = index.check_cold() {
                (end.rest, other.rest) = (None, None);
                other.page.clear();
                return Some(Err(damage));
            }
            end.page.extend(values);
            end.ask = PAGE_ROWS;
            end.rest = last.map(Bound::Excluded);
        }
    }
}

impl<'s> Iterator for Rows<'s> {
    type Item = Result<Row<'s>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(false)
    }
}

impl DoubleEndedIterator for Rows<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}
