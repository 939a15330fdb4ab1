//! What is known of compactions while the log is read.

use std::collections::BTreeSet;

use crate::id::{Position, RunNumber};

/// What is known of compactions while the log is read.
#[derive(Default)]
pub(crate) struct Cuts {
    /// Commits before it may lack what was dead.
    pub(crate) as_of: Position,
    /// Where the last segment ends that was compacted. What it has no more was counted when it began.
    pub(crate) segment_end: Position,
    /// Runs that lack events, and are not deleted yet.
    pub(crate) gaps: BTreeSet<RunNumber>,
    /// Runs whose beginnings are missing, or what these refer to, and that are not erased yet.
    pub(crate) strays: BTreeSet<RunNumber>,
}

impl Cuts {
    /// Whether nothing is missing of what was read but of runs that are deleted or erased by now.
    pub(crate) fn is_empty(&self) -> bool {
        self.gaps.is_empty() && self.strays.is_empty()
    }
}
