//! `kinlog delete`, `kinlog retention`, `kinlog expire` and `kinlog compact`.

use std::path::{Path, PathBuf};

use kinlog::retention::Retention;
use kinlog::{Close, EventKind, NewEvent, NewRun, NextRun, Options, RunId, Store, Timestamp};
use serde_json::json;

use super::common::{call, small_store};

const DAY: i64 = 86_400_000_000_000;

/// Runs that closed at the ends of the first days of 1970, and one that is open; the ids of all.
fn closed(dir: &Path) -> (PathBuf, Vec<RunId>) {
    let path = small_store(dir);
    let store = open(&path);
    let mut runs = vec![];
    for day in 1..=3 {
        let at = Timestamp::from_unix_nanos(day * DAY);
        let mut tx = store.begin();
        let run = tx.start(NewRun::new("shop", &format!("order-{day}"), "Order").at(at)).unwrap();
        tx.close_run(&run, Close::completed(b"ok").at(at)).unwrap();
        tx.commit().unwrap();
        runs.push(run);
    }
    runs.push(store.transact(|tx| tx.start(NewRun::new("shop", "loop", "Order"))).unwrap().0);
    store.shut_down().unwrap();
    (path, runs)
}

fn open(path: &Path) -> Store {
    Options::new().create(false).open(path).unwrap()
}

#[test]
fn a_run_is_deleted_by_its_workflow_id_and_told_as_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = closed(dir.path());
    let out = call(&store, ["delete", "order-1", "--keep-outcome"]).ok().out;
    assert_eq!(
        out,
        format!("✓ deleted 1 run of order-1, {}; what they came to is kept\n", runs[0])
    );
    call(&store, ["show", "order-1"]).fails(5, "the history of run");
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 4);
    let stats = call(&store, ["stats"]).ok().out;
    assert!(stats.contains("\n  1 history deleted, "), "{stats}");
    let out = call(&store, ["delete", &runs[0].to_string()]).ok().out;
    assert_eq!(out, format!("✓ deleted 1 run of order-1, {}\n", runs[0]));
    call(&store, ["show", "order-1"]).fails(5, "there is no run \"order-1\"");
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 3);
    let stats = call(&store, ["stats", "--json"]).ok().json().remove(0);
    assert_eq!((&stats["runs"], &stats["deleted_runs"]), (&json!(3), &json!(1)));
    assert_eq!(stats["deleted_histories"]["events"], 2);
    call(&store, ["delete", "loop"]).fails(1, "cannot be deleted: it is open");
    call(&store, ["verify"]).ok();
    call(&dir.path().join("nowhere"), ["delete", "order-1"]).fails(5, "");
    assert!(!dir.path().join("nowhere").exists(), "it makes no store");
}

#[test]
fn a_chain_is_deleted_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (path, runs) = closed(dir.path());
    let store = open(&path);
    let next =
        |tx: &mut kinlog::Transaction<'_>| tx.continue_as_new(&runs[3], NextRun::new("Order"));
    let (last, _) = store.transact(next).unwrap();
    store.close_run(&last, Close::completed(b"ok")).unwrap();
    store.shut_down().unwrap();
    call(&path, ["delete", "loop"]).fails(1, "it is the last run of its chain");
    let out = call(&path, ["delete", "loop", "--chain"]).ok().out;
    assert_eq!(out, format!("✓ deleted 2 runs of the chain of loop, {last}\n"));
    assert_eq!(call(&path, ["ls", "--json"]).ok().json().len(), 3);
}

#[test]
fn ages_are_set_shown_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = closed(dir.path());
    let shown = |args: &[&str]| {
        let args = ["retention", "shop"].iter().chain(args);
        call(&store, args).ok().out
    };
    let kept = |histories: &str, outcomes: &str, runs: &str| {
        format!(
            "shop keeps\n  histories  {histories}\n  outcomes   {outcomes}\n  chains     {runs} of their runs\n"
        )
    };
    assert_eq!(shown(&[]), kept("for ever", "for ever", "all"));
    let week = "7 d 00 h after a run has closed";
    let set = ["--history", "7d", "--chain-runs", "3"];
    assert_eq!(shown(&set), kept(week, "for ever", "the last 3"));
    let year = "365 d 00 h after a run has closed";
    assert_eq!(shown(&["--outcome", "365d"]), kept(week, year, "the last 3"));
    let set = ["--history", "ever", "--chain-runs", "0"];
    assert_eq!(shown(&set), kept("for ever", year, "all"));
    let year = std::time::Duration::from_secs(365 * 86_400);
    assert_eq!(open(&store).retention("shop"), Retention::new().outcome(year));
    for age in ["7", "-7d", "soon", "1y", "99999999999999d"] {
        let set = format!("--history={age}");
        call(&store, ["retention", "shop", &set]).fails(2, "an age is written like 7d");
    }
}

