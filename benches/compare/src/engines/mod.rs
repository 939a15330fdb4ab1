//! The engines, each in the fastest honest way that its documentation gives.

pub mod bare;
#[cfg(any(feature = "lmdb", feature = "redb"))]
mod facts;
#[cfg(feature = "fjall")]
mod fjall;
pub mod kinlog;
#[cfg(feature = "lmdb")]
mod lmdb;
#[cfg(feature = "raft-engine")]
mod raft_engine;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "rocksdb")]
mod rocksdb_queue;
#[cfg(any(
    feature = "rocksdb",
    feature = "lmdb",
    feature = "redb",
    feature = "fjall",
    feature = "sqlite"
))]
mod schema;
#[cfg(feature = "sierradb")]
mod sierradb;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::engine::{Engine, Result};

/// An engine as the tables name it.
pub struct Peer {
    pub name: &'static str,
    pub version: &'static str,
    /// How it is set up, in a line.
    pub setup: &'static str,
    /// Whether it has a commit that survives a kill and does not wait for the device. One that has
    /// not, commits with `Durability::Device` where `Durability::Os` is asked for, and its rows of
    /// buffered commits are N/A.
    pub has_os: bool,
    /// Opens the store in a directory, and makes it if it is not there.
    pub open: fn(&Path) -> Result<Box<dyn Engine>>,
}

/// All engines that this build has.
pub fn all() -> Vec<Peer> {
    Vec::from([
        kinlog::PEER,
        bare::PEER,
        #[cfg(feature = "rocksdb")]
        rocksdb::PEER,
        #[cfg(feature = "lmdb")]
        lmdb::PEER,
        #[cfg(feature = "redb")]
        redb::PEER,
        #[cfg(feature = "fjall")]
        fjall::PEER,
        #[cfg(feature = "sqlite")]
        sqlite::PEER,
        #[cfg(feature = "raft-engine")]
        raft_engine::PEER,
        #[cfg(feature = "sierradb")]
        sierradb::PEER,
    ])
}

/// The engines that delete what they no longer keep, each set up to take little space.
pub fn small() -> Vec<Peer> {
    Vec::from([
        kinlog::SMALL,
        #[cfg(feature = "rocksdb")]
        rocksdb::SMALL,
        #[cfg(feature = "lmdb")]
        lmdb::PEER,
        #[cfg(feature = "redb")]
        redb::PEER,
        #[cfg(feature = "fjall")]
        fjall::SMALL,
    ])
}
