//! What is drawn at random: numbers, texts, events, times.

use std::sync::{Arc, LazyLock};

use kinlog::event::{
    ActivityScheduled, ActivityTask, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, ExternalFailedCause, ExternalInitiated,
    ExternalResolved, Initiator, RetryState, Signaled, StartChildFailedCause, Started, Terminated,
    TimerEnded, TimerStarted, WorkflowTask,
};
use kinlog::{
    Body, EventKind, IdConflictPolicy, IdReusePolicy, ParentClosePolicy, RunId, Timestamp,
};
use kinlog_testing::Rng;
use kinlog_testing::kinds::*;

use crate::model::Event;

pub(crate) const NAMESPACES: [&str; 2] = ["shop", "another-namespace-with-a-name"];
const WORKFLOWS: [&str; 12] = [
    "a",
    "order-1",
    "order-2",
    "order-3",
    "order-42",
    "exactly8",
    "ninechars",
    "invoice-2026-11",
    "ü",
    "reminder",
    "a-workflow-id-that-is-rather-longer-than-the-others",
    "z",
];
const REQUESTS: [&str; 6] = ["", "", "", "r1", "r2", "a-longer-request-id"];
/// Typed kinds that an engine may append and that close nothing.
const TYPED: [EventKind; 32] = [
    WORKFLOW_TASK_STARTED,
    WORKFLOW_TASK_COMPLETED,
    WORKFLOW_TASK_TIMED_OUT,
    WORKFLOW_TASK_FAILED,
    ACTIVITY_TASK_SCHEDULED,
    ACTIVITY_TASK_STARTED,
    ACTIVITY_TASK_COMPLETED,
    ACTIVITY_TASK_FAILED,
    ACTIVITY_TASK_TIMED_OUT,
    ACTIVITY_TASK_CANCEL_REQUESTED,
    ACTIVITY_TASK_CANCELED,
    TIMER_STARTED,
    TIMER_FIRED,
    TIMER_CANCELED,
    CANCEL_REQUESTED,
    REQUEST_CANCEL_EXTERNAL_INITIATED,
    REQUEST_CANCEL_EXTERNAL_FAILED,
    EXTERNAL_CANCEL_REQUESTED,
    SIGNALED,
    START_CHILD_INITIATED,
    START_CHILD_FAILED,
    CHILD_STARTED,
    CHILD_COMPLETED,
    CHILD_FAILED,
    CHILD_CANCELED,
    CHILD_TIMED_OUT,
    CHILD_TERMINATED,
    SIGNAL_EXTERNAL_INITIATED,
    SIGNAL_EXTERNAL_FAILED,
    EXTERNAL_SIGNALED,
    WORKFLOW_TASK_COMPLETED,
    TIMER_STARTED,
];
/// Kinds of Temporal's that have no record here.
const UNTYPED: [EventKind; 6] = [
    WORKFLOW_TASK_SCHEDULED,
    MARKER_RECORDED,
    EventKind::UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventKind::WORKFLOW_EXECUTION_UPDATE_ADMITTED,
    EventKind::WORKFLOW_EXECUTION_OPTIONS_UPDATED,
    EventKind::WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED,
];
const CLOSING: [EventKind; 6] =
    [COMPLETED, FAILED, TIMED_OUT, CANCELED, TERMINATED, CONTINUED_AS_NEW];

/// Texts are cut from this one.
static TEXT: LazyLock<String> =
    LazyLock::new(|| (0u32..3000).map(|i| char::from_digit(i * i % 36, 36).unwrap()).collect());
/// And payloads from this one.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = Rng::new(7);
    (0..256 << 10).map(|_| rng.byte()).collect()
});

/// What a start says, for a run of our own or for one recorded elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) started: Started<'static>,
    pub(crate) recorded: bool,
    pub(crate) id: Option<RunId>,
    pub(crate) reuse: IdReusePolicy,
    pub(crate) conflict: IdConflictPolicy,
    pub(crate) time: Option<Timestamp>,
}

/// How many keys of events there are: few, so that they meet.
pub(crate) const KEYS: u64 = 5;

pub(crate) fn text(rng: &mut Rng) -> &'static str {
    let most = match rng.below(100) {
        0 => 1400,
        1..20 => 60,
        _ => 14,
    };
    let len = rng.below(most);
    let from = rng.below(TEXT.len() - len);
    &TEXT[from..from + len]
}

