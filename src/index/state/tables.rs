//! Rows of tables, ordered by key. The rows as the last commit left them lie apart from what they were
//! before (multi-version concurrency control, MVCC): a scan of the present meets no deleted row, whatever
//! earlier position some reader holds.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use super::frozen::Retired;
use super::impossible::Impossible;
use super::rows::{Deletions, Key, LayeredRows, Range, Row, RowLayer, ValueRef};
use crate::bytes::wide;
use crate::hash::Map;
use crate::id::Position;
use crate::index::cold::Cold;
use crate::index::pack::{Pack, Unpack};
use crate::log::format::Put;

/// How many keys one page looks at: what bounds the time under the index's lock.
const PAGE_KEYS_MAX: usize = 1024;

/// What a row was from one commit to the next; no value while it was deleted.
#[derive(Clone, Copy, Debug)]
struct Version {
    commit: Position,
    value: Option<ValueRef>,
}

/// One table.
struct Table {
    /// The commit that set its first row.
    since: Position,
    /// The last commit that set or deleted one.
    changed: Position,
    /// The rows as the last commit left them.
    rows: LayeredRows,
    /// What rows were before, oldest first, as far as some reader may see it. The last version of a row that is
    /// not in `rows` is its deletion.
    past: BTreeMap<Key, Vec<Version>>,
    /// How many there are in `rows`.
    count: u64,
    /// The bytes of their keys and values.
    bytes: u64,
}

/// All tables.
#[derive(Default)]
pub(crate) struct Tables {
    tables: Map<Arc<str>, Table>,
    /// Rows with versions that no reader will need once all hold later positions.
    stale: VecDeque<Stale>,
    cold: Arc<Cold>,
    deletions: Deletions,
    hot_bytes: u64,
}

/// A row that a commit set anew or deleted.
struct Stale {
    commit: Position,
    table: Arc<str>,
    key: Key,
}

impl Tables {
    pub(crate) fn put(&mut self, row: &Put<'_>, commit: Position) -> Result<(), Impossible> {
        let value = row.value.map(|(value, bytes)| ValueRef::new(value, bytes, row.key));
        let value = value.transpose()?;
        let name: Arc<str> = match self.tables.get_key_value(row.table) {
            Some((name, _)) => name.clone(),
            // There is no table, hence nothing to delete.
            None if value.is_none() => return Ok(()),
            None => row.table.into(),
        };
        let table = self.tables.entry(name.clone()).or_insert_with(|| Table::new(commit));
        table.changed = commit;
        self.hot_bytes += wide(row.key.len() + size_of::<(Key, Option<Row>)>());
        if table.set(&self.cold, row, value, commit, self.deletions) {
            self.stale.push_back(Stale { commit, table: name, key: row.key.into() });
        }
        Ok(())
    }

    /// About how much memory the hot layer takes: more than it does, for keys that were set several times.
    pub(super) fn hot_bytes(&self) -> u64 {
        self.hot_bytes
    }

    /// Freezes what has changed as of all commits before `upto`, and begins a new one. Returns the tables that have changed.
    pub(super) fn freeze(&mut self, upto: Position) -> Vec<(Arc<str>, Arc<RowLayer>)> {
        self.hot_bytes = 0;
        let tables = self.tables.iter_mut();
        let frozen = tables.filter_map(|(name, it)| Some((name.clone(), it.rows.freeze(upto)?)));
        frozen.collect()
    }

    /// Keeps all deletions from now on: the files of the index will be another writer's.
    pub(crate) fn keep_deletions(&mut self) {
        self.deletions = Deletions::All;
    }

    /// Goes on with `cold`.
    pub(super) fn adopt(&mut self, cold: &Arc<Cold>) {
        self.cold = cold.clone();
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds.
    pub(super) fn thin(&mut self, upto: Position, out: &mut Vec<Retired>) {
        self.tables.values_mut().for_each(|table| table.rows.thin(upto, out));
    }

    /// Appends all tables without their rows.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_unstable_by_key(|(name, _)| *name);
        to.number(wide(tables.len()));
        for (name, table) in tables {
            to.text(name);
            to.position(table.since);
            to.position(table.changed);
            to.number(table.count);
            to.number(table.bytes);
        }
    }

