//! Runs that an engine wrote, as histories for Temporal's tools.

use kinlog::event::WorkflowTask;
use kinlog::{
    Body, Close, EventKind, NewChild, NewEvent, NewReset, NewRun, NextRun, RunId, Store, Target,
};
use kinlog_temporal::{History, export_live};
use serde_json::{Value, json};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = kinlog::Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
    (dir, store)
}

fn export(store: &Store, run: &RunId) -> Vec<Value> {
    let history = export_live(&store.history(run).unwrap()).unwrap();
    // It is a history like any other.
    assert_eq!(History::from_proto(&history.to_proto()).unwrap(), history);
    let text = history.to_json().unwrap();
    assert_eq!(History::from_json(&text).unwrap(), history);
    let read: Value = serde_json::from_str(&text).unwrap();
    read["events"].as_array().unwrap().clone()
}

/// The attributes of an event, whatever they are called.
fn attributes(event: &Value) -> &Value {
    let mut fields = event.as_object().unwrap().iter();
    fields.find(|(name, _)| name.ends_with("EventAttributes")).unwrap().1
}

/// The payload that was written as these bytes.
fn payload(encoding: &str, data: &str) -> Value {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    json!({ "payloads": [{ "metadata": { "encoding": encode(encoding) }, "data": encode(data) }] })
}

#[test]
fn a_parent_and_its_child_are_told_with_the_names_that_temporal_repeats() {
    let (_dir, store) = store();
    let mut tx = store.begin();
    let order = NewRun::new("shop", "order", "Order").task_queue("q").input(br#"{"eur":42}"#);
    let parent = tx.start(order).unwrap();
    let kid =
        tx.spawn_child(&parent, NewChild::new("ship", "Shipping").input(b"\xff")).unwrap().run;
    tx.signal_external(&parent, Target::workflow("ship"), "hurry", b"1").unwrap();
    tx.cancel_external(&parent, Target::workflow("nobody")).unwrap();
    tx.commit().unwrap();
    store.settle_all().unwrap();
    store.close_run(&kid, Close::failed(b"lost at sea")).unwrap();
    store.settle_all().unwrap();
    store.close_run(&parent, Close::completed(b"ok")).unwrap();

    let events = export(&store, &parent);
    let kinds: Vec<_> = events.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    let expected = [
        "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
        "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED",
        "EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        "EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
        "EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
        "EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
        "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",
    ];
    assert_eq!(kinds, expected);
    let (first, child) = (parent.to_string(), kid.to_string());
    assert_eq!(attributes(&events[0])["originalExecutionRunId"], json!(first));
    assert_eq!(attributes(&events[0])["attempt"], 1, "attempts are counted from 1");
    assert_eq!(attributes(&events[0])["input"], payload("json/plain", r#"{"eur":42}"#));
    let ship = json!({ "workflowId": "ship", "runId": child });
    for event in [2, 7] {
        assert_eq!(attributes(&events[event])["workflowExecution"], ship);
        assert_eq!(attributes(&events[event])["workflowType"], json!({ "name": "Shipping" }));
        assert_eq!(attributes(&events[event])["initiatedEventId"], "2");
    }
    assert_eq!(attributes(&events[5])["workflowExecution"], json!({ "workflowId": "ship" }));
    assert_eq!(attributes(&events[6])["workflowExecution"], json!({ "workflowId": "nobody" }));
    assert_eq!(attributes(&events[7])["failure"]["message"], "lost at sea");
    assert_eq!(attributes(&events[8])["result"], payload("binary/plain", "ok"));
    let started = export(&store, &kid).remove(0);
    let parent = json!({ "workflowId": "order", "runId": first });
    assert_eq!(attributes(&started)["parentWorkflowExecution"], parent);
    assert_eq!(attributes(&started)["parentInitiatedEventId"], "2");
}

#[test]
fn a_reset_fails_the_last_workflow_task_and_an_event_that_says_nothing_has_attributes() {
    let (_dir, store) = store();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order", "Order").task_queue("q")).unwrap();
    tx.append(&run, NewEvent::opaque(EventKind::WORKFLOW_TASK_SCHEDULED, b"")).unwrap();
    let task = WorkflowTask { scheduled_event_id: 2, started_event_id: 0 };
    tx.append(&run, NewEvent::new(Body::WorkflowTaskStarted(task))).unwrap();
    let task = WorkflowTask { started_event_id: 3, ..task };
    tx.append(&run, NewEvent::new(Body::WorkflowTaskCompleted(task))).unwrap();
    tx.request_cancel(&run, b"").unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    let again = tx.reset(&run, NewReset::to(3).reason("a bad deployment")).unwrap();
    tx.commit().unwrap();

    let events = export(&store, &again);
    let scheduled = json!({ "taskQueue": { "name": "q" } });
    assert_eq!(*attributes(&events[1]), scheduled);
    let reset = json!({
        "scheduledEventId": "2",
        "startedEventId": "3",
        "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW",
        "failure": { "message": "a bad deployment" },
        "baseRunId": run.to_string(),
        "newRunId": again.to_string(),
    });
    assert_eq!(*attributes(&events[3]), reset);
    assert_eq!(*attributes(&export(&store, &run)[4]), json!({}), "asked by nobody we know");
}

#[test]
fn a_run_that_goes_on_names_the_next_one() {
    let (_dir, store) = store();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order", "Order").task_queue("q")).unwrap();
    let next = tx.continue_as_new(&run, NextRun::new("Order")).unwrap();
    tx.commit().unwrap();
    let expected = json!({
        "newExecutionRunId": next.to_string(),
        "workflowType": { "name": "Order" },
        "taskQueue": { "name": "q" },
        "initiator": "CONTINUE_AS_NEW_INITIATOR_WORKFLOW",
    });
    assert_eq!(*attributes(&export(&store, &run)[1]), expected);
}

#[test]
fn what_only_the_engine_understands_is_a_marker() {
    let (_dir, store) = store();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order", "Order")).unwrap();
    let own = EventKind::from_number(EventKind::FIRST_CUSTOM);
    tx.append(&run, NewEvent::opaque(own, b"7")).unwrap();
    let update = EventKind::WORKFLOW_EXECUTION_UPDATE_ACCEPTED;
    tx.append(&run, NewEvent::opaque(update, b"")).unwrap();
    tx.commit().unwrap();
    let events = export(&store, &run);
    let marker = json!({
        "markerName": "Kind1024",
        "details": { "payload": payload("json/plain", "7") },
    });
    assert_eq!(*attributes(&events[1]), marker);
    assert_eq!(*attributes(&events[2]), json!({ "markerName": "WorkflowExecutionUpdateAccepted" }));
    assert!(events[1..].iter().all(|event| event["eventType"] == "EVENT_TYPE_MARKER_RECORDED"));
}
