//! Which run a history is of.

use kinlog::RunId;
use prost_reflect::Value;

use super::path::find;
use super::slot::Slot;
use crate::History;

const STARTED: &str = "workflow_execution_started_event_attributes";

/// The run a history is written as: what its events need not say.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The namespace it is written into.
    pub namespace: &'a str,
    /// The workflow id.
    pub workflow_id: &'a str,
    /// The run itself.
    pub run_id: RunId,
}

/// What a history says about its run. Old and hand-made histories do not say everything.
impl History {
    /// The workflow id, which servers write since 1.23.
    #[must_use]
    pub fn workflow_id(&self) -> Option<&str> {
        self.started("workflow_id").and_then(Value::as_str)
    }

    /// The run id; for a run that was reset, the one of the run it began as.
    #[must_use]
    pub fn run_id(&self) -> Option<RunId> {
        self.started("original_execution_run_id").and_then(RunId::take)
    }

    /// The first run of the chain.
    #[must_use]
    pub fn first_run_id(&self) -> Option<RunId> {
        self.started("first_execution_run_id").and_then(RunId::take)
    }

    /// Whether the run is not the first of its chain.
    pub(crate) fn continues_another(&self) -> bool {
        self.started("continued_execution_run_id").is_some()
    }

    fn started(&self, field: &str) -> Option<&Value> {
        find(self.events().first()?.message(), &format!("{STARTED}.{field}"))
    }
}