    /// The tables that [`Tables::encode`] has appended; their rows are in `cold`.
    pub(super) fn decode(cold: &Arc<Cold>, from: &mut Unpack<'_>) -> Option<Self> {
        let mut tables = Tables { cold: cold.clone(), ..Tables::default() };
        for _ in 0..from.count()? {
            let name: Arc<str> = from.text()?.into();
            let mut table = Table::new(from.position()?);
            table.changed = from.position()?;
            (table.count, table.bytes) = (from.number()?, from.number()?);
            tables.tables.insert(name, table);
        }
        Some(tables)
    }

    /// Drops versions that only readers before `oldest` would see.
    pub(crate) fn forget(&mut self, oldest: Position) {
        while self.stale.front().is_some_and(|stale| stale.commit < oldest) {
            let Some(Stale { table, key, .. }) = self.stale.pop_front() else { return };
            if let Some(found) = self.tables.get_mut(&table) {
                found.forget(&self.cold, &table, &key, oldest);
            }
        }
    }

    /// The row as a reader at `at` sees it.
    pub(crate) fn get(&self, table: &str, key: &[u8], at: Position) -> Option<ValueRef> {
        let found = self.tables.get(table)?;
        match found.rows.get(&self.cold, table, key) {
            Some(row) if row.commit < at => Some(row.value),
            _ => visible(found.past.get(key)?, at),
        }
    }

    /// Up to `count` rows of a key range as a reader at `at` sees them, from one end; and the last key looked
    /// at, from which to go on, if the range may hold more.
    pub(crate) fn page(
        &self,
        table: &str,
        range: Range<'_>,
        at: Position,
        count: usize,
        backwards: bool,
    ) -> (Vec<ValueRef>, Option<Key>) {
        let Some(found) = self.tables.get(table).filter(|_| !is_empty(range)) else {
            return (vec![], None);
        };
        let rows = found.rows.range(&self.cold, table, range);
        let past = found.past.range::<[u8], _>(range);
        match backwards {
            false => page_of(rows, past, at, count, Ordering::Less),
            true => page_of(rows.rev(), past.rev(), at, count, Ordering::Greater),
        }
    }

    /// The row as the last commit left it, published or not, and the last commit that may have changed it:
    /// of a row that is not there, the last one that changed the table.
    pub(crate) fn latest(&self, table: &str, key: &[u8]) -> (Option<ValueRef>, Position) {
        let Some(found) = self.tables.get(table) else { return (None, Position::START) };
        match (found.rows.get(&self.cold, table, key), found.past.get(key)) {
            (Some(row), _) => (Some(row.value), row.commit),
            (None, Some(versions)) => (None, versions.last().map_or(found.changed, |v| v.commit)),
            (None, None) => (None, found.changed),
        }
    }

    /// The rows of a key range as the last commit left them, in order.
    pub(crate) fn latest_rows(
        &self,
        table: &str,
        range: Range<'_>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], ValueRef)> {
        let found = self.tables.get(table).filter(|_| !is_empty(range));
        let rows = found.into_iter().flat_map(move |it| it.rows.range(&self.cold, table, range));
        rows.filter_map(|(key, row)| Some((key, row?.value)))
    }

    /// The rows of a table as the last commit left them, each with that commit, from behind `after` on.
    pub(crate) fn rows_after(
        &self,
        table: &str,
        after: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&[u8], Row)> {
        let range = (after, Bound::Unbounded);
        let found = self.tables.get(table);
        let rows = found.into_iter().flat_map(move |it| it.rows.range(&self.cold, table, range));
        rows.filter_map(|(key, row)| Some((key, row?)))
    }

    /// The last commit that set or deleted a row of the table.
    pub(crate) fn changed(&self, table: &str) -> Position {
        self.tables.get(table).map_or(Position::START, |table| table.changed)
    }

    /// The names of all tables that ever held a row as a reader at `at` sees it, in no order.
    pub(crate) fn names(&self, at: Position) -> impl Iterator<Item = &Arc<str>> {
        self.tables.iter().filter(move |(_, table)| table.since < at).map(|(name, _)| name)
    }

    /// Each table with the number of its rows and the bytes of their keys and values, as the last commit left
    /// them, in no order.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&Arc<str>, u64, u64)> {
        self.tables.iter().map(|(name, table)| (name, table.count, table.bytes))
    }
}

impl Table {
    fn new(since: Position) -> Self {
        let (rows, past) = (LayeredRows::default(), BTreeMap::new());
        Table { since, changed: since, rows, past, count: 0, bytes: 0 }
    }

