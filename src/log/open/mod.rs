//! Opening a log, and crash recovery: first the verdict, which only reads; then healing, for a writer.

mod closed;
mod compacted;
mod covered;
mod heal;
mod opening;
mod recovery;
pub(crate) mod reread;
mod segment_reader;
mod sparse;

pub(crate) use compacted::compacted_as_of;
pub(crate) use covered::Covered;
pub use opening::{IndexFound, OpenReport, Verdict};
pub(crate) use opening::{
    Opened, Opening, catch_up, make_directories, manifest_before, open, raced_with_writer,
    release_reserve,
};
pub(crate) use recovery::Replay;
pub(crate) use reread::Files;
