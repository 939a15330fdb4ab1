//! What an event means beyond its own run's history: the one classification that the rules, the fold
//! and transactions share.

use super::body::Body;
use super::kind::EventKind;
use super::record::{
    ActivityTask, ChildClosed, ChildInitiated, ChildStartFailed, ChildStarted, ExternalInitiated,
    ExternalResolved,
};
use crate::id::RunId;

/// What an event changes besides its run's size and end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect<'b> {
    /// It stands for itself.
    Nothing,
    /// A child is to be started.
    ChildInitiated(&'b ChildInitiated<'b>),
    ChildStarted(&'b ChildStarted),
    ChildStartFailed(&'b ChildStartFailed),
    /// The child's chain ended; the kind of the event says how.
    ChildClosed(&'b ChildClosed),
    /// A signal or a cancel request to another workflow begins.
    RequestInitiated(RequestKind, &'b ExternalInitiated<'b>),
    /// It was delivered or refused.
    RequestAnswered(RequestKind, &'b ExternalResolved),
    ActivityScheduled,
    ActivityEnded(&'b ActivityTask),
    /// The run was signaled with a request id, which must not count twice.
    SignaledOnce(&'b str),
    /// The run was asked to cancel.
    CancelRequested,
    /// The run ends.
    RunClosed {
        /// The run that follows in the chain.
        next: Option<RunId>,
        /// The run that a reset made to take over from this one.
        replaced_by: Option<RunId>,
    },
}

/// What one run asks of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RequestKind {
    Signal,
    Cancel,
}

/// What a run waits for: each has a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Awaited {
    Activity,
    CancelRequest,
    Child,
    Signal,
}

impl Awaited {
    pub(crate) const ALL: [Awaited; 4] =
        [Awaited::Activity, Awaited::CancelRequest, Awaited::Child, Awaited::Signal];
}

impl Body<'_> {
    /// What the event means beyond its own run's history.
    pub(crate) const fn effect(&self) -> Effect<'_> {
        let (next, replaced_by) = match self {
            Body::StartChildWorkflowExecutionInitiated(b) => return Effect::ChildInitiated(b),
            Body::StartChildWorkflowExecutionFailed(b) => return Effect::ChildStartFailed(b),
            Body::ChildWorkflowExecutionStarted(b) => return Effect::ChildStarted(b),
            Body::ChildWorkflowExecutionCompleted(b)
            | Body::ChildWorkflowExecutionFailed(b)
            | Body::ChildWorkflowExecutionCanceled(b)
            | Body::ChildWorkflowExecutionTimedOut(b)
            | Body::ChildWorkflowExecutionTerminated(b) => return Effect::ChildClosed(b),
            Body::SignalExternalWorkflowExecutionInitiated(b) => {
                return Effect::RequestInitiated(RequestKind::Signal, b);
            }
            Body::RequestCancelExternalWorkflowExecutionInitiated(b) => {
                return Effect::RequestInitiated(RequestKind::Cancel, b);
            }
            Body::SignalExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionSignaled(b) => {
                return Effect::RequestAnswered(RequestKind::Signal, b);
            }
            Body::RequestCancelExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionCancelRequested(b) => {
                return Effect::RequestAnswered(RequestKind::Cancel, b);
            }
            Body::ActivityTaskScheduled(_) => return Effect::ActivityScheduled,
            Body::ActivityTaskCompleted(b)
            | Body::ActivityTaskFailed(b)
            | Body::ActivityTaskTimedOut(b)
            | Body::ActivityTaskCanceled(b) => return Effect::ActivityEnded(b),
            Body::WorkflowExecutionSignaled(b) if !b.request_id.is_empty() => {
                return Effect::SignaledOnce(b.request_id);
            }
            // By its kind, with or without a record: that a run was asked is all there is to know.
            Body::WorkflowExecutionCancelRequested(_)
            | Body::Opaque(EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED) => {
                return Effect::CancelRequested;
            }
            Body::WorkflowExecutionCompleted(closed)
            | Body::WorkflowExecutionFailed(closed)
            | Body::WorkflowExecutionTimedOut(closed) => (closed.new_run_id, None),
            Body::WorkflowExecutionContinuedAsNew(continued) => (continued.new_run_id, None),
            Body::WorkflowExecutionTerminated(terminated) => (None, terminated.reset_run_id),
            Body::WorkflowExecutionCanceled(_) => (None, None),
            Body::Opaque(kind) if kind.is_closing() => (None, None),
            _ => return Effect::Nothing,
        };
        Effect::RunClosed { next, replaced_by }
    }

    /// The run that a closing event says follows in the chain.
    pub(crate) const fn next_run(&self) -> Option<RunId> {
        match self.effect() {
            Effect::RunClosed { next, .. } => next,
            _ => None,
        }
    }

    /// The run that a reset made to take over from one that it terminated.
    pub(crate) const fn replaced_by(&self) -> Option<RunId> {
        match self.effect() {
            Effect::RunClosed { replaced_by, .. } => replaced_by,
            _ => None,
        }
    }
}

impl Effect<'_> {
    /// What the run waits for from this event on.
    pub(crate) const fn begins(&self) -> Option<Awaited> {
        match self {
            Effect::ChildInitiated(_) => Some(Awaited::Child),
            Effect::RequestInitiated(RequestKind::Signal, _) => Some(Awaited::Signal),
            Effect::RequestInitiated(RequestKind::Cancel, _) => Some(Awaited::CancelRequest),
            Effect::ActivityScheduled => Some(Awaited::Activity),
            _ => None,
        }
    }
}

