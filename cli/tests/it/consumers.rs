//! `kinlog consumers`, and how `stats` and `compact` tell who holds back what.

use kinlog::{Options, Position};
use serde_json::json;

use super::common::call;

#[test]
fn consumers_are_listed_hold_segments_back_and_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Options::new().segment_bytes(64 << 10).open(&path).unwrap();
    store.transact(|tx| tx.advance_consumer("search", Position::START)).unwrap();
    for _ in 0..10 {
        store.transact(|tx| tx.put("filling", b"row", &[7; 10_000])).unwrap();
    }
    let end = store.end();
    store.transact(|tx| tx.advance_consumer("audit\u{7}", end)).unwrap();
    store.shut_down().unwrap();
    let lines = call(&path, ["consumers", "--json"]).ok().json();
    assert_eq!(lines[0]["position"], end.as_u64());
    assert_eq!((&lines[1]["name"], &lines[1]["position"]), (&json!("search"), &json!(0)));
    let table = call(&path, ["consumers"]).ok().out;
    assert!(!table.contains('\u{7}') && table.ends_with("2 consumers\n"), "{table}");
    let stats = call(&path, ["stats"]).ok().out;
    assert!(stats.contains("\n  2 consumers, the slowest search, "), "{stats}");
    let stats = call(&path, ["stats", "--json"]).ok().json().remove(0);
    assert_eq!(stats["consumers"], json!(lines));
    let done = call(&path, ["compact", "--dry-run"]).ok().out;
    assert!(done.contains("search, at position 0, holds back 1 segment, "), "{done}");
    let held = call(&path, ["compact", "--json"]).ok().json().remove(0);
    assert_eq!((&held["rewritten"], &held["held_back"]["consumer"]), (&json!(0), &json!("search")));
    let removed = call(&path, ["consumers", "--remove", "search"]).ok().out;
    assert_eq!(removed, "✓ removed search\n");
    call(&path, ["consumers", "--remove", "search"]).fails(5, "there is no consumer search");
    let done = call(&path, ["compact", "--json"]).ok().json().remove(0);
    assert_eq!((&done["rewritten"], &done["held_back"]), (&json!(1), &json!(null)));
}
