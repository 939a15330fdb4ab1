//! Reading the rows of a key range in a transaction, from either end. What was read is the range up to the
//! last row that the caller took, so that rows beyond may come and go.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use crate::error::Result;
use crate::index::{ValueRef, beyond_prefix};
use crate::store::pending::{Own, Read, RowsRead};
use crate::store::tx::{Step, Stepped, Transaction};

/// How many rows are looked up at a time; the first one by itself, as many want no other.
const PAGE_ROWS_MAX: usize = 64;

type Key = Box<[u8]>;

/// A row of a table, copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedRow {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Rows of a key range, in the order of their keys. See [`Transaction::rows`].
pub struct RowScan<'t, 's> {
    tx: &'t mut Transaction<'s>,
    table: Box<str>,
    front: End,
    back: End,
    /// No row is left between the ends, or reading one failed.
    ended: bool,
}

/// One end of a scan.
struct End {
    /// Where the range begins that was read from here.
    begin: Bound<Key>,
    /// Where rows begin that were not taken yet.
    rest: Bound<Key>,
    /// Rows that were looked up and not taken yet, the next one first.
    page: VecDeque<Found>,
    /// How many are looked up next.
    ask: usize,
    /// What was read from here, among the transaction's reads.
    read: Option<usize>,
}

/// A key in the range.
struct Found {
    key: Key,
    /// Of the row in the store, if there is one.
    value_ref: Option<ValueRef>,
    /// `None` for a row that the transaction deletes.
    value: Option<Vec<u8>>,
}

impl<'s> Transaction<'s> {
    /// The rows of a table whose keys lie in `range`, as the transaction has left them or else as the last
    /// commit has, be it published or not; from either end, see [`Iterator::rev`].
    ///
    /// What is taken from the iterator is read: that there are these rows and no others between the start of
    /// the range and the last row taken is part of what the transaction has seen, and of the whole range
    /// once the iterator has ended. Rows that come or go beyond do no harm.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// let mut tx = store.begin();
    /// tx.put("timers", b"2026-11-21 wake", b"order-42")?;
    /// tx.put("timers", b"2026-12-24 wake", b"order-43")?;
    /// let due: Vec<_> = tx.rows("timers", ..b"2026-12".as_slice()).collect::<Result<_, _>>()?;
    /// assert_eq!(due[0].value, b"order-42");
    /// let last = tx.rows("timers", ..).next_back().unwrap()?;
    /// assert_eq!(last.value, b"order-43");
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn rows<'k>(&mut self, table: &str, range: impl RangeBounds<&'k [u8]>) -> RowScan<'_, 's> {
        let owned = |bound: Bound<&&[u8]>| bound.map(|key| Key::from(*key));
        let (front, back) = (owned(range.start_bound()), owned(range.end_bound()));
        RowScan {
            tx: self,
            table: table.into(),
            front: End::new(front),
            back: End::new(back),
            ended: false,
        }
    }

    /// The rows of a table whose keys begin with `prefix`; see [`Transaction::rows`].
    pub fn rows_with_prefix(&mut self, table: &str, prefix: &[u8]) -> RowScan<'_, 's> {
        let beyond = beyond_prefix(prefix);
        let to = beyond.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.rows(table, (Bound::Included(prefix), to))
    }
}

impl End {
    fn new(bound: Bound<Key>) -> Self {
        End { begin: bound.clone(), rest: bound, page: VecDeque::new(), ask: 1, read: None }
    }
}

