//! A small cache of decoded entries: whoever lists the children of a run asks for the same ones many times.

use std::sync::Arc;

use crate::bytes::in_memory;
use crate::sync::Mutex;

/// How many entries are kept; a number has one place.
const SLOTS: usize = 1024;

/// Decoded entries of one cold index. Its content never changes, so that no entry goes out of date.
pub(crate) struct ReadCache<V> {
    slots: Box<[Slot<V>]>,
}

type Slot<V> = Mutex<Option<(u32, Arc<V>)>>;

impl<V> ReadCache<V> {
    /// A cache that keeps nothing.
    pub(crate) fn none() -> Self {
        ReadCache { slots: Box::default() }
    }

    pub(crate) fn new() -> Self {
        ReadCache { slots: (0..SLOTS).map(|_| Mutex::new(None)).collect() }
    }

    /// The entry `number`: as it was kept, or as `decode` has it.
    pub(crate) fn get(&self, number: u32, decode: impl FnOnce() -> Option<V>) -> Option<Arc<V>> {
        let Some(slot) = self.slots.get(in_memory(number) % SLOTS) else {
            return decode().map(Arc::new);
        };
        if let Some((kept, entry)) = &*slot.lock()
            && *kept == number
        {
            return Some(entry.clone());
        }
        let entry = Arc::new(decode()?);
        *slot.lock() = Some((number, entry.clone()));
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadCache, SLOTS};

    #[test]
    fn an_entry_is_decoded_once_until_another_one_takes_its_place() {
        let other = u32::try_from(SLOTS).unwrap() + 7;
        for (cache, decoded) in [(ReadCache::new(), 3), (ReadCache::none(), 5)] {
            let mut times = 0;
            for number in [7, 7, 7, other, 7] {
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
