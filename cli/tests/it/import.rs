//! `kinlog import`: files, folders, failures.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::common::{call, called, command, history, small_store};

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

/// A folder is imported once more after some of its runs have expired.
#[test]
fn runs_that_were_deleted_do_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (small_store(dir.path()), dir.path().join("in"));
    for number in 1..=3 {
        history(
            &folder,
            &format!("{number}.pb"),
            &format!("order-{number}"),
            &format!("{RUN}{number}"),
        );
    }
    let import = || call(&store, ["import", folder.to_str().unwrap()]);
    import().ok();
    call(&store, ["delete", &format!("{RUN}1")]).ok();
    history(&folder, "4.pb", "order-4", &format!("{RUN}4"));
    let out = import().fails(4, "").out;
    assert!(out.contains("1  imported") && out.contains("2  already there"), "{out}");
    assert!(out.contains(&format!("run {RUN}1 was deleted")), "{out}");
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

/// A history of a start alone, on one line.
fn line(number: u32, more: &str) -> String {
    let (kind, id) = ("workflowExecutionStartedEventAttributes", format!("{RUN}{number}"));
    let attributes =
        format!(r#"{{"workflowId": "w-{number}", "originalExecutionRunId": "{id}"{more}}}"#);
    format!(
        r#"{{"events": [{{"eventId": "1", "eventType": "WorkflowExecutionStarted", "{kind}": {attributes}}}]}}"#
    )
}

fn run_of(number: u32) -> String {
    format!("{RUN}{number}")
}

#[test]
fn standard_input_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_store(dir.path());
    let mut child = command(&store)
        .args(["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = format!("{}\n{}\n", line(1, ""), line(2, ""));
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let out = called(child.wait_with_output().unwrap()).ok().out;
    assert!(out.contains("2  imported") && out.contains("2 events in 2 commits"), "{out}");
    // An export goes in again as it came out.
    let other = dir.path().join("other");
    for format in ["json", "proto"] {
        let export = call(&store, ["export", &run_of(1), "--format", format]).ok().bytes;
        let file = dir.path().join(format);
        fs::write(&file, &export).unwrap();
        call(&other, ["import", file.to_str().unwrap()]).ok();
        assert_eq!(call(&other, ["export", &run_of(1), "--format", format]).ok().bytes, export);
    }
}

#[test]
fn a_folder_is_searched_for_files_and_links_to_them_only() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (small_store(dir.path()), dir.path().join("in"));
    fs::create_dir(&folder).unwrap();
    for (number, name) in [(1, "a.jsonl"), (2, "b.ndjson"), (3, "c.history"), (4, "d.json.txt")] {
        fs::write(folder.join(name), line(number, "")).unwrap();
    }
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, line(5, "")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.join("e.json")).unwrap();
    std::os::unix::fs::symlink(&folder, folder.join("f.json")).unwrap();
    std::os::unix::fs::symlink(Path::new("/dev/zero"), folder.join("g.json")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("h.json")).status().unwrap().success());
    fs::write(folder.join("i.pb.gz"), "no gzip").unwrap();
    let out = call(&store, ["import", folder.to_str().unwrap()]).fails(4, "").out;
    assert!(out.contains("4  imported") && out.contains("1  failed"), "{out}");
    assert!(out.contains("i.pb.gz") && out.contains("neither JSON nor protobuf"), "{out}");
}

#[test]
fn what_is_not_known_is_kept_counted_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.json");
    fs::write(&file, line(1, r#", "newField": {"b": 1, "a": 1e400}"#)).unwrap();
    let path = file.to_str().unwrap();
    let store = dir.path().join("store");
    let out = call(&store, ["import", "--unknown", "refuse", path]).fails(4, "").out;
    assert!(
        out.contains("(event 1): unknown field newField, which `--unknown fields` keeps"),
        "{out}"
    );
    assert!(out.contains("0 events in 0 commits"), "{out}");
    let out = call(&store, ["import", path]).ok().out;
    assert!(out.contains("1  imported") && out.contains("1 unknown field kept"), "{out}");
    let export = call(&store, ["export", &run_of(1)]).ok().out;
    assert!(export.contains(r#""newField": {"b":1,"a":1e400}"#), "{export}");

    let text = line(2, "")
        .replace("WorkflowExecutionStarted\"", "WorkflowExecutionStarted\", \"links\": []")
        .replace("}]}", "}, {\"eventId\": \"2\", \"eventType\": \"OfNextYear\"}]}");
    fs::write(&file, text).unwrap();
    let out = call(&store, ["import", path]).fails(4, "").out;
    assert!(
        out.contains("unknown event type \"OfNextYear\", which `--unknown keep` keeps"),
        "{out}"
    );
    call(&store, ["show", &run_of(2)]).fails(5, "");
    let out = call(&store, ["import", "--unknown", "keep", path]).ok().out;
    assert!(out.contains("1 unknown field kept"), "{out}");
    let export = call(&store, ["export", &run_of(2)]).ok().out;
    assert!(export.contains(r#""eventType": "OfNextYear""#), "{export}");
    call(&store, ["show", &run_of(2)]).ok();
    call(&store, ["verify"]).ok();
}

#[test]
fn a_file_is_imported_up_to_what_is_broken_and_the_summary_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (store, file) = (small_store(dir.path()), dir.path().join("a.jsonl"));
    // The second is refused whole: it has a start, and then an event that says nothing.
    let second =
        line(2, "").replace("}]}", "}, {\"eventId\": \"2\", \"eventType\": \"TimerFired\"}]}");
    let lines = [line(1, ""), second, line(3, ""), line(4, ""), "{\"events\": [".to_owned()];
    fs::write(&file, lines.join("\n")).unwrap();
    let out = call(&store, ["import", file.to_str().unwrap()]).fails(4, "").out;
    assert!(out.contains("history 2: event 2 is a TimerFired without attributes"), "{out}");
    assert!(out.contains("broken JSON at line 5"), "{out}");
    assert!(out.contains("2  imported") && out.contains("2 events in 2 commits"), "{out}");
    let runs = call(&store, ["ls", "--json"]).ok().json();
    let runs: Vec<&str> = runs.iter().filter_map(|run| run["run_id"].as_str()).collect();
    assert_eq!(runs.len(), 2);
    assert!([1, 3].iter().all(|number| runs.contains(&run_of(*number).as_str())), "{runs:?}");
}
