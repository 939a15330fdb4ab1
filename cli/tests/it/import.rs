//! `kinlog import`: files, folders, failures.

use std::fs;

use super::common::{call, history, small_store};

const RUN: &str = "019f6231-90d9-7a77-a8b4-43ae8369509";

#[test]
fn a_store_that_is_not_there_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("new/store");
    let file = history(dir.path(), "a.json", "order-1", &format!("{RUN}1"));
    call(&store, ["import", file.to_str().unwrap()]).ok();
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 1);
}

#[test]
fn folders_are_searched_and_copies_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (small_store(dir.path()), dir.path().join("in"));
    let a = history(&folder, "b/a.json", "order-1", &format!("{RUN}1"));
    history(&folder, "a.binpb", "order-2", &format!("{RUN}2"));
    history(&folder, "note.txt", "order-3", &format!("{RUN}3"));
    fs::copy(&a, folder.join("b/a.json.pb")).unwrap();
    history(&folder, "alone.pb", "order-4", &format!("{RUN}4"));
    fs::write(folder.join("MANIFEST.tsv"), "file\n").unwrap();

    let out = call(&store, ["import", "--buffered", folder.to_str().unwrap()]).ok().out;
    assert!(out.contains("3  imported"), "{out}");
    assert!(out.contains("9 events in 9 commits"), "{out}");
    let runs = call(&store, ["ls", "--json"]).ok().json();
    let workflows: Vec<&str> = runs.iter().filter_map(|run| run["workflow_id"].as_str()).collect();
    assert_eq!(workflows, ["order-2", "order-4", "order-1"], "in the order of their names");

    let out = call(&store, ["import", folder.to_str().unwrap()]).ok().out;
    assert!(out.contains("3  already there") && out.contains("0 events"), "{out}");
    // A file that is named is taken, whatever it is called.
    let out = call(&store, ["import", folder.join("note.txt").to_str().unwrap()]).ok().out;
    assert!(out.contains("1  imported"), "{out}");
}

#[test]
fn files_that_fail_do_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (small_store(dir.path()), dir.path().join("in"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.json"), r#"[{"eventId": 3, "eventType": "Unheard"}]"#).unwrap();
    fs::write(folder.join("b.bin"), "").unwrap();
    fs::write(folder.join("c.json"), r#"[{"eventId": 3, "eventType": "TimerFired"}]"#).unwrap();
    history(&folder, "d.json", "order-1", &format!("{RUN}1"));
    let missing = dir.path().join("missing");
    let out = call(&store, ["import", missing.to_str().unwrap(), folder.to_str().unwrap()]);
    let out = out.fails(4, "").out;
    for (file, reason) in [
        ("missing", "No such file"),
        ("a.json", "[0].eventType (event 3): unknown event type \"Unheard\""),
        ("b.bin", "the file is empty"),
        ("c.json", "event 3 is a TimerFired: a history begins with WorkflowExecutionStarted"),
    ] {
        let line = out.lines().find(|line| line.contains(file)).unwrap_or_default();
        assert!(line.contains(reason), "{out}");
    }
    assert!(out.contains("1  imported") && out.contains("4  failed"), "{out}");
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 1);
}

#[test]
fn an_edited_copy_is_kept_beside_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_store(dir.path());
    let first = history(dir.path(), "a.json", "order-1", &format!("{RUN}1"));
    let second = history(dir.path(), "b.json", "order-2", &format!("{RUN}1"));
    let out = call(&store, ["import", first.to_str().unwrap(), second.to_str().unwrap()]).ok().out;
    assert!(out.contains("2  imported"), "{out}");
    assert!(out.contains("1 of them is kept under another id"), "{out}");
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 2);
}

#[test]
fn where_there_is_nothing_to_import_no_store_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let store = dir.path().join("store");
    let called = call(&store, ["import", empty.to_str().unwrap()]).fails(4, "");
    assert!(!store.exists());
    assert!(called.out.contains("there are no histories in this folder"), "{}", called.out);
}
