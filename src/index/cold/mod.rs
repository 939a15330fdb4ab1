//! The cold index: what is no longer in memory, in sorted files that never change (the lower part of a log-structured
//! merge tree, LSM). All of it can be deleted: it is built anew from the log.

mod checkpoint;
mod family;
mod files;
mod keys;
mod lookup;
mod paths;

pub(crate) use checkpoint::{Checkpoint, FileEntry};
pub(crate) use family::{Family, KINDS};
pub(crate) use files::IndexFile;
pub(crate) use keys::{beyond_prefix, hash_key, number_key, place_key, row_key};
pub(crate) use lookup::{Cold, ColdPlaces, ColdRows};
pub(crate) use paths::{
    checkpoint_bytes, read_checkpoint, remove_checkpoint, remove_index, remove_others,
    unknown_files, write_checkpoint,
};
