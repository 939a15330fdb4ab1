//! The rows of one table, in layers. A deletion is an entry of its own where a layer below has the row.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::sync::Arc;

use super::frozen::{Frozen, Retired};
use super::impossible::{Impossible, Must};
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
    pub(crate) fn range<'t>(&'t self, cold: &'t Cold, table: &str, range: Range<'_>) -> Merged<'t> {
        let layers = std::iter::once(&self.hot).chain(self.frozen.newest_first());
        let here = layers.map(|layer| Source::of(Rows::Here(layer.range::<[u8], _>(range))));
        let cold = cold.rows(table, range).map(|rows| Source::of(Rows::Cold(rows)));
        Merged { sources: here.chain(cold).collect() }
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

type Item<'t> = (&'t [u8], Option<Row>);

/// The entries of one layer.
enum Rows<'t> {
    Here(btree_map::Range<'t, Key, Option<Row>>),
    Cold(ColdRows<'t>),
}

impl<'t> Rows<'t> {
    fn step(&mut self, backwards: bool) -> Option<Item<'t>> {
        match self {
            Rows::Here(rows) => {
                let (key, row) = if backwards { rows.next_back() } else { rows.next() }?;
                Some((key, *row))
            }
            Rows::Cold(rows) => {
                let (key, row) = if backwards { rows.next_back() } else { rows.next() }?;
                let cold = rows.cold();
                Some((key, row.and_then(|row| Row::read(cold, row, key))))
            }
        }
    }
}

/// A layer with what was read of it and not taken yet, at either end.
struct Source<'t> {
    rows: Rows<'t>,
    front: Option<Item<'t>>,
    back: Option<Item<'t>>,
}

impl<'t> Source<'t> {
    fn of(rows: Rows<'t>) -> Self {
        Source { rows, front: None, back: None }
    }

    /// The next entry from one end.
    fn peek(&mut self, backwards: bool) -> Option<&Item<'t>> {
        let (end, other) = match backwards {
            false => (&mut self.front, &mut self.back),
            true => (&mut self.back, &mut self.front),
        };
        if end.is_none() {
            *end = self.rows.step(backwards).or_else(|| other.take());
        }
        end.as_ref()
    }

    fn take(&mut self, backwards: bool) -> Option<Item<'t>> {
        self.peek(backwards)?;
        if backwards { self.back.take() } else { self.front.take() }
    }
}

/// The entries of several layers in the order of their keys; of those with one key, that of the newest layer.
pub(crate) struct Merged<'t> {
    /// The newest one first.
    sources: Vec<Source<'t>>,
}

impl<'t> Merged<'t> {
    fn step(&mut self, backwards: bool) -> Option<Item<'t>> {
        // Most tables have one layer.
        if let [only] = self.sources.as_mut_slice() {
            return only.rows.step(backwards);
        }
        let comes_first = if backwards { Ordering::Greater } else { Ordering::Less };
        let mut next: Option<Item<'t>> = None;
        for source in &mut self.sources {
            let Some((key, row)) = source.peek(backwards).copied() else { continue };
            if next.is_none_or(|(first, _)| key.cmp(first) == comes_first) {
                next = Some((key, row));
            }
        }
        let (key, _) = next?;
        for source in &mut self.sources {
            if source.peek(backwards).is_some_and(|(other, _)| *other == key) {
                source.take(backwards);
            }
        }
        next
    }
}

impl<'t> Iterator for Merged<'t> {
    type Item = Item<'t>;

    fn next(&mut self) -> Option<Item<'t>> {
        self.step(false)
    }
}

impl DoubleEndedIterator for Merged<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}
