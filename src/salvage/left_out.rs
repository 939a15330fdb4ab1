//! Runs of the source that are not in the new store: deleted ones whose end is lost, which would be open again without it, and
//! erased ones, as if they had never been.

use std::collections::{BTreeMap, HashSet};

use super::report::LeftOutRun;
use crate::id::{RunId, RunNumber};

/// Runs of the source that are not in the new store.
#[derive(Default)]
pub(super) struct LeftOut {
    /// Those that are reported.
    pub(super) runs: BTreeMap<RunNumber, LeftOutRun>,
    pub(super) erased: HashSet<RunNumber>,
    /// All other runs that begin, if that is known.
    pub(super) kept: Option<HashSet<RunId>>,
}

impl LeftOut {
    pub(super) fn has_number(&self, run: RunNumber) -> bool {
        self.runs.contains_key(&run) || self.erased.contains(&run)
    }

    /// Whether a run is none that can be kept. Of one that was erased, nothing but rows may be there.
    pub(super) fn has(&self, run: &RunId) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.contains(run))
    }

    /// In the order in which they started.
    pub(super) fn into_runs(self) -> Vec<LeftOutRun> {
        self.runs.into_values().collect()
    }
}
