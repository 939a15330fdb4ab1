//! Listing runs.

use super::run_info::{RunInfo, info};
use super::snapshot::Snapshot;
use crate::id::RunNumber;
use crate::index::RunStatus;

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

impl Snapshot {
    /// The runs that `filter` admits, in the order in which they were added to the store. If it has both a
    /// namespace and a workflow id, only the runs of that workflow are visited.
    #[must_use]
    pub fn runs(&self, filter: RunFilter) -> Runs<'_> {
        Runs::new(self, filter)
    }
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

/// Runs in the order in which they were added to the store. See [`Snapshot::runs`].
pub struct Runs<'s> {
    snapshot: &'s Snapshot,
    filter: RunFilter,
    next: Next,
}

/// The runs that follow.
enum Next {
    /// All from this number on.
    Number(RunNumber),
    /// These, from the last one to the first: the runs of one workflow.
    Known(Vec<RunNumber>),
}

impl<'s> Runs<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, filter: RunFilter) -> Self {
        // The runs of one workflow are linked, so that other runs need not be visited.
        let next = match (&filter.namespace, &filter.workflow_id) {
            (Some(namespace), Some(workflow_id)) => {
                let index = snapshot.index();
                let newest = index.namespaces.find(namespace, workflow_id).map(|w| w.newest);
                let older = |number: &RunNumber| index.runs.get(*number)?.older;
                Next::Known(std::iter::successors(newest, older).collect())
            }
            _ => Next::Number(RunNumber::FIRST),
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
                    *next = number.next()?;
                    number
                }
            };
            // `None` beyond the last run.
            index.runs.get(number)?;
            let info = info(&index, number, self.snapshot.end());
            if let Some(info) = info.filter(|info| self.filter.admits(info)) {
                return Some(info);
            }
        }
    }
}