/// A set of kinds, one bit each: asked for every event of a replay.
#[derive(Clone, Copy)]
struct Kinds(u64);

impl Kinds {
    const fn of(kinds: &[EventKind]) -> Self {
        let (mut bits, mut rest) = (0, kinds);
        while let [kind, others @ ..] = rest {
            bits |= 1 << kind.number();
            rest = others;
        }
        Kinds(bits)
    }

    const fn with(self, other: Kinds) -> Self {
        Kinds(self.0 | other.0)
    }

    const fn has(self, kind: EventKind) -> bool {
        kind.number() < 64 && self.0 >> kind.number() & 1 == 1
    }
}

/// A run waits for what these begin, and these end such a wait.
const WAITS: Kinds = Kinds::of(&[
    EventKind::ACTIVITY_TASK_SCHEDULED,
    EventKind::ACTIVITY_TASK_COMPLETED,
    EventKind::ACTIVITY_TASK_FAILED,
    EventKind::ACTIVITY_TASK_TIMED_OUT,
    EventKind::ACTIVITY_TASK_CANCELED,
    EventKind::REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventKind::REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    EventKind::EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventKind::START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventKind::START_CHILD_WORKFLOW_EXECUTION_FAILED,
    EventKind::CHILD_WORKFLOW_EXECUTION_STARTED,
    EventKind::CHILD_WORKFLOW_EXECUTION_COMPLETED,
    EventKind::CHILD_WORKFLOW_EXECUTION_FAILED,
    EventKind::CHILD_WORKFLOW_EXECUTION_CANCELED,
    EventKind::CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
    EventKind::CHILD_WORKFLOW_EXECUTION_TERMINATED,
    EventKind::SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventKind::SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    EventKind::EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
]);

const RULED: Kinds = WAITS.with(Kinds::of(&[
    EventKind::WORKFLOW_EXECUTION_COMPLETED,
    EventKind::WORKFLOW_EXECUTION_FAILED,
    EventKind::WORKFLOW_EXECUTION_TIMED_OUT,
    EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventKind::WORKFLOW_EXECUTION_CANCELED,
    EventKind::WORKFLOW_EXECUTION_TERMINATED,
    EventKind::WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
]));

const CHANGES_LINKS: Kinds = WAITS.with(Kinds::of(&[EventKind::WORKFLOW_EXECUTION_SIGNALED]));

/// What the kind alone tells, where the record is not looked at.
impl EventKind {
    /// Whether rules depend on events of this kind: on all that have an effect, but for signals.
    pub(crate) const fn is_ruled(self) -> bool {
        RULED.has(self)
    }

    /// Whether events of this kind that have a record may change what their run has to do with others
    /// or waits for: all that have an effect do, but for those about the run as a whole.
    pub(crate) const fn changes_links(self) -> bool {
        CHANGES_LINKS.has(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::golden::EVENTS;

    fn is_ruled(effect: Effect<'_>) -> bool {
        !matches!(effect, Effect::Nothing | Effect::SignaledOnce(_))
    }

    fn changes_links(effect: Effect<'_>) -> bool {
        !matches!(effect, Effect::Nothing | Effect::CancelRequested | Effect::RunClosed { .. })
    }

    #[test]
    fn the_kind_alone_tells_the_same_as_the_body() {
        for number in 0..=EventKind::FIRST_CUSTOM {
            let kind = EventKind::from_number(number);
            let bodies = EVENTS.iter().map(|(body, _)| body).filter(|body| body.kind() == kind);
            let effects: Vec<_> = bodies.map(Body::effect).collect();
            let any = |of: fn(Effect<'_>) -> bool| effects.iter().any(|effect| of(*effect));
            assert_eq!(kind.is_ruled(), any(is_ruled), "{kind}");
            assert_eq!(kind.changes_links(), any(changes_links), "{kind}");
            let closes = |effect: Effect<'_>| matches!(effect, Effect::RunClosed { .. });
            assert_eq!(kind.is_closing(), any(closes), "{kind}");
        }
    }

    #[test]
    fn without_a_record_only_the_end_of_a_run_and_a_cancel_request_are_known() {
        for number in 0..=EventKind::FIRST_CUSTOM {
            let kind = EventKind::from_number(number);
            let expected = match kind {
                EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED => Effect::CancelRequested,
                kind if kind.is_closing() => Effect::RunClosed { next: None, replaced_by: None },
                _ => Effect::Nothing,
            };
            assert_eq!(Body::Opaque(kind).effect(), expected, "{kind}");
        }
    }
}
