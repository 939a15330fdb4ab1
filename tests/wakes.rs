//! Threads of the store's own are not woken for what they do not wait for. A binary of its own, so that no other store
//! has threads beside.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use kinlog::{Durability, Options};
use kinlog_testing::files::directory;

/// How often the thread of this name has stopped to wait; `None` before it has its name.
fn waits(name: &str) -> Option<u64> {
    let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    // Another one may have ended meanwhile.
    let named = |task: &PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let status = fs::read_to_string(tasks.find(named)?.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
    Some(line.unwrap().split_whitespace().last().unwrap().parse().unwrap())
}

/// The same, once it has.
fn waits_at_last(name: &str) -> u64 {
    let began = Instant::now();
    loop {
        match waits(name) {
            Some(waits) if waits > 0 => return waits,
            _ => thread::yield_now(),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{name} never waits");
    }
}

/// It writes what is on the device. A commit that asks for no sync brings nothing nearer to that.
#[test]
fn buffered_commits_do_not_wake_the_thread_that_writes_the_index() {
    let dir = directory();
    // Each commit fills a layer, and the first ones are waited for to be durable.
    let store = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    let commit = |number: u32| {
        let mut tx = store.begin();
        tx.put("rows", &number.to_le_bytes(), b"").unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    };
    (0..10).for_each(commit);
    let before = waits_at_last("kinlog-index");
    // Within the first segment: one that is full is synced.
    (10..510).for_each(commit);
    let woken = waits_at_last("kinlog-index") - before;
    // It may not have waited for the device yet, but for a lock.
    assert!(woken < 20, "{woken} times in 500 commits");
}
