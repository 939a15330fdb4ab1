//! Disks that fail: every call returns, every acknowledgement holds, every error says the truth.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

#[path = "faults/manifest.rs"]
mod manifest;
#[path = "faults/overtaken.rs"]
mod overtaken;
#[path = "faults/packing.rs"]
mod packing;
#[path = "faults/single.rs"]
mod single;
#[path = "faults/space.rs"]
mod space;
#[path = "faults/sweep.rs"]
mod sweep;
#[path = "faults/waiting.rs"]
mod waiting;
