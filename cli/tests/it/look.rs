//! Commands that look into a store: `ls`, `show`, `export`, `stats`, `verify`.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;

use kinlog_temporal::History;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::{call, called, command, history, small_store};

const FIRST: &str = "019f6231-90d9-7a77-a8b4-43ae83695092";
const SECOND: &str = "019f6231-90d9-7a77-a8b4-43ae83695093";

/// A store of two runs.
fn store() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = small_store(dir.path());
    history(dir.path(), "in/a.json", "order-1", FIRST);
    history(dir.path(), "in/b.json", "order-2", SECOND);
    call(&store, ["import", dir.path().join("in").to_str().unwrap()]).ok();
    (dir, store)
}

#[test]
fn ls_lists_runs() {
    let (_dir, store) = store();
    let table = call(&store, ["ls"]).ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let head: Vec<&str> = lines[0].split_whitespace().collect();
    let titles =
        ["RUN", "WORKFLOW", "TYPE", "STATUS", "EVENTS", "STARTED", "(UTC)", "TOOK", "SIZE"];
    assert_eq!(head, titles);
    assert!(lines[1].starts_with(&format!("{FIRST}  order-1   Order  Completed       3")));
    assert!(lines[1].contains("  2024-01-02 03:04:05  2.5 s  "), "{table}");
    assert!(lines[3].starts_with("2 runs, 6 events, "), "{table}");
    assert!(!table.contains('\x1b'), "no colours but on a terminal");
}

#[test]
fn ls_json_has_every_field() {
    let (_dir, store) = store();
    let mut lines = call(&store, ["ls", "--json"]).ok().json();
    assert_eq!(lines.len(), 2);
    let bytes = lines[0]["bytes"].take();
    assert!(bytes.as_u64().is_some_and(|bytes| bytes > 100));
    let expected = json!({
        "run_id": FIRST, "namespace": "default", "workflow_id": "order-1",
        "workflow_type": "Order", "status": "Completed", "events": 3, "bytes": null,
        "started_at": "2024-01-02T03:04:05Z", "closed_at": "2024-01-02T03:04:07.5Z",
        "is_current": true, "is_imported": true,
    });
    assert_eq!(lines[0], expected);
}

#[test]
fn ls_takes_filters() {
    let (dir, store) = store();
    let other = history(dir.path(), "c.json", "order-1", "8f0f1ae0-0000-4000-8000-000000000001");
    call(&store, ["import", "--namespace", "shop", other.to_str().unwrap()]).ok();
    let count = |args: &[&str]| call(&store, ["ls", "--json"].iter().chain(args)).ok().json().len();
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--workflow", "order-1"]), 2);
    assert_eq!(count(&["--workflow", "order-1", "--namespace", "shop"]), 1);
    assert_eq!(count(&["--status", "completed"]), 3);
    assert_eq!(count(&["--status", "running"]), 0);
    assert_eq!(count(&["--type", "Order"]), 3);
    assert_eq!(count(&["--type", "Order", "--workflow", "order-1", "--namespace", "shop"]), 1);
    assert_eq!(count(&["--type", "Refund"]), 0);
    assert_eq!(count(&["--type", "Order", "--status", "open"]), 0);
    assert!(call(&store, ["ls"]).ok().out.contains("NAMESPACE"));
    call(&store, ["ls", "--status", "asleep"]).fails(2, "possible values");
}

#[test]
fn ls_can_be_limited() {
    let (_dir, store) = store();
    let table = call(&store, ["ls", "--limit", "1"]).ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with(FIRST), "{table}");
    assert!(lines[2].starts_with("1 run, ") && lines[2].ends_with("; there are more"), "{table}");
    assert_eq!(lines[1].split_whitespace().next(), Some(FIRST), "{table}");
    let both = call(&store, ["ls", "--limit", "2"]).ok().out;
    assert!(both.contains("2 runs, 6 events, ") && !both.contains("more"), "{both}");
    let json = |limit: &str| call(&store, ["ls", "--json", "--limit", limit]).ok().json();
    assert_eq!(json("1").len(), 1);
    assert_eq!(json("1")[0]["run_id"], FIRST);
    assert_eq!((json("0").len(), json("2").len(), json("3").len()), (0, 2, 2));
    let none = call(&store, ["ls", "--limit", "0"]).ok().out;
    assert_eq!(none, "0 runs, 0 events, 0 B; there are more\n");
}