    /// Sets or deletes a row; whether that leaves versions to forget.
    fn set(
        &mut self,
        cold: &Cold,
        put: &Put<'_>,
        value: Option<ValueRef>,
        commit: Position,
        deletions: Deletions,
    ) -> bool {
        let row = value.map(|value| Row { commit, value });
        let before = self.rows.set(cold, put.table, put.key, row, deletions);
        if let Some(value) = value {
            self.count += 1;
            self.bytes += value.bytes();
        }
        let Some(before) = before else {
            // Its deletion, if some reader may still see that.
            return value.is_some() && self.past.contains_key(put.key);
        };
        self.count -= 1;
        self.bytes -= before.value.bytes();
        let past = match self.past.get_mut(put.key) {
            Some(past) => past,
            None => self.past.entry(put.key.into()).or_default(),
        };
        past.push(Version { commit: before.commit, value: Some(before.value) });
        if value.is_none() {
            past.push(Version { commit, value: None });
        }
        true
    }

    /// Drops the versions of a row that a later one, or its absence, stands for before `oldest`.
    fn forget(&mut self, cold: &Cold, name: &str, key: &[u8], oldest: Position) {
        let Some(versions) = self.past.get_mut(key) else { return };
        let row = self.rows.get(cold, name, key).map(|row| row.commit);
        let superseded = versions.partition_point(|version| version.commit < oldest);
        let newest = row.or_else(|| Some(versions.last()?.commit));
        if newest.is_some_and(|newest| newest < oldest) {
            self.past.remove(key);
        } else {
            // The last one before `oldest` is what the oldest reader sees.
            versions.drain(..superseded.saturating_sub(1));
        }
    }
}

/// One page of rows out of what is there and what was there before, each in the order of a scan.
fn page_of<'t>(
    rows: impl Iterator<Item = (&'t [u8], Option<Row>)>,
    past: impl Iterator<Item = (&'t Key, &'t Vec<Version>)>,
    at: Position,
    count: usize,
    first: Ordering,
) -> (Vec<ValueRef>, Option<Key>) {
    let (mut rows, mut past) = (rows.peekable(), past.peekable());
    let mut found = vec![];
    for looked_at in 1.. {
        let Some((key, value)) = next_key(&mut rows, &mut past, at, first) else { break };
        found.extend(value);
        if found.len() == count || looked_at == PAGE_KEYS_MAX {
            return (found, Some(key.into()));
        }
    }
    (found, None)
}

/// The next key of either, and the row that a reader at `at` sees there.
fn next_key<'t>(
    rows: &mut Peekable<impl Iterator<Item = (&'t [u8], Option<Row>)>>,
    past: &mut Peekable<impl Iterator<Item = (&'t Key, &'t Vec<Version>)>>,
    at: Position,
    first: Ordering,
) -> Option<(&'t [u8], Option<ValueRef>)> {
    let order = match (rows.peek(), past.peek()) {
        (Some((row, _)), Some((before, _))) => (**row).cmp(before),
        (Some(_), None) => first,
        (None, _) => first.reverse(),
    };
    let row = if order == first || order == Ordering::Equal { rows.next() } else { None };
    let before = if order == first { None } else { past.next() };
    let key = row.map(|(key, _)| key).or(before.map(|(key, _)| &**key))?;
    let present = row.and_then(|(_, row)| row.filter(|row| row.commit < at));
    Some((key, present.map(|row| row.value).or_else(|| visible(before?.1, at))))
}

fn visible(versions: &[Version], at: Position) -> Option<ValueRef> {
    versions.iter().rev().find(|version| version.commit < at)?.value
}

