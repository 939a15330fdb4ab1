//! Blocked Bloom filters: what is not in a section, by one cache line a question.

use crate::bytes::u64_at;

/// Bytes of a block: a cache line.
pub(super) const BLOCK_BYTES: usize = 64;
/// Bits of a block that a hash sets.
const PROBES: u32 = 6;
/// Bits of a filter for each key, at least; at most about twice as many.
const BITS_PER_KEY: usize = 8;

/// How many blocks the filter of so many keys has: a power of two, so that a filter that was made for more keys becomes
/// that of fewer by uniting neighbours. `None` beyond the address space.
pub(super) fn blocks(keys: usize) -> Option<usize> {
    match keys.checked_mul(BITS_PER_KEY)? {
        0 => Some(0),
        bits => bits.div_ceil(BLOCK_BYTES * 8).checked_next_power_of_two(),
    }
}

/// The block that knows of `hash`, of so many.
pub(super) fn block_of(hash: u64, blocks: usize) -> usize {
    let (_, high) = hash.carrying_mul(blocks as u64, 0);
    // Less than `blocks`.
    usize::try_from(high).unwrap_or_default()
}

/// The bits of `hash` within its block, as word and mask.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    // The block follows from the upper bits of the hash; these here from all.
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |probe| {
        let bit = mixed.rotate_left(9 * (probe + 1)) & 511;
        (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
    })
}

/// Whether a block may have been given `hash`; `false` is for sure.
pub(super) fn may_hold(block: &[u8], hash: u64) -> bool {
    bits(hash).all(|(word, mask)| u64_at(block, word * 8).is_some_and(|word| word & mask != 0))
}

/// A filter that is being made.
pub(super) struct Builder {
    blocks: Vec<[u64; 8]>,
    keys: usize,
}

impl Builder {
    /// A filter for at most so many keys; `None` if memory cannot hold it.
    pub(super) fn new(at_most: usize) -> Option<Self> {
        Some(Builder { blocks: vec![[0; 8]; blocks(at_most)?], keys: 0 })
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    pub(super) fn insert(&mut self, hash: u64) {
        self.keys += 1;
        let at = block_of(hash, self.blocks.len());
        if let Some(block) = self.blocks.get_mut(at) {
            for (word, mask) in bits(hash) {
                if let Some(word) = block.get_mut(word) {
                    *word |= mask;
                }
            }
        }
    }

    /// The blocks, as many as the keys need that were inserted: each is the union of neighbours. `None` if there were
    /// more keys than the filter was made for.
    pub(super) fn finish(self) -> Option<impl Iterator<Item = [u64; 8]>> {
        let wanted = blocks(self.keys)?;
        let neighbours = self.blocks.len().checked_div(wanted).unwrap_or(usize::MAX);
        if neighbours == 0 {
            return None;
        }
        let mut at = 0;
        Some((0..wanted).map(move |_| {
            let mut union = [0; 8];
            for block in self.blocks.iter().skip(at).take(neighbours) {
                for (to, from) in union.iter_mut().zip(block) {
                    *to |= from;
                }
            }
            at += neighbours;
            union
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sorted::hash;

    fn filter(keys: u32, at_most: usize) -> Vec<[u64; 8]> {
        let mut builder = Builder::new(at_most).unwrap();
        (0..keys).for_each(|key| builder.insert(hash(&key.to_le_bytes())));
        builder.finish().unwrap().collect()
    }

    fn asked(filter: &[[u64; 8]], hash: u64) -> bool {
        let block = filter[block_of(hash, filter.len())];
        may_hold(block.map(u64::to_le_bytes).as_flattened(), hash)
    }

    #[test]
    fn a_filter_never_forgets_and_is_seldom_wrong() {
        for keys in [1, 64, 65, 1000, 20_000, 32_768] {
            let filter = filter(keys, 40_000);
            assert!((0..keys).all(|key| asked(&filter, hash(&key.to_le_bytes()))));
            let absent = (keys..keys + 20_000).map(|key| hash(&key.to_le_bytes()));
            let wrong = absent.filter(|hash| asked(&filter, *hash)).count();
            assert!(wrong < 20_000 * 4 / 100, "{wrong} of 20,000 beside {keys}");
        }
    }

    #[test]
    fn a_filter_is_a_function_of_its_keys_whatever_room_it_was_given() {
        for keys in [0, 1, 64, 65, 128, 129, 257, 1000, 5000] {
            let tight = filter(keys, usize::try_from(keys).unwrap());
            assert_eq!(tight.len(), blocks(usize::try_from(keys).unwrap()).unwrap());
            for at_most in [5000, 5120, 6000, 7681, 30_000] {
                assert!(filter(keys, at_most) == tight, "{keys} of {at_most}");
            }
        }
    }

    #[test]
    fn a_filter_of_more_keys_than_it_has_room_for_is_refused() {
        let mut builder = Builder::new(100).unwrap();
        (0..1000).for_each(|key: u32| builder.insert(hash(&key.to_le_bytes())));
        assert!(builder.finish().is_none());
    }
}
