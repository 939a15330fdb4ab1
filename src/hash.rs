//! Maps by id. Their hash is seeded anew in every process and takes a few nanoseconds; the standard
//! one would take a third of the time of building and checking a commit.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::fast::{FoldHasher, RandomState};

/// A map by id.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, Seeded>;

/// The seed of this process: a map has none of its own, as making many small ones is common.
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
