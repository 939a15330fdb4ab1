//! The commands, one a module.

mod body;
mod demo;
mod export;
mod import;
mod ls;
mod payload;
mod show;
mod stats;
mod verify;

pub(crate) use demo::demo;
pub(crate) use export::export;
pub(crate) use import::import;
pub(crate) use ls::ls;
pub(crate) use show::show;
pub(crate) use stats::stats;
pub(crate) use verify::verify;
