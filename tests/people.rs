//! What people do to the files of a store while it is open: nothing acknowledged is lost, or whoever loses
//! it is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "people/descriptors.rs"]
mod descriptors;
#[path = "people/displaced.rs"]
mod displaced;
#[path = "people/fork.rs"]
mod fork;
#[path = "people/holder.rs"]
mod holder;
#[path = "people/lock.rs"]
mod lock;
#[path = "people/sparse.rs"]
mod sparse;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kinlog::{Durability, Error, Options, Store};
use kinlog_testing::files::{copy_files, link_files, small_segments};

fn open(path: &Path) -> Store {
    small_segments().open(path).unwrap()
}

/// Commits one row; `Ok` if it is acknowledged.
fn put(store: &Store, key: &str) -> Result<(), Error> {
    put_bytes(store, key, 10)
}

/// The same without a sync.
fn put_buffered(store: &Store, key: &str) -> Result<(), Error> {
    let mut tx = store.begin();
    tx.put("rows", key.as_bytes(), &[7; 10])?;
    tx.commit_with(Durability::Buffered).map(|_| ())
}

fn put_bytes(store: &Store, key: &str, bytes: usize) -> Result<(), Error> {
    let mut tx = store.begin();
    tx.put("rows", key.as_bytes(), &vec![7; bytes])?;
    tx.commit_with(Durability::Sync).map(|_| ())
}

/// The keys of all rows.
fn keys(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let rows = snapshot.rows("rows", ..).map(|row| row.unwrap());
    rows.map(|row| String::from_utf8(row.key.to_vec()).unwrap()).collect()
}

/// Calls until it fails, as it must before long.
fn until_refused(mut act: impl FnMut() -> Result<(), Error>) -> Error {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if let Err(error) = act() {
            return error;
        }
    }
    panic!("never refused");
}

/// Another opening is refused, as somebody writes the store.
fn refused_as_locked(path: &Path) {
    let second = small_segments().open(path);
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
}

/// Every file below a directory with its content, in order.
fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![];
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => files.push((path.display().to_string(), fs::read(&path).unwrap())),
            }
        }
    }
    files.sort();
    files
}
