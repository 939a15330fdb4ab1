//! Temporal histories: read, written, imported, exported, and related to each other.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod forms;
mod histories;
mod import;
mod inputs;
mod kin;
mod live;
mod payloads;
mod recorded;
mod unknown;
