//! The layers of the index in an open store: when they are frozen, and what is loaded at opening.

mod freezer;
mod load;
mod replay;

pub(crate) use freezer::Freezer;
pub(crate) use load::{Loaded, load, open_files};
pub(crate) use replay::FreezingReplay;