impl RowScan<'_, '_> {
    fn step(&mut self, backwards: bool) -> Result<Option<OwnedRow>> {
        while !self.ended {
            if self.end(backwards).page.is_empty() {
                self.look_up(backwards)?;
            }
            let found = self.end(backwards).page.pop_front();
            // The other end may have come by.
            let Some(found) = found.filter(|found| self.is_left(&found.key, backwards)) else {
                self.read(backwards, None);
                self.ended = true;
                break;
            };
            let row = self.take(backwards, found);
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    fn end(&mut self, backwards: bool) -> &mut End {
        if backwards { &mut self.back } else { &mut self.front }
    }

    /// Looks up the next rows from one end.
    fn look_up(&mut self, backwards: bool) -> Result<()> {
        let at = self.tx.work.at;
        let (table, from, to) = (&self.table, &self.front.rest, &self.back.rest);
        let ask = if backwards { self.back.ask } else { self.front.ask };
        let page = self.tx.step(|step| step.page(table, (from, to), ask, backwards))?;
        if self.tx.work.at != at {
            // What the other end has looked up may have changed.
            self.end(!backwards).page.clear();
        }
        let end = self.end(backwards);
        end.page = page;
        end.ask = (ask * 2).min(PAGE_ROWS_MAX);
        Ok(())
    }

    /// Whether a key lies before the other end.
    fn is_left(&self, key: &[u8], backwards: bool) -> bool {
        match (backwards, &self.front.rest, &self.back.rest) {
            (true, Bound::Included(from), _) => key >= &**from,
            (true, Bound::Excluded(from), _) => key > &**from,
            (false, _, Bound::Included(to)) => key <= &**to,
            (false, _, Bound::Excluded(to)) => key < &**to,
            _ => true,
        }
    }

    /// Hands out a row, which is read by that.
    fn take(&mut self, backwards: bool, found: Found) -> Option<OwnedRow> {
        let Found { key, value_ref, value } = found;
        self.end(backwards).rest = Bound::Excluded(key.clone());
        let row = value.map(|value| OwnedRow { key: key.to_vec(), value });
        self.read(backwards, Some((key, value_ref)));
        row
    }

    /// Takes note of what was read from one end: up to a row, or to the other end if there is none left.
    fn read(&mut self, backwards: bool, row: Option<(Key, Option<ValueRef>)>) {
        let (end, other) = match backwards {
            true => (&mut self.back, &self.front),
            false => (&mut self.front, &self.back),
        };
        let reads = &mut self.tx.work.reads;
        let known = end.read.and_then(|read| reads.get_mut(read));
        let read = match known {
            Some(Read::Rows(read)) => read,
            _ => {
                end.read = Some(reads.len());
                let bounds = (end.begin.clone(), end.begin.clone());
                let table = self.table.clone();
                let (from, to) = bounds;
                let read = RowsRead { table, from, to, backwards, value_refs: vec![] };
                reads.push(Read::Rows(Box::new(read)));
                let Some(Read::Rows(read)) = reads.last_mut() else { return };
                read
            }
        };
        let (upto, value_ref) = match row {
            Some((key, value_ref)) => (Bound::Included(key), value_ref),
            None => (other.rest.clone(), None),
        };
        *(if backwards { &mut read.from } else { &mut read.to }) = upto;
        read.value_refs.extend(value_ref);
    }
}

impl Iterator for RowScan<'_, '_> {
    type Item = Result<OwnedRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.step(false);
        self.ended |= row.is_err();
        row.transpose()
    }
}

impl DoubleEndedIterator for RowScan<'_, '_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let row = self.step(true);
        self.ended |= row.is_err();
        row.transpose()
    }
}

impl std::fmt::Debug for RowScan<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowScan").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Step<'_> {
    /// Up to `count` keys of a range from one end: rows of the store and the transaction's own.
    fn page(
        &mut self,
        table: &str,
        (from, to): (&Bound<Key>, &Bound<Key>),
        count: usize,
        backwards: bool,
    ) -> Stepped<VecDeque<Found>> {
        let range = (from.as_ref().map(|key| &**key), to.as_ref().map(|key| &**key));
        self.see(self.index.tables.changed(table))?;
        let stored = self.index.tables.latest_rows(table, range);
        let mut stored: Vec<(&[u8], ValueRef)> = match backwards {
            true => stored.rev().take(count).collect(),
            false => stored.take(count).collect(),
        };
        let full = stored.len() == count;
        let mut keys: Vec<(Key, Option<ValueRef>)> =
            stored.drain(..).map(|(key, value_ref)| (key.into(), Some(value_ref))).collect();
        if !self.work.rows.is_empty()
            && let Some(own) = self.work.written().table(table)
        {
            let upto = keys.last().filter(|_| full).map(|(key, _)| key.clone());
            add_own(&mut keys, own, range, upto.as_deref(), backwards);
        }
        keys.truncate(count);
        keys.into_iter().map(|(key, value_ref)| self.found(table, key, value_ref)).collect()
    }

    fn found(&mut self, table: &str, key: Key, value_ref: Option<ValueRef>) -> Stepped<Found> {
        let own = self.own_row(table, &key).map(|own| own.map(<[u8]>::to_vec));
        let value = match (own, value_ref) {
            (Some(own), _) => own,
            (None, Some(value_ref)) => Some(self.value_at(value_ref)?),
            (None, None) => None,
        };
        Ok(Found { key, value_ref, value })
    }
}

/// Adds the keys that the transaction has written, and keeps the order; none beyond `upto`, behind which there
/// may be rows that were not looked up.
fn add_own(
    keys: &mut Vec<(Key, Option<ValueRef>)>,
    own: &Own,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    upto: Option<&[u8]>,
    backwards: bool,
) {
    let within = |key: &[u8]| match (upto, backwards) {
        (None, _) => true,
        (Some(upto), false) => key <= upto,
        (Some(upto), true) => key >= upto,
    };
    for key in own.keys().filter(|key| range.contains(&&***key) && within(key)) {
        if !keys.iter().any(|(stored, _)| stored == key) {
            keys.push((key.clone(), None));
        }
    }
    keys.sort_unstable_by(|(a, _), (b, _)| if backwards { b.cmp(a) } else { a.cmp(b) });
}
