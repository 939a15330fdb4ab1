//! Entries of one kind by number, in layers: the upper part of a log-structured merge tree (LSM).
//!
//! The *hot* layer takes all changes. Now and then it is *frozen*, and a new one takes its place. A frozen layer is
//! written into a file of the cold index in the background, and is left here until no reader needs what entries were
//! before it. Then those of its entries that are open stay in memory by themselves (`open.rs`). What none of these has is
//! *cold*: it is decoded when it is looked at. A newer layer shadows older ones.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::frozen::{Frozen, Retired};
use super::open::{Left, Open};
use super::read_cache::ReadCache;
use crate::bytes::{in_memory, wide};
use crate::hash::Map;
use crate::id::Position;
use crate::index::cold::{Cold, Family, number_key};

/// As many numbers without an entry, and as many as there are places already, lie between two that are kept by place.
const GAP_MAX: usize = 64;

/// How many cold entries of a kind are kept decoded.
const READ_SLOTS: usize = 1024;

/// An entry that the cold index can hold.
pub(crate) trait Record: Clone + Send + Sync + 'static {
    const FAMILY: Family;

    /// Appends the bytes of the entry `number`.
    fn encode(&self, number: u32, to: &mut Vec<u8>);

    /// The entry `number`, to be looked at; `None` for bytes that are not those of one.
    fn decode(number: u32, bytes: &[u8]) -> Option<Self>;

    /// The entry `number`, to be changed.
    fn decode_whole(number: u32, bytes: &[u8]) -> Option<Self> {
        Self::decode(number, bytes)
    }

    /// About how much memory it takes beside itself.
    fn heap_bytes(&self) -> usize;
}

/// Entries by number, which ascend in the order in which they came. Not each number has one.
pub(crate) struct Layers<V> {
    hot: Layer<V>,
    frozen: Frozen<Layer<V>>,
    open: Open<V>,
    cold: Arc<Cold>,
    read: ReadCache<V>,
}

/// What has changed since the layer below was frozen.
pub(crate) struct Layer<V> {
    /// The number of the first entry that came since.
    first: usize,
    /// Those that came since, by number from `first` on; `None` where there is none, or none any more.
    new: Vec<Option<V>>,
    /// Those that came since behind a long gap, and those that came before and have changed since; `None` for what was
    /// erased.
    changed: Map<u32, Option<V>>,
    /// The numbers of those behind a long gap.
    far: BTreeSet<u32>,
    /// The number behind the last one.
    next: usize,
    /// What layers below find those by that were erased: hashes of their ids, and their numbers.
    erased: Vec<(u64, u32)>,
    /// Of a frozen layer, those that stay in memory once it is taken out.
    open: OnceLock<Vec<(u32, Left<V>)>>,
}

/// An entry: in memory, or decoded from the cold index.
#[derive(Debug)]
pub(crate) enum Entry<'a, V> {
    Here(&'a V),
    Decoded(Arc<V>),
}

/// What memory says of an entry.
pub(crate) enum Here<'a, V> {
    Entry(&'a V),
    /// There is none any more, whatever files say.
    Erased,
    /// Files may have it.
    Nothing,
}

impl<V> Deref for Entry<'_, V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        match self {
            Entry::Here(entry) => entry,
            Entry::Decoded(entry) => entry,
        }
    }
}

impl<V: PartialEq> PartialEq for Entry<'_, V> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<V: Clone> Entry<'_, V> {
    /// The entry by itself.
    pub(crate) fn into_owned(self) -> V {
        match self {
            Entry::Here(entry) => entry.clone(),
            Entry::Decoded(entry) => Arc::unwrap_or_clone(entry),
        }
    }
}

impl<V> Default for Layers<V> {
    fn default() -> Self {
        Layers {
            hot: Layer::from(0),
            frozen: Frozen::default(),
            open: Open::default(),
            cold: Arc::default(),
            read: ReadCache::none(),
        }
    }
}

impl<V: Record> Layers<V> {
    /// The number behind the last one.
    pub(crate) fn next(&self) -> usize {
        self.hot.next
    }

