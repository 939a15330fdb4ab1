//! What this version of Temporal's API does not know: kept or refused, and never gone.

use kinlog::{Durability, Options, Store};
use kinlog_temporal::{
    History, ImportError, ImportOptions, ReadOptions, Unknown, export, import, read_histories,
};

fn read(bytes: impl AsRef<[u8]>, unknown: Unknown) -> Result<History, ImportError> {
    let mut found = vec![];
    read_histories(bytes.as_ref(), ReadOptions { unknown }, |history| {
        found.push(history);
        Ok::<(), ImportError>(())
    })?;
    assert_eq!(found.len(), 1);
    Ok(found.remove(0))
}

fn fail(bytes: impl AsRef<[u8]>, unknown: Unknown) -> String {
    read(bytes, unknown).expect_err("it is refused").to_string()
}

/// Out of a store, a history is what it was.
fn through_store(history: &History) {
    let dir = tempfile::tempdir().expect("a directory");
    let store: Store = Options::new().segment_bytes(1 << 20).open(dir.path()).expect("a store");
    let options = ImportOptions { durability: Durability::Buffered, ..Default::default() };
    let run = import(&store, history, &options).expect("an import").run_id;
    let stored = export(&store.history(&run).expect("a run")).expect("an export");
    assert_eq!(stored, *history);
    assert_eq!(stored.to_proto(), history.to_proto());
    store.verify(|_| {}).expect("a sound store");
}

fn events(second: &str) -> String {
    format!(
        r#"[{{"eventId": "1", "eventType": "WorkflowExecutionStarted",
            "workflowExecutionStartedEventAttributes": {{"workflowId": "w"}}}}, {second}]"#
    )
}

const TIMER: &str = r#"{"eventId": "2", "eventType": "TimerStarted",
        "timerStartedEventAttributes": {"timerId": "t"}}"#;