#[test]
fn what_has_expired_is_deleted_up_to_as_many_as_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = closed(dir.path());
    call(&store, ["retention", "shop", "--history", "1d", "--outcome", "2d"]).ok();
    let expire = |args: &[&str]| {
        let args = ["expire", "--now", "1970-01-05"].iter().chain(args);
        call(&store, args).ok()
    };
    let one = expire(&["--most", "1", "--json"]).json();
    assert_eq!(one, [json!({"runs": 1, "outcomes": 0, "refused": 0, "more": true})]);
    let rest = expire(&[]).out;
    assert_eq!(rest, "✓ expired 1 run, and 1 history of runs whose outcomes are kept\n");
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 2);
    let nothing = expire(&["--json"]).json();
    assert_eq!(nothing, [json!({"runs": 0, "outcomes": 0, "refused": 0, "more": false})]);
    call(&store, ["verify"]).ok();
}

#[test]
fn the_space_of_what_was_deleted_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = closed(dir.path());
    let fill = open(&store);
    for _ in 0..4 {
        fill.transact(|tx| tx.put("filling", b"row", &[7; 30_000])).unwrap();
    }
    fill.shut_down().unwrap();
    call(&store, ["delete", "order-1"]).ok();
    let would = call(&store, ["compact", "--dry-run", "--json"]).ok().json().remove(0);
    assert_eq!((&would["dry_run"], &would["rewritten"]), (&json!(true), &json!(1)));
    let segment = || std::fs::metadata(store.join("log/00000000.seg")).unwrap().len();
    let before = segment();
    let done = call(&store, ["compact"]).ok().out;
    assert!(done.contains("✓ freed") && done.contains("rewritten"), "{done}");
    let after = call(&store, ["stats", "--json"]).ok().json().remove(0);
    assert_eq!(Some(before - segment()), would["freed_bytes"].as_u64());
    assert_eq!(after["accounted_bytes"], after["file_bytes"]);
    assert_eq!(call(&store, ["ls", "--json"]).ok().json().len(), 3);
    call(&store, ["show", &runs[1].to_string()]).ok();
    call(&store, ["verify"]).ok();
    let nothing = call(&store, ["compact", "--json"]).ok().json().remove(0);
    assert_eq!((&nothing["rewritten"], &nothing["freed_bytes"]), (&json!(0), &json!(0)));
    call(&store, ["compact", "--dead", "101"]).fails(2, "101");
}

/// A store of so many full segments, of which the first ones are dead.
fn segments(dir: &Path, count: u32) -> PathBuf {
    let path = dir.join("store");
    let store = Options::new().segment_bytes(64 << 10).open(&path).unwrap();
    for number in 0..count * 2 {
        let key = (number % count).to_le_bytes();
        store.transact(|tx| tx.put("filling", &key, &[7; 30_000])).unwrap();
    }
    store.shut_down().unwrap();
    path
}

