//! `kinlog follow`: events as they come, beside a writer.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use kinlog::{Durability, NewEvent, NewRun, Store};
use serde_json::{Value, json};

use super::common::{call, command, small_store};
use super::family::id;

/// A store with one run of one event, held by a writer.
fn store(dir: &Path) -> (PathBuf, Store) {
    let path = small_store(dir);
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order-1", "Order").id(id(1))).unwrap();
    tx.commit().unwrap();
    (path, store)
}

fn signal(store: &Store, name: &str) {
    let mut tx = store.begin();
    tx.signal(&id(1), name, b"now").unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
}

struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(store: &Path, args: &[&str]) -> Self {
        let mut follow = command(store);
        follow.arg("follow").args(args).stdout(Stdio::piped());
        let mut child = follow.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Following { child, lines }
    }

    /// The next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn object(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Its exit code, once nobody reads any more; one that does not end is killed after a minute.
    fn end(self) -> Option<i32> {
        let Following { mut child, lines } = self;
        drop(lines);
        let pid = child.id();
        let (ended, waits) = mpsc::channel();
        let watch = thread::spawn(move || {
            if waits.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
                send("KILL", pid);
            }
        });
        let status = child.wait().unwrap();
        // Nobody hears it where it was killed.
        let _ = ended.send(());
        watch.join().unwrap();
        status.code()
    }
}

fn send(signal: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
    assert!(status.unwrap().success());
}

#[test]
fn events_come_as_they_are_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store(dir.path());
    let mut following = Following::start(&path, &["--all", "--json", "--limit", "4"]);
    let first = following.object();
    assert_eq!((&first["id"], &first["kind"]), (&json!(1), &json!("WorkflowExecutionStarted")));
    signal(&store, "paid");
    let mut paid = following.object();
    assert!(paid["position"].as_u64() > first["position"].as_u64(), "{paid}");
    assert!(paid["time"].as_str().unwrap().ends_with('Z'), "{paid}");
    let same = call(&path, ["show", "order-1", "--json", "--from", "2"]).ok().json().remove(0);
    paid.as_object_mut().unwrap().remove("position").unwrap();
    let named = |name: &str| paid[name].clone();
    assert_eq!((named("namespace"), named("workflow_id")), (json!("shop"), json!("order-1")));
    for (name, value) in same.as_object().unwrap() {
        assert_eq!(&paid[name], value);
    }
    // Two runs in one commit; the limit is within it.
    let mut tx = store.begin();
    tx.append(&id(1), NewEvent::opaque(kinlog::EventKind::from_number(1024), b"a")).unwrap();
    tx.start(NewRun::new("shop", "order-2", "Order").id(id(2))).unwrap();
    tx.append(&id(2), NewEvent::opaque(kinlog::EventKind::from_number(1024), b"b")).unwrap();
    tx.commit().unwrap();
    let (third, fourth) = (following.object(), following.object());
    assert_eq!((&third["run_id"], &third["id"]), (&json!(id(1).to_string()), &json!(3)));
    assert_eq!((&fourth["run_id"], &fourth["id"]), (&json!(id(2).to_string()), &json!(1)));
    assert_eq!(following.line(), "", "the limit ends it");
    assert_eq!(following.end(), Some(0));
}

#[test]
fn what_was_there_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store(dir.path());
    let mut following = Following::start(&path, &["--json", "--limit", "1"]);
    // It says nothing when it begins: there is always one more until it has one.
    while following.child.try_wait().unwrap().is_none() {
        signal(&store, "paid");
    }
    assert_ne!(following.object()["id"], 1);
    assert_eq!(following.end(), Some(0));
}

#[test]
fn people_read_a_heading_for_each_run() {
    let dir = tempfile::tempdir().unwrap();
    let (path, store) = store(dir.path());
    signal(&store, "a\u{1b}[2J");
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order\n2", "Order").id(id(2))).unwrap();
    tx.commit().unwrap();
    let all = call(&path, ["follow", "--all", "--limit", "3"]).ok().out;
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines[0], format!("order-1  in shop, run {}", id(1)));
    assert!(lines[1].starts_with("     1  ") && lines[1].contains("WorkflowExecutionStarted"));
    assert!(lines[2].contains("WorkflowExecutionSignaled  signal_name=a\\u{1b}[2J"), "{all}");
    assert_eq!(lines[3], format!("order\\n2  in shop, run {}", id(2)));
    assert_eq!(lines.len(), 5);
    assert_eq!(call(&path, ["follow", "--limit", "0"]).ok().out, "");
}

#[test]
fn an_interrupt_ends_it_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _store) = store(dir.path());
    for name in ["INT", "TERM"] {
        let mut following = Following::start(&path, &["--all", "--json"]);
        following.object();
        send(name, following.child.id());
        assert_eq!(following.line(), "");
        assert_eq!(following.end(), Some(0), "{name}");
    }
}

/// As in `kinlog follow | head -1`: it ends although nothing more comes.
#[test]
fn it_ends_when_nobody_reads_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _store) = store(dir.path());
    let mut following = Following::start(&path, &["--all", "--json"]);
    following.object();
    assert_eq!(following.end(), Some(0));
}
