//! `kinlog duties`.

use serde_json::json;

use super::common::call;
use super::family::{family, hostile, id, many_children};

#[test]
fn duties_are_listed_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let out = call(&store, ["duties"]).ok().out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    let run = id(1).to_string();
    let ends = |line: usize, what: &str| lines[line].ends_with(what);
    assert!(ends(1, &format!("StartChild   {run}  order-42      9")), "{out}");
    assert!(ends(2, &format!("ReportClose  {run}  order-42     12")), "{out}");
    assert!(lines[1].contains("s  StartChild"), "an age: {out}");
    assert_eq!(lines[3], "2 duties: 1 StartChild, 1 ReportClose");
    let listed = call(&store, ["ls"]).ok().out;
    assert!(listed.ends_with("2 duties open in the store: `kinlog duties`\n"), "{listed}");
}

#[test]
fn duties_are_picked_by_kind_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let kinds = |args: &[&str]| -> Vec<String> {
        let lines = call(&store, ["duties", "--json"].iter().chain(args)).ok().json();
        lines.iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&[]), ["StartChild", "ReportClose"]);
    assert_eq!(kinds(&["--kind", "report-close"]), ["ReportClose"]);
    let both = ["--kind", "start-child", "--kind", "report-close"];
    assert_eq!(kinds(&both), ["StartChild", "ReportClose"]);
    assert_eq!(kinds(&["--run", "order-42", "--limit", "1"]), ["StartChild"]);
    assert_eq!(kinds(&["--run", "mail", "--namespace", "shop"]), [""; 0]);
    call(&store, ["duties", "--run", "nobody"]).fails(5, "there is no run \"nobody\"");
    call(&store, ["duties", "--kind", "chore"]).fails(2, "possible values");
    let cut = call(&store, ["duties", "--limit", "1"]).ok().out;
    assert!(cut.ends_with("1 of 2 duties: 1 StartChild, 1 ReportClose\n"), "{cut}");
}

#[test]
fn a_duty_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = hostile(dir.path());
    let duties = call(&store, ["duties", "--json"]).ok().json();
    let mut signal = duties[1].clone();
    assert!(signal["since"].take().is_u64() && signal["since_time"].take().is_string());
    let expected = json!({
        "since": null, "since_time": null, "kind": "DeliverSignal", "run_id": id(1).to_string(),
        "namespace": super::family::HOSTILE, "workflow_id": super::family::HOSTILE,
        "initiated_event_id": 3,
    });
    assert_eq!(signal, expected);
}

#[test]
fn where_nothing_is_to_be_done_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = many_children(dir.path(), 1);
    assert_eq!(
        call(&store, ["duties"]).ok().out,
        "no open duties: what must follow has happened\n"
    );
    assert!(!call(&store, ["ls"]).ok().out.contains("duties"));
}