#[test]
fn an_unknown_field_is_kept_as_it_is_written_or_refused_by_name() {
    let text = events(
        r#"{"eventId": "2", "eventType": "TimerStarted", "zeal": null, "timerStartedEventAttributes":
            {"timerId": "t", "somethingNew": {"b": 1.0, "a": [1e400]}, "another": "x"}}"#,
    );
    let error = fail(&text, Unknown::Refuse);
    assert_eq!(error, "[1].timerStartedEventAttributes (event 2): unknown field somethingNew");
    for unknown in [Unknown::KeepFields, Unknown::Keep] {
        let history = read(&text, unknown).expect("it is kept");
        assert_eq!(history.unknown(), 2);
        let json = history.to_json().expect("JSON");
        assert!(json.contains(r#""somethingNew": {"b":1.0,"a":[1e400]}"#), "{json}");
        assert_eq!(read(&json, unknown).expect("JSON"), history);
        assert_eq!(read(history.to_proto(), unknown).expect("protobuf"), history);
        through_store(&history);
    }
}

#[test]
fn an_unknown_event_type_is_refused_by_name_or_kept_if_asked() {
    let text = events(
        r#"{"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_REDECORATED",
            "workflowRedecoratedEventAttributes": {"colour": "blue"}}"#,
    );
    for unknown in [Unknown::Refuse, Unknown::KeepFields] {
        let error = fail(&text, unknown);
        let says =
            r#"[1].eventType (event 2): unknown event type "EVENT_TYPE_WORKFLOW_REDECORATED""#;
        assert_eq!(error, says);
    }
    let history = read(&text, Unknown::Keep).expect("it is kept");
    assert_eq!(history.unknown(), 2);
    let json = history.to_json().expect("JSON");
    assert!(json.contains(r#""workflowRedecoratedEventAttributes": {"colour":"blue"}"#), "{json}");
    assert!(json.contains(r#""eventType": "EVENT_TYPE_WORKFLOW_REDECORATED""#), "{json}");
    assert_eq!(read(&json, Unknown::Keep).expect("JSON"), history);
    through_store(&history);
    // A number is kept as one, up to those that an engine gives its own events.
    for (number, by_default) in [(900, true), (1024, false), (70_000, false), (-1, false)] {
        let text = events(&format!(r#"{{"eventId": "2", "eventType": {number}}}"#));
        assert_eq!(read(&text, Unknown::KeepFields).is_ok(), by_default, "{number}");
        assert!(fail(&text, Unknown::Refuse).contains("unknown event type"), "{number}");
        let history = read(&text, Unknown::Keep).expect("it is kept");
        assert!(history.to_json().expect("JSON").contains(&format!("\"eventType\": {number}")));
        through_store(&history);
    }
    assert!(fail(events(r#"{"eventId": "2"}"#), Unknown::Keep).contains("unknown event type 0"));
}

#[test]
fn an_unknown_enum_value_is_refused_by_name_or_kept_if_asked() {
    let text = events(
        r#"{"eventId": "2", "eventType": "WorkflowTaskFailed", "workflowTaskFailedEventAttributes":
            {"cause": "WORKFLOW_TASK_FAILED_CAUSE_OF_NEXT_YEAR", "identity": "me"}}"#,
    );
    let error = fail(&text, Unknown::KeepFields);
    assert!(error.contains("unknown value \"WORKFLOW_TASK_FAILED_CAUSE_OF_NEXT_YEAR\""), "{error}");
    let history = read(&text, Unknown::Keep).expect("it is kept");
    let json = history.to_json().expect("JSON");
    assert!(json.contains(r#""cause": "WORKFLOW_TASK_FAILED_CAUSE_OF_NEXT_YEAR""#), "{json}");
    through_store(&history);
}

#[test]
fn enum_values_of_earlier_servers_are_read() {
    let of = |kind: &str, key: &str, origin: &str| {
        let text = events(&format!(
            r#"{{"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_{kind}",
                "workflowExecutionUpdate{key}EventAttributes": {{"origin": "UPDATE_{origin}_REAPPLY"}}}}"#
        ));
        read(text, Unknown::Refuse).expect("it is known")
    };
    let now = of("ADMITTED", "Admitted", "ADMITTED_EVENT_ORIGIN");
    assert!(now.to_json().expect("JSON").contains("UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY"));
    assert_eq!(of("ADMITTED", "Admitted", "REQUESTED_EVENT_ORIGIN"), now);
    assert_eq!(of("REQUESTED", "Requested", "REQUESTED_EVENT_ORIGIN"), now);
}

/// An event of type 61 with two fields that are not known, a field in its attributes and one beside
/// the events.
#[test]
fn a_protobuf_history_of_a_newer_server_comes_back_byte_for_byte() {
    let mut bytes = read(events(TIMER), Unknown::Refuse).expect("a history").to_proto();
    bytes.extend([
        10, 18, 8, 3, 24, 200, 6, 0xfa, 0x04, 2, 8, 1, 0xc2, 0x3e, 1, 9, 0xf8, 0xf0, 4, 7,
    ]);
    bytes.extend([0x7a, 2, b'h', b'i', 0x80, 1, 5]);
    let history = read(&bytes, Unknown::KeepFields).expect("it is kept");
    assert_eq!(history.to_proto(), bytes);
    assert_eq!(history.unknown(), 3 + 1 + 2);
    through_store(&history);
    let error = history.to_json().expect_err("JSON has no names for it").to_string();
    assert!(error.contains("event 3 has the field 79 of a newer server"), "{error}");
    let error = fail(&bytes, Unknown::Refuse);
    assert!(error.contains("events[2].eventType (event 3): unknown event type 840"), "{error}");
    // Beside the first event there is nothing to keep it with.
    let error = fail(
        [0x7a, 2, b'h', b'i'].iter().chain(&bytes).copied().collect::<Vec<_>>(),
        Unknown::Keep,
    );
    assert!(error.contains("neither JSON nor protobuf"), "{error}");
}

/// Of an event whose type is known, a field of its own and one in its attributes; and one beside the events.
#[test]
fn an_unknown_field_of_protobuf_is_refused_by_its_number() {
    // The event 3, of type 2: the workflow has completed.
    let event = [0x08, 3, 0x18, 2];
    let field_79 = [0xf8, 0x04, 1];
    let attributes = [&[0x3a, 3][..], &field_79].concat();
    let in_event = [&event[..], &field_79].concat();
    let in_attributes = [&event[..], &attributes].concat();
    for (unknown_in, event) in [("the event", in_event), ("its attributes", in_attributes)] {
        let first = read(events(TIMER), Unknown::Refuse).expect("a history").to_proto();
        let len = u8::try_from(event.len()).expect("a byte");
        let bytes = [&first[..], &[10, len], &event].concat();
        assert!(read(&bytes, Unknown::KeepFields).is_ok(), "{unknown_in}");
        let error = fail(&bytes, Unknown::Refuse);
        assert!(error.contains("number 79"), "{unknown_in}: {error}");
    }
    let mut beside = read(events(TIMER), Unknown::Refuse).expect("a history").to_proto();
    beside.extend([0x7a, 2, b'h', b'i']);
    assert!(read(&beside, Unknown::KeepFields).is_ok());
    let error = fail(&beside, Unknown::Refuse);
    assert!(error.contains("number 15"), "{error}");
}

#[test]
fn the_details_of_the_old_web_ui_are_the_attributes() {
    let text = events(
        r#"{"eventId": "2", "eventType": "MarkerRecorded", "details": {"markerName": "m"}}"#,
    )
    .replace("workflowExecutionStartedEventAttributes", "details");
    let history = read(&text, Unknown::Refuse).expect("a history");
    assert_eq!(history.workflow_id(), Some("w"));
    assert!(history.to_json().expect("JSON").contains(r#""markerName": "m""#));
    // Beside attributes it is a field like others that nobody knows.
    let both = events(
        r#"{"eventId": "2", "eventType": "MarkerRecorded", "details": {},
            "markerRecordedEventAttributes": {"markerName": "m"}}"#,
    );
    assert!(fail(both, Unknown::Refuse).contains("unknown field details"));
}

#[test]
fn a_memo_without_the_object_around_it_is_read() {
    let of = |memo: &str| {
        let text = events(r#"{"eventId": "2", "eventType": "WorkflowTaskScheduled"}"#);
        read(text.replace(r#""w""#, &format!(r#""w", {memo}"#)), Unknown::Refuse)
    };
    let spelled = of(r#""memo": {"fields": {"note": "a", "n": 1}},
        "searchAttributes": {"indexedFields": {"k": [1]}}, "header": {}"#);
    let flat = of(r#""memo": {"note": "a", "n": 1}, "searchAttributes": {"k": [1]}, "header": {}"#);
    assert_eq!(flat.expect("a history"), spelled.expect("a history"));
}

#[test]
fn an_event_that_does_not_say_what_it_is_about_is_not_imported() {
    let dir = tempfile::tempdir().expect("a directory");
    let store: Store = Options::new().segment_bytes(1 << 20).open(dir.path()).expect("a store");
    let refused = |text: &str| {
        let history = read(text, Unknown::Keep).expect("it reads");
        let error = import(&store, &history, &ImportOptions::default()).expect_err(text);
        assert!(matches!(error, ImportError::NoAttributes { .. }), "{error}");
        assert_eq!(store.stats().expect("stats").commits, 0);
        error.to_string()
    };
    let error = refused(r#"[{"eventId": "1", "eventType": "WorkflowExecutionStarted"}]"#);
    assert_eq!(error, "event 1 is a WorkflowExecutionStarted without attributes");
    for kind in ["ActivityTaskScheduled", "TimerFired", "WorkflowExecutionSignaled"] {
        let error = refused(&events(&format!(r#"{{"eventId": "2", "eventType": "{kind}"}}"#)));
        assert_eq!(error, format!("event 2 is a {kind} without attributes"));
    }
}
