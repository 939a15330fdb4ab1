//! What the provider promises.

#![allow(clippy::unwrap_used)]

mod cost;
mod crash;
mod deletion;
mod full;
mod orders;
mod power;
mod queue;
mod restart;
mod still;

use std::path::Path;

use kinlog_duroxide::{KinlogProvider, Options};

/// Opens a store that is made quickly.
fn open(path: &Path, options: Options) -> KinlogProvider {
    let store = kinlog::Options::new().segment_bytes(1 << 20).open(path).unwrap();
    KinlogProvider::new(store, options).unwrap()
}
