//! Which run is meant by what was typed.

use std::path::{Path, PathBuf};

use kinlog::{NewRun, RunId, Store};

use super::common::{call, small_store};

/// The run id of this hexadecimal form.
fn id(text: &str) -> RunId {
    text.parse().unwrap()
}

const IDS: [&str; 3] = [
    "01a20000-0000-7000-8000-000000000001",
    "42000000-0000-7000-8000-000000000002",
    "42000000-0000-7000-8000-000000000003",
];

/// Runs whose workflow ids are the beginnings of ids of other runs.
fn store(dir: &Path) -> PathBuf {
    let path = small_store(dir);
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    for (run, workflow_id) in IDS.into_iter().zip(["42", "0", "01"]) {
        tx.start(NewRun::new("shop", workflow_id, "Order").id(id(run))).unwrap();
    }
    tx.start(NewRun::new("shop", "-7", "Order").id(RunId::from_bytes([7; 16]))).unwrap();
    tx.start(NewRun::new("shop", "--json", "Order").id(RunId::from_bytes([8; 16]))).unwrap();
    tx.commit().unwrap();
    store.shut_down().unwrap();
    path
}

/// Of the run that a command shows.
fn shown(store: &Path, args: &[&str]) -> String {
    let lines = call(store, ["show", "--json", "--limit", "1"].iter().chain(args)).ok().json();
    lines[0]["run_id"].as_str().unwrap().to_owned()
}

/// kinlog's own run ids all begin with the digits of the time, so `0` and `01` begin every one.
#[test]
fn a_workflow_id_goes_before_the_beginning_of_a_run_id() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for (run, workflow_id) in IDS.into_iter().zip(["42", "0", "01"]) {
        assert_eq!(shown(&store, &[workflow_id]), run);
        assert_eq!(shown(&store, &[workflow_id, "--namespace", "shop"]), run);
    }
    assert_eq!(shown(&store, &["01a"]), IDS[0]);
    assert_eq!(shown(&store, &["42000000-0000-7000-8000-000000000003"]), IDS[2]);
    call(&store, ["show", "4200"]).fails(5, "may be any of 2 runs, type more of its id");
    let duties = ["duties", "--run", "42", "--json"];
    assert!(call(&store, duties).ok().out.is_empty());
}

#[test]
fn a_namespace_tells_workflows_of_one_id_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    for (run, namespace) in IDS.into_iter().zip(["east", "west"]) {
        tx.start(NewRun::new(namespace, "42", "Order").id(id(run))).unwrap();
    }
    tx.commit().unwrap();
    store.shut_down().unwrap();
    call(&path, ["show", "42"]).fails(5, "may be any of 2 runs, --namespace says which");
    assert_eq!(shown(&path, &["42", "--namespace", "west"]), IDS[1]);
    call(&path, ["show", IDS[0], "--namespace", "west"]).fails(5, "there is no run");
}

#[test]
fn ids_may_begin_with_a_hyphen() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let run = RunId::from_bytes([7; 16]).to_string();
    assert_eq!(shown(&store, &["-7"]), run);
    let of_run = ["tree", "chain", "children", "show"];
    for command in of_run {
        call(&store, [command, "-7", "--json"]).ok();
    }
    call(&store, ["duties", "--run", "-7", "--namespace", "shop"]).ok();
    assert_eq!(call(&store, ["ls", "--json", "--workflow", "-7"]).ok().json().len(), 1);
    // One that is an option, too, is told apart by what goes before it.
    let option = RunId::from_bytes([8; 16]).to_string();
    assert_eq!(shown(&store, &["--", "--json"]), option);
    assert_eq!(call(&store, ["ls", "--json", "--workflow", "--json"]).ok().json().len(), 1);
    // A hyphen is no digit of a run id.
    call(&store, ["show", "-01a2"]).fails(5, "there is no run \"-01a2\"");
    call(&store, ["show", "-7", "--namespace", "-none"]).fails(5, "there is no run");
}
