//! How runs and children stand, in words.

use console::StyledObject;
use kinlog::{Child, ChildState, ParentClosePolicy, RunInfo, RunStatus};

use crate::ui;

/// How a run or a child stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Run(RunStatus),
    ToStart,
    NeverStarted,
    StartFailed,
    Moved,
}

impl Standing {
    pub(super) fn of(child: &Child) -> Self {
        match (child.state, child.outcome) {
            (ChildState::Initiated, _) => Standing::ToStart,
            (ChildState::NeverStarted, _) => Standing::NeverStarted,
            (ChildState::StartFailed, _) => Standing::StartFailed,
            (ChildState::Moved, _) => Standing::Moved,
            (_, Some(outcome)) => Standing::Run(outcome),
            _ => Standing::Run(RunStatus::Running),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Standing::Run(status) => status.name(),
            Standing::ToStart => "to be started",
            Standing::NeverStarted => "never started",
            Standing::StartFailed => "start failed",
            Standing::Moved => "moved",
        }
    }

    /// The status whose colour it has.
    pub(super) fn like(self) -> RunStatus {
        match self {
            Standing::Run(status) => status,
            Standing::ToStart => RunStatus::Running,
            Standing::NeverStarted => RunStatus::Terminated,
            Standing::StartFailed => RunStatus::Failed,
            Standing::Moved => RunStatus::ContinuedAsNew,
        }
    }

    pub(super) fn styled(self) -> StyledObject<&'static str> {
        ui::like(self.like(), self.name())
    }
}

/// What happens to a child when its parent closes.
pub(super) fn policy(policy: ParentClosePolicy) -> &'static str {
    match policy {
        ParentClosePolicy::Terminate => "terminate",
        ParentClosePolicy::RequestCancel => "request cancel",
        ParentClosePolicy::Abandon => "abandon",
        ParentClosePolicy::Unspecified => "no policy",
        _ => "unknown policy",
    }
}

/// What else is to be said about a run.
pub(super) fn run_notes(run: &RunInfo) -> Vec<String> {
    let asked = run.cancel_requested && run.status.is_open();
    asked.then(|| "asked to cancel".to_owned()).into_iter().collect()
}

/// What else is to be said about a child.
pub(super) fn child_notes(child: &Child) -> Vec<String> {
    if let Some(run) = child.held_by {
        let how = if child.state == ChildState::Moved { "to" } else { "held by" };
        return vec![format!("{how} {run}")];
    }
    let mut notes = child.current.as_ref().map(run_notes).unwrap_or_default();
    if child.size.runs > 1 {
        notes.push(ui::many(child.size.runs, "run"));
    }
    if !child.is_here && matches!(child.state, ChildState::Running | ChildState::Closed) {
        notes.push("not here".to_owned());
    }
    notes
}
