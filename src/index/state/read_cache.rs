//! A small cache of decoded entries: whoever lists the children of a run asks for the same ones many times.

use std::sync::Arc;

use crate::bytes::in_memory;
use crate::sync::Mutex;

/// Decoded entries of one cold index. Its content never changes, so that no entry goes out of date.
pub(crate) struct ReadCache<V> {
    slots: Box<[Slot<V>]>,
}

type Slot<V> = Mutex<Option<(u32, Arc<V>)>>;

impl<V> Default for ReadCache<V> {
    fn default() -> Self {
        Self::none()
    }
}

impl<V> ReadCache<V> {
    /// A cache that keeps nothing.
    pub(crate) fn none() -> Self {
        ReadCache { slots: Box::default() }
    }

    /// A cache of so many entries; each number has one place.
    pub(crate) fn new(slots: usize) -> Self {
        ReadCache { slots: (0..slots).map(|_| Mutex::new(None)).collect() }
    }

    /// The entry `number`: as it was kept, or as `decode` has it.
    pub(crate) fn get(&self, number: u32, decode: impl FnOnce() -> Option<V>) -> Option<Arc<V>> {
        let kept = self.peek(number);
        kept.or_else(|| {
            let entry = Arc::new(decode()?);
            self.keep(number, &entry);
            Some(entry)
        })
    }

    /// Keeps the entry `number`, in the place of another one.
    pub(crate) fn keep(&self, number: u32, entry: &Arc<V>) {
        if let Some(slot) = self.slot(number) {
            *slot.lock() = Some((number, entry.clone()));
        }
    }

    /// The entry `number`, if it was kept.
    pub(crate) fn peek(&self, number: u32) -> Option<Arc<V>> {
        let slot = self.slot(number)?.lock();
        let (_, entry) = slot.as_ref().filter(|(kept, _)| *kept == number)?;
        Some(entry.clone())
    }

    fn slot(&self, number: u32) -> Option<&Slot<V>> {
        self.slots.get(in_memory(number).checked_rem(self.slots.len())?)
    }
}

#[cfg(test)]
mod tests {
    use super::ReadCache;

    #[test]
    fn an_entry_is_decoded_once_until_another_one_takes_its_place() {
        for (cache, decoded) in [(ReadCache::new(10), 3), (ReadCache::none(), 5)] {
            let mut times = 0;
            for number in [7, 7, 7, 17, 7] {
                let mut decode = || {
                    times += 1;
                    Some(number)
                };
                assert_eq!(cache.get(number, &mut decode).as_deref(), Some(&number));
            }
            assert_eq!(times, decoded);
            assert_eq!(cache.get(9, || None), None, "what cannot be decoded is not kept");
            assert_eq!(cache.get(9, || Some(9)).as_deref(), Some(&9));
        }
    }
}
