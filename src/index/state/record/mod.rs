//! The bytes of entries in the cold index. They are derived from the log, and may be of another form in the next
//! version: a checkpoint of another version is not used.

mod chain;
mod links;
mod run;
mod workflow;

pub(crate) use links::{links_in, relation_in};
