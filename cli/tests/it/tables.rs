//! `tables` and `rows`: what an engine keeps beside its runs.

use std::path::PathBuf;

use kinlog::Options;
use serde_json::json;
use tempfile::TempDir;

use super::common::call;

/// A store with a table of two texts and one of bytes, and a row of each that is deleted.
fn store() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Options::new().segment_bytes(1 << 20).open(&path).unwrap();
    let mut tx = store.begin();
    tx.put("timers", b"2026-11-21 wake", b"order-42").unwrap();
    tx.put("timers", b"2026-12-24 wake", b"order-43").unwrap();
    tx.put("timers", b"2027", b"gone").unwrap();
    tx.put("bytes", &[0, 255], &[1, 0, 2]).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.delete("timers", b"2027").unwrap();
    tx.commit().unwrap();
    store.shut_down().unwrap();
    (dir, path)
}

#[test]
fn tables_are_listed_with_the_rows_that_are_there() {
    let (_dir, store) = store();
    let table = call(&store, ["tables"]).ok().out;
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["bytes", "1", "5", "B"], "{table}");
    assert_eq!(lines[2], ["timers", "2", "46", "B"], "{table}");
    let lines = call(&store, ["tables", "--json"]).ok().json();
    assert_eq!(lines[1], json!({"table": "timers", "rows": 2, "bytes": 46}));
}

#[test]
fn rows_come_in_order_from_either_end_and_by_prefix() {
    let (_dir, store) = store();
    let rows = |arguments: &[&str]| -> Vec<String> {
        let all = [&["rows", "timers", "--json"], arguments].concat();
        let lines = call(&store, all).ok().json();
        lines.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(rows(&[]), ["2026-11-21 wake", "2026-12-24 wake"]);
    assert_eq!(rows(&["--reverse", "--limit", "1"]), ["2026-12-24 wake"]);
    assert_eq!(rows(&["--prefix", "2026-12"]), ["2026-12-24 wake"]);
    let table = call(&store, ["rows", "bytes", "--prefix", "0x00"]).ok().out;
    assert!(table.contains("0x00ff"), "{table}");
    let row = call(&store, ["rows", "bytes", "--json"]).ok().json().remove(0);
    assert_eq!(
        row,
        json!({
            "key": null, "key_base64": "AP8=", "value": "\u{1}\0\u{2}", "value_base64": "AQAC",
        })
    );
}

#[test]
fn a_table_that_is_not_there_is_an_error_that_names_those_that_are() {
    let (_dir, store) = store();
    let called = call(&store, ["rows", "timer"]);
    assert_eq!(called.code, Some(5));
    assert!(
        called.err.contains("there is no table timer") && called.err.contains("timers"),
        "{}",
        called.err
    );
}
