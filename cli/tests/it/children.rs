//! `kinlog children`.

use serde_json::json;

use super::common::call;
use super::family::{family, id, many_children};

#[test]
fn children_are_listed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let out = call(&store, ["children", "order-42"]).ok().out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 1 + 6 + 1, "{out}");
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(1)[..6], ["2", "ship", "Step", "request", "cancel", "Running"]);
    assert!(lines[1].contains(&id(3).to_string()) && lines[1].ends_with("2 runs"), "{out}");
    assert_eq!(words(2)[..5], ["4", "bill", "Step", "terminate", "Completed"]);
    assert!(lines[3].ends_with("asked to cancel"), "{out}");
    assert_eq!(words(4), ["9", "pack", "Step", "terminate", "to", "be", "started"]);
    assert_eq!(words(5), ["10", "ghost", "Step", "terminate", "start", "failed"]);
    assert!(lines[6].ends_with("the parent was not told"), "{out}");
    assert!(lines[7].starts_with("6 children, 11 events, "), "{out}");
    call(&store, ["children", "nobody"]).fails(5, "there is no run");
    let none = call(&store, ["children", "bill"]).ok().out;
    assert!(none.starts_with("0 children, "), "{none}");
    let shown = call(&store, ["show", "order-42"]).ok().out;
    assert!(shown.contains("children   6 (3 open)\n"), "{shown}");
    let shown = call(&store, ["show", "label"]).ok().out;
    assert!(shown.contains(&format!("parent     ship, run {}, event 2\n", id(3))), "{shown}");
    assert!(shown.contains(&format!("root       order-42, run {}\n", id(1))), "{shown}");
}

#[test]
fn children_are_picked_by_state_and_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let names = |args: &[&str]| -> Vec<String> {
        let args = ["children", "order-42", "--json"].iter().chain(args);
        let lines = call(&store, args).ok().json();
        lines.iter().map(|line| line["workflow_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--open"]), ["ship", "mail", "pack"]);
    assert_eq!(names(&["--state", "closed"]), ["bill", "late"]);
    assert_eq!(names(&["--state", "running"]), ["ship", "mail"]);
    assert_eq!(names(&["--state", "initiated"]), ["pack"]);
    assert_eq!(names(&["--state", "start-failed"]), ["ghost"]);
    assert_eq!(names(&["--after", "4", "--limit", "2"]), ["mail", "pack"]);
    call(&store, ["children", "order-42", "--state", "asleep"]).fails(2, "possible values");
    call(&store, ["children", "order-42", "--open", "--state", "closed"]).fails(2, "cannot be");
}

#[test]
fn a_limit_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = many_children(dir.path(), 30);
    let first = call(&store, ["children", "wide", "--limit", "10"]).ok().out;
    assert!(first.ends_with("more follow: --after 20\n"), "{first}");
    let next = call(&store, ["children", "wide", "--after", "20"]).ok().out;
    assert!(next.contains("  c-11  ") && !next.contains("  c-10  "), "{next}");
    assert!(!next.contains("more follow"), "{next}");
    let none = call(&store, ["children", "wide", "--limit", "0"]).ok().out;
    assert!(none.ends_with("more follow: --after 0\n"), "{none}");
}

#[test]
fn a_child_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let mut late = call(&store, ["children", "order-42", "--json"]).ok().json().remove(5);
    assert!(late["bytes"].take().as_u64().is_some_and(|bytes| bytes > 100));
    let expected = json!({
        "parent_run_id": id(1).to_string(), "initiated_event_id": 12, "workflow_id": "late",
        "workflow_type": "Step", "policy": "Terminate", "state": "Closed", "outcome": "Failed",
        "reported": false, "first_run_id": id(7).to_string(),
        "current_run_id": id(7).to_string(), "cancel_requested": false, "is_here": true,
        "held_by": null, "runs": 1, "events": 2, "bytes": null,
    });
    assert_eq!(late, expected);
}
