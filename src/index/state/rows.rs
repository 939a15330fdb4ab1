//! The rows of one table, in layers. A deletion is an entry of its own where a layer below has the row.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::Arc;

use super::frozen::{Frozen, Retired};
use super::impossible::{Impossible, Must};
use super::merged::Merged;
use crate::id::Position;
use crate::index::cold::{Cold, ColdRows};
use crate::index::pack::{Pack, Unpack};

pub(crate) type Key = Box<[u8]>;
pub(crate) type Range<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

/// A value in the log: where it begins and how long it is. The key lies right before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ValueRef {
    pub(crate) value: Position,
    pub(crate) value_len: u32,
    pub(crate) key_len: u16,
}

impl ValueRef {
    pub(super) fn new(value: Position, bytes: &[u8], key: &[u8]) -> Result<Self, Impossible> {
        let value_len = u32::try_from(bytes.len()).ok().must("a value is larger than its limit")?;
        let key_len = u16::try_from(key.len()).ok().must("a key is larger than its limit")?;
        Ok(ValueRef { value, value_len, key_len })
    }

    /// The bytes of key and value.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.key_len) + u64::from(self.value_len)
    }
}

/// A row, and the commit that set it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) commit: Position,
    pub(crate) value: ValueRef,
}

/// What a layer has: rows, and `None` for those that it deletes.
pub(crate) type RowLayer = BTreeMap<Key, Option<Row>>;

/// The rows of a table as the last commit left them.
#[derive(Default)]
pub(crate) struct LayeredRows {
    hot: RowLayer,
    frozen: Frozen<RowLayer>,
}

/// Whether a deletion is an entry where no layer beneath has the row. It must be where the files beneath are
/// another writer's: they may end between a row and its deletion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Deletions {
    #[default]
    AsNeeded,
    All,
}

impl LayeredRows {
    pub(crate) fn get(&self, cold: &Cold, table: &str, key: &[u8]) -> Option<Row> {
        self.hot.get(key).copied().unwrap_or_else(|| self.beneath(cold, table, key))
    }

    /// The row as the layers beneath the hot one have it.
    fn beneath(&self, cold: &Cold, table: &str, key: &[u8]) -> Option<Row> {
        let frozen = self.frozen.newest_first().find_map(|layer| layer.get(key).copied());
        frozen.unwrap_or_else(|| Row::read(cold, cold.row(table, key)?, key))
    }

    /// Sets or deletes a row, and returns what it was before.
    pub(crate) fn set(
        &mut self,
        cold: &Cold,
        table: &str,
        key: &[u8],
        row: Option<Row>,
        deletions: Deletions,
    ) -> Option<Row> {
        if let Some(known) = self.hot.get_mut(key) {
            let before = std::mem::replace(known, row);
            // What no layer beneath has needs no deletion.
            let kept = deletions == Deletions::All;
            if row.is_none() && !kept && self.beneath(cold, table, key).is_none() {
                self.hot.remove(key);
            }
            return before;
        }
        let before = self.beneath(cold, table, key);
        if row.is_some() || before.is_some() {
            self.hot.insert(key.into(), row);
        }
        before
    }

    /// All entries of a key range, in order from either end: rows, and `None` for what is deleted.
    pub(crate) fn range<'t>(
        &'t self,
        cold: &'t Cold,
        table: &str,
        range: Range<'_>,
    ) -> Merged<Rows<'t>> {
        let layers = std::iter::once(&self.hot).chain(self.frozen.newest_first());
        let here = layers.map(|layer| Rows::Here(layer.range::<[u8], _>(range)));
        Merged::of(here.chain(cold.rows(table, range).map(Rows::Cold)))
    }

    /// Freezes the hot layer as of all commits before `upto`, and begins a new one.
    pub(crate) fn freeze(&mut self, upto: Position) -> Option<Arc<RowLayer>> {
        let rows = std::mem::take(&mut self.hot);
        (!rows.is_empty()).then(|| self.frozen.push(upto, rows))
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds.
    pub(crate) fn thin(&mut self, upto: Position, out: &mut Vec<Retired>) {
        self.frozen.retire(upto, out);
    }
}

impl Row {
    /// Appends its bytes in the cold index.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        to.position(self.commit);
        to.number(self.value.value.as_u64().wrapping_sub(self.commit.as_u64()));
        to.number(self.value.value_len.into());
    }

    /// The row with these bytes of the cold index.
    fn read(cold: &Cold, bytes: &[u8], key: &[u8]) -> Option<Self> {
        let row = Self::decode(bytes, key);
        if row.is_none() {
            cold.note_malformed_row();
        }
        row
    }

    fn decode(bytes: &[u8], key: &[u8]) -> Option<Self> {
        let mut from = Unpack(bytes);
        let commit = from.position()?;
        let value = Position::from_u64(commit.as_u64().wrapping_add(from.number()?));
        let (value_len, key_len) = (from.narrow()?, u16::try_from(key.len()).ok()?);
        from.finish(Row { commit, value: ValueRef { value, value_len, key_len } })
    }
}

/// The entries of one layer.
pub(crate) enum Rows<'t> {
    Here(btree_map::Range<'t, Key, Option<Row>>),
    Cold(ColdRows<'t>),
}

impl<'t> Iterator for Rows<'t> {
    type Item = (&'t [u8], Option<Row>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rows::Here(rows) => rows.next().map(|(key, row)| (&**key, *row)),
            Rows::Cold(rows) => {
                let (key, row) = rows.next()?;
                Some((key, row.and_then(|row| Row::read(rows.cold(), row, key))))
            }
        }
    }
}

impl DoubleEndedIterator for Rows<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Rows::Here(rows) => rows.next_back().map(|(key, row)| (&**key, *row)),
            Rows::Cold(rows) => {
                let (key, row) = rows.next_back()?;
                Some((key, row.and_then(|row| Row::read(rows.cold(), row, key))))
            }
        }
    }
}
