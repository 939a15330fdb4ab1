//! How a run stands.

use crate::event::EventKind;

/// How a run stands (`temporal.api.enums.v1.WorkflowExecutionStatus`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RunStatus {
    /// It takes events.
    Running,
    /// It ended with `WorkflowExecutionCompleted`.
    Completed,
    /// It ended with `WorkflowExecutionFailed`.
    Failed,
    /// It ended with `WorkflowExecutionCanceled`.
    Canceled,
    /// It ended with `WorkflowExecutionTerminated`.
    Terminated,
    /// It ended with `WorkflowExecutionContinuedAsNew`.
    ContinuedAsNew,
    /// It ended with `WorkflowExecutionTimedOut`.
    TimedOut,
}

impl RunStatus {
    /// Whether the run takes events.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, RunStatus::Running)
    }

    /// The name, in camel case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RunStatus::Running => "Running",
            RunStatus::Completed => "Completed",
            RunStatus::Failed => "Failed",
            RunStatus::Canceled => "Canceled",
            RunStatus::Terminated => "Terminated",
            RunStatus::ContinuedAsNew => "ContinuedAsNew",
            RunStatus::TimedOut => "TimedOut",
        }
    }

    /// The number by which the index's files call it.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    /// The status with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }

    const ALL: [RunStatus; 7] = [
        RunStatus::Running,
        RunStatus::Completed,
        RunStatus::Failed,
        RunStatus::Canceled,
        RunStatus::Terminated,
        RunStatus::ContinuedAsNew,
        RunStatus::TimedOut,
    ];

    /// How a run stands after an event of this kind.
    pub(crate) const fn after(kind: EventKind) -> Self {
        match kind {
            EventKind::WORKFLOW_EXECUTION_COMPLETED => RunStatus::Completed,
            EventKind::WORKFLOW_EXECUTION_FAILED => RunStatus::Failed,
            EventKind::WORKFLOW_EXECUTION_TIMED_OUT => RunStatus::TimedOut,
            EventKind::WORKFLOW_EXECUTION_CANCELED => RunStatus::Canceled,
            EventKind::WORKFLOW_EXECUTION_TERMINATED => RunStatus::Terminated,
            EventKind::WORKFLOW_EXECUTION_CONTINUED_AS_NEW => RunStatus::ContinuedAsNew,
            _ => RunStatus::Running,
        }
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