    /// All, in order, each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Entry<'_, V>)> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            loop {
                let number = next?;
                if let Some(entry) = self.get(number) {
                    next = Some(number + 1);
                    return Some((number, entry));
                }
                // To ask for what follows costs a search in each file: only where something is missing.
                next = self.following(number + 1);
            }
        })
    }

    /// The first number from `number` on that may have an entry: long gaps in files are left out.
    pub(crate) fn following(&self, number: usize) -> Option<usize> {
        let layers = std::iter::once(&self.hot).chain(self.frozen.newest_first());
        let here = layers.filter_map(|layer| layer.following(number)).min();
        if number >= self.frozen.oldest().unwrap_or(&self.hot).first {
            return here;
        }
        let cold = self.cold.next_number(V::FAMILY, u32::try_from(number).ok()?);
        here.into_iter().chain(cold.map(in_memory)).min()
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<Entry<'_, V>> {
        // By far the most: entries that came since the last freeze.
        if let Some(entry) = self.hot.by_place(number) {
            return entry.map(Entry::Here);
        }
        self.get_older(number)
    }

    fn get_older(&self, number: usize) -> Option<Entry<'_, V>> {
        match self.here(number) {
            Here::Entry(entry) => Some(Entry::Here(entry)),
            Here::Erased => None,
            Here::Nothing => {
                let decode = || self.decoded(number, V::decode);
                self.read.get(u32::try_from(number).ok()?, decode).map(Entry::Decoded)
            }
        }
    }

    /// An entry that another one refers to: if it is missing, the index is damaged.
    pub(crate) fn get_known(&self, number: usize) -> Option<Entry<'_, V>> {
        let found = self.get(number);
        if found.is_none()
            && let Ok(key) = u32::try_from(number)
        {
            self.cold.note_malformed(V::FAMILY, key);
        }
        found
    }

    /// The entry `number` of the cold index.
    fn decoded(&self, number: usize, decode: fn(u32, &[u8]) -> Option<V>) -> Option<V> {
        let (key, bytes) = (u32::try_from(number).ok()?, self.cold_bytes(number)?);
        let decoded = decode(key, bytes);
        if decoded.is_none() {
            self.cold.note_malformed(V::FAMILY, key);
        }
        decoded
    }

    /// What a look at an entry comes to. For small answers it costs less than [`Layers::get`].
    #[inline]
    pub(crate) fn look<T>(&self, number: usize, at: impl FnOnce(&V) -> T) -> Option<T> {
        match self.hot.by_place(number) {
            Some(entry) => entry.map(at),
            None => self.get_older(number).map(|entry| at(&entry)),
        }
    }

    /// What memory says of an entry.
    pub(crate) fn here(&self, number: usize) -> Here<'_, V> {
        let mut layers = std::iter::once(&self.hot).chain(self.frozen.newest_first());
        match layers.find_map(|layer| layer.get(number)) {
            Some(Some(entry)) => Here::Entry(entry),
            Some(None) => Here::Erased,
            None => {
                let open = u32::try_from(number).ok().and_then(|number| self.open.get(number));
                open.map_or(Here::Nothing, Here::Entry)
            }
        }
    }

    /// The bytes of an entry of which memory says nothing.
    pub(crate) fn cold_bytes(&self, number: usize) -> Option<&[u8]> {
        let key = u32::try_from(number).ok().filter(|_| number < self.next())?;
        self.cold.get(V::FAMILY, &number_key(key))
    }

    /// An entry to be changed: it is copied into the hot layer, unless it is there.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut V> {
        match number.checked_sub(self.hot.first).filter(|place| *place < self.hot.new.len()) {
            Some(place) => self.hot.new.get_mut(place)?.as_mut(),
            None => self.thaw(number),
        }
    }

    fn thaw(&mut self, number: usize) -> Option<&mut V> {
        let key = u32::try_from(number).ok()?;
        if !self.hot.changed.contains_key(&key) {
            let frozen = self.frozen.newest_first().find_map(|layer| layer.get(number));
            let entry = match (frozen, self.open.remove(key)) {
                (Some(entry), _) => entry?.clone(),
                (None, Some(entry)) => Arc::unwrap_or_clone(entry),
                (None, None) => self.decoded(number, V::decode_whole)?,
            };
            self.hot.changed.insert(key, Some(entry));
        }
        self.hot.changed.get_mut(&key)?.as_mut()
    }

    /// Adds the entry `number`, which is behind all that came before.
    pub(crate) fn put(&mut self, number: usize, entry: V) {
        debug_assert!(number >= self.next(), "an entry comes too late");
        let place = number.saturating_sub(self.hot.first);
        if place <= 2 * self.hot.new.len() + GAP_MAX {
            self.hot.new.resize_with(place, || None);
            self.hot.new.push(Some(entry));
        } else if let Ok(key) = u32::try_from(number) {
            self.hot.far.insert(key);
            self.hot.changed.insert(key, Some(entry));
        }
        self.hot.next = number + 1;
    }

    /// Leaves out the numbers below `next` that are not used yet.
    pub(crate) fn skip(&mut self, next: usize) {
        self.hot.next = self.hot.next.max(next);
    }

    /// Takes out an entry, which files may find by the hash of its id.
    pub(crate) fn erase(&mut self, number: usize, hash: Option<u64>) {
        let place = number.checked_sub(self.hot.first);
        match place.and_then(|place| self.hot.new.get_mut(place)) {
            Some(entry) => *entry = None,
            None => {
                let Ok(key) = u32::try_from(number) else { return };
                self.hot.changed.insert(key, None);
                self.hot.erased.extend(hash.map(|hash| (hash, key)));
            }
        }
    }

    /// Freezes the hot layer as of all commits before `upto`, and begins a new one.
    pub(crate) fn freeze(&mut self, upto: Position) -> Arc<Layer<V>> {
        let next = Layer::from(self.next());
        self.frozen.push(upto, std::mem::replace(&mut self.hot, next))
    }

    /// How many entries the hot layer has.
    pub(crate) fn hot_len(&self) -> usize {
        self.hot.new.len() + self.hot.changed.len()
    }

    pub(crate) fn cold(&self) -> &Arc<Cold> {
        &self.cold
    }

    /// Goes on with `cold`.
    pub(crate) fn adopt(&mut self, cold: &Arc<Cold>) {
        self.cold = cold.clone();
        self.read = ReadCache::new(READ_SLOTS);
    }

    /// Begins with entries of numbers below `next`, all of them in `cold`.
    pub(crate) fn of_cold(cold: &Arc<Cold>, next: usize) -> Self {
        Layers {
            hot: Layer::from(next),
            frozen: Frozen::default(),
            open: Open::default(),
            cold: cold.clone(),
            read: ReadCache::new(READ_SLOTS),
        }
    }

    /// The frozen layers up to `upto`.
    pub(crate) fn frozen_upto(&self, upto: Position) -> impl Iterator<Item = &Arc<Layer<V>>> {
        self.frozen.upto(upto)
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds. Open entries stay, as far as about
    /// `open_max` bytes hold them.
    pub(crate) fn thin(&mut self, upto: Position, open_max: u64, out: &mut Vec<Retired>) {
        for layer in self.frozen.upto(upto) {
            self.open.take_in(layer.changed.keys().copied(), layer.open(), open_max, out);
        }
        self.frozen.retire(upto, out);
    }

    /// About how much memory open entries take that are in no layer.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.open.bytes()
    }
}

