//! Entries that will be looked at again, such as open runs: they stay in memory, decoded, when the frozen layers that had
//! them are taken out.
//!
//! They lie beneath all layers, and are as the layers that were taken out have left them: each of those replaces or removes
//! what it has changed. So none is ever out of date, whatever becomes of the files.

use std::sync::Arc;

use super::frozen::Retired;
use crate::hash::Map;

/// Open entries, in two generations. When those that came last fill their half of the memory, the others go: the ones
/// that have not changed for longest are left to the files.
pub(crate) struct Open<V> {
    young: Generation<V>,
    old: Generation<V>,
}

/// Entries by number, each in one generation at most.
struct Generation<V> {
    entries: Map<u32, Left<V>>,
    /// About how much memory they take.
    bytes: u64,
}

/// An entry that stays, and about how much memory it takes.
pub(crate) struct Left<V> {
    pub(crate) entry: Arc<V>,
    pub(crate) bytes: u64,
}

impl<V> Clone for Left<V> {
    fn clone(&self) -> Self {
        Left { entry: self.entry.clone(), bytes: self.bytes }
    }
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Generation { entries: Map::default(), bytes: 0 }
    }
}

impl<V> Default for Open<V> {
    fn default() -> Self {
        Open { young: Generation::default(), old: Generation::default() }
    }
}

impl<V: Send + Sync + 'static> Open<V> {
    pub(crate) fn get(&self, number: u32) -> Option<&V> {
        let found = self.young.entries.get(&number);
        found.or_else(|| self.old.entries.get(&number)).map(|left| &*left.entry)
    }

    /// Takes out an entry, which is about to change.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Arc<V>> {
        self.young.remove(number).or_else(|| self.old.remove(number))
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> u64 {
        self.young.bytes + self.old.bytes
    }

    /// Takes in what stays of a layer that is being taken out and has changed entries with these numbers. All of them
    /// may take about `bytes_max`.
    pub(crate) fn take_in(
        &mut self,
        changed: impl Iterator<Item = u32>,
        open: &[(u32, Left<V>)],
        bytes_max: u64,
        out: &mut Vec<Retired>,
    ) {
        if self.bytes() > 0 {
            changed.for_each(|number| drop(self.remove(number)));
        }
        for (number, left) in open {
            self.remove(*number);
            let half = bytes_max / 2;
            if self.young.bytes + left.bytes > half {
                let young = std::mem::take(&mut self.young);
                out.push(Arc::new(std::mem::replace(&mut self.old, young).entries));
            }
            if left.bytes <= half {
                self.young.bytes += left.bytes;
                self.young.entries.insert(*number, left.clone());
            }
        }
    }
}

impl<V> Generation<V> {
    fn remove(&mut self, number: u32) -> Option<Arc<V>> {
        let Left { entry, bytes } = self.entries.remove(&number)?;
        self.bytes -= bytes;
        Some(entry)
    }
}
