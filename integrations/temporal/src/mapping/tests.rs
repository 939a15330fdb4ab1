//! What is taken apart must go together again, exactly.

#[path = "../../tests/it/histories.rs"]
#[allow(dead_code, reason = "not every test needs everything")]
mod histories;

use kinlog::{Body, EventKind, RunId};
use prost_reflect::MessageDescriptor;
use prost_reflect::prost::encoding::{WireType, encode_key};

use super::body::{Visit, empty, visit};
use super::path::resolve;
use super::read::join;
use super::slot::Slot;
use super::write::NewRecord;
use super::{ABSENT, Run};
use crate::schema::Schema;
use crate::{ExportError, History, RecordedEvent};

const RUN_ID: &str = "019f6231-90d9-7a77-a8b4-43ae83695092";

fn run() -> Run<'static> {
    Run { namespace: "default", workflow_id: "w", run_id: RUN_ID.parse().unwrap() }
}

/// Takes the event apart as number `id`, puts it together and returns the parts.
fn round_trip<'a>(event: &'a RecordedEvent, id: u32, run: Run<'a>) -> (Body<'a>, Vec<u8>) {
    let new = NewRecord::new(event, id, run).unwrap();
    let again = join(new.body(), id, new.time, &new.payload).unwrap();
    assert_eq!(again, *event, "{:?}", new.body());
    (*new.body(), new.payload)
}

