//! A process that is killed in the middle of what it does, again and again, on one store.
//!
//! The child is this test binary, told by its environment to be one. It says on a pipe what it is
//! about to do and what was acknowledged; the parent reads some of that, kills it, and looks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

#[path = "kill/beside.rs"]
mod beside;
#[path = "kill/compacting.rs"]
mod compacting;
#[path = "kill/fanout.rs"]
mod fanout;
#[path = "kill/merging.rs"]
mod merging;
#[path = "kill/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use kinlog::{Durability, EventKind, NewEvent, NewRun, Position, RunFilter, Store, Verdict};
use kinlog_testing::Rng;
use kinlog_testing::files::small_segments;
use process::{DIRECTORY, start};

const ROUNDS: u32 = 28;
const THREADS: u32 = 3;
const ROUND: &str = "KINLOG_KILL_ROUND";

fn workflow(round: u32, thread: u32) -> String {
    format!("round {round} thread {thread}")
}

/// What event `i` of a thread holds.
fn payload(round: u32, thread: u32, i: u32) -> Vec<u8> {
    let mixed = (round * 31 + thread * 17 + i).wrapping_mul(0x9e37_79b9);
    // Now and then one that takes most of a segment, and more than half.
    let len = match mixed % 23 {
        0 => 45_000,
        1..4 => 9_000,
        n => n * 40,
    };
    let mut bytes = vec![mixed as u8; len as usize];
    bytes.extend([round, thread, i].iter().flat_map(|n| n.to_le_bytes()));
    bytes
}

/// One line, in one write: lines of several threads do not mix.
fn say(what: &str, thread: u32, i: u32) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(format!("{what} {thread} {i}\n").as_bytes());
}

/// Not a test of its own: what the child does until it is killed.
#[test]
fn child() {
    let (Ok(directory), Ok(round)) = (std::env::var(DIRECTORY), std::env::var(ROUND)) else {
        return;
    };
    let round: u32 = round.parse().unwrap();
    let store = small_segments().open(&directory).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || commit_for_ever(store, round, thread));
        }
    });
}

fn commit_for_ever(store: &Store, round: u32, thread: u32) {
    let name = workflow(round, thread);
    let mut run = None;
    let mut submitted = vec![];
    for i in 0.. {
        say("try", thread, i);
        let mut tx = store.begin();
        let payload = payload(round, thread, i);
        let id = match run {
            None => tx.start(NewRun::new("n", &name, "T").input(&payload)).unwrap(),
            Some(id) => {
                tx.append(&id, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
                id
            }
        };
        tx.put("last", name.as_bytes(), &i.to_le_bytes()).unwrap();
        // The last thread lets several be on their way at once; a run's next event needs no wait.
        if thread + 1 == THREADS && run.is_some() {
            submitted.push((i, tx.submit(Durability::Sync).unwrap()));
            if submitted.len() == 8 {
                for (i, handle) in submitted.drain(..) {
                    handle.wait().unwrap();
                    say("ack", thread, i);
                }
            }
        } else {
            tx.commit().unwrap();
            say("ack", thread, i);
        }
        run = Some(id);
    }
}

/// What a thread of a round tried and was told, as counts of commits.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    tried: u32,
    acknowledged: u32,
}

type Counts = BTreeMap<(u32, u32), Count>;

/// Starts a child, kills it after `acks` acknowledgements, and counts all that it said.
fn kill_after(acks: usize, directory: &Path, round: u32, counts: &mut Counts) {
    let (mut child, said) = start("child", directory, (ROUND, round.to_string()));
    let mut seen = 0;
    for line in said {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let ["try" | "ack", thread, i] = words[..] else {
            // A line cut short by the kill, or the child's last words.
            assert!(seen >= acks, "round {round}: the child says {line:?}");
            continue;
        };
        let (Ok(thread), Ok(i)) = (thread.parse(), i.parse::<u32>()) else { continue };
        let count: &mut Count = counts.entry((round, thread)).or_default();
        if words[0] == "try" {
            count.tried = i + 1;
            continue;
        }
        count.acknowledged = i + 1;
        seen += 1;
        if seen == acks {
            child.kill().unwrap();
        }
    }
    assert!(seen >= acks, "round {round}: the child ended by itself");
    child.wait().unwrap();
}

/// Checks the whole store against all that was ever said.
fn check(store: &Store, counts: &Counts, what: &str) -> BTreeMap<(u32, u32), u32> {
    let snapshot = store.snapshot();
    let mut present = BTreeMap::new();
    for (&(round, thread), count) in counts {
        let name = workflow(round, thread);
        let mut found = 0;
        if let Some(run) = snapshot.current_run("n", &name).unwrap() {
            for event in &snapshot.history(&run).unwrap() {
                let event = event.unwrap();
                let expected = payload(round, thread, found);
                assert!(event.payload() == expected, "{what}: {name}: event {found}");
                found += 1;
            }
        }
        assert!(
            (count.acknowledged..=count.tried).contains(&found),
            "{what}: {name}: {found} commits are there of {count:?}"
        );
        // The row came with the last event, or neither did.
        let row = snapshot.get("last", name.as_bytes()).unwrap();
        let last = row.map(|row| u32::from_le_bytes(row.try_into().unwrap()) + 1);
        assert_eq!(last.unwrap_or(0), found, "{what}: {name}");
        present.insert((round, thread), found);
    }
    let runs = present.values().filter(|found| **found > 0).count();
    assert_eq!(snapshot.runs(RunFilter::all()).count(), runs, "{what}: runs nobody started");
    store.verify(|_| {}).unwrap();
    present
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_there_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut counts = Counts::new();
    let mut before = BTreeMap::new();
    let seed = 0x6b11u64;
    println!("seed {seed:#x}");
    let mut random = Rng::new(seed);
    for round in 0..ROUNDS {
        let acks = 1 + random.below(60);
        kill_after(acks, directory.path(), round, &mut counts);
        let what = format!("round {round}, killed after {acks}");
        let reader = small_segments().read_only(true).open(directory.path()).unwrap();
        let seen = check(&reader, &counts, &what);
        let verdict = reader.report().verdict;
        assert!(!matches!(verdict, Verdict::Clean | Verdict::Live), "{what}: {verdict:?}");
        drop(reader);
        // What was there stays as it was.
        for (key, found) in &before {
            assert_eq!(seen[key], *found, "{what}: {key:?}");
        }
        before = seen;
        // Every third kill is followed by another process, not by this one.
        if round % 3 != 0 {
            let store = small_segments().open(directory.path()).unwrap();
            assert_eq!(store.report().verdict, verdict, "{what}");
            assert_eq!(check(&store, &counts, &what), before, "{what}");
            if round % 3 == 1 {
                store.shut_down().unwrap();
            }
        }
    }
    let store = small_segments().open(directory.path()).unwrap();
    let mut tail = store.tail(Position::START);
    let mut commits = 0;
    while tail.try_next().unwrap().is_some() {
        commits += 1;
    }
    assert_eq!(commits, before.values().sum::<u32>());
    let (acknowledged, tried) = counts
        .values()
        .fold((0, 0), |(acks, tries), count| (acks + count.acknowledged, tries + count.tried));
    println!("{ROUNDS} kills: {tried} tried, {acknowledged} acknowledged, {commits} there");
    assert!(store.report().segments > 10);
}
