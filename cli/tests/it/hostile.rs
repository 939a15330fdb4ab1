//! Names and paths that a terminal would act on: they are shown spelled out, wherever they come from.

use std::path::{Path, PathBuf};

use kinlog::{Durability, NewRun, Store};
use kinlog_testing::files::copy_files;
use serde_json::Value;

use super::common::{Called, call, called, command, history, small_store};
use super::family::{HOSTILE, hostile, id};

/// A directory's name: an escape code of seven bits, one of eight, and a change of direction.
const DIRECTORY: &str = "in\x1b[2J\u{9b}31m\u{202e}\r\x07here";
/// The same as it is shown.
const SHOWN: &str = r"in\u{1b}[2J\u{9b}31m\u{202e}\r\u{7}here";

/// Nothing that a terminal acts on but ends of lines.
fn is_tame(text: &str) -> bool {
    let acts = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.contains(acts)
}

#[track_caller]
fn tame(called: Called) -> Called {
    assert!(is_tame(&called.out), "{:?}", called.out);
    assert!(is_tame(&called.err), "{:?}", called.err);
    called
}

fn hostile_dir() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let hostile = dir.path().join(DIRECTORY);
    std::fs::create_dir(&hostile).unwrap();
    (dir, hostile)
}

/// A byte in the middle of what was acknowledged is another.
fn damage(store: &Path) {
    let segment = store.join("log/00000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096 + 60] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
}

#[test]
fn paths_are_shown_spelled_out() {
    let (_dir, dir) = hostile_dir();
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let store = hostile(&dir);
    assert!(tame(call(&store, ["stats"])).ok().out.contains(SHOWN));
    let picture = tame(call(&store, ["tree", &id(1).to_string(), "--svg", &path("tree.svg")]));
    assert!(picture.ok().out.contains(SHOWN));
    let nowhere = ["tree", &id(1).to_string(), "--dot", &path("none/tree.dot")];
    tame(call(&store, nowhere)).fails(8, SHOWN);
    assert!(tame(call(&store, ["backup", &path("copy")])).ok().out.contains(SHOWN));
    tame(call(&store, ["backup", &path("copy")])).fails(10, SHOWN);
    std::fs::write(store.join(DIRECTORY), "").unwrap();
    assert!(tame(call(&store, ["verify"])).ok().out.contains(SHOWN));
    let json = tame(call(&store, ["verify", "--json"])).ok().json().remove(0);
    assert!(json["unknown"][0].as_str().unwrap().ends_with(DIRECTORY));
    tame(call(&dir.join("none"), ["ls"])).fails(5, SHOWN);
    tame(call(&store, ["import", &path("none")]));
    let demo = tame(call(&store, ["demo", "--children", "1", "--activities", "1"])).ok().out;
    assert!(demo.matches(SHOWN).count() >= 2, "{demo}");
    damage(&store);
    tame(call(&store, ["ls"])).fails(3, SHOWN);
    let json = tame(call(&store, ["verify", "--json"])).json().remove(0);
    assert!(json["path"].as_str().unwrap().contains(DIRECTORY));
    let saved = tame(call(&store, ["salvage", &path("store"), &path("saved")]));
    assert!(saved.out.contains(SHOWN), "{}", saved.out);
    tame(call(&store, ["salvage", "--json", &path("store"), &path("saved-too")]));
}

/// What the last bytes of the log are is said on standard error, with the file they were moved to.
#[test]
fn notes_are_shown_spelled_out() {
    let (_dir, dir) = hostile_dir();
    let store = small_store(&dir);
    let writer = Store::open(&store).unwrap();
    for (number, workflow_id, input) in [(1, "order-1", b"first"), (2, "order-2", b"final")] {
        let mut tx = writer.begin();
        let new = NewRun::new("shop", workflow_id, "Order").id(id(number));
        tx.start(new.input(input)).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
    // As a power loss leaves it: the last commit is cut short.
    let torn = dir.join("torn");
    copy_files(&store, &torn);
    drop(writer);
    let segment = torn.join("log/00000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.windows(5).rposition(|it| it == b"final").unwrap();
    bytes[last] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert!(tame(call(&torn, ["ls"])).err.contains("the last"));
    let file = history(&dir, "a.json", "order-3", &id(3).to_string());
    let moved = tame(call(&torn, ["import", file.to_str().unwrap()]));
    assert!(moved.err.contains("quarantine") && moved.err.contains(SHOWN), "{}", moved.err);
}

#[test]
fn names_and_payloads_are_shown_spelled_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = hostile(dir.path());
    let run = id(1).to_string();
    let looks: [&[&str]; 12] = [
        &["ls"],
        &["ls", "--json"],
        &["show", &run],
        &["show", &run, "--json"],
        &["tree", &run],
        &["tree", &run, "--json"],
        &["tree", &run, "--svg", "-"],
        &["tree", &run, "--dot", "-"],
        &["chain", &run],
        &["children", &run],
        &["children", &run, "--json"],
        &["duties", "--json"],
    ];
    for args in looks {
        tame(call(&store, args)).ok();
    }
    let listed = call(&store, ["ls", "--json"]).ok().json();
    assert_eq!(listed[0]["workflow_id"], Value::from(HOSTILE), "JSON says the very same");
    for typed in [HOSTILE, "\u{9b}2J", "\u{202e}"] {
        tame(call(&store, ["show", typed, "--namespace", "none"])).fails(5, "there is no run");
    }
}

/// The command line's own errors repeat what was typed.
#[test]
fn a_command_line_that_makes_no_sense_is_shown_spelled_out() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        vec![HOSTILE],
        vec!["ls", "--status", DIRECTORY],
        vec!["show", "x", DIRECTORY],
        vec!["show", "x", "--limit", DIRECTORY],
    ] {
        tame(call(dir.path(), args)).fails(2, r"\u{1b}[2J");
    }
    let mut help = command(dir.path());
    let help = help.env("KINLOG_STORE", DIRECTORY).arg("--help").output().unwrap();
    tame(called(help)).ok();
}
