//! Loading the cold index. Whatever is wrong with it, it is as if it were not there: the log has everything.

use std::sync::Arc;

use crate::disk::Disk;
use crate::index::Index;
use crate::index::cold::{Checkpoint, Cold, IndexFile, read_checkpoint};
use crate::log::format::Paths;
use crate::log::open::Covered;

/// An index as a checkpoint has it.
pub(crate) struct Loaded {
    pub(crate) index: Index,
    pub(crate) cold: Arc<Cold>,
    pub(crate) covered: Covered,
}

/// How many checkpoints are tried, each of which a writer replaces by the next before its files are open.
const TRIES: usize = 8;

/// The index on disk; `None` if there is none, or not all of it.
pub(crate) fn load(disk: &dyn Disk, paths: &Paths) -> Option<Loaded> {
    let mut checkpoint = read_checkpoint(disk, paths)?;
    for _ in 0..TRIES {
        let loaded = load_files(disk, paths, &checkpoint);
        if loaded.is_some() {
            return loaded;
        }
        // A writer that has switched to other files meanwhile has removed some.
        let next = read_checkpoint(disk, paths)?;
        if next.files == checkpoint.files {
            return None;
        }
        checkpoint = next;
    }
    None
}

fn load_files(disk: &dyn Disk, paths: &Paths, checkpoint: &Checkpoint) -> Option<Loaded> {
    let cold = Arc::new(open_files(disk, paths, checkpoint)?);
    let index = Index::decode(&cold, &checkpoint.resident)?;
    Some(Loaded { index, cold, covered: checkpoint.covered })
}

/// The files that a checkpoint names; `None` if one is missing or another one.
pub(crate) fn open_files(disk: &dyn Disk, paths: &Paths, checkpoint: &Checkpoint) -> Option<Cold> {
    let files = checkpoint.files.iter();
    let files = files.map(|entry| IndexFile::open(disk, paths, *entry).ok().map(Arc::new));
    files.collect::<Option<_>>().map(Cold::new)
}
