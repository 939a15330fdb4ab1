//! Numbers by id, in layers as the entries themselves. What no layer has is looked up in the cold index, by the hash
//! of the id.

use std::borrow::Borrow;
use std::hash::Hash;

use super::frozen::{Frozen, Retired};
use crate::hash::Map;
use crate::id::Position;

/// Numbers by id, for ids that came since the oldest layer that is in memory.
pub(crate) struct Ids<K, N> {
    hot: Map<K, N>,
    frozen: Frozen<Map<K, N>>,
}

impl<K, N> Default for Ids<K, N> {
    fn default() -> Self {
        Ids { hot: Map::default(), frozen: Frozen::default() }
    }
}

impl<K: Hash + Eq, N: Copy> Ids<K, N> {
    /// The number of an id, if a layer has it.
    #[inline]
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, id: &Q) -> Option<N>
    where
        K: Borrow<Q>,
    {
        let here = self.hot.get(id).copied();
        here.or_else(|| self.frozen.newest_first().find_map(|layer| layer.get(id).copied()))
    }

    pub(crate) fn insert(&mut self, id: K, number: N) {
        self.hot.insert(id, number);
    }

    /// Freezes the hot layer as of all commits before `upto`, and begins a new one.
    pub(crate) fn freeze(&mut self, upto: Position) {
        if !self.hot.is_empty() {
            self.frozen.push(upto, std::mem::take(&mut self.hot));
        }
    }
}

impl<K: Send + Sync + 'static, N: Send + Sync + 'static> Ids<K, N> {
    /// Takes out the frozen layers up to `upto`, which the cold index holds.
    pub(crate) fn thin(&mut self, upto: Position, out: &mut Vec<Retired>) {
        self.frozen.retire(upto, out);
    }
}
