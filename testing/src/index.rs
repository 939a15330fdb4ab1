//! Harm to the files of a store's index. Whatever is done to them, the store may take longer to open, and no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kinlog::Error;
use kinlog::disk::{Disk, OpenMode};

use crate::rng::Rng;

/// How much memory an opening may use for the index: nothing, so that each commit gets a file of its own; a little; or
/// so much that no file is written.
#[must_use]
pub fn some_memory(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        // A file for each commit takes much time.
        0 => 0,
        1 => rng.draw() % (16 << 10),
        2 | 3 => rng.draw() % (256 << 10),
        _ => 256 << 20,
    }
}

/// Whether an error says that a file of the index is damaged.
#[must_use]
pub fn is_index_damage(error: &Error) -> bool {
    let (Error::Corrupt(corruption) | Error::DamagedIndex(corruption)) = error else {
        return false;
    };
    corruption.path.parent().is_some_and(|dir| dir.ends_with("index"))
}

/// The files of an index as they once were, by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Does harm to the index of a store that is closed.
#[derive(Default)]
pub struct Vandal {
    older: Option<Files>,
}

impl Vandal {
    /// Deletes, truncates, or swaps files of the index, or puts back older ones. Returns what was done.
    pub fn harm(&mut self, disk: &dyn Disk, store: &Path, rng: &mut Rng) -> String {
        let dir = store.join("index");
        let now = read(disk, &dir);
        if now.is_empty() {
            return "there is no index".into();
        }
        let names: Vec<_> = now.keys().cloned().collect();
        let one = &names[rng.below(names.len())];
        let (older, other) = (self.older.clone(), &names[rng.below(names.len())]);
        match rng.below(8) {
            0 => {
                replace(disk, &dir, &Files::new());
                "the index is deleted".into()
            }
            1 => {
                disk.remove(&dir.join(one)).unwrap();
                format!("{one} is deleted")
            }
            2 => {
                let bytes = &now[one];
                write(disk, &dir.join(one), &bytes[..rng.below(bytes.len())]);
                format!("{one} is cut")
            }
            3 => {
                write(disk, &dir.join(one), &now[other]);
                format!("{one} is as {other}")
            }
            4 if older.as_ref().is_some_and(|older| older.contains_key(one)) => {
                write(disk, &dir.join(one), &older.unwrap()[one]);
                format!("{one} is an older one")
            }
            5 if older.is_some() => {
                replace(disk, &dir, &older.unwrap());
                "the index is an older one".into()
            }
            6 if older.is_some() => {
                let older = older.unwrap();
                let checkpoint = older.get("CHECKPOINT");
                checkpoint.inspect(|bytes| write(disk, &dir.join("CHECKPOINT"), bytes));
                "the checkpoint is an older one".into()
            }
            _ => {
                self.older = Some(now);
                "nothing".into()
            }
        }
    }

    /// Changes a byte somewhere in the index. Returns where.
    pub fn damage(disk: &dyn Disk, store: &Path, rng: &mut Rng) -> Option<String> {
        let dir = store.join("index");
        let files: Vec<_> = read(disk, &dir).into_iter().filter(|(_, it)| !it.is_empty()).collect();
        if files.is_empty() {
            return None;
        }
        let (name, bytes) = &files[rng.below(files.len())];
        let (mut bytes, at) = (bytes.clone(), rng.below(bytes.len()));
        bytes[at] ^= 1 << rng.below(8);
        write(disk, &dir.join(name), &bytes);
        Some(format!("{name} at {at}"))
    }
}

/// Deletes the index of a store that is closed.
pub fn delete_index(disk: &dyn Disk, store: &Path) {
    replace(disk, &store.join("index"), &Files::new());
}

fn paths(disk: &dyn Disk, dir: &Path) -> Vec<(String, PathBuf)> {
    let names = disk.list(dir).unwrap_or_default();
    names.into_iter().map(|name| (name.clone(), dir.join(name))).collect()
}

fn read(disk: &dyn Disk, dir: &Path) -> Files {
    let files = paths(disk, dir).into_iter().map(|(name, path)| {
        let file = disk.open(&path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        (name, bytes)
    });
    files.collect()
}

fn replace(disk: &dyn Disk, dir: &Path, files: &Files) {
    for (_, path) in paths(disk, dir) {
        disk.remove(&path).unwrap();
    }
    files.iter().for_each(|(name, bytes)| write(disk, &dir.join(name), bytes));
}

/// Another file under this name: the one before may be in use.
fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    let _ = disk.remove(path);
    let file = disk.open(path, OpenMode::Create).unwrap();
    file.write_at(bytes, 0).unwrap();
}
