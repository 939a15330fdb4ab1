//! The bytes of one event of every typed kind, written out: a record whose layout changes fails
//! here. A change of a record is a new version beside the old one, with bytes of its own here;
//! what is written below stays as it is. `docs/format.md` describes these bytes.

use super::codec::Buffer;
use super::kind::EventKind;
use super::values::{
    EventIds, ExternalFailedCause, IdConflictPolicy, IdReusePolicy, Initiator, ParentClosePolicy,
    RetryState, StartChildFailedCause,
};
use super::{
    ActivityScheduled, ActivityTask, Body, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, Event, ExternalInitiated,
    ExternalResolved, LAYOUT_FINGERPRINT, NewEvent, RawEvent, Record, Reset, Signaled, Started,
    Terminated, TimerEnded, TimerStarted, WorkflowTask, encode,
};
use crate::id::{RunId, Timestamp};

const TIME: Timestamp = Timestamp::from_unix_nanos(0x0102_0304_0506_0708);
const A: RunId = RunId::from_bytes([0xa0; 16]);
const B: RunId = RunId::from_bytes([0xb1; 16]);
const C: RunId = RunId::from_bytes([0xc2; 16]);
const D: RunId = RunId::from_bytes([0xd3; 16]);
const E: RunId = RunId::from_bytes([0xe4; 16]);

const CLOSED: Closed = Closed {
    new_run_id: Some(A),
    workflow_task_completed_event_id: 0x0102_0304,
    retry_state: RetryState::RetryPolicyNotSet,
};
const EXTERNAL: ExternalInitiated<'_> = ExternalInitiated {
    workflow_id: "order-42/shipping",
    run_id: Some(A),
    signal_name: "go",
    workflow_task_completed_event_id: 4,
    child_workflow_only: true,
};
const RESOLVED: ExternalResolved =
    ExternalResolved { initiated_event_id: 5, cause: ExternalFailedCause::NamespaceNotFound };
const CHILD_CLOSED: ChildClosed = ChildClosed {
    run_id: A,
    initiated_event_id: 5,
    started_event_id: 6,
    retry_state: RetryState::MaximumAttemptsReached,
};
const TASK: WorkflowTask = WorkflowTask { scheduled_event_id: 2, started_event_id: 0x0a0b_0c0d };
const ACTIVITY: ActivityTask = ActivityTask { scheduled_event_id: 5, started_event_id: 6 };
const TIMER: TimerEnded<'_> = TimerEnded { timer_id: "a-longer-timer", started_event_id: 9 };

