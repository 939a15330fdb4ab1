//! Which runs to list.

use super::run_info::RunInfo;
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Index, Run, RunStatus};
use crate::retention::Keep;

/// Which runs to list; the default is all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunFilter {
    /// Only those in this namespace.
    pub namespace: Option<String>,
    /// Only those of this workflow id.
    pub workflow_id: Option<String>,
    /// Only those of this workflow type.
    pub workflow_type: Option<String>,
    /// Only those with this status.
    pub status: Option<RunStatus>,
    /// Only those of which this run has the chain as its child: those whose [`RunInfo::parent`] names it.
    pub parent: Option<RunId>,
    /// Only those that started at this time or later.
    pub started_since: Option<Timestamp>,
    /// Only those that started before this time.
    pub started_until: Option<Timestamp>,
    /// Only those that closed at this time or later.
    pub closed_since: Option<Timestamp>,
    /// Only those that closed before this time.
    pub closed_until: Option<Timestamp>,
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

    /// Only those of this workflow type.
    #[must_use]
    pub fn workflow_type(mut self, workflow_type: impl Into<String>) -> Self {
        self.workflow_type = Some(workflow_type.into());
        self
    }

    /// Only those with this status.
    #[must_use]
    pub fn status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only those of which this run has the chain as its child. After a reset of a parent, that is the run that took
    /// the child over. Not imported runs, whose parents only their histories name.
    #[must_use]
    pub fn parent(mut self, parent: RunId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Only those that started at this time or later.
    #[must_use]
    pub fn started_since(mut self, time: Timestamp) -> Self {
        self.started_since = Some(time);
        self
    }

    /// Only those that started before this time.
    #[must_use]
    pub fn started_until(mut self, time: Timestamp) -> Self {
        self.started_until = Some(time);
        self
    }

    /// Only those that closed at this time or later.
    #[must_use]
    pub fn closed_since(mut self, time: Timestamp) -> Self {
        self.closed_since = Some(time);
        self
    }

    /// Only those that closed before this time.
    #[must_use]
    pub fn closed_until(mut self, time: Timestamp) -> Self {
        self.closed_until = Some(time);
        self
    }

    pub(super) fn admits(&self, info: &RunInfo) -> bool {
        self.namespace.as_deref().is_none_or(|name| *name == *info.namespace)
            && self.workflow_id.as_deref().is_none_or(|id| *id == *info.workflow_id)
            && self.workflow_type.as_deref().is_none_or(|name| *name == *info.workflow_type)
            && self.status.is_none_or(|status| status == info.status)
            && self.parent.is_none_or(|run| info.parent.is_some_and(|(parent, _)| parent == run))
            && self.admits_times(info.started_at, info.closed_at)
    }

    fn admits_times(&self, started: Timestamp, closed: Option<Timestamp>) -> bool {
        self.started_since.is_none_or(|since| started >= since)
            && self.started_until.is_none_or(|until| started < until)
            && self.closed_since.is_none_or(|since| closed.is_some_and(|closed| closed >= since))
            && self.closed_until.is_none_or(|until| closed.is_some_and(|closed| closed < until))
    }

    /// Whether a run may be admitted for a reader at `end`: by what an entry of the index says by itself.
    pub(super) fn may_admit(&self, index: &Index, run: &Run, end: Position) -> bool {
        let Some(state) = index.runs.state_at(run, end) else { return false };
        let is_of_type = |name: &str| {
            let found = index.namespaces.types.get(run.workflow_type);
            found.is_some_and(|found| *found.name == *name)
        };
        state.deleted != Some(Keep::Nothing)
            && self.status.is_none_or(|status| status == state.status)
            && self.workflow_type.as_deref().is_none_or(is_of_type)
            && self.admits_times(run.started_at, state.closed_at)
    }
}
