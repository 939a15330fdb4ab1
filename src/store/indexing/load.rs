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

/// The index on disk; `None` if there is none, or not all of it.
pub(crate) fn load(disk: &dyn Disk, paths: &Paths) -> Option<Loaded> {
    let checkpoint = read_checkpoint(disk, paths)?;
    let cold = Arc::new(open_files(disk, paths, &checkpoint)?);
    let index = Index::decode(&cold, &checkpoint.resident)?;
    Some(Loaded { index, cold, covered: checkpoint.covered })
}

/// The files that a checkpoint names; `None` if one is missing or another one.
pub(crate) fn open_files(disk: &dyn Disk, paths: &Paths, checkpoint: &Checkpoint) -> Option<Cold> {
    let files = checkpoint.files.iter();
    let files = files.map(|entry| IndexFile::open(disk, paths, *entry).ok().map(Arc::new));
    files.collect::<Option<_>>().map(Cold::new)
}
