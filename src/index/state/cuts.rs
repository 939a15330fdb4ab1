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
}