/// One event of this type, with these fields in its JSON.
fn event(kind: &str, fields: &str) -> RecordedEvent {
    let json = format!(r#"[{{"eventType": "{kind}", {fields}}}]"#);
    History::from_json(&json).unwrap().into_events().remove(0)
}

/// One event from protobuf fields.
fn raw(fields: &[u8]) -> RecordedEvent {
    let mut bytes = vec![10, u8::try_from(fields.len()).unwrap()];
    bytes.extend(fields);
    History::from_proto(&bytes).unwrap().into_events().remove(0)
}

fn started(fields: &str) -> RecordedEvent {
    let attributes = format!("workflowExecutionStartedEventAttributes\": {{{fields}}}");
    event("WorkflowExecutionStarted", &format!(r#""eventId": 1, "{attributes}"#))
}

#[test]
fn every_recorded_event_goes_together_again() {
    let Some(recorded) = histories::recorded() else { return };
    let (mut events, mut proto, mut payloads, mut absent) = (0, 0, 0, 0);
    for it in &recorded {
        let Some(canonical) = &it.canonical else { continue };
        let history = History::from_proto(canonical).unwrap();
        let workflow_id = history.workflow_id().unwrap_or("w");
        let run_id = history.run_id().unwrap_or(run().run_id);
        let run = Run { namespace: "default", workflow_id, run_id };
        for (id, event) in (1..).zip(history.events()) {
            let (body, payload) = round_trip(event, id, run);
            let kind = u16::try_from(event.event_type()).unwrap();
            assert_eq!(body.kind(), EventKind::from_number(kind));
            events += 1;
            proto += event.to_proto().len();
            payloads += payload.len();
            absent += usize::from(payload.starts_with(&[0xc0, 0xa3]));
        }
    }
    println!("{events} events of {proto} bytes leave {payloads} in payloads, {absent} with marks");
    assert!(events > 0);
}

/// Damaged histories are refused or are other histories, which go together again as well.
#[test]
fn damaged_events_go_together_again_or_are_refused() {
    let Some(recorded) = histories::recorded() else { return };
    let (mut refused, mut events) = (0, 0);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for it in recorded.iter().filter(|it| it.bytes.len() < 20_000).step_by(5) {
        let Some(canonical) = &it.canonical else { continue };
        for source in [canonical, &it.bytes] {
            let mut bytes = source.clone();
            for _ in 0..10 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = usize::try_from(random >> 16).unwrap() % bytes.len();
                bytes[at] = random.to_le_bytes()[0];
                let Ok(history) = History::from_bytes(&bytes) else {
                    refused += 1;
                    bytes.clone_from(source);
                    continue;
                };
                for (id, event) in (1..).zip(&history) {
                    round_trip(event, id, run());
                    events += 1;
                }
            }
        }
    }
    println!("{refused} histories refused, {events} events went together again");
    assert!(refused > 0 && events > 0);
}

#[test]
fn a_start_says_what_its_message_does_not() {
    let event = started("");
    let (body, payload) = round_trip(&event, 1, run());
    let Body::WorkflowExecutionStarted(started) = body else { panic!("{body:?}") };
    assert_eq!((started.workflow_id, started.namespace), ("w", "default"));
    assert_eq!((started.run_id, started.first_run_id), (run().run_id, run().run_id));
    assert!(started.imported);
    let mut mark = Vec::new();
    encode_key(ABSENT, WireType::Varint, &mut mark);
    assert!(payload.starts_with(&mark));
}

#[test]
fn a_start_of_its_run_leaves_nothing() {
    let event = started(&format!(
        r#""workflowId": "w", "originalExecutionRunId": "{RUN_ID}", "attempt": 1,
        "firstExecutionRunId": "{RUN_ID}", "workflowType": {{"name": "t"}}, "initiator": 2"#
    ));
    let (body, payload) = round_trip(&event, 1, run());
    assert!(payload.is_empty(), "{payload:?}");
    let Body::WorkflowExecutionStarted(started) = body else { panic!("{body:?}") };
    assert_eq!((started.workflow_type, started.attempt), ("t", 1));
    assert_eq!(started.initiator, kinlog::event::Initiator::Retry);
}

#[test]
fn a_start_of_another_run_keeps_its_ids() {
    let other = RunId::from_bytes([7; 16]);
    let event = started(&format!(
        r#""workflowId": "x", "originalExecutionRunId": "{other}", "attempt": -1,
        "firstExecutionRunId": "{other}", "continuedExecutionRunId": "{}""#,
        RUN_ID.to_uppercase()
    ));
    let (body, payload) = round_trip(&event, 1, run());
    let Body::WorkflowExecutionStarted(started) = body else { panic!("{body:?}") };
    assert_eq!((started.workflow_id, started.run_id), ("w", run().run_id));
    assert_eq!((started.first_run_id, started.continued_run_id), (other, None));
    assert!(payload.len() > 36 + 36);
}

#[test]
fn odd_ids_are_kept() {
    for fields in [
        r#""eventId": 7"#,
        r#""eventId": -1"#,
        r#""eventId": 4294967296"#,
        r#""version": 1"#,
        r#""eventId": 1, "timerFiredEventAttributes": {}"#,
        r#""eventId": 1, "timerFiredEventAttributes": {"startedEventId": 4294967296}"#,
        r#""eventId": 1, "timerFiredEventAttributes": {"startedEventId": -1}"#,
        r#""eventId": 1, "timerStartedEventAttributes": {"timerId": "t"}"#,
        r#""eventId": 1, "workflowExecutionFailedEventAttributes": {"retryState": 300}"#,
    ] {
        round_trip(&event("TimerFired", fields), 1, run());
        round_trip(&event("WorkflowExecutionStarted", fields), 1, run());
        round_trip(&event("WorkflowExecutionFailed", fields), 1, run());
        round_trip(&event("WorkflowTaskScheduled", fields), 1, run());
    }
}

#[test]
fn empty_messages_are_kept() {
    for fields in [
        "\"workflowType\": {}, \"parentWorkflowExecution\": {}, \"input\": {}",
        "\"taskQueue\": {\"kind\": 1}, \"parentWorkflowExecution\": {\"workflowId\": \"p\"}",
        "\"taskQueue\": {\"name\": \"q\", \"kind\": 1}, \"workflowType\": {\"name\": \"\"}",
    ] {
        round_trip(&started(fields), 1, run());
    }
}

#[test]
fn odd_times_are_kept() {
    for time in [
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-11T23:47:16.854775808Z",
        "9999-12-31T23:59:59Z",
    ] {
        round_trip(
            &event("TimerFired", &format!(r#""eventId": 1, "eventTime": "{time}""#)),
            1,
            run(),
        );
    }
    // Negative nanoseconds, a whole second of them, and a field that times do not have.
    round_trip(
        &raw(&[18, 11, 16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 24, 18]),
        1,
        run(),
    );
    round_trip(&raw(&[18, 6, 16, 0x80, 0x94, 0xeb, 0xdc, 3, 24, 18]), 1, run());
    round_trip(&raw(&[18, 4, 8, 1, 24, 1, 24, 18]), 1, run());
}

#[test]
fn unknown_fields_are_kept() {
    // A timer fires; its attributes have an unknown field, and so has the event.
    let attributes = [0x9a, 0x01, 4, 16, 1, 0x78, 1];
    let event = raw(&[&[8, 1, 24, 18][..], &attributes, &[0xf8, 0xf0, 4, 7]].concat());
    let (body, payload) = round_trip(&event, 1, run());
    assert!(payload.ends_with(&[0x78, 1, 0xf8, 0xf0, 4, 7]), "{payload:?} {body:?}");
}

#[test]
fn a_reset_is_a_failed_workflow_task() {
    let (base_run_id, new_run_id) = (RunId::from_bytes([1; 16]), run().run_id);
    let reset = Body::WorkflowReset(kinlog::event::Reset {
        run_id: new_run_id,
        base_run_id,
        reason: "a bad deployment",
        request_id: "r",
        ..Default::default()
    });
    // The engine says who reset it.
    let identity = r#""workflowTaskFailedEventAttributes": {"identity": "me"}"#;
    let (_, payload) = round_trip(&event("WorkflowTaskFailed", identity), 0, run());
    let found = join(&reset, 7, kinlog::Timestamp::default(), &payload).unwrap();
    let expected = event(
        "WorkflowTaskFailed",
        &format!(
            r#""eventId": 7, "workflowTaskFailedEventAttributes": {{
                "identity": "me", "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW",
                "baseRunId": "{base_run_id}", "newRunId": "{new_run_id}",
                "failure": {{"message": "a bad deployment"}}
            }}"#
        ),
    );
    assert_eq!(found, expected);
}

#[test]
fn what_a_closing_event_says_of_a_reset_is_not_temporals() {
    let terminated =
        kinlog::event::Terminated { reason: "reset", reset_run_id: Some(run().run_id) };
    let body = Body::WorkflowExecutionTerminated(terminated);
    let found = join(&body, 3, kinlog::Timestamp::default(), &[]).unwrap();
    let attributes = r#""workflowExecutionTerminatedEventAttributes": {"reason": "reset"}"#;
    let expected = format!(r#""eventId": 3, {attributes}"#);
    assert_eq!(found, event("WorkflowExecutionTerminated", &expected));
}

#[test]
fn what_is_not_temporals_is_refused() {
    let time = kinlog::Timestamp::default();
    let own = Body::opaque(EventKind::from_number(EventKind::FIRST_CUSTOM));
    assert!(matches!(join(&own, 1, time, &[]), Err(ExportError::UnknownKind { .. })));
    let marker = Body::opaque(EventKind::MARKER_RECORDED);
    let error = join(&marker, 3, time, b"{}").unwrap_err();
    assert!(error.to_string().starts_with("event 3 has a payload that is not Temporal's"));
}

/// Every field of every body is somewhere in Temporal's messages.
#[test]
fn every_path_leads_somewhere() {
    struct Resolve<'r>(&'r MessageDescriptor, Vec<(&'static str, bool)>);
    impl<'m> Visit<'m> for Resolve<'_> {
        fn visit<S: Slot<'m>>(&mut self, path: &'static str, _: &mut S) {
            self.1.push((path, resolve(self.0, path).is_some()));
        }
    }
    let schema = Schema::get().unwrap();
    let mut found = std::collections::BTreeMap::new();
    let reset = Body::WorkflowReset(kinlog::event::Reset::default());
    let bodies = (1..=60).map(|kind| empty(EventKind::from_number(kind)));
    for mut body in bodies.chain([reset]) {
        let attributes = schema.attributes(i32::from(body.kind().number())).unwrap().kind();
        let mut paths = Resolve(attributes.as_message().unwrap(), Vec::new());
        visit(&mut body, &mut paths);
        let record = format!("{body:?}");
        let record = record.split_once('(').map_or("", |(_, rest)| rest);
        for (path, there) in paths.1 {
            *found.entry((record.to_owned(), path)).or_insert(false) |= there;
        }
    }
    assert!(found.len() > 50);
    assert!(found.values().all(|there| *there), "{found:#?}");
}
