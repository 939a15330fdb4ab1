//! The index as of one position (multi-version concurrency control): that of a snapshot, which pins it, or the
//! current one for as long as the index's lock is held, which needs no pin.

use super::lineage::Lineage;
use super::run_info::{RunInfo, info};
use crate::error::{Error, Result};
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Index, Run};
use crate::retention::Keep;
use crate::store::shared::Shared;

/// The index as of all commits before `end`.
#[derive(Clone, Copy)]
pub(crate) struct IndexAt<'i> {
    pub(crate) index: &'i Index,
    pub(crate) end: Position,
}

impl IndexAt<'_> {
    /// The number of a run.
    pub(crate) fn number(self, run: &RunId) -> Result<RunNumber> {
        match self.find(run)? {
            (_, Some(Keep::Nothing)) => Err(Error::RunDeleted { run: *run, kept: Keep::Nothing }),
            (number, _) => Ok(number),
        }
    }

    /// The number of a run whose history was not deleted.
    pub(crate) fn with_history(self, run: &RunId) -> Result<RunNumber> {
        match self.find(run)? {
            (_, Some(kept)) => Err(Error::RunDeleted { run: *run, kept }),
            (number, None) => Ok(number),
        }
    }

    /// The number of a run, and what was kept of it, if it was deleted before `end`.
    fn find(self, run: &RunId) -> Result<(RunNumber, Option<Keep>)> {
        let look = |run: &Run| (run.first_batch < self.end).then(|| run.state.latest().deleted);
        let number = self.index.runs.number(run);
        let found = number.and_then(|number| Some((number, self.index.runs.look(number, look)??)));
        let (number, latest) = self.found(found, run)?;
        Ok((number, latest.and_then(|_| self.deleted(number))))
    }

    /// What was kept of a run, if it was deleted before `end`.
    pub(crate) fn deleted(self, number: RunNumber) -> Option<Keep> {
        // Nothing is undeleted.
        self.index.runs.look(number, |run| run.state.latest().deleted)??;
        self.index.runs.state_at(&*self.index.runs.get(number)?, self.end)?.deleted
    }

    /// What was found of a run; [`Error::RunNotFound`] if that is nothing, and it is sure that there is nothing.
    fn found<T>(self, found: Option<T>, run: &RunId) -> Result<T> {
        self.index.sure(found)?.ok_or(Error::RunNotFound { run: *run })
    }

    /// Whether a run started before `end`.
    pub(crate) fn sees(self, number: RunNumber) -> bool {
        self.index.runs.look(number, |run| run.first_batch < self.end) == Some(true)
    }

    /// What the index knows about a run.
    pub(crate) fn run(self, run: &RunId) -> Result<RunInfo> {
        let number = self.number(run)?;
        self.found(info(self.index, number, self.end), run)
    }

    /// The lineage of a run: where its events are.
    pub(crate) fn lineage(self, run: &RunId) -> Result<Lineage> {
        let number = self.with_history(run)?;
        self.found(Lineage::of(self.index, number, self.end), run)
    }

    /// The current run of a workflow id; `None` if there was never one, or that was deleted.
    pub(crate) fn current_run(self, namespace: &str, workflow_id: &str) -> Result<Option<RunId>> {
        let namespaces = &self.index.namespaces;
        let workflow = namespaces.find(namespace, workflow_id);
        let current = workflow.and_then(|workflow| namespaces.current_at(&workflow, self.end));
        let run = current.and_then(|current| self.index.runs.get(current));
        self.index.sure(run.map(|run| run.id))
    }
}

impl Shared {
    /// The index as of the last published commit. While its lock is held, no version is dropped.
    pub(crate) fn at_end<'i>(&self, index: &'i Index) -> IndexAt<'i> {
        IndexAt { index, end: self.published.end() }
    }
}
