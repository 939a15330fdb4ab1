//! The JSON forms Temporal's tools write, and the errors about those that are broken.

use kinlog_temporal::{ExportError, History, ImportError};

const STARTED: &str = r#"{"eventId": "1", "eventTime": "2024-01-02T03:04:05Z",
    "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "workflowExecutionStartedEventAttributes":
    {"workflowId": "w", "taskQueue": {"name": "q", "kind": "TASK_QUEUE_KIND_NORMAL"}}}"#;
const SIGNALED: &str = r#"{"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
    "workflowExecutionSignaledEventAttributes": {"signalName": "s"}}"#;

fn read(text: &str) -> History {
    History::from_bytes(text.as_bytes()).expect(text)
}

fn fail(text: impl AsRef<[u8]>) -> String {
    History::from_bytes(text.as_ref()).expect_err("it is broken").to_string()
}

fn plain() -> History {
    read(&format!(r#"{{"events": [{STARTED}, {SIGNALED}]}}"#))
}

#[test]
fn every_wrapper_gives_the_same_history() {
    let list = format!("[{STARTED}, {SIGNALED}]");
    let newest_first = format!("[{SIGNALED}, {STARTED}]");
    assert_eq!(plain().events().len(), 2);
    for text in [
        format!("\u{feff} {list}"),
        newest_first,
        format!(r#"{{"history": {{"events": {list}}}, "nextPageToken": null}}"#),
        format!(r#"{{"name": "n", "info": {{}}, "history": {list}}}"#),
        format!(r#"[{{"events": [{STARTED}]}}, {{"events": [{SIGNALED}]}}]"#),
        format!(r#"{{"workflow_1": [[{STARTED}], [{SIGNALED}]]}}"#),
    ] {
        assert_eq!(read(&text), plain(), "{text}");
    }
}

#[test]
fn every_spelling_gives_the_same_history() {
    for (new, old) in [
        ("EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", r#"WorkflowExecutionStarted"#),
        ("\"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED\"", "1"),
        ("TASK_QUEUE_KIND_NORMAL", "Normal"),
        ("workflowId", "workflow_id"),
        ("\"eventId\": \"1\"", "\"event_id\": 1"),
        ("\"workflowId\"", "\"memo\": null, \"unheardOf\": null, \"workflowId\""),
    ] {
        let changed = STARTED.replace(new, old);
        assert_ne!(changed, STARTED);
        assert_eq!(read(&format!(r#"{{"events": [{changed}, {SIGNALED}]}}"#)), plain(), "{old}");
    }
}

#[test]
fn payloads_in_shorthand_are_spelled_out() {
    let of = |input: &str| {
        read(&format!(
            r#"[{{"eventId": 1, "eventType": "WorkflowExecutionStarted",
                "workflowExecutionStartedEventAttributes": {{"input": {input}}}}}]"#
        ))
    };
    let spelled = of(r#"{"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="},
        "data": "eyJhIjpbMV19"}, {"metadata": {"encoding": "YmluYXJ5L251bGw="}}]}"#);
    assert_eq!(of(r#"{"payloads": [{"a": [1]}, null]}"#), spelled);
    assert_eq!(of(r#"[{"a": [1]}, null]"#), spelled);
    let decoded = r#"{"metadata": {"encoding": "anNvbi9wbGFpbg==",
        "encodingDecoded": "json/plain"}, "data": {"a": [1]}}"#;
    assert!(of(&format!("[{decoded}]")).to_json().expect("JSON").contains("eyJhIjpbMV19"));
    let message = of(r#"[{"_protoMessageType": "a.B", "c": 1}]"#).to_json().expect("JSON");
    assert!(message.contains("anNvbi9wcm90b2J1Zg==") && message.contains("eyJjIjoxfQ=="));
}

#[test]
fn unknown_names_are_errors_that_say_where() {
    let kind = SIGNALED.replace("EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED", "Foo");
    assert_eq!(
        fail(format!(r#"{{"events": [{STARTED}, {kind}]}}"#)),
        r#"events[1].eventType (event 2): unknown event type "Foo""#
    );
    let queue = STARTED.replace("TASK_QUEUE_KIND_NORMAL", "normal");
    assert_eq!(
        fail(format!(r#"{{"history": {{"events": [{queue}]}}}}"#)),
        "history.events[0].workflowExecutionStartedEventAttributes.taskQueue.kind (event 1): \
         unknown value \"normal\" of enum TaskQueueKind"
    );
    let numbered = SIGNALED.replace("\"EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED\"", "9999");
    assert_eq!(
        fail(format!("[{STARTED}, {numbered}]")),
        "[1].eventType (event 2): unknown event type 9999"
    );
    let untyped = SIGNALED.replace("eventType", "unheardOf");
    assert_eq!(
        fail(format!("[{STARTED}, {untyped}]")),
        "[1].eventType (event 2): unknown event type 0"
    );
}

#[test]
fn values_of_the_wrong_type_are_errors_that_say_where() {
    let queue = STARTED.replace("\"q\"", "7");
    let error = fail(format!(r#"{{"events": [{queue}]}}"#));
    let at = "events[0].workflowExecutionStartedEventAttributes.taskQueue.name (event 1): ";
    assert!(error.starts_with(at), "{error}");
    let time = STARTED.replace("2024-01-02", "yesterday");
    let error = fail(format!("[{time}]"));
    assert!(error.starts_with("[0].eventTime (event 1): "), "{error}");
    let queue = STARTED.replace(r#"{"name": "q", "kind": "TASK_QUEUE_KIND_NORMAL"}"#, "\"q\"");
    let error = fail(format!("[{queue}]"));
    assert!(error.contains("taskQueue (event 1): expected an object"), "{error}");
}

#[test]
fn what_is_no_history_is_refused() {
    assert_eq!(fail(""), "the file is empty");
    assert_eq!(fail("{}"), "the document is not a Temporal history: the object is empty");
    let error = fail(r#"{"a": 1, "b": [], "c": []}"#);
    assert_eq!(
        error,
        r#"the document is not a Temporal history: found an object of "a", "b", "c""#
    );
    assert_eq!(fail("{\"events\": [1]}"), "events[0] is not a Temporal history: found 1");
    assert_eq!(fail("[\n  {,"), "broken JSON at line 2, column 4: key must be a string");
    assert!(fail("{\"events\": [").starts_with("broken JSON at line 1, column 12: EOF"));
    assert_eq!(fail(b"{\"events\": \xff"), "not UTF-8 text at byte 11");
    assert!(fail("\nhello").starts_with("broken protobuf in events[0], at byte 0: "));
    let neither = "the file is not a Temporal history: found neither JSON nor protobuf with events";
    assert_eq!(fail("h1"), neither);
    assert_eq!(
        fail(format!("[{SIGNALED}, {SIGNALED}]")),
        "event 2 follows event 2: event ids must rise"
    );
}

#[test]
fn cadence_is_named() {
    for event in [
        r#"{"eventId": 2, "eventType": "DecisionTaskScheduled"}"#,
        r#"{"eventId": "2", "eventType": "EVENT_TYPE_DECISION_TASK_STARTED"}"#,
        r#"{"eventId": 2, "decisionTaskStartedEventAttributes": {}}"#,
        r#"{"eventId": 2, "timestamp": 1600000000000000000, "eventType": "TimerFired"}"#,
    ] {
        let error = fail(format!(r#"{{"events": [{STARTED}, {event}]}}"#));
        assert!(error.starts_with("events[1] is a Cadence event, not a Temporal one: "), "{error}");
    }
}

#[test]
fn broken_protobuf_says_which_event() {
    let bytes = plain().to_proto();
    let second = 2 + usize::from(bytes[1]);
    assert_eq!(
        fail(&bytes[..bytes.len() - 1]),
        format!(
            "broken protobuf in events[1], at byte {second}: cut off: 10 bytes should follow, 9 do"
        )
    );
    let error = History::from_proto(&bytes[..1]).expect_err("cut off").in_file("a/b.bin");
    assert!(error.to_string().starts_with("a/b.bin: broken protobuf in events[0]"), "{error}");
    assert!(matches!(error, ImportError::InFile { .. }));
}

/// The first event's length may look like a brace.
#[test]
fn protobuf_of_any_length_is_no_json() {
    for len in 0..200 {
        let id = "x".repeat(len);
        let text = STARTED.replace("\"w\"", &format!("{id:?}"));
        let history = read(&format!("[{text}]"));
        let bytes = history.to_proto();
        assert_eq!(History::from_bytes(&bytes).expect("protobuf"), history, "{len}");
    }
}

#[test]
fn unknown_protobuf_fields_are_kept() {
    let mut bytes = plain().to_proto();
    // Field 9999 of the last event, and of the history itself.
    let field = [0xf8, 0xf0, 0x04, 0x07];
    let last = 2 + usize::from(bytes[1]) + 1;
    bytes.extend(field);
    bytes[last] += 4;
    let history = History::from_bytes(&bytes).expect("protobuf");
    assert_eq!(history.to_proto(), bytes);
    assert!(history != plain());
    bytes.extend(field);
    let history = History::from_bytes(&bytes).expect("protobuf");
    assert_eq!((history.to_proto(), history.unknown()), (bytes, 2));
}

#[test]
fn a_number_is_the_same_in_every_form() -> Result<(), ExportError> {
    for number in ["131071.99951171875", "2.0", "0.1", "5e-324", "1.7976931348623157e+308"] {
        let policy =
            format!(r#"{{"retryPolicy": {{"backoffCoefficient": {number}}}, "workflowId""#);
        let started = STARTED.replace(r#"{"workflowId""#, &policy);
        let history = read(&format!(r#"{{"events": [{started}]}}"#));
        let text = history.to_json()?;
        assert!(text.contains(&format!(r#""backoffCoefficient": {number}"#)), "{text}");
        assert_eq!(read(&text), history, "{number}");
    }
    Ok(())
}

#[test]
fn a_time_json_cannot_say_is_an_export_error() -> Result<(), ExportError> {
    let bytes = [10, 14, 18, 10, 8, 255, 255, 255, 255, 255, 255, 255, 127, 0, 24, 1];
    let seconds = [10, 14, 18, 10, 8, 255, 255, 255, 255, 255, 255, 255, 255, 127, 24, 1];
    assert!(History::from_proto(&bytes).is_err());
    let history = History::from_proto(&seconds).expect("protobuf");
    assert!(history.to_json().is_err());
    plain().to_json().map(drop)
}
