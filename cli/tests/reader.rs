//! `kinlog show --json` and the Python reader, written from `docs/format.md`, say the same of recorded
//! histories.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

/// The folder of recorded histories; `None` where there is none.
fn histories() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories");
    let path = env::var_os("KINLOG_HISTORIES").map_or_else(beside, PathBuf::from);
    path.is_dir().then_some(path)
}

fn kinlog(store: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinlog"));
    let output = command.arg("--store").arg(store).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    // 4: some files are not histories.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the reader prints, by run.
fn reader(store: &Path) -> BTreeMap<String, Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reader/kinlog_reader.py");
    let output = Command::new("python3").arg(script).arg(store).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut runs = BTreeMap::<_, Vec<_>>::new();
    for event in lines(&String::from_utf8(output.stdout).unwrap()) {
        runs.entry(event["run_id"].as_str().unwrap().to_owned()).or_default().push(event);
    }
    runs
}

#[test]
fn recorded_histories_are_shown_alike() {
    let Some(histories) = histories() else {
        println!("skipped: there are no histories; KINLOG_HISTORIES says where they are");
        return;
    };
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    // Small enough to be read through hundreds of times.
    let options = kinlog::Options::new().segment_bytes(8 << 20);
    options.open(&store).unwrap().shut_down().unwrap();
    kinlog(&store, &["import", "--buffered", histories.to_str().unwrap()]);
    let read = reader(&store);
    let listed = lines(&kinlog(&store, &["ls", "--json"]));
    assert_eq!(read.len(), listed.len());
    for run in listed {
        let id = run["run_id"].as_str().unwrap();
        let bytes: u64 = read[id].iter().map(|event| event["size"].as_u64().unwrap()).sum();
        assert_eq!(run["events"], read[id].len(), "{id}");
        assert_eq!(run["bytes"], bytes, "{id}");
    }
    let events: usize = read.values().map(Vec::len).sum();
    let kinds: BTreeSet<_> = read.values().flatten().map(|e| e["kind_number"].as_u64()).collect();
    // Every command reads the whole log, and there are hundreds of runs: two at a time.
    let next = Mutex::new(read.iter());
    let compare = || {
        loop {
            let Some((run, read)) = next.lock().unwrap().next() else { return };
            let shown = lines(&kinlog(&store, &["show", "--json", run]));
            assert_eq!(read.len(), shown.len(), "{run}");
            for (mut shown, read) in shown.into_iter().zip(read) {
                // For people; the reader has it as nanoseconds alone.
                assert!(shown.as_object_mut().unwrap().remove("time").is_some());
                assert_eq!(*read, shown);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(compare);
        compare();
    });
    println!("{} runs with {events} events of {} kinds are shown alike", read.len(), kinds.len());
    assert!(events > 0);
}
