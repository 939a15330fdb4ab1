//! Integration tests: everything through the public interface, on real files.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod compacting;
mod compaction;
mod consumers;
mod damage;
mod erasing;
mod expect;
mod files;
mod growth;
mod imported;
mod index;
mod kin;
mod layers;
mod listing;
mod long;
mod maintenance;
mod memory;
mod packing;
mod published;
mod retry;
mod rows;
mod scans;
mod space;
mod start;
mod store;