pub(crate) fn payload(rng: &mut Rng) -> Arc<[u8]> {
    let most = match rng.below(1000) {
        // About what the first and the longest segments hold: one fits, the next does not.
        0 => {
            let len = rng.pick(&[61_000, 257_600]) + rng.below(600);
            return BYTES[..len].into();
        }
        1..10 => 20_000,
        10..400 => 600,
        _ => 60,
    };
    bytes(rng, most)
}

/// Up to `most` bytes.
pub(crate) fn bytes(rng: &mut Rng, most: usize) -> Arc<[u8]> {
    let len = rng.below(most + 1);
    let from = rng.below(BYTES.len() - len);
    BYTES[from..from + len].into()
}

pub(crate) fn workflow(rng: &mut Rng) -> (&'static str, &'static str) {
    (rng.pick(&NAMESPACES), rng.pick(&WORKFLOWS))
}

pub(crate) fn run_id(rng: &mut Rng) -> RunId {
    let (low, high) = (u128::from(rng.draw()), u128::from(rng.draw()));
    RunId::from_bytes((low << 64 | high).to_le_bytes())
}

fn maybe_run(rng: &mut Rng) -> Option<RunId> {
    rng.chance(50).then(|| run_id(rng))
}

/// A start; `used` is a run id that is taken.
pub(crate) fn start(rng: &mut Rng, used: Option<RunId>) -> Start {
    let (namespace, workflow_id) = workflow(rng);
    let recorded = rng.chance(22);
    let mut started = Started {
        namespace: if rng.below(300) == 0 { "" } else { namespace },
        workflow_id: if rng.below(300) == 0 { "" } else { workflow_id },
        workflow_type: text(rng),
        task_queue: text(rng),
        request_id: rng.pick(&REQUESTS),
        ..Default::default()
    };
    let mut id = match rng.below(20) {
        0 => used,
        1..4 => Some(run_id(rng)),
        4 if rng.chance(20) => Some(RunId::NIL),
        _ => None,
    };
    if recorded {
        started = Started {
            run_id: id.take().unwrap_or_else(|| run_id(rng)),
            // Few chains of several runs, and many that are of their own.
            first_run_id: match rng.below(4) {
                0 => RunId::from_bytes([7 + rng.byte() % 8; 16]),
                1 => run_id(rng),
                _ => RunId::default(),
            },
            continued_run_id: maybe_run(rng),
            parent_workflow_id: text(rng),
            parent_run_id: maybe_run(rng),
            root_workflow_id: text(rng),
            root_run_id: maybe_run(rng),
            parent_initiated_event_id: rng.number(1000),
            attempt: rng.number(1000),
            initiator: Initiator::from_number(rng.byte() % 5),
            imported: true,
            ..started
        };
    }
    // Recorded runs began now, long ago, or later.
    let at = i64::try_from(rng.draw() % 4_000_000).unwrap();
    let time = (recorded || rng.chance(10)).then(|| Timestamp::from_unix_nanos(at));
    let reuse = [
        IdReusePolicy::AllowDuplicate,
        IdReusePolicy::AllowDuplicate,
        IdReusePolicy::Unspecified,
        IdReusePolicy::AllowDuplicateFailedOnly,
        IdReusePolicy::RejectDuplicate,
        IdReusePolicy::TerminateIfRunning,
    ];
    let conflict = [
        IdConflictPolicy::Fail,
        IdConflictPolicy::Unspecified,
        IdConflictPolicy::UseExisting,
        IdConflictPolicy::TerminateExisting,
    ];
    let (reuse, conflict) = (rng.pick(&reuse), rng.pick(&conflict));
    Start { started, recorded, id, reuse, conflict, time }
}

