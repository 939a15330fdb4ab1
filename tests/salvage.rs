//! Salvage: whatever is done to a store, what is provably whole of it comes back, byte for byte, and
//! what is lost is listed.
//!
//! A store with families, chains, resets and tables is damaged in memory, written out and salvaged.
//! What must come back follows from the undamaged store alone: a batch does if its frame was not
//! damaged and if the batches that it builds on do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

#[path = "salvage/chains.rs"]
mod chains;
#[path = "salvage/compacted.rs"]
mod compacted;
#[path = "salvage/deletions.rs"]
mod deletions;
#[path = "salvage/examine.rs"]
mod examine;
#[path = "salvage/files.rs"]
mod files;
#[path = "salvage/frames.rs"]
mod frames;
#[path = "salvage/gaps.rs"]
mod gaps;
#[path = "salvage/hostile.rs"]
mod hostile;
#[path = "salvage/keys.rs"]
mod keys;
#[path = "salvage/original.rs"]
mod original;
#[path = "salvage/refused.rs"]
mod refused;
#[path = "salvage/standing.rs"]
mod standing;
#[path = "salvage/world.rs"]
mod world;
