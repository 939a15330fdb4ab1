//! Programs, as `tests/judge/program.py` writes them.

use kinlog::{IdConflictPolicy, IdReusePolicy, ParentClosePolicy};
use serde::{Deserialize, Serialize};

use crate::Result;

/// What is done, step by step.
#[derive(Deserialize)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Deserialize)]
pub(crate) struct Step {
    /// The step as text.
    pub(crate) text: String,
    pub(crate) verb: String,
    pub(crate) workflow: String,
    /// The number of a run of the workflow, from 1; 0 for the current one.
    pub(crate) run: usize,
    pub(crate) commands: Vec<Command>,
    pub(crate) options: Options,
    /// Of a reset: to which step, and whether what followed from it is shared as well.
    pub(crate) point: usize,
    pub(crate) after: bool,
}

/// What a workflow does in a workflow task.
#[derive(Deserialize)]
pub(crate) struct Command {
    pub(crate) verb: String,
    pub(crate) target: String,
    pub(crate) policy: String,
    pub(crate) options: Options,
}

/// How a workflow is started.
#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
pub(crate) struct Options {
    pub(crate) retry: bool,
    pub(crate) cron: bool,
    pub(crate) reuse: String,
    pub(crate) conflict: String,
    pub(crate) request: String,
}

impl Command {
    pub(crate) fn close_policy(&self) -> Result<ParentClosePolicy> {
        Ok(match self.policy.as_str() {
            "terminate" => ParentClosePolicy::Terminate,
            "abandon" => ParentClosePolicy::Abandon,
            "request-cancel" => ParentClosePolicy::RequestCancel,
            other => return Err(format!("no close policy: {other}").into()),
        })
    }
}

impl Options {
    pub(crate) fn reuse(&self) -> Result<IdReusePolicy> {
        Ok(match self.reuse.as_str() {
            "" | "allow" => IdReusePolicy::AllowDuplicate,
            "failed-only" => IdReusePolicy::AllowDuplicateFailedOnly,
            "reject" => IdReusePolicy::RejectDuplicate,
            "terminate-if-running" => IdReusePolicy::TerminateIfRunning,
            other => return Err(format!("no reuse policy: {other}").into()),
        })
    }

    pub(crate) fn conflict(&self) -> Result<IdConflictPolicy> {
        Ok(match self.conflict.as_str() {
            "" | "fail" => IdConflictPolicy::Fail,
            "use-existing" => IdConflictPolicy::UseExisting,
            "terminate-existing" => IdConflictPolicy::TerminateExisting,
            other => return Err(format!("no conflict policy: {other}").into()),
        })
    }
}