#[test]
fn show_says_what_happened() {
    let (_dir, store) = store();
    let shown = call(&store, ["show", "order-1"]).ok().out;
    assert!(shown.starts_with("order-1  Order  Completed\n"), "{shown}");
    assert!(shown.contains(FIRST) && shown.contains("timer_id=t"), "{shown}");
    let ids = |args: &[&str]| -> Vec<u64> {
        let lines = call(&store, ["show", "order-1", "--json"].iter().chain(args)).ok().json();
        lines.iter().map(|line| line["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(&[]), [1, 2, 3]);
    assert_eq!(ids(&["--from", "2"]), [2, 3]);
    assert_eq!(ids(&["--reverse"]), [3, 2, 1]);
    assert_eq!(ids(&["--reverse", "--from", "2"]), [2, 1]);
    assert_eq!(ids(&["--limit", "1"]), [1]);
}

#[test]
fn show_json_has_every_field() {
    let (_dir, store) = store();
    let lines = call(&store, ["show", "order-1", "--json"]).ok().json();
    let mut timer = lines[1].clone();
    let payload = timer["payload"].take();
    assert!(payload.is_string() && timer["payload_bytes"].take().is_u64());
    assert!(timer["size"].take().as_u64().is_some_and(|size| size % 4 == 0));
    let expected = json!({
        "run_id": FIRST, "id": 2, "kind": "TimerStarted", "kind_number": 17, "version": 1,
        "time": "2024-01-02T03:04:06Z", "time_unix_nanos": 1_704_164_646_000_000_000_u64,
        "size": null, "payload_bytes": null,
        "payload": null, "body": {"timer_id": "t", "workflow_task_completed_event_id": 0},
    });
    assert_eq!(timer, expected);
    let started = &lines[0]["body"];
    assert_eq!((&started["run_id"], &started["parent_run_id"]), (&json!(FIRST), &Value::Null));
}

#[test]
fn a_run_is_meant_by_its_beginning_or_its_workflow() {
    let (_dir, store) = store();
    let id = |run: &str| call(&store, ["show", run, "--json", "--limit", "1"]).ok().json();
    for run in [FIRST, &FIRST.replace('-', ""), &FIRST.to_uppercase(), "order-1"] {
        assert_eq!(id(run)[0]["run_id"], FIRST, "{run}");
    }
    let both = call(&store, ["show", "019f6231-90"]).fails(5, "may be any of 2 runs").err;
    assert!(both.contains(FIRST) && both.contains("default / order-2"), "{both}");
    call(&store, ["show", "order"]).fails(5, "do you mean one of these?");
    call(&store, ["show", "ffff"]).fails(5, "there is no run \"ffff\"");
    call(&store, ["show", "order-1", "--namespace", "shop"]).fails(5, "there is no run");
}

#[test]
fn export_gives_back_what_was_imported() {
    let (dir, store) = store();
    let imported = fs::read(dir.path().join("in/a.json")).unwrap();
    let imported = History::from_bytes(&imported).unwrap();
    let json = call(&store, ["export", "order-1"]).ok().bytes;
    assert!(json.starts_with(b"{") && History::from_bytes(&json).unwrap() == imported);
    let proto = call(&store, ["export", "order-1", "--format", "proto"]).ok().bytes;
    assert_eq!(proto, imported.to_proto());
}

#[test]
fn stats_account_for_every_byte() {
    let (_dir, store) = store();
    let stats = call(&store, ["stats", "--json"]).ok().json().remove(0);
    assert_eq!((&stats["runs"], &stats["events"]), (&json!(2), &json!(6)));
    assert_eq!(stats["file_bytes"], stats["accounted_bytes"]);
    let files =
        ["LOCK", "MANIFEST", "RESERVE", "log/00000000.seg"].map(|it| fs::metadata(store.join(it)));
    let on_disk: u64 = files.into_iter().map(|file| file.unwrap().len()).sum();
    assert_eq!(stats["file_bytes"], on_disk);
    assert_eq!(stats["temporal"]["runs"], 2);
    assert!(stats["temporal"]["log_per_protobuf_byte"].is_f64());
    let table = call(&store, ["stats"]).ok().out;
    assert!(table.contains("2 runs (0 open), 6 events, 6 commits"), "{table}");
    assert!(table.contains("100.0 %") && table.contains("log / payloads"), "{table}");
}

#[test]
fn verify_finds_damage() {
    let (_dir, store) = store();
    let sound = "the store is sound: every commit, event, sum and relation is as it should be";
    assert!(call(&store, ["verify"]).ok().out.contains(sound));
    let report = call(&store, ["verify", "--json"]).ok().json().remove(0);
    assert_eq!((&report["ok"], &report["events"]), (&json!(true), &json!(6)));

    let segment = store.join("log/00000000.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4096 + 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    call(&store, ["verify"]).fails(3, "is corrupt at offset");
    call(&store, ["ls"]).fails(3, "is corrupt at offset");
    let damaged = call(&store, ["verify", "--json"]);
    assert_eq!(damaged.code, Some(3));
    assert_eq!(damaged.json()[0]["ok"], false);
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("none");
    let look: [&[&str]; 11] = [
        &["ls"],
        &["show", "x"],
        &["tree", "x"],
        &["chain", "x"],
        &["children", "x"],
        &["duties"],
        &["follow"],
        &["export", "x"],
        &["stats"],
        &["verify"],
        &["backup", "copy"],
    ];
    for args in look {
        call(&store, args).fails(5, "there is no kinlog store in");
    }
    assert!(!store.exists());
    call(&store, ["dance"]).fails(2, "unrecognized subcommand");
}

#[test]
fn looking_works_beside_a_writer() {
    let (dir, store) = store();
    let writer = kinlog::Store::open(&store).unwrap();
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 2);
    call(&store, ["verify"]).ok();
    call(&store, ["stats"]).ok();
    let import = ["import", dir.path().join("in").to_str().unwrap()].map(str::to_owned);
    call(&store, import).fails(6, "the store is in use");
    drop(writer);
}

#[test]
fn the_store_may_be_named_by_the_environment() {
    let (_dir, store) = store();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kinlog"));
    let output = command.env("KINLOG_STORE", &store).args(["ls", "--json"]).output().unwrap();
    assert_eq!(called(output).ok().json().len(), 2);
}

/// As in `kinlog show RUN | head -1`.
#[test]
fn a_reader_who_has_enough_ends_it_quietly() {
    let dir = tempfile::tempdir().unwrap();
    call(dir.path(), ["demo", "--children", "1", "--activities", "2000"]).ok();
    let mut show = command(dir.path());
    show.args(["show", "order-1", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = show.spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    called(child.wait_with_output().unwrap()).ok();
}

/// Whoever looks is told the same: the log is there, and what to do.
#[test]
fn a_lost_manifest_is_damage_and_not_an_absent_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_store(dir.path());
    let file = history(dir.path(), "a.json", "order-1", "019f6231-0000-7000-8000-000000000001");
    call(&store, [OsStr::new("import"), file.as_os_str()]).ok();
    fs::remove_file(store.join("MANIFEST")).unwrap();
    let file = file.display().to_string();
    for args in [&["ls"][..], &["verify"], &["stats"], &["import", &file]] {
        let called = call(&store, args).fails(3, "the manifest is missing");
        assert!(
            called.err.contains("kinlog salvage") && !called.err.contains("demo"),
            "{}",
            called.err
        );
    }
    let saved = dir.path().join("saved");
    let args = [OsStr::new("salvage"), store.as_os_str(), saved.as_os_str()];
    assert!(call(&store, args).out.contains("MANIFEST"));
    assert!(call(&saved, ["ls"]).ok().out.contains("order-1"));
}

#[test]
fn a_result_that_finds_no_room_is_told() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let (_dir, store) = store();
    let output = command(&store).arg("ls").stdout(full).output().unwrap();
    called(output).fails(8, "cannot write the result: No space left");
}

/// A run that an engine wrote by itself is exported in Temporal's words, in both forms the same.
#[test]
fn export_writes_runs_of_an_engine_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = kinlog::Store::open(&path).unwrap();
    let mut tx = store.begin();
    let new = kinlog::NewRun::new("shop", "order-3", "Order").input(b"{}");
    let run = tx.start(new).unwrap();
    tx.commit().unwrap();
    store.close_run(&run, kinlog::Close::completed(b"ok")).unwrap();
    drop(store);
    let json = call(&path, ["export", "order-3"]).ok().out;
    let history = History::from_json(&json).unwrap();
    assert_eq!(history.workflow_id(), Some("order-3"));
    let kinds: Vec<_> = history.events().iter().map(|event| event.event_type()).collect();
    assert_eq!(kinds, [1, 2]);
    let proto = call(&path, ["export", "order-3", "--format", "proto"]).ok().bytes;
    assert_eq!(History::from_proto(&proto).unwrap(), history);
}