impl<V: Record> Layer<V> {
    /// Has the entries with these numbers stay in memory once the layer is taken out.
    pub(crate) fn leave(&self, numbers: impl Iterator<Item = u32>) {
        let left = |number| {
            let entry = self.get(in_memory(number))??;
            // With two places in a map.
            let own = 2 * size_of::<(u32, Left<V>)>() + size_of::<V>();
            let bytes = wide(own + entry.heap_bytes());
            Some((number, Left { entry: Arc::new(entry.clone()), bytes }))
        };
        self.open.get_or_init(|| numbers.filter_map(left).collect());
    }

    /// Those that stay in memory.
    pub(crate) fn open(&self) -> &[(u32, Left<V>)] {
        self.open.get().map(Vec::as_slice).unwrap_or_default()
    }
}

impl<V> Layer<V> {
    fn from(first: usize) -> Self {
        Layer {
            first,
            new: vec![],
            changed: Map::default(),
            far: BTreeSet::new(),
            next: first,
            erased: vec![],
            open: OnceLock::new(),
        }
    }

    /// The first number from `number` on that may be that of an entry which came since the layer below was frozen.
    fn following(&self, number: usize) -> Option<usize> {
        let number = number.max(self.first);
        if number - self.first < self.new.len() {
            return Some(number);
        }
        let far = self.far.range(u32::try_from(number).ok()?..);
        far.copied().next().map(in_memory)
    }

