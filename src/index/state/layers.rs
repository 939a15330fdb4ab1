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

/// Entries by number, which count from 0 in the order in which they came.
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
    /// Those that came since.
    new: Vec<V>,
    /// Those that came before, and have changed since.
    changed: Map<u32, V>,
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
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.hot.first + self.hot.new.len()
    }

    /// All, in order, each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Entry<'_, V>)> {
        (0..self.len()).filter_map(|number| Some((number, self.get(number)?)))
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<Entry<'_, V>> {
        // By far the most: entries that came since the last freeze.
        if let Some(place) = number.checked_sub(self.hot.first) {
            return self.hot.new.get(place).map(Entry::Here);
        }
        match self.find(number)? {
            Found::Here(entry) => Some(Entry::Here(entry)),
            Found::Cold(bytes) => {
                let decode = || self.decoded(number, bytes, V::decode);
                self.read.get(u32::try_from(number).ok()?, decode).map(Entry::Decoded)
            }
        }
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
            Some(place) => self.hot.new.get(place).map(at),
            None => self.get(number).map(|entry| at(&entry)),
        }
    }

    /// Where an entry is, if it is anywhere.
    pub(crate) fn find(&self, number: usize) -> Option<Found<'_, V>> {
        let mut layers = std::iter::once(&self.hot).chain(self.frozen.newest_first());
        match layers.find_map(|layer| layer.get(number)) {
            Some(entry) => Some(Found::Here(entry)),
            None if number >= self.len() => None,
            None => {
                let number = u32::try_from(number).ok()?;
                let found = self.cold.get(V::FAMILY, &number_key(number));
                if found.is_none() {
                    // Every number below the next one is that of an entry.
                    self.cold.note_malformed(V::FAMILY, number);
                }
                found.map(Found::Cold)
            }
        }
    }

    /// An entry to be changed: it is copied into the hot layer, unless it is there.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut V> {
        match number.checked_sub(self.hot.first) {
            Some(place) => self.hot.new.get_mut(place),
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
            self.hot.changed.insert(key, entry);
        }
        self.hot.changed.get_mut(&key)
    }

    /// Adds the entry that comes next.
    pub(crate) fn push(&mut self, entry: V) {
        self.hot.new.push(entry);
    }

    /// Freezes the hot layer as of all commits before `upto`, and begins a new one.
    pub(crate) fn freeze(&mut self, upto: Position) -> Arc<Layer<V>> {
        let next = Layer::from(self.len());
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

    /// Begins with `len` entries, all of them in `cold`.
    pub(crate) fn of_cold(cold: &Arc<Cold>, len: usize) -> Self {
        Layers {
            hot: Layer::from(len),
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
        Layer { first, new: vec![], changed: Map::default() }
    }

    fn get(&self, number: usize) -> Option<&V> {
        match number.checked_sub(self.first) {
            Some(place) => self.new.get(place),
            None if self.changed.is_empty() => None,
            None => self.changed.get(&u32::try_from(number).ok()?),
        }
    }

    /// All of its entries in the order of their numbers.
    pub(crate) fn sorted(&self) -> Vec<(u32, &V)> {
        let mut entries: Vec<_> = self.changed.iter().map(|(key, entry)| (*key, entry)).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.extend(self.came());
        entries
    }

    /// Those that came since the layer below was frozen.
    pub(crate) fn came(&self) -> impl Iterator<Item = (u32, &V)> {
        let numbers = (self.first..).map_while(|number| u32::try_from(number).ok());
        numbers.zip(&self.new)
    }
}
