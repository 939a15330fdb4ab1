//! `kinlog demo`.

use super::common::call;

#[test]
fn the_demo_works_again_and_leaves_the_first_store_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("kinlog-data");
    let demo = ["demo", "--children", "5", "--activities", "4"];
    let out = call(&store, demo).ok().out;
    assert!(out.contains("5 children of 4 activities each"), "{out}");
    // 1 + 5 × (3 + 3 × 4) + 2 events before the fan-out; 1 + 1 + 5 × 2 + 2 commits.
    let number = |name: &str| {
        let line = out.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!((number("events"), number("commits")), ("78".to_owned(), "14".to_owned()));
    assert!(out.contains("✓ sound, every event, sum and relation of 6 runs"), "{out}");

    let runs = call(&store, ["ls", "--json"]).ok().json();
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run["namespace"] == "demo"));
    let parent = call(&store, ["show", "fulfilment", "--json"]).ok().json();
    let kinds = |kind: &str| parent.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!(kinds("StartChildWorkflowExecutionInitiated"), 5);
    assert_eq!(kinds("ChildWorkflowExecutionStarted"), 5);
    assert_eq!(kinds("ChildWorkflowExecutionCompleted"), 1);

    let again = call(&store, demo).ok().out;
    assert!(again.contains("it is left alone") && again.contains("demo-2"), "{again}");
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 6);
    assert_eq!(call(&store.join("demo-2"), ["ls", "--json"]).ok().json().len(), 6);
    assert!(call(&store, demo).ok().out.contains("demo-3"));
}

#[test]
fn the_children_follow_their_policies_and_can_be_looked_at_as_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("kinlog-data");
    let out = call(&store, ["demo", "--children", "12", "--activities", "1"]).ok().out;
    // The commands at the end work as they are printed.
    let typed = |command: &str| {
        let line = out.lines().find(|line| line.contains(command)).unwrap_or_default();
        let said = format!("kinlog --store {} {command}  ", store.display());
        assert!(line.trim_start().starts_with(&said), "{out}");
        call(&store, command.split(' ')).ok().out
    };
    let tree = typed("tree fulfilment");
    let count = |what: &str| tree.lines().filter(|line| line.contains(what)).count();
    assert!(tree.starts_with("fulfilment  Completed  "), "{tree}");
    assert_eq!(count("─ order-"), 12);
    assert_eq!((count("  Completed  terminate  "), count("  Completed  request cancel  ")), (1, 1));
    assert_eq!(count("  Terminated  terminate  "), 3);
    assert_eq!(count("  asked to cancel"), 3);
    assert_eq!(count("  Running  abandon  "), 4);
    let closed = typed("children fulfilment --state closed");
    assert!(closed.contains("\n5 children, "), "{closed}");
    assert!(typed("show fulfilment --limit 20").contains("children   12 (7 open)"));
    assert!(call(&store, ["duties"]).ok().out.starts_with("no open duties"));
}

#[test]
fn a_parent_may_have_more_events_than_the_default_limit() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["demo", "--children", "17200", "--activities", "0", "--durability", "buffered"];
    let out = call(dir.path(), args).ok().out;
    assert!(out.contains("✓ sound"), "{out}");
    let parent = call(dir.path(), ["show", "fulfilment", "--json", "--reverse", "--limit", "1"]);
    assert_eq!(parent.ok().json()[0]["id"], 2 * 17_200 + 1_720 + 2);
}

#[test]
fn no_children_are_few_but_enough() {
    let dir = tempfile::tempdir().unwrap();
    let out = call(dir.path(), ["demo", "--children", "0"]).ok().out;
    assert!(out.contains("0 children"), "{out}");
}
