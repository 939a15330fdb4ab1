//! Entries of one kind by number, in layers: the upper part of a log-structured merge tree (LSM).
//!
//! The *hot* layer takes all changes. Now and then it is *frozen*, and a new one takes its place. A frozen layer is
//! written into a file of the cold index in the background, and is left here until no reader needs what entries were
//! before it. What no layer has is *cold*: it is decoded at each look. A newer layer shadows older ones.

use std::ops::Deref;
use std::sync::Arc;

use super::frozen::{Frozen, Retired};
use super::read_cache::ReadCache;
use crate::hash::Map;
use crate::id::Position;
use crate::index::cold::{Cold, Family, number_key};

/// An entry that the cold index can hold.
pub(crate) trait Record: Clone {
    const FAMILY: Family;

    /// Appends the bytes of the entry `number`.
    fn encode(&self, number: u32, to: &mut Vec<u8>);

    /// The entry `number`, to be looked at; `None` for bytes that are not those of one.
    fn decode(number: u32, bytes: &[u8]) -> Option<Self>;

    /// The entry `number`, to be changed.
    fn decode_whole(number: u32, bytes: &[u8]) -> Option<Self> {
        Self::decode(number, bytes)
    }
}

/// Entries by number, which ascend in the order in which they came. Not each number has one.
pub(crate) struct Layers<V> {
    hot: Layer<V>,
    frozen: Frozen<Layer<V>>,
    cold: Arc<Cold>,
    read: ReadCache<V>,
}

/// What has changed since the layer below was frozen.
pub(crate) struct Layer<V> {
    /// The number of the first entry that came since.
    first: usize,
    /// Those that came since, by number from `first` on; `None` where there is none, or none any more.
    new: Vec<Option<V>>,
    /// Those that came before, and have changed since; `None` for what was erased.
    changed: Map<u32, Option<V>>,
    /// What layers below find those by that were erased: hashes of their ids, and their numbers.
    erased: Vec<(u64, u32)>,
}

/// An entry: in memory, or decoded from the cold index.
#[derive(Debug)]
pub(crate) enum Entry<'a, V> {
    Here(&'a V),
    Decoded(Arc<V>),
}

/// Where an entry is: in memory, or its bytes in the cold index.
pub(crate) enum Found<'a, V> {
    Here(&'a V),
    Cold(&'a [u8]),
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
            cold: Arc::default(),
            read: ReadCache::none(),
        }
    }
}

impl<V: Record> Layers<V> {
    /// The number behind the last one.
    pub(crate) fn next(&self) -> usize {
        self.hot.first + self.hot.new.len()
    }

    /// All, in order, each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Entry<'_, V>)> {
        (0..self.next()).filter_map(|number| Some((number, self.get(number)?)))
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<Entry<'_, V>> {
        // By far the most: entries that came since the last freeze.
        if let Some(place) = number.checked_sub(self.hot.first) {
            return self.hot.new.get(place)?.as_ref().map(Entry::Here);
        }
        match self.find(number)? {
            Found::Here(entry) => Some(Entry::Here(entry)),
            Found::Cold(bytes) => {
                let decode = || self.decoded(number, bytes, V::decode);
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

    fn decoded(
        &self,
        number: usize,
        bytes: &[u8],
        decode: fn(u32, &[u8]) -> Option<V>,
    ) -> Option<V> {
        let key = u32::try_from(number).ok()?;
        let decoded = decode(key, bytes);
        if decoded.is_none() {
            self.cold.note_malformed(V::FAMILY, key);
        }
        decoded
    }

    /// What a look at an entry comes to. For small answers it costs less than [`Layers::get`].
    #[inline]
    pub(crate) fn look<T>(&self, number: usize, at: impl FnOnce(&V) -> T) -> Option<T> {
        match number.checked_sub(self.hot.first) {
            Some(place) => self.hot.new.get(place)?.as_ref().map(at),
            None => self.get(number).map(|entry| at(&entry)),
        }
    }

    /// Where an entry is, if it is anywhere.
    pub(crate) fn find(&self, number: usize) -> Option<Found<'_, V>> {
        let mut layers = std::iter::once(&self.hot).chain(self.frozen.newest_first());
        match layers.find_map(|layer| layer.get(number)) {
            Some(entry) => entry.map(Found::Here),
            None if number >= self.next() => None,
            None => {
                let key = number_key(u32::try_from(number).ok()?);
                self.cold.get(V::FAMILY, &key).map(Found::Cold)
            }
        }
    }

    /// An entry to be changed: it is copied into the hot layer, unless it is there.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut V> {
        match number.checked_sub(self.hot.first) {
            Some(place) => self.hot.new.get_mut(place)?.as_mut(),
            None => self.thaw(number),
        }
    }

