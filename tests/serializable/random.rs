//! SplitMix64: small, and the same numbers for the same seed everywhere.

pub(crate) struct Rng(u64);

impl Rng {
    /// The numbers of one thread of the world with this seed.
    pub(crate) fn new(seed: u64, thread: usize) -> Self {
        // Neighbouring seeds as they are would give the same numbers, one apart.
        let seed = mixed(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        Rng(mixed(seed.wrapping_add(u64::try_from(thread).unwrap())))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
