//! The files of a store: lock, lock record, manifest, segments, reserve, and the readable part of the log.

mod disjoint;
mod frames;
mod holes;
mod location;
mod lock;
mod lock_record;
mod manifest;
mod missing;
pub(crate) mod reserve;
mod segment;
mod unpacked;
mod view;
#[cfg(all(loom, test))]
mod weak_memory;

pub(crate) use disjoint::check_disjoint;
pub(crate) use holes::zero_holes;
pub(crate) use location::{StoreLocation, check_at, check_unshared, here, refuse_link};
pub(crate) use lock::Lock;
pub(crate) use lock_record::{LockFile, LockRecord, durable_hint};
pub(crate) use manifest::ManifestFile;
pub(crate) use missing::{missing, remove_unfinished};
pub(crate) use reserve::{is_full, reserve_bytes};
pub(crate) use segment::{Segment, header_of};
pub(crate) use view::{Behind, Published, View};
