//! Compaction: a full segment is written anew without what is dead in it, and takes its own place.

mod fate;
mod file;
mod packing;
mod remains;

pub(crate) use fate::{Fate, Judge};
pub(crate) use file::replace;
pub(crate) use remains::Remains;