    /// What the layer says of an entry, if anything: that it is this, or none.
    fn get(&self, number: usize) -> Option<Option<&V>> {
        match self.by_place(number) {
            None if self.changed.is_empty() => None,
            None => self.changed.get(&u32::try_from(number).ok()?).map(Option::as_ref),
            found => found,
        }
    }

    /// The same of those that are kept by their place.
    #[inline]
    fn by_place(&self, number: usize) -> Option<Option<&V>> {
        self.new.get(number.checked_sub(self.first)?).map(Option::as_ref)
    }

    /// All of its entries in the order of their numbers; `None` for those that it takes out of the layers below.
    pub(crate) fn sorted(&self) -> Vec<(u32, Option<&V>)> {
        let changed = self.changed.iter().map(|(key, entry)| (*key, entry.as_ref()));
        let new = self.by_places().map(|(number, entry)| (number, Some(entry)));
        let mut entries: Vec<_> = changed.chain(new).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries
    }

    /// All of its entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        let changed = self.changed.iter();
        changed
            .filter_map(|(number, entry)| Some((*number, entry.as_ref()?)))
            .chain(self.by_places())
    }

    /// Those that came since the layer below was frozen, in any order.
    pub(crate) fn came(&self) -> impl Iterator<Item = (u32, &V)> {
        self.iter().filter(|(number, _)| in_memory(*number) >= self.first)
    }

    fn by_places(&self) -> impl Iterator<Item = (u32, &V)> {
        let numbers = (self.first..).map_while(|number| u32::try_from(number).ok());
        numbers.zip(&self.new).filter_map(|(number, entry)| Some((number, entry.as_ref()?)))
    }

    /// What layers below find those by that it takes out of them: hashes of ids, and numbers.
    pub(crate) fn erased(&self) -> &[(u64, u32)] {
        &self.erased
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunNumber;
    use crate::index::state::chains::{Chain, Chains};

    /// As a replay of a log leaves them of which most runs were erased.
    #[test]
    fn long_gaps_between_numbers_cost_neither_memory_nor_time() {
        let mut chains = Chains::default();
        let numbers = [0, 1, 40, 3_000_000_000, 3_000_000_001, 4_000_000_000];
        for number in numbers {
            chains.begin(RunNumber::from_u32(number), None, None);
        }
        let found = |chains: &Chains| -> Vec<u32> {
            chains.iter().map(|(number, _): (_, Entry<'_, Chain>)| number.as_u32()).collect()
        };
        assert_eq!(found(&chains), numbers);
        let frozen = chains.freeze(Position::from_u64(1));
        let sorted: Vec<u32> = frozen.sorted().iter().map(|(number, _)| *number).collect();
        assert_eq!(sorted, numbers);
        let mut came: Vec<u32> = frozen.came().map(|(number, _)| number).collect();
        came.sort_unstable();
        assert_eq!(came, numbers);
        chains.begin(RunNumber::from_u32(4_000_000_002), None, None);
        assert_eq!(found(&chains), [&numbers[..], &[4_000_000_002]].concat());
    }
}
