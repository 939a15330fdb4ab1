//! From a directory to a log that can be written: the verdict by reading only, then repair.

mod heal;
mod opening;
mod recovery;
pub(crate) mod reread;
mod sparse;

pub use opening::{OpenReport, Verdict};
pub(crate) use opening::{
    Opening, follow, make_directories, make_space, manifest_before, open, overtaken,
};
pub(crate) use recovery::Replay;
pub(crate) use reread::Files;