/// An event that an engine may try to append; a few are refused whatever the run.
pub(crate) fn event(rng: &mut Rng, now: Timestamp) -> Event {
    let kind = |number| EventKind::from_number(number);
    let number = u16::try_from(rng.draw() % 65_536).unwrap();
    let body = match rng.below(100) {
        0..5 => typed(rng, CLOSING[usize::from(number) % CLOSING.len()]),
        5 => Body::Opaque(CLOSING[usize::from(number) % CLOSING.len()]),
        6..25 => Body::Opaque(kind(number.max(EventKind::FIRST_CUSTOM))),
        25..40 => Body::Opaque(UNTYPED[usize::from(number) % UNTYPED.len()]),
        40..43 => Body::Opaque(kind(61 + number % 900)),
        43 => Body::Opaque(rng.pick(&TYPED)),
        44 => Body::Opaque(kind(number % 2)),
        45 => Body::WorkflowExecutionStarted(Started::default()),
        _ => {
            let kind = rng.pick(&TYPED);
            typed(rng, kind)
        }
    };
    let time = rng.chance(20).then(|| Timestamp::from_unix_nanos(rng.draw().cast_signed()));
    Event::new(body, payload(rng), time.unwrap_or(now))
}

/// A body of a typed kind, every field drawn.
fn typed(rng: &mut Rng, kind: EventKind) -> Body<'static> {
    let closed = |rng: &mut Rng| Closed {
        new_run_id: maybe_run(rng),
        workflow_task_completed_event_id: rng.number(1000),
        retry_state: RetryState::from_number(rng.byte()),
    };
    let task = |rng: &mut Rng| WorkflowTask {
        scheduled_event_id: rng.number(1000),
        started_event_id: rng.number(1000),
    };
    let activity = |rng: &mut Rng| ActivityTask {
        scheduled_event_id: rng.number(1000),
        started_event_id: rng.number(1000),
    };
    let timer =
        |rng: &mut Rng| TimerEnded { timer_id: text(rng), started_event_id: rng.number(1000) };
    let external = |rng: &mut Rng| ExternalInitiated {
        workflow_id: text(rng),
        run_id: maybe_run(rng),
        signal_name: text(rng),
        workflow_task_completed_event_id: rng.number(1000),
        child_workflow_only: rng.byte() != 0,
    };
    let resolved = |rng: &mut Rng| ExternalResolved {
        initiated_event_id: rng.number(1000),
        cause: ExternalFailedCause::from_number(rng.byte()),
    };
    let child = |rng: &mut Rng| ChildClosed {
        run_id: run_id(rng),
        initiated_event_id: rng.number(1000),
        started_event_id: rng.number(1000),
        retry_state: RetryState::from_number(rng.byte()),
    };
    match kind {
        COMPLETED => Body::WorkflowExecutionCompleted(closed(rng)),
        FAILED => Body::WorkflowExecutionFailed(closed(rng)),
        TIMED_OUT => Body::WorkflowExecutionTimedOut(closed(rng)),
        WORKFLOW_TASK_STARTED => Body::WorkflowTaskStarted(task(rng)),
        WORKFLOW_TASK_COMPLETED => Body::WorkflowTaskCompleted(task(rng)),
        WORKFLOW_TASK_TIMED_OUT => Body::WorkflowTaskTimedOut(task(rng)),
        WORKFLOW_TASK_FAILED => Body::WorkflowTaskFailed(task(rng)),
        ACTIVITY_TASK_SCHEDULED => Body::ActivityTaskScheduled(ActivityScheduled {
            activity_id: text(rng),
            activity_type: text(rng),
            workflow_task_completed_event_id: rng.number(1000),
        }),
        ACTIVITY_TASK_STARTED => Body::ActivityTaskStarted(activity(rng)),
        ACTIVITY_TASK_COMPLETED => Body::ActivityTaskCompleted(activity(rng)),
        ACTIVITY_TASK_FAILED => Body::ActivityTaskFailed(activity(rng)),
        ACTIVITY_TASK_TIMED_OUT => Body::ActivityTaskTimedOut(activity(rng)),
        ACTIVITY_TASK_CANCEL_REQUESTED => Body::ActivityTaskCancelRequested(activity(rng)),
        ACTIVITY_TASK_CANCELED => Body::ActivityTaskCanceled(activity(rng)),
        TIMER_STARTED => Body::TimerStarted(TimerStarted {
            timer_id: text(rng),
            workflow_task_completed_event_id: rng.number(1000),
        }),
        TIMER_FIRED => Body::TimerFired(timer(rng)),
        TIMER_CANCELED => Body::TimerCanceled(timer(rng)),
        CANCEL_REQUESTED => Body::WorkflowExecutionCancelRequested(CancelRequested {
            external_workflow_id: text(rng),
            external_run_id: maybe_run(rng),
            external_initiated_event_id: rng.number(1000),
        }),
        CANCELED => Body::WorkflowExecutionCanceled(Canceled {
            workflow_task_completed_event_id: rng.number(1000),
        }),
        REQUEST_CANCEL_EXTERNAL_INITIATED => {
            Body::RequestCancelExternalWorkflowExecutionInitiated(external(rng))
        }
        REQUEST_CANCEL_EXTERNAL_FAILED => {
            Body::RequestCancelExternalWorkflowExecutionFailed(resolved(rng))
        }
        EXTERNAL_CANCEL_REQUESTED => Body::ExternalWorkflowExecutionCancelRequested(resolved(rng)),
        SIGNALED => Body::WorkflowExecutionSignaled(Signaled {
            signal_name: text(rng),
            request_id: text(rng),
            external_run_id: maybe_run(rng),
            external_initiated_event_id: rng.number(1000),
        }),
        TERMINATED => Body::WorkflowExecutionTerminated(Terminated {
            reason: text(rng),
            reset_run_id: maybe_run(rng),
        }),
        CONTINUED_AS_NEW => Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew {
            new_run_id: maybe_run(rng),
            workflow_task_completed_event_id: rng.number(1000),
            initiator: Initiator::from_number(rng.byte() % 5),
        }),
        START_CHILD_INITIATED => Body::StartChildWorkflowExecutionInitiated(ChildInitiated {
            workflow_id: text(rng),
            workflow_type: text(rng),
            task_queue: text(rng),
            workflow_task_completed_event_id: rng.number(1000),
            close_policy: ParentClosePolicy::from_number(rng.byte() % 5),
            reuse_policy: IdReusePolicy::from_number(rng.byte() % 6),
            conflict_policy: IdConflictPolicy::from_number(rng.byte() % 5),
        }),
        START_CHILD_FAILED => Body::StartChildWorkflowExecutionFailed(ChildStartFailed {
            initiated_event_id: rng.number(1000),
            cause: StartChildFailedCause::from_number(rng.byte()),
        }),
        CHILD_STARTED => Body::ChildWorkflowExecutionStarted(ChildStarted {
            run_id: run_id(rng),
            initiated_event_id: rng.number(1000),
        }),
        CHILD_COMPLETED => Body::ChildWorkflowExecutionCompleted(child(rng)),
        CHILD_FAILED => Body::ChildWorkflowExecutionFailed(child(rng)),
        CHILD_CANCELED => Body::ChildWorkflowExecutionCanceled(child(rng)),
        CHILD_TIMED_OUT => Body::ChildWorkflowExecutionTimedOut(child(rng)),
        CHILD_TERMINATED => Body::ChildWorkflowExecutionTerminated(child(rng)),
        SIGNAL_EXTERNAL_INITIATED => Body::SignalExternalWorkflowExecutionInitiated(external(rng)),
        SIGNAL_EXTERNAL_FAILED => Body::SignalExternalWorkflowExecutionFailed(resolved(rng)),
        EXTERNAL_SIGNALED => Body::ExternalWorkflowExecutionSignaled(resolved(rng)),
        other => panic!("{other} is not typed"),
    }
}

