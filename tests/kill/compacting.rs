//! A process that is killed while it deletes, erases, compacts and packs beside its commits, and another one that reads the
//! store all the time: each run is there, whole, until the commit that deletes it and begins the next one.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Error, EventKind, NewEvent, NewRun, RunId, Snapshot, Store};
use kinlog_testing::Rng;
use kinlog_testing::files::small_segments;

use super::process::{DIRECTORY, start};

const THREADS: u32 = 2;
const ROUNDS: u32 = 8;
const ROUND: &str = "KINLOG_KILL_COMPACTING";
/// Events of a run, but for the first and the last one.
const EVENTS: u32 = 8;

/// The run that a thread has after so many commits.
fn run_of(thread: u32, i: u32) -> RunId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&i.to_le_bytes());
    id[4] = thread as u8;
    RunId::from_bytes(id)
}

fn payload(thread: u32, i: u32, event: u32) -> Vec<u8> {
    [thread, i, event].iter().flat_map(|n| n.to_le_bytes()).cycle().take(700).collect()
}

/// Not a test of its own: what the child does until it is killed.
#[test]
fn child() {
    let (Ok(directory), Ok(_)) = (std::env::var(DIRECTORY), std::env::var(ROUND)) else { return };
    let store = small_segments().open(&directory).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || replace_for_ever(store, thread));
        }
        for turn in 0.. {
            store.erase().unwrap();
            let compaction = Compaction::new().dead_percent(10);
            let compaction = if turn % 2 > 0 { compaction.pack() } else { compaction };
            let done = store.compact(&compaction).unwrap();
            say(format_args!("rewritten {}", done.rewritten));
        }
    });
}

fn say(what: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().lock().write_all(format!("{what}\n").as_bytes());
}

fn row(snapshot: &Snapshot, thread: u32) -> u32 {
    let row = snapshot.get("last", &thread.to_le_bytes()).unwrap();
    row.map_or(0, |row| u32::from_le_bytes(row.try_into().unwrap()))
}

/// Puts a run in the place of the one before, commit after commit.
fn replace_for_ever(store: &Store, thread: u32) {
    let first = row(&store.snapshot(), thread) + 1;
    for i in first.. {
        let mut tx = store.begin();
        let workflow = format!("{thread}/{i}");
        let run = tx.start(NewRun::new("n", &workflow, "T").id(run_of(thread, i))).unwrap();
        for event in 0..EVENTS {
            let payload = payload(thread, i, event);
            tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
        }
        tx.close_run(&run, Close::completed(b"done")).unwrap();
        if i > 1 {
            tx.delete_run(&run_of(thread, i - 1), Keep::Nothing).unwrap();
        }
        tx.put("last", &thread.to_le_bytes(), &i.to_le_bytes()).unwrap();
        match tx.commit() {
            Ok(_) => say(format_args!("ack {thread} {i}")),
            Err(error) => panic!("{error}"),
        }
    }
}

/// What a snapshot shows: the last run of each thread, whole, and no other one.
fn check(snapshot: &Snapshot, what: &str) -> Vec<u32> {
    let last = |thread| {
        let i = row(snapshot, thread);
        if i == 0 {
            return 0;
        }
        let history = snapshot.history(&run_of(thread, i));
        let history = history.unwrap_or_else(|error| panic!("{what}: {thread}/{i}: {error}"));
        let payloads: Vec<_> =
            history.iter().map(|event| event.unwrap().payload().to_vec()).collect();
        assert_eq!(payloads.len() as u32, EVENTS + 2, "{what}: {thread}/{i}");
        for (event, found) in (0..EVENTS).zip(&payloads[1..]) {
            assert_eq!(*found, payload(thread, i, event), "{what}: {thread}/{i}: event {event}");
        }
        let gone = snapshot.history(&run_of(thread, i.saturating_sub(1).max(1)));
        let is_gone =
            matches!(gone, Err(Error::RunDeleted { .. } | Error::RunNotFound { .. })) || i == 1;
        assert!(is_gone, "{what}: {thread}/{i}: the run before is there");
        i
    };
    (0..THREADS).map(last).collect()
}

/// Reads what the other process writes until it is told to stop; returns how often it had to open the store anew.
fn read_beside(directory: &Path, stop: &AtomicBool, what: &str) -> u32 {
    let open = || small_segments().read_only(true).open(directory);
    let (mut reader, mut anew, mut before) = (None, 0, vec![0; THREADS as usize]);
    let mut random = Rng::new(what.len() as u64);
    while !stop.load(Ordering::Acquire) {
        let store: &Store = match &reader {
            Some(store) => store,
            None => match open() {
                Ok(store) => reader.insert(store),
                // It is not made yet, or its writer has compacted 32 times meanwhile.
                Err(Error::NotAStore { .. } | Error::Compacted { .. }) => continue,
                Err(error) => panic!("{what}: {error}"),
            },
        };
        match store.refresh() {
            Ok(_) => {
                let snapshot = store.snapshot();
                let seen = check(&snapshot, what);
                // Long enough, now and then, to fall behind a compaction; what it sees stays as it is.
                for _ in 0..random.below(400) {
                    assert_eq!(check(&snapshot, what), seen, "{what}: a snapshot has changed");
                }
                assert!(seen.iter().zip(&before).all(|(now, before)| now >= before), "{what}");
                before = seen;
            }
            Err(Error::Compacted { .. }) => {
                (reader, anew) = (None, anew + 1);
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
    anew
}

#[test]
fn whoever_reads_beside_a_compaction_that_is_killed_sees_whole_commits() {
    let directory = tempfile::tempdir().unwrap();
    let seed = 0xc0a7u64;
    println!("seed {seed:#x}");
    let mut random = Rng::new(seed);
    let (anew, mut rewritten, mut acknowledged) = (AtomicU32::new(0), 0, vec![0; THREADS as usize]);
    for round in 0..ROUNDS {
        let acks = 40 + random.below(160);
        let what = format!("round {round}, killed after {acks}");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (path, stop, what, anew) = (directory.path(), &stop, &what, &anew);
            let reader = scope.spawn(move || read_beside(path, stop, what));
            let name = "compacting::child";
            let (mut child, said) = start(name, path, (ROUND, round.to_string()));
            let mut seen = 0;
            for line in said {
                let line = line.unwrap();
                let words: Vec<_> = line.split(' ').collect();
                match words[..] {
                    ["ack", thread, i] => {
                        let (Ok(thread), Ok(i)) = (thread.parse::<usize>(), i.parse::<u32>())
                        else {
                            continue;
                        };
                        acknowledged[thread] = i;
                        seen += 1;
                        if seen == acks {
                            child.kill().unwrap();
                        }
                    }
                    ["rewritten", segments] => rewritten += segments.parse().unwrap_or(0),
                    // A line cut short by the kill, or the child's last words.
                    _ => assert!(seen >= acks, "{what}: the child says {line:?}"),
                }
            }
            assert!(seen >= acks, "{what}: the child ended by itself");
            child.wait().unwrap();
            stop.store(true, Ordering::Release);
            let reader = reader.join();
            anew.fetch_add(
                reader.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Ordering::Relaxed,
            );
        });
        let store = small_segments().check_log(round % 2 > 0).open(directory.path()).unwrap();
        let found = check(&store.snapshot(), &what);
        let kept = found.iter().zip(&acknowledged);
        assert!(
            kept.clone().all(|(found, kept)| found >= kept),
            "{what}: {found:?} {acknowledged:?}"
        );
        store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    println!("{rewritten} segments rewritten, the reader opened the store {anew:?} times anew");
    assert!(rewritten > 10, "{rewritten}");
}
