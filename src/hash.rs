//! Hash maps by id. The hash is seeded per process and takes a few nanoseconds; with the standard library's,
//! a third of the time of building and checking a commit would be hashing.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::fast::{FoldHasher, RandomState};

/// A map by id.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, Seeded>;

/// The seed of this process. Maps share it, because many small ones are created.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Hashes with the seed of this process.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Seeded;

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> FoldHasher<'static> {
        SEED.build_hasher()
    }
}
