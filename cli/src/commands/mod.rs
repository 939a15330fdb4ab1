//! The commands, one a module.

mod backup;
mod body;
mod chain;
mod children;
mod demo;
mod duties;
mod event;
mod export;
mod follow;
mod import;
mod ls;
mod payload;
mod salvage;
mod show;
mod standing;
mod stats;
mod tables;
mod tree;
mod verify;

pub(crate) use backup::backup;
pub(crate) use chain::chain;
pub(crate) use children::children;
pub(crate) use demo::demo;
pub(crate) use duties::duties;
pub(crate) use export::export;
pub(crate) use follow::follow;
pub(crate) use import::import;
pub(crate) use ls::ls;
pub(crate) use salvage::salvage;
pub(crate) use show::show;
pub(crate) use stats::stats;
pub(crate) use tables::{rows, tables};
pub(crate) use tree::tree;
pub(crate) use verify::verify;