    fn thaw(&mut self, number: usize) -> Option<&mut V> {
        let key = u32::try_from(number).ok()?;
        if !self.hot.changed.contains_key(&key) {
            let entry = match self.find(number)? {
                Found::Here(entry) => entry.clone(),
                Found::Cold(bytes) => self.decoded(number, bytes, V::decode_whole)?,
            };
            self.hot.changed.insert(key, Some(entry));
        }
        self.hot.changed.get_mut(&key)?.as_mut()
    }

    /// Adds the entry `number`, which is behind all that came before.
    pub(crate) fn put(&mut self, number: usize, entry: V) {
        debug_assert!(number >= self.next(), "an entry comes too late");
        self.skip(number);
        self.hot.new.push(Some(entry));
    }

    /// Leaves out the numbers below `next` that are not used yet.
    pub(crate) fn skip(&mut self, next: usize) {
        if next > self.next() {
            self.hot.new.resize_with(next.saturating_sub(self.hot.first), || None);
        }
    }

    /// Takes out an entry, which files may find by the hash of its id.
    pub(crate) fn erase(&mut self, number: usize, hash: Option<u64>) {
        match number.checked_sub(self.hot.first) {
            Some(place) => {
                if let Some(entry) = self.hot.new.get_mut(place) {
                    *entry = None;
                }
            }
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
        self.read = ReadCache::new();
    }

    /// Begins with entries of numbers below `next`, all of them in `cold`.
    pub(crate) fn of_cold(cold: &Arc<Cold>, next: usize) -> Self {
        Layers {
            hot: Layer::from(next),
            frozen: Frozen::default(),
            cold: cold.clone(),
            read: ReadCache::new(),
        }
    }
}

impl<V: Send + Sync + 'static> Layers<V> {
    /// Takes out the frozen layers up to `upto`, which the cold index holds.
    pub(crate) fn thin(&mut self, upto: Position, out: &mut Vec<Retired>) {
        self.frozen.retire(upto, out);
    }
}

impl<V> Layer<V> {
    fn from(first: usize) -> Self {
        Layer { first, new: vec![], changed: Map::default(), erased: vec![] }
    }

    /// What the layer says of an entry, if anything: that it is this, or none.
    fn get(&self, number: usize) -> Option<Option<&V>> {
        match number.checked_sub(self.first) {
            Some(place) => self.new.get(place).map(Option::as_ref),
            None if self.changed.is_empty() => None,
            None => self.changed.get(&u32::try_from(number).ok()?).map(Option::as_ref),
        }
    }

    /// All of its entries in the order of their numbers; `None` for those that it takes out of the layers below.
    pub(crate) fn sorted(&self) -> Vec<(u32, Option<&V>)> {
        let changed = self.changed.iter();
        let mut entries: Vec<_> = changed.map(|(key, entry)| (*key, entry.as_ref())).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.extend(self.came().map(|(number, entry)| (number, Some(entry))));
        entries
    }

    /// Those that came since the layer below was frozen.
    pub(crate) fn came(&self) -> impl Iterator<Item = (u32, &V)> {
        let numbers = (self.first..).map_while(|number| u32::try_from(number).ok());
        numbers.zip(&self.new).filter_map(|(number, entry)| Some((number, entry.as_ref()?)))
    }

    /// What layers below find those by that it takes out of them: hashes of ids, and numbers.
    pub(crate) fn erased(&self) -> &[(u64, u32)] {
        &self.erased
    }
}
