//! `ls` by when runs started or closed.

use std::path::{Path, PathBuf};

use kinlog::{Close, NewRun, Options, RunId, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::common::call;

/// A store with seven runs that started on the 1st to the 7th; all but the last one closed on the 20th to the 15th.
fn store() -> (TempDir, PathBuf, Vec<RunId>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Options::new().segment_bytes(1 << 20).open(&path).unwrap();
    let mut tx = store.begin();
    let runs: Vec<_> = (1..8)
        .map(|day| {
            let (id, name) = (format!("w-{day}"), if day % 2 == 0 { "Even" } else { "Odd" });
            let namespace = if day == 4 { "depot" } else { "shop" };
            tx.start(NewRun::new(namespace, &id, name).at(at(day))).unwrap()
        })
        .collect();
    for (day, run) in (1..7).zip(&runs) {
        tx.close_run(run, Close::completed(b"ok").at(at(21 - day))).unwrap();
    }
    tx.commit().unwrap();
    (dir, path, runs)
}

/// Noon of a day in January 2024.
fn at(day: i64) -> Timestamp {
    Timestamp::from_unix_nanos((1_704_067_200 + 86_400 * (day - 1) + 43_200) * 1_000_000_000)
}

/// The workflows that are listed, by their days, and the cursor at the end, if there is one.
fn listed(store: &Path, args: &[&str]) -> (Vec<u8>, Option<String>) {
    let mut lines = call(store, ["ls", "--json"].iter().chain(args)).ok().json();
    let next = lines.last().and_then(|last| last["next"].as_str()).map(str::to_owned);
    lines.truncate(lines.len() - usize::from(next.is_some()));
    let day = |line: &Value| line["workflow_id"].as_str().unwrap()[2..].parse().unwrap();
    (lines.iter().map(day).collect(), next)
}

#[test]
fn runs_are_listed_by_either_time_in_either_order() {
    let (_dir, store, runs) = store();
    let days = |args: &[&str]| listed(&store, args).0;
    assert_eq!(days(&["--newest"]), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(days(&["--by", "started"]), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(days(&["--by", "closed"]), [6, 5, 4, 3, 2, 1]);
    assert_eq!(days(&["--by", "closed", "--newest"]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(days(&["--newest", "--type", "Even"]), [6, 4, 2]);
    assert_eq!(days(&["--newest", "--namespace", "depot"]), [4]);
    assert_eq!(days(&["--newest", "--status", "running"]), [7]);
    assert!(days(&["--newest", "--parent", &runs[0].to_string()]).is_empty());
    assert_eq!(days(&["--since", "2024-01-03", "--until", "2024-01-05T12:00:00Z"]), [3, 4]);
    assert_eq!(days(&["--since", "2024-01-05 12:00:00"]), [5, 6, 7]);
    assert_eq!(days(&["--by", "closed", "--since", "2024-01-19"]), [2, 1]);
}

#[test]
fn a_limited_list_says_how_to_go_on() {
    let (_dir, store, runs) = store();
    let (first, next) = listed(&store, &["--newest", "--limit", "3"]);
    assert_eq!(first, [7, 6, 5]);
    let next = next.unwrap();
    let (rest, end) = listed(&store, &["--newest", "--limit", "9", "--after", &next]);
    assert_eq!((rest, end), (vec![4, 3, 2, 1], None));
    let table = call(&store, ["ls", "--newest", "--limit", "3"]).ok().out;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].starts_with(&runs[6].to_string()), "{table}");
    assert!(lines[4].starts_with("3 runs, "), "{table}");
    assert_eq!(lines[5], format!("there may be more: --after {next}"));
    assert!(!call(&store, ["ls", "--newest"]).ok().out.contains("--after"));
}

#[test]
fn a_cursor_or_a_time_that_makes_no_sense_is_refused() {
    let (_dir, store, _) = store();
    let next = listed(&store, &["--newest", "--limit", "3"]).1.unwrap();
    for (args, says) in [
        (&["--after", &next][..], "another order"),
        (&["--newest", "--namespace", "shop", "--after", &next], "another namespace"),
        (&["--after", "0102"], "not a cursor"),
        (&["--since", "yesterday"], "a time is written like"),
        (&["--parent", "w-1"], "not a run id"),
        (&["--by", "size"], "possible values"),
    ] {
        call(&store, ["ls"].iter().chain(args)).fails(2, says);
    }
}
