//! A reader beside a process that commits: each commit is there as soon as the process says that it was acknowledged.

use std::path::Path;
use std::sync::Arc;

use kinlog::disk::Disk;
use kinlog::{Durability, Options};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{SEGMENT, directory, small_segments};

use super::process::{DIRECTORY, start};
use super::{Store, say};

/// Whether the process has words, or writes.
const WORDS: &str = "KINLOG_KILL_WORDS";
const COMMITS: u32 = 400;
/// More commits than anybody waits for.
const ON: &str = "on and on";

fn options(words: &str) -> Options {
    let refuses = words == "without";
    let disk: Arc<dyn Disk> = disk_with(move |op, _| match op {
        Op::Word if refuses => Fate::Fails(std::io::ErrorKind::Unsupported),
        _ => Fate::Done,
    });
    small_segments().disk(disk)
}

/// Not a test of its own: what the process does.
#[test]
fn writer() {
    let (Ok(directory), Ok(words)) = (std::env::var(DIRECTORY), std::env::var(WORDS)) else {
        return;
    };
    let store = options(&words).open(directory).unwrap();
    let commits = if words == ON { 100 * COMMITS } else { COMMITS };
    for number in 0..commits {
        let mut tx = store.begin();
        tx.put("rows", &number.to_le_bytes(), &[7; 1000]).unwrap();
        let durability = if number % 8 == 7 { Durability::Sync } else { Durability::Buffered };
        tx.commit_with(durability).unwrap();
        say("ack", 0, number);
    }
    store.shut_down().unwrap();
}

/// The number of an acknowledged commit.
fn acknowledged(line: &str) -> Option<u32> {
    line.strip_prefix("ack 0 ")?.parse().ok()
}

fn has(store: &Store, number: u32) -> bool {
    store.get("rows", &number.to_le_bytes()).unwrap().is_some()
}

fn each_commit_is_there(words: &str, path: &Path) {
    let (mut child, said) = start("beside::writer", path, (WORDS, words.to_owned()));
    let mut reader: Option<Store> = None;
    let mut seen = 0;
    for number in said.map_while(|line| acknowledged(&line.unwrap())) {
        let open = || small_segments().read_only(true).open(path).unwrap();
        let reader = reader.get_or_insert_with(open);
        reader.refresh().unwrap();
        assert!(has(reader, number), "{words}: {number} was acknowledged");
        seen += 1;
    }
    assert!(child.wait().unwrap().success(), "{words}");
    assert_eq!(seen, COMMITS);
    assert!(reader.unwrap().end().as_u64() > 2 * SEGMENT as u64);
}

#[test]
fn a_process_beside_sees_each_commit_as_soon_as_it_is_acknowledged() {
    for words in ["with", "without"] {
        each_commit_is_there(words, directory().path());
        each_commit_is_there(words, tempfile::tempdir().unwrap().path());
    }
}

/// Somebody empties the lock record in place. A store to its word then ends the process: that loses what a kill loses,
/// which is nothing.
#[test]
fn whatever_was_acknowledged_is_there_after_the_lock_record_was_emptied() {
    let dir = directory();
    let (mut child, said) = start("beside::writer", dir.path(), (WORDS, ON.into()));
    let mut last = None;
    for number in said.map_while(|line| acknowledged(&line.ok()?)) {
        last = Some(number);
        match number {
            100 => {
                let lock = std::fs::File::options().write(true).open(dir.path().join("LOCK"));
                lock.unwrap().set_len(0).unwrap();
            }
            // Where there are no words nothing ends it.
            1000 => child.kill().unwrap(),
            _ => {}
        }
    }
    assert!(!child.wait().unwrap().success());
    let (store, last) = (small_segments().open(dir.path()).unwrap(), last.unwrap());
    assert!((0..=last).all(|number| has(&store, number)), "{last} commits were acknowledged");
    store.verify(|_| {}).unwrap();
}