/// Every typed kind with the bytes of an event of that kind, time and payload as in [`bytes`].
pub(super) const EVENTS: &[(Body<'_>, &str)] = &[
    (
        Body::WorkflowExecutionStarted(Started {
            run_id: A,
            first_run_id: B,
            continued_run_id: Some(C),
            namespace: "shop",
            workflow_id: "order-42/shipping",
            workflow_type: "Shipping",
            task_queue: "",
            request_id: "request-1",
            parent_workflow_id: "order-42",
            parent_run_id: Some(D),
            root_workflow_id: "order-42-root",
            root_run_id: Some(E),
            parent_initiated_event_id: 5,
            attempt: 2,
            initiator: Initiator::Retry,
            imported: true,
        }),
        "01000135 db000000 08070605 04030201 c2c2c2c2 c2c2c2c2 c2c2c2c2 c2c2c2c2 \
         6f726465 722d3432 2f736869 7070696e 67726571 75657374 2d31d3d3 d3d3d3d3 \
         d3d3d3d3 d3d3d3d3 d3d36f72 6465722d 34322d72 6f6f74e4 e4e4e4e4 e4e4e4e4 \
         e4e4e4e4 e4e4e400 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 b1b1b1b1 b1b1b1b1 \
         b1b1b1b1 b1b1b1b1 88ffffff 10000000 73686f70 ffffffff 91000000 88ffffff \
         53686970 70696e67 ffffffff ffffffff 89000000 81ffffff 6f726465 722d3432 \
         7affffff 10000000 8d000000 82ffffff 87ffffff 10000000 05000000 02000000 \
         02010000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionStarted(Started {
            run_id: A,
            first_run_id: A,
            namespace: "shop",
            workflow_id: "order-42",
            workflow_type: "Order",
            ..EMPTY_START
        }),
        "0100011f 83000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 e0ffffff 00000000 73686f70 ffffffff \
         6f726465 722d3432 4f726465 72ffffff ffffffff ffffffff ffffffff ffffffff \
         ffffffff ffffffff a8ffffff 00000000 ffffffff ffffffff 98ffffff 00000000 \
         00000000 00000000 00000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionCompleted(CLOSED),
        "02000108 27000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         f0ffffff 10000000 04030201 05000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionFailed(Closed { new_run_id: None, ..CLOSED }),
        "03000104 17000000 08070605 04030201 00000000 00000000 04030201 05000000 \
         5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionTimedOut(CLOSED),
        "04000108 27000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         f0ffffff 10000000 04030201 05000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowTaskStarted(TASK),
        "06000102 0f000000 08070605 04030201 02000000 0d0c0b0a 5041594c 4f414400",
    ),
    (
        Body::WorkflowTaskCompleted(TASK),
        "07000102 0f000000 08070605 04030201 02000000 0d0c0b0a 5041594c 4f414400",
    ),
    (
        Body::WorkflowTaskTimedOut(TASK),
        "08000102 0f000000 08070605 04030201 02000000 0d0c0b0a 5041594c 4f414400",
    ),
    (
        Body::WorkflowTaskFailed(TASK),
        "09000102 0f000000 08070605 04030201 02000000 0d0c0b0a 5041594c 4f414400",
    ),
    (
        Body::WorkflowReset(Reset {
            run_id: A,
            base_run_id: B,
            reason: "a bad deployment",
            request_id: "reset-17-of-order-42",
            open_activities: EventIds::from_bytes(&[5, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a]),
        }),
        "09000219 6b000000 08070605 04030201 61206261 64206465 706c6f79 6d656e74 \
         72657365 742d3137 2d6f662d 6f726465 722d3432 05000000 0d0c0b0a a0a0a0a0 \
         a0a0a0a0 a0a0a0a0 a0a0a0a0 b1b1b1b1 b1b1b1b1 b1b1b1b1 b1b1b1b1 90000000 \
         b4ffffff 94000000 bcffffff c8ffffff 08000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowReset(Reset {
            run_id: A,
            base_run_id: B,
            reason: "why not",
            request_id: "",
            open_activities: EventIds::from_bytes(&[]),
        }),
        "0900020e 3f000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         b1b1b1b1 b1b1b1b1 b1b1b1b1 b1b1b1b1 77687920 6e6f74ff ffffffff ffffffff \
         d0ffffff 00000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskScheduled(ActivityScheduled {
            activity_id: "5",
            activity_type: "charge-the-card",
            workflow_task_completed_event_id: 4,
        }),
        "0a000109 2b000000 08070605 04030201 63686172 67652d74 68652d63 61726400 \
         35ffffff ffffffff 8f000000 e8ffffff 04000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskStarted(ACTIVITY),
        "0b000102 0f000000 08070605 04030201 05000000 06000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskCompleted(ACTIVITY),
        "0c000102 0f000000 08070605 04030201 05000000 06000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskFailed(ACTIVITY),
        "0d000102 0f000000 08070605 04030201 05000000 06000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskTimedOut(ACTIVITY),
        "0e000102 0f000000 08070605 04030201 05000000 06000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskCancelRequested(ACTIVITY),
        "0f000102 0f000000 08070605 04030201 05000000 06000000 5041594c 4f414400",
    ),
    (
        Body::ActivityTaskCanceled(ACTIVITY),
        "10000102 0f000000 08070605 04030201 05000000 06000000 5041594c 4f414400",
    ),
    (
        Body::TimerStarted(TimerStarted {
            timer_id: "reminder",
            workflow_task_completed_event_id: 4,
        }),
        "11000103 13000000 08070605 04030201 72656d69 6e646572 04000000 5041594c \
         4f414400",
    ),
    (
        Body::TimerFired(TIMER),
        "12000107 23000000 08070605 04030201 612d6c6f 6e676572 2d74696d 65720000 \
         8e000000 f0ffffff 09000000 5041594c 4f414400",
    ),
    (
        Body::TimerCanceled(TIMER),
        "13000107 23000000 08070605 04030201 612d6c6f 6e676572 2d74696d 65720000 \
         8e000000 f0ffffff 09000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionCancelRequested(CancelRequested {
            external_workflow_id: "order-42/shipping",
            external_run_id: Some(A),
            external_initiated_event_id: 7,
        }),
        "1400010e 3f000000 08070605 04030201 6f726465 722d3432 2f736869 7070696e \
         67a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0000000 91000000 dcffffff e5ffffff \
         10000000 07000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionCanceled(Canceled { workflow_task_completed_event_id: 4 }),
        "15000101 0b000000 08070605 04030201 04000000 5041594c 4f414400",
    ),
    (
        Body::RequestCancelExternalWorkflowExecutionInitiated(EXTERNAL),
        "16000111 4b000000 08070605 04030201 6f726465 722d3432 2f736869 7070696e \
         67a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0000000 91000000 dcffffff e5ffffff \
         10000000 676fffff ffffffff 04000000 01000000 5041594c 4f414400",
    ),
    (
        Body::RequestCancelExternalWorkflowExecutionFailed(RESOLVED),
        "17000102 0f000000 08070605 04030201 05000000 02000000 5041594c 4f414400",
    ),
    (
        Body::ExternalWorkflowExecutionCancelRequested(RESOLVED),
        "18000102 0f000000 08070605 04030201 05000000 02000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionSignaled(Signaled {
            signal_name: "approve",
            request_id: "request-2",
            external_run_id: None,
            external_initiated_event_id: 0,
        }),
        "1a00010a 2f000000 08070605 04030201 72657175 6573742d 32000000 61707072 \
         6f7665ff 89000000 ecffffff edffffff 00000000 00000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionTerminated(Terminated {
            reason: "out of stock",
            reset_run_id: None,
        }),
        "1b000107 23000000 08070605 04030201 6f757420 6f662073 746f636b 8c000000 \
         f4ffffff f8ffffff 00000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionTerminated(Terminated { reason: "reset", reset_run_id: Some(B) }),
        "1b000108 27000000 08070605 04030201 b1b1b1b1 b1b1b1b1 b1b1b1b1 b1b1b1b1 \
         72657365 74ffffff e8ffffff 10000000 5041594c 4f414400",
    ),
    (
        Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew {
            new_run_id: Some(B),
            workflow_task_completed_event_id: 4,
            initiator: Initiator::Workflow,
        }),
        "1c000108 27000000 08070605 04030201 b1b1b1b1 b1b1b1b1 b1b1b1b1 b1b1b1b1 \
         f0ffffff 10000000 04000000 01000000 5041594c 4f414400",
    ),
    (
        Body::StartChildWorkflowExecutionInitiated(ChildInitiated {
            workflow_id: "order-42/shipping",
            workflow_type: "Shipping",
            task_queue: "shop-tasks",
            workflow_task_completed_event_id: 4,
            close_policy: ParentClosePolicy::RequestCancel,
            reuse_policy: IdReusePolicy::AllowDuplicateFailedOnly,
            conflict_policy: IdConflictPolicy::Fail,
        }),
        "1d00010f 43000000 08070605 04030201 6f726465 722d3432 2f736869 7070696e \
         6773686f 702d7461 736b7300 91000000 e4ffffff 53686970 70696e67 8a000000 \
         e5ffffff 04000000 03020100 5041594c 4f414400",
    ),
    (
        Body::StartChildWorkflowExecutionFailed(ChildStartFailed {
            initiated_event_id: 5,
            cause: StartChildFailedCause::WorkflowAlreadyExists,
        }),
        "1e000102 0f000000 08070605 04030201 05000000 01000000 5041594c 4f414400",
    ),
    (
        Body::ChildWorkflowExecutionStarted(ChildStarted { run_id: A, initiated_event_id: 5 }),
        "1f000105 1b000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         05000000 5041594c 4f414400",
    ),
    (
        Body::ChildWorkflowExecutionCompleted(CHILD_CLOSED),
        "20000107 23000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         05000000 06000000 04000000 5041594c 4f414400",
    ),
    (
        Body::ChildWorkflowExecutionFailed(CHILD_CLOSED),
        "21000107 23000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         05000000 06000000 04000000 5041594c 4f414400",
    ),
    (
        Body::ChildWorkflowExecutionCanceled(CHILD_CLOSED),
        "22000107 23000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         05000000 06000000 04000000 5041594c 4f414400",
    ),
    (
        Body::ChildWorkflowExecutionTimedOut(CHILD_CLOSED),
        "23000107 23000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         05000000 06000000 04000000 5041594c 4f414400",
    ),
    (
        Body::ChildWorkflowExecutionTerminated(CHILD_CLOSED),
        "24000107 23000000 08070605 04030201 a0a0a0a0 a0a0a0a0 a0a0a0a0 a0a0a0a0 \
         05000000 06000000 04000000 5041594c 4f414400",
    ),
    (
        Body::SignalExternalWorkflowExecutionInitiated(ExternalInitiated {
            run_id: None,
            ..EXTERNAL
        }),
        "2500010d 3b000000 08070605 04030201 6f726465 722d3432 2f736869 7070696e \
         67000000 91000000 ecffffff f5ffffff 00000000 676fffff ffffffff 04000000 \
         01000000 5041594c 4f414400",
    ),
    (
        Body::SignalExternalWorkflowExecutionFailed(RESOLVED),
        "26000102 0f000000 08070605 04030201 05000000 02000000 5041594c 4f414400",
    ),
    (
        Body::ExternalWorkflowExecutionSignaled(RESOLVED),
        "27000102 0f000000 08070605 04030201 05000000 02000000 5041594c 4f414400",
    ),
    (
        Body::Opaque(EventKind::MARKER_RECORDED),
        "19000000 07000000 08070605 04030201 5041594c 4f414400",
    ),
    (
        Body::Opaque(EventKind::from_number(0xfffe)),
        "feff0000 07000000 08070605 04030201 5041594c 4f414400",
    ),
];