#[test]
fn stats_tell_what_each_segment_is_used_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = segments(dir.path(), 4);
    let stats = call(&store, ["stats", "--json"]).ok().json().remove(0);
    let segments = stats["segments"].as_array().unwrap();
    let number = |of: &serde_json::Value, name: &str| of[format!("{name}_bytes")].as_u64().unwrap();
    for segment in segments {
        let parts = ["live", "dead", "pinned", "index", "free"].map(|name| number(segment, name));
        assert_eq!(parts.iter().sum::<u64>(), number(segment, "file"), "{segment}");
    }
    let log: u64 = segments.iter().map(|it| number(it, "file")).sum();
    let beside = ["administration", "index", "quarantine"].map(|name| number(&stats, name));
    assert_eq!(log + beside.iter().sum::<u64>(), number(&stats, "file"));
    let would = call(&store, ["compact", "--dry-run", "--json"]).ok().json().remove(0);
    assert_eq!(would["segments"], stats["segments"]);
    let told = call(&store, ["stats"]).ok().out;
    let line = told.lines().find(|line| line.contains("░░░░")).unwrap();
    assert!(
        line.trim_start().starts_with("0 ") && line.ends_with("would be rewritten, to 4.04 KiB"),
        "{told}"
    );
    let table = |text: &str| text[text.find("  SEGMENT").unwrap()..].to_owned();
    let dry = call(&store, ["compact", "--dry-run"]).ok().out;
    assert!(table(&dry).starts_with(&table(&told)), "{told}{dry}");
}

#[test]
fn of_many_segments_some_are_shown_and_the_others_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = segments(dir.path(), 20);
    let lines = |args: &[&str]| {
        let told = call(&store, args).ok().out;
        let table = told[told.find("  SEGMENT").unwrap()..].to_owned();
        (table.lines().count(), table)
    };
    let count = call(&store, ["stats", "--json"]).ok().json().remove(0);
    let count = count["segments"].as_array().unwrap().len();
    // With titles, the sum, and what the cells mean.
    let (few, table) = lines(&["stats"]);
    assert_eq!(few, 16 + 4, "{table}");
    assert!(table.contains(&format!("  {} more  ", count - 16)), "{table}");
    assert!(table.contains("--all shows them"), "{table}");
    assert_eq!(lines(&["stats", "--all"]).0, count + 3);
    assert!(lines(&["compact", "--dry-run", "--all"]).0 > count);
}

#[test]
fn nothing_is_left_of_what_is_deleted_now() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = closed(dir.path());
    let out = call(&store, ["delete", "order-2", "--now"]).ok().out;
    assert!(out.contains("✓ erased 1 run: nothing is left in any file; "), "{out}");
    call(&store, ["show", &runs[1].to_string()]).fails(5, "there is no run");
    // The first of its type: its ids are what the type goes back to.
    let out = call(&store, ["delete", "order-1", "--now"]).fails(1, "");
    assert!(out.out.contains("but its ids are left"), "{}", out.out);
    call(&store, ["delete", "order-3", "--now", "--keep-outcome"]).fails(2, "cannot be used with");
    call(&store, ["delete", "order-3"]).ok();
    let out = call(&store, ["compact", "--erase"]).ok().out;
    assert!(out.starts_with("✓ erased 1 deleted run; 1 are still referred to\n"), "{out}");
    call(&store, ["verify"]).ok();
}

#[test]
fn closed_runs_are_packed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, runs) = closed(dir.path());
    let fill = open(&store);
    let run = fill.transact(|tx| tx.start(NewRun::new("shop", "long", "Order"))).unwrap().0;
    for _ in 0..60 {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &[b'x'; 1_000]);
        fill.transact(|tx| tx.append(&run, event)).unwrap();
    }
    fill.close_run(&run, Close::completed(b"ok")).unwrap();
    for _ in 0..4 {
        fill.transact(|tx| tx.put("filling", b"row", &[7; 30_000])).unwrap();
    }
    fill.shut_down().unwrap();
    let shown = call(&store, ["show", &runs[1].to_string()]).ok().out;
    let would = call(&store, ["compact", "--pack", "--dry-run", "--json"]).ok().json().remove(0);
    assert!(would["rewritten"].as_u64() >= Some(1), "{would}");
    call(&store, ["compact", "--pack"]).ok();
    assert_eq!(call(&store, ["show", &runs[1].to_string()]).ok().out, shown);
    let stats = call(&store, ["stats", "--json"]).ok().json().remove(0);
    assert_eq!(stats["accounted_bytes"], stats["file_bytes"]);
    assert_eq!(stats["packed_segments"], would["rewritten"]);
    let told = call(&store, ["stats"]).ok().out;
    assert!(told.contains(" packed, ") && told.contains("of these, saved by packing"), "{told}");
    call(&store, ["verify"]).ok();
}
