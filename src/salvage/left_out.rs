//! Runs of the source that are not in the new store: deleted ones whose end is lost, which would be open again without it, and
//! erased ones, as if they had never been.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::report::LeftOutRun;
use crate::id::{Position, RunId, RunNumber};

/// Runs of the source that are not in the new store.
#[derive(Default)]
pub(super) struct LeftOut {
    /// Those that are reported.
    pub(super) runs: BTreeMap<RunNumber, LeftOutRun>,
    pub(super) erased: HashSet<RunNumber>,
    /// All other runs, and where they begin, if that is known.
    pub(super) kept: Option<HashMap<RunId, Position>>,
}

impl LeftOut {
    pub(super) fn has_number(&self, run: RunNumber) -> bool {
        self.runs.contains_key(&run) || self.erased.contains(&run)
    }

    /// Whether the run that has an id at a position is none that can be kept. Of one that was erased, nothing but rows may be
    /// there, and a later one may have its id.
    pub(super) fn has(&self, run: &RunId, at: Position) -> bool {
        let is_kept =
            |kept: &HashMap<RunId, Position>| kept.get(run).is_some_and(|from| *from < at);
        self.kept.as_ref().is_some_and(|kept| !is_kept(kept))
    }

    /// In the order in which they started.
    pub(super) fn into_runs(self) -> Vec<LeftOutRun> {
        self.runs.into_values().collect()
    }
}
