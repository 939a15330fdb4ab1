//! What is known about runs without reading their histories.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Index, RunStatus};

/// One run, as of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RunInfo {
    /// Its id.
    pub id: RunId,
    /// The first run of its chain, which names the chain. For a run that was recorded, this is
    /// what its Started event says; that run need not be in the store.
    pub first_run_id: RunId,
    /// For a run made by a reset: the run it was reset from, and the last event that they share.
    /// The events that they share count for both.
    pub base: Option<(RunId, u32)>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its workflow id.
    pub workflow_id: Arc<str>,
    /// How it stands.
    pub status: RunStatus,
    /// Whether it was asked to cancel.
    pub cancel_requested: bool,
    /// How many events it has; the next one gets the id that follows.
    pub events: u32,
    /// The bytes that its events take in the log.
    pub bytes: u64,
    /// When it started, as its first event says.
    pub started_at: Timestamp,
    /// When it closed, as its last event says.
    pub closed_at: Option<Timestamp>,
    /// Whether the workflow id stands for this run.
    pub is_current: bool,
    /// Whether it happened elsewhere and was recorded here.
    pub is_recorded: bool,
}

/// Which runs to list; the default is all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunFilter {
    /// Only those in this namespace.
    pub namespace: Option<String>,
    /// Only those of this workflow id.
    pub workflow_id: Option<String>,
    /// Only those with this status.
    pub status: Option<RunStatus>,
}

impl RunFilter {
    /// All runs.
    #[must_use]
    pub fn all() -> Self {
        RunFilter::default()
    }

    /// Only those in this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only those of this workflow id.
    #[must_use]
    pub fn workflow_id(mut self, workflow_id: impl Into<String>) -> Self {
        self.workflow_id = Some(workflow_id.into());
        self
    }

    /// Only those with this status.
    #[must_use]
    pub fn status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    fn admits(&self, info: &RunInfo) -> bool {
        self.namespace.as_deref().is_none_or(|name| *name == *info.namespace)
            && self.workflow_id.as_deref().is_none_or(|id| *id == *info.workflow_id)
            && self.status.is_none_or(|status| status == info.status)
    }
}

/// Runs in the order in which they came into the store. See [`Snapshot::runs`].
pub struct Runs<'s> {
    snapshot: &'s Snapshot,
    filter: RunFilter,
    next: Next,
}

/// Where the listing goes on.
enum Next {
    /// With this number and up.
    Number(u32),
    /// With these, from the back: the runs of one workflow.
    Known(Vec<u32>),
}

impl<'s> Runs<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, filter: RunFilter) -> Self {
        // One workflow's runs are linked: no need to look at all others.
        let next = match (&filter.namespace, &filter.workflow_id) {
            (Some(namespace), Some(workflow_id)) => {
                let index = snapshot.index();
                let newest = index.namespaces.find(namespace, workflow_id).map(|w| w.newest);
                let older = |number: &u32| index.runs.get(*number)?.older;
                Next::Known(std::iter::successors(newest, older).collect())
            }
            _ => Next::Number(0),
        };
        Runs { snapshot, filter, next }
    }
}

impl Iterator for Runs<'_> {
    type Item = RunInfo;

    fn next(&mut self) -> Option<RunInfo> {
        let index = self.snapshot.index();
        loop {
            let number = match &mut self.next {
                Next::Known(numbers) => numbers.pop()?,
                Next::Number(next) => {
                    let number = *next;
                    *next = number.checked_add(1)?;
                    number
                }
            };
            // Beyond the last run.
            index.runs.get(number)?;
            let info = info(&index, number, self.snapshot.end());
            if let Some(info) = info.filter(|info| self.filter.admits(info)) {
                return Some(info);
            }
        }
    }
}

/// What a reader at `end` sees of a run; `None` if it began later.
pub(crate) fn info(index: &Index, number: u32, end: Position) -> Option<RunInfo> {
    let run = index.runs.get(number)?;
    let extent = index.runs.extent_at(run, end)?;
    let (namespace, workflow) = index.workflow_of(run)?;
    let base =
        run.fork.as_ref().and_then(|fork| Some((index.runs.get(fork.base)?.id, fork.shared)));
    Some(RunInfo {
        id: run.id,
        first_run_id: index.chains.get(run.chain)?.first,
        base,
        namespace: namespace.name.clone(),
        workflow_id: workflow.id.clone(),
        status: extent.status,
        cancel_requested: extent.cancel_requested != 0,
        events: extent.next_event - 1,
        bytes: extent.bytes.into(),
        started_at: run.started_at,
        closed_at: extent.closed_at,
        is_current: workflow.current.at(end) == Some(&number),
        is_recorded: run.recorded,
    })
}
