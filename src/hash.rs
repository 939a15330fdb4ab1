//! Maps by id. Their hash is seeded anew in every process and takes a few nanoseconds; the standard
//! one would take a third of the time of building and checking a commit.

/// A map by id.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
