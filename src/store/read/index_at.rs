//! The index as it is seen from one position: by a snapshot, which holds that position, or for one
//! look under the index's lock, which needs nothing held.

use super::lineage::Lineage;
use super::run_info::{RunInfo, info};
use crate::error::{Error, Result};
use crate::id::{Position, RunId};
use crate::index::Index;
use crate::store::shared::Shared;

/// The index, as far as commits before `end` have made it.
#[derive(Clone, Copy)]
pub(crate) struct IndexAt<'i> {
    pub(crate) index: &'i Index,
    pub(crate) end: Position,
}

impl IndexAt<'_> {
    /// The number of a run.
    pub(crate) fn number(self, run: &RunId) -> Result<u32> {
        let number = self.index.runs.number(run).filter(|number| self.sees(*number));
        number.ok_or(Error::RunNotFound { run: *run })
    }

    /// Whether a run began before.
    pub(crate) fn sees(self, number: u32) -> bool {
        self.index.runs.get(number).is_some_and(|run| run.first_batch < self.end)
    }

    /// What is known about a run.
    pub(crate) fn run(self, run: &RunId) -> Result<RunInfo> {
        let number = self.number(run)?;
        info(self.index, number, self.end).ok_or(Error::RunNotFound { run: *run })
    }

    /// Where the events of a run lie.
    pub(crate) fn lineage(self, run: &RunId) -> Result<Lineage> {
        let number = self.number(run)?;
        Lineage::of(self.index, number, self.end).ok_or(Error::RunNotFound { run: *run })
    }

    /// The run that a workflow id stands for; `None` if there was never one.
    pub(crate) fn current_run(self, namespace: &str, workflow_id: &str) -> Option<RunId> {
        let workflow = self.index.namespaces.find(namespace, workflow_id)?;
        let current = *workflow.current.at(self.end)?;
        self.index.runs.get(current).map(|run| run.id)
    }
}

impl Shared {
    /// The index as of now. Nothing of it is forgotten while its lock is held.
    pub(crate) fn seen<'i>(&self, index: &'i Index) -> IndexAt<'i> {
        IndexAt { index, end: self.published.end() }
    }
}
