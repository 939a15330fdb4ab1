//! The program, as it is called.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod backup;
mod chain;
mod children;
mod common;
mod consumers;
mod demo;
mod descriptors;
mod duties;
mod family;
mod find;
mod follow;
mod hostile;
mod import;
mod killed;
mod list;
mod look;
mod narrow;
mod retention;
mod salvage;
mod tables;
mod tree;
