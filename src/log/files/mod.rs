//! The files of a store, and what is seen of them.

mod apart;
pub(crate) mod holes;
mod lock;
mod lock_record;
mod manifest;
mod missing;
mod place;
pub(crate) mod reserve;
mod segment;
mod view;
#[cfg(all(loom, test))]
mod weak_memory;

pub(crate) use apart::apart;
pub(crate) use lock::Lock;
pub(crate) use lock_record::{Record, Word, vouched};
pub(crate) use manifest::ManifestFile;
pub(crate) use missing::{missing, remove_unfinished};
pub(crate) use place::{Place, check_at, check_unshared, here};
pub(crate) use reserve::{is_full, reserve_bytes};
pub(crate) use segment::Segment;
pub(crate) use view::{Published, View};
