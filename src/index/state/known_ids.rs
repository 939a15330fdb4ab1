//! The numbers of runs that were found in files lately, by id. A run keeps its number for ever, so that no entry is ever
//! out of date; and the run itself says whether the id is its own.

use crate::bytes::in_memory;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many numbers are kept; an id has one place.
const SLOTS: usize = 1 << 14;

/// Numbers, each beside the upper half of the hash of its id; 0 for none.
#[derive(Default)]
pub(crate) struct KnownIds {
    slots: Box<[AtomicU64]>,
}

const UPPER: u64 = !(u32::MAX as u64);

impl KnownIds {
    /// Takes the memory for them, once there are files to look into.
    pub(crate) fn begin(&mut self) {
        if self.slots.is_empty() {
            self.slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        }
    }

    /// The number that the id with this hash most likely has.
    pub(crate) fn get(&self, hash: u64) -> Option<u32> {
        let known = self.slot(hash)?.load(Ordering::Relaxed);
        let is_it = known != 0 && (known ^ hash) & UPPER == 0;
        u32::try_from(known & !UPPER).ok().filter(|_| is_it)
    }

    pub(crate) fn keep(&self, hash: u64, number: u32) {
        if let Some(slot) = self.slot(hash) {
            slot.store(hash & UPPER | u64::from(number), Ordering::Relaxed);
        }
    }

    fn slot(&self, hash: u64) -> Option<&AtomicU64> {
        self.slots.get(in_memory(u32::try_from(hash & !UPPER).ok()?) % SLOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownIds, SLOTS};

    #[test]
    fn a_number_is_known_until_another_one_takes_its_place() {
        let mut known = KnownIds::default();
        known.keep(7, 1);
        assert_eq!(known.get(7), None, "there is no memory for it yet");
        known.begin();
        let (one, other) = ((9 << 32) | 7, (8 << 32) | (7 + SLOTS as u64));
        for number in [0, 3, u32::MAX] {
            known.keep(one, number);
            assert_eq!((known.get(one), known.get(other)), (Some(number), None));
        }
        known.keep(other, 4);
        known.begin();
        assert_eq!((known.get(one), known.get(other)), (None, Some(4)));
    }
}