/// Whether no key can lie in the range; a `BTreeMap` does not take such a range.
fn is_empty(range: Range<'_>) -> bool {
    match range {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: u64) -> Position {
        Position::from_u64(address)
    }

    fn put(tables: &mut Tables, commit: u64, value: Option<&[u8]>) {
        let value = value.map(|bytes| (at(commit + 1), bytes));
        tables.put(&Put { table: "t", key: b"k", value }, at(commit)).unwrap();
    }

    #[test]
    fn readers_see_their_version_until_it_is_forgotten() {
        let mut tables = Tables::default();
        put(&mut tables, 10, Some(b"a"));
        put(&mut tables, 20, Some(b"bb"));
        put(&mut tables, 30, None);
        let len = |tables: &Tables, end| tables.get("t", b"k", at(end)).map(|p| p.value_len);
        assert_eq!(len(&tables, 10), None);
        assert_eq!(len(&tables, 11), Some(1));
        assert_eq!(len(&tables, 21), Some(2));
        assert_eq!(len(&tables, 31), None);

        tables.forget(at(25));
        assert_eq!(len(&tables, 25), Some(2));
        assert_eq!(tables.tables["t"].past.len(), 1);
        tables.forget(at(31));
        assert!(tables.tables["t"].past.is_empty(), "a deleted row leaves nothing behind");
        assert!(tables.tables["t"].count == 0 && tables.stale.is_empty());
    }

    #[test]
    fn a_deleted_row_leaves_nothing_once_every_reader_is_behind_the_commit_and_not_before() {
        let mut tables = Tables::default();
        put(&mut tables, 10, Some(b"a"));
        put(&mut tables, 20, None);
        // A reader at the commit's own position does not see it.
        tables.forget(at(20));
        assert_eq!(tables.get("t", b"k", at(20)).map(|place| place.value_len), Some(1));
        // Nobody reads: all that could come see what ends behind it.
        tables.forget(at(21));
        assert!(tables.tables["t"].past.is_empty() && tables.stale.is_empty());
    }

    #[test]
    fn what_was_latest_is_known_with_the_commit_that_may_have_changed_it() {
        let mut tables = Tables::default();
        assert_eq!(tables.latest("t", b"k"), (None, Position::START));
        put(&mut tables, 10, Some(b"a"));
        assert_eq!(tables.latest("t", b"k").1, at(10));
        put(&mut tables, 20, None);
        assert_eq!(tables.latest("t", b"k"), (None, at(20)));
        tables.forget(at(21));
        assert_eq!(tables.latest("t", b"k"), (None, at(20)), "also once the deletion is forgotten");
        assert_eq!(tables.changed("t"), at(20));
    }

    /// Random rows of eight keys, each reader's view against a list of all changes.
    #[test]
    fn every_reader_sees_what_was_there_from_either_end_however_much_is_forgotten() {
        let mut seed = 1u64;
        let mut draw = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut tables, mut changes) = (Tables::default(), vec![]);
        let mut oldest = 0;
        for commit in 1..2_000u64 {
            let (key, len) = ([u8::try_from(draw(8)).unwrap()], usize::try_from(draw(4)).unwrap());
            let bytes = [0; 4];
            let value = (len > 0).then(|| (at(commit), &bytes[..len]));
            tables.put(&Put { table: "t", key: &key, value }, at(commit)).unwrap();
            changes.push((commit, key, len));
            if draw(3) == 0 {
                oldest += draw(commit + 2 - oldest);
                tables.forget(at(oldest));
            }
            let reader = oldest + draw(commit + 2 - oldest);
            let mut expected = BTreeMap::new();
            for (_, key, len) in changes.iter().filter(|(commit, ..)| *commit < reader) {
                let _ = if *len > 0 { expected.insert(*key, *len) } else { expected.remove(key) };
            }
            let lens = |backwards| -> Vec<usize> {
                let all = (Bound::Unbounded, Bound::Unbounded);
                let (rows, more) = tables.page("t", all, at(reader), usize::MAX, backwards);
                assert_eq!(more, None);
                rows.iter().map(|row| usize::try_from(row.value_len).unwrap()).collect()
            };
            assert_eq!(lens(false), expected.values().copied().collect::<Vec<_>>());
            assert_eq!(lens(true), expected.values().rev().copied().collect::<Vec<_>>());
            for key in 0..8 {
                let found = tables.get("t", &[key], at(reader)).map(|row| row.value_len);
                assert_eq!(found, expected.get(&[key]).map(|len| u32::try_from(*len).unwrap()));
            }
        }
        tables.forget(at(2_000));
        assert!(tables.tables["t"].past.is_empty() && tables.stale.is_empty());
        let (_, rows, bytes) = tables.sizes().next().unwrap();
        let all = tables.latest_rows("t", (Bound::Unbounded, Bound::Unbounded));
        let sizes: Vec<_> =
            all.map(|(key, value)| wide(key.len()) + u64::from(value.value_len)).collect();
        assert_eq!((rows, bytes), (wide(sizes.len()), sizes.iter().sum()));
    }
}