/// The same event, but as the answer to the event `id` if it answers one.
pub(crate) fn aimed(mut event: Event, id: u32) -> Event {
    match &mut event.body {
        Body::ActivityTaskCompleted(b)
        | Body::ActivityTaskFailed(b)
        | Body::ActivityTaskTimedOut(b)
        | Body::ActivityTaskCanceled(b) => b.scheduled_event_id = id,
        Body::StartChildWorkflowExecutionFailed(b) => b.initiated_event_id = id,
        Body::SignalExternalWorkflowExecutionFailed(b)
        | Body::ExternalWorkflowExecutionSignaled(b)
        | Body::RequestCancelExternalWorkflowExecutionFailed(b)
        | Body::ExternalWorkflowExecutionCancelRequested(b) => b.initiated_event_id = id,
        _ => {}
    }
    event
}

/// The bytes of a body's typed record: fixed part, texts of more than eight bytes, run ids; and
/// the texts that are measured as ids or names.
pub(crate) fn head(body: &Body<'static>) -> (usize, Vec<&'static str>) {
    let none: [Option<RunId>; 0] = [];
    match body {
        Body::WorkflowExecutionStarted(b) => {
            let names = [
                b.workflow_id,
                b.workflow_type,
                b.task_queue,
                b.request_id,
                b.parent_workflow_id,
                b.root_workflow_id,
            ];
            let ids = [b.continued_run_id, b.parent_run_id, b.root_run_id];
            let texts = names.into_iter().chain([b.namespace]);
            (record(2 * 16 + 7 * 8 + 3 * 8 + 2 * 4 + 2, texts, ids), names.to_vec())
        }
        Body::WorkflowExecutionCompleted(b)
        | Body::WorkflowExecutionFailed(b)
        | Body::WorkflowExecutionTimedOut(b) => (record(8 + 4 + 1, [], [b.new_run_id]), vec![]),
        Body::WorkflowExecutionContinuedAsNew(b) => (record(8 + 4 + 1, [], [b.new_run_id]), vec![]),
        Body::WorkflowExecutionCanceled(_) => (4, vec![]),
        Body::WorkflowExecutionTerminated(b) => {
            (record(2 * 8, [b.reason], [b.reset_run_id]), vec![])
        }
        Body::WorkflowTaskStarted(_)
        | Body::WorkflowTaskCompleted(_)
        | Body::WorkflowTaskTimedOut(_)
        | Body::WorkflowTaskFailed(_)
        | Body::ActivityTaskStarted(_)
        | Body::ActivityTaskCompleted(_)
        | Body::ActivityTaskFailed(_)
        | Body::ActivityTaskTimedOut(_)
        | Body::ActivityTaskCancelRequested(_)
        | Body::ActivityTaskCanceled(_) => (8, vec![]),
        Body::ActivityTaskScheduled(b) => {
            let texts = [b.activity_id, b.activity_type];
            (record(2 * 8 + 4, texts, none), texts.to_vec())
        }
        Body::TimerStarted(b) => (record(8 + 4, [b.timer_id], none), vec![b.timer_id]),
        Body::TimerFired(b) | Body::TimerCanceled(b) => {
            (record(8 + 4, [b.timer_id], none), vec![b.timer_id])
        }
        Body::WorkflowExecutionCancelRequested(b) => {
            let text = b.external_workflow_id;
            (record(2 * 8 + 4, [text], [b.external_run_id]), vec![text])
        }
        Body::WorkflowExecutionSignaled(b) => {
            let texts = [b.signal_name, b.request_id];
            (record(3 * 8 + 4, texts, [b.external_run_id]), texts.to_vec())
        }
        Body::SignalExternalWorkflowExecutionInitiated(b)
        | Body::RequestCancelExternalWorkflowExecutionInitiated(b) => {
            let texts = [b.workflow_id, b.signal_name];
            (record(3 * 8 + 4 + 1, texts, [b.run_id]), texts.to_vec())
        }
        Body::SignalExternalWorkflowExecutionFailed(_)
        | Body::ExternalWorkflowExecutionSignaled(_)
        | Body::RequestCancelExternalWorkflowExecutionFailed(_)
        | Body::ExternalWorkflowExecutionCancelRequested(_)
        | Body::StartChildWorkflowExecutionFailed(_) => (8, vec![]),
        Body::StartChildWorkflowExecutionInitiated(b) => {
            let texts = [b.workflow_id, b.workflow_type, b.task_queue];
            (record(3 * 8 + 4 + 3, texts, none), texts.to_vec())
        }
        Body::ChildWorkflowExecutionStarted(_) => (16 + 4, vec![]),
        Body::ChildWorkflowExecutionCompleted(_)
        | Body::ChildWorkflowExecutionFailed(_)
        | Body::ChildWorkflowExecutionCanceled(_)
        | Body::ChildWorkflowExecutionTimedOut(_)
        | Body::ChildWorkflowExecutionTerminated(_) => (16 + 2 * 4 + 4, vec![]),
        _ => (0, vec![]),
    }
}

fn record(
    fixed: usize,
    texts: impl IntoIterator<Item = &'static str>,
    ids: impl IntoIterator<Item = Option<RunId>>,
) -> usize {
    let texts: usize = texts.into_iter().map(str::len).filter(|len| *len > 8).sum();
    let ids = 16 * ids.into_iter().flatten().count();
    (texts + ids).next_multiple_of(4) + fixed.next_multiple_of(4)
}
