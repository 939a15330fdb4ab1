//! The program, as it is called.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
mod demo;
mod import;
mod killed;
mod look;