const EMPTY_START: Started<'_> = Started {
    run_id: RunId::NIL,
    first_run_id: RunId::NIL,
    continued_run_id: None,
    namespace: "",
    workflow_id: "",
    workflow_type: "",
    task_queue: "",
    request_id: "",
    parent_workflow_id: "",
    parent_run_id: None,
    root_workflow_id: "",
    root_run_id: None,
    parent_initiated_event_id: 0,
    attempt: 0,
    initiator: Initiator::Unspecified,
    imported: false,
};

fn bytes(body: Body<'_>) -> Buffer {
    let mut buffer = Buffer::new();
    encode(&NewEvent::new(body).payload(b"PAYLOAD"), TIME, &mut buffer).unwrap();
    buffer
}

/// In groups of four bytes, as everything in the log is aligned.
fn hex(bytes: &[u8]) -> String {
    let word = |word: &[u8]| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(4).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn events_have_the_bytes_they_always_had() {
    for (body, expected) in EVENTS {
        assert_eq!(hex(&bytes(*body)), *expected, "{body:?}");
    }
}

#[test]
fn bytes_of_old_are_read_as_what_was_written() {
    for (body, bytes) in EVENTS {
        let mut buffer = Buffer::new();
        for digits in bytes.replace(' ', "").as_bytes().chunks(2) {
            let digits = std::str::from_utf8(digits).unwrap();
            buffer.push(u8::from_str_radix(digits, 16).unwrap());
        }
        let event = Event::check(1, RawEvent::parse(&buffer).unwrap()).unwrap();
        assert_eq!(event.body(), *body);
        assert_eq!((event.payload(), event.time()), (&b"PAYLOAD"[..], TIME));
    }
}

#[test]
fn every_typed_kind_is_written_out_here() {
    let is_typed = |body: &Body<'_>| !matches!(body, Body::Opaque(_));
    let mut here: Vec<(u16, u8)> = EVENTS
        .iter()
        .filter(|(body, _)| is_typed(body))
        .map(|(body, _)| (body.kind().number(), body.version()))
        .collect();
    here.sort_unstable();
    here.dedup();
    // A version of a kind has a typed record exactly if a head of no bytes at all is not one.
    let typed = |(number, version): &(u16, u8)| {
        Record::check(EventKind::from_number(*number), *version, &[]).is_err()
    };
    let versions = (0..=u16::MAX).flat_map(|number| (0..=u8::MAX).map(move |v| (number, v)));
    assert_eq!(here, versions.filter(typed).collect::<Vec<_>>());
}

#[test]
fn the_layout_has_the_fingerprint_it_always_had() {
    assert_eq!(LAYOUT_FINGERPRINT, 0x7100_9867_6382_42e7);
}

#[test]
fn a_head_of_a_kilobyte_is_measured_by_a_word_of_its_own() {
    // 16 bytes of record: 1004 bytes of text make 255 words, 1000 make 254.
    for (text, expected) in [
        (
            1000,
            "1b0001fe ff030000 08070605 04030201 a80f0000 18fcffff f8ffffff 00000000 5041594c 4f414400",
        ),
        (
            1004,
            "1b0001ff 07040000 08070605 04030201 ff000000 ac0f0000 14fcffff f8ffffff 00000000 5041594c 4f414400",
        ),
    ] {
        let reason = "r".repeat(text);
        let body =
            Body::WorkflowExecutionTerminated(Terminated { reason: &reason, reset_run_id: None });
        let bytes = hex(&bytes(body));
        assert_eq!(bytes.replace("72727272 ", "").trim_end(), expected, "{text}");
    }
}
