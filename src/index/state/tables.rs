//! Rows of tables: ordered by key, each version with the position of its commit, so that a reader
//! at an earlier position still finds what was there.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::hash::Map;
use crate::id::Position;
use crate::log::format::Put;

/// A value in the log: where it begins and how long it is. The key lies right before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValueRef {
    pub(crate) value: Position,
    pub(crate) value_len: u32,
    pub(crate) key_len: u16,
}

/// What a row was from one commit on; no place once it is deleted.
#[derive(Clone, Copy, Debug)]
struct Version {
    commit: Position,
    place: Option<ValueRef>,
}

type Rows = BTreeMap<Box<[u8]>, Vec<Version>>;

/// One table.
struct Table {
    /// The commit that set its first row.
    since: Position,
    /// The last commit that set or deleted one.
    changed: Position,
    rows: Rows,
}

/// All tables.
#[derive(Default)]
pub(crate) struct Tables {
    tables: Map<Arc<str>, Table>,
    /// Rows with versions that no reader will need once all hold later positions.
    stale: VecDeque<(Position, Arc<str>, Box<[u8]>)>,
}

impl Tables {
    pub(crate) fn put(&mut self, row: &Put<'_>, commit: Position) {
        let place = row.value.and_then(|(value, bytes)| {
            let value_len = u32::try_from(bytes.len()).ok()?;
            Some(ValueRef { value, value_len, key_len: u16::try_from(row.key.len()).ok()? })
        });
        let name: Arc<str> = match self.tables.get_key_value(row.table) {
            Some((name, _)) => name.clone(),
            // There is no table, hence nothing to delete.
            None if place.is_none() => return,
            None => row.table.into(),
        };
        let table = self.tables.entry(name.clone()).or_insert_with(|| Table::new(commit));
        table.changed = commit;
        let rows = &mut table.rows;
        let version = Version { commit, place };
        let supersedes = match rows.get_mut(row.key) {
            Some(versions) => {
                versions.push(version);
                true
            }
            None => {
                rows.insert(row.key.into(), vec![version]);
                false
            }
        };
        if supersedes || place.is_none() {
            self.stale.push_back((commit, name, row.key.into()));
        }
    }

    /// Drops versions that only readers before `oldest` would see.
    pub(crate) fn forget(&mut self, oldest: Position) {
        while self.stale.front().is_some_and(|(commit, _, _)| *commit < oldest) {
            let Some((_, name, key)) = self.stale.pop_front() else { return };
            let Some(Table { rows, .. }) = self.tables.get_mut(&name) else { continue };
            let Some(versions) = rows.get_mut(&key) else { continue };
            let superseded = versions.partition_point(|v| v.commit < oldest).saturating_sub(1);
            versions.drain(..superseded);
            if let [Version { commit, place: None }] = versions.as_slice()
                && *commit < oldest
            {
                rows.remove(&key);
            }
        }
    }

    /// The row as a reader at `at` sees it.
    pub(crate) fn get(&self, table: &str, key: &[u8], at: Position) -> Option<ValueRef> {
        visible(self.tables.get(table)?.rows.get(key)?, at)
    }

    /// Up to `count` rows of a key range as a reader at `at` sees them, in order; and the last key
    /// looked at, from which to go on, if the range may hold more.
    pub(crate) fn page(
        &self,
        table: &str,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        at: Position,
        count: usize,
    ) -> (Vec<ValueRef>, Option<Box<[u8]>>) {
        let mut places = vec![];
        let Some(Table { rows, .. }) = self.tables.get(table).filter(|_| !is_empty(range)) else {
            return (places, None);
        };
        for (key, versions) in rows.range::<[u8], _>(range) {
            places.extend(visible(versions, at));
            if places.len() == count {
                return (places, Some(key.clone()));
            }
        }
        (places, None)
    }

    /// The row as the last commit left it, published or not, and the last commit that may have changed it:
    /// of a row that is not there, the last one that changed the table.
    pub(crate) fn latest(&self, table: &str, key: &[u8]) -> (Option<ValueRef>, Position) {
        let Some(table) = self.tables.get(table) else { return (None, Position::START) };
        match table.rows.get(key).and_then(|versions| versions.last()) {
            Some(version) => (version.place, version.commit),
            None => (None, table.changed),
        }
    }

    /// The rows of a key range as the last commit left them, in order.
    pub(crate) fn latest_rows(
        &self,
        table: &str,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl DoubleEndedIterator<Item = (&[u8], ValueRef)> {
        let table = self.tables.get(table).filter(|_| !is_empty(range));
        let rows = table.into_iter().flat_map(move |table| table.rows.range::<[u8], _>(range));
        rows.filter_map(|(key, versions)| Some((&**key, versions.last()?.place?)))
    }

    /// The last commit that set or deleted a row of the table.
    pub(crate) fn changed(&self, table: &str) -> Position {
        self.tables.get(table).map_or(Position::START, |table| table.changed)
    }

    /// The names of all tables that ever held a row as a reader at `at` sees it, in no order.
    pub(crate) fn names(&self, at: Position) -> impl Iterator<Item = &Arc<str>> {
        self.tables.iter().filter(move |(_, table)| table.since < at).map(|(name, _)| name)
    }
}

impl Table {
    fn new(since: Position) -> Self {
        Table { since, changed: since, rows: Rows::new() }
    }
}

fn visible(versions: &[Version], at: Position) -> Option<ValueRef> {
    versions.iter().rev().find(|version| version.commit < at)?.place
}

/// Whether no key can lie in the range; a `BTreeMap` does not take such a range.
fn is_empty(range: (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
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
        tables.put(&Put { table: "t", key: b"k", value }, at(commit));
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
        assert_eq!(tables.tables["t"].rows.len(), 1);
        tables.forget(at(31));
        assert!(tables.tables["t"].rows.is_empty(), "a deleted row leaves nothing behind");
        assert!(tables.stale.is_empty());
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
        assert!(tables.tables["t"].rows.is_empty() && tables.stale.is_empty());
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
}
