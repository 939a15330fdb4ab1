//! One fixed workload, and every operation of every kind failing in turn.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kinlog::{Durability, Error, EventKind, NewEvent, NewRun, Position, Store};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{directory, small_segments};

/// What a commit was said to have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    Committed,
    NotWritten,
    Unknown,
    /// No commit: its runs never began.
    Refused,
}

fn said(result: &kinlog::Result<kinlog::Commit>, what: &str) -> Said {
    match result {
        Ok(_) => Said::Committed,
        Err(Error::NotWritten { .. } | Error::DiskFull { .. }) => Said::NotWritten,
        Err(Error::OutcomeUnknown { .. }) => Said::Unknown,
        Err(Error::RunNotFound { .. }) => Said::Refused,
        Err(other) => panic!("{what}: {other}"),
    }
}

const COMMITS: u32 = 18;

/// Runs, rows, rolls, waits of every kind. Commit `i` puts the row `i` and appends to two runs.
fn work(store: &Store, what: &str) -> BTreeMap<u32, Said> {
    let mut outcomes = BTreeMap::new();
    let mut tx = store.begin();
    let (Ok(one), Ok(two)) =
        (tx.start(NewRun::new("n", "one", "T")), tx.start(NewRun::new("n", "two", "T")))
    else {
        panic!("{what}: a start needs no disk");
    };
    tx.put("rows", &0u32.to_le_bytes(), b"start").unwrap();
    outcomes.insert(0, said(&tx.commit(), what));
    let mut handles = vec![];
    // Commits begun after one is known to have failed with the disk.
    let mut poisoned = outcomes[&0] == Said::Unknown;
    for i in 1..COMMITS {
        let payload = vec![i as u8; [300, 9_000, 17_000, 50][i as usize % 4]];
        let event = || NewEvent::opaque(EventKind::MARKER_RECORDED, &payload);
        let mut tx = store.begin();
        let built = tx
            .append(&one, event())
            .and_then(|_| tx.append(&two, event()))
            .and_then(|_| tx.put("rows", &i.to_le_bytes(), &payload));
        if let Err(error) = built {
            outcomes.insert(i, said(&Err(error), what));
            continue;
        }
        let result = match i % 5 {
            0 | 1 => tx.commit(),
            2 => tx.commit_with(Durability::Buffered),
            n => {
                let durability = if n == 3 { Durability::Sync } else { Durability::Buffered };
                match tx.submit(durability) {
                    Ok(handle) => {
                        assert!(!poisoned, "{what}: {i} was taken in");
                        handles.push((i, handle));
                        continue;
                    }
                    Err(error) => Err(error),
                }
            }
        };
        let said_so = said(&result, what);
        assert!(!poisoned || said_so == Said::NotWritten, "{what}: commit {i}: {result:?}");
        poisoned |= said_so == Said::Unknown;
        outcomes.insert(i, said_so);
        if i % 7 == 0 {
            for (i, handle) in handles.drain(..) {
                let said_so = said(&handle.wait(), what);
                poisoned |= said_so == Said::Unknown;
                outcomes.insert(i, said_so);
            }
        }
    }
    for (i, handle) in handles {
        outcomes.insert(i, said(&handle.wait(), what));
    }
    outcomes
}

/// The rows in the log, in order; every commit must be whole.
fn present(store: &Store, what: &str) -> Vec<u32> {
    let found = visible(store, what);
    store.verify(|_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    found
}

/// The same as far as it takes no disk.
fn visible(store: &Store, what: &str) -> Vec<u32> {
    let mut tail = store.tail(Position::START);
    let mut found = vec![];
    while let Some(commit) = tail.try_next().unwrap_or_else(|error| panic!("{what}: {error}")) {
        let rows: Vec<_> = commit.rows().collect();
        assert_eq!(rows.len(), 1, "{what}");
        let i = u32::from_le_bytes(rows[0].key.try_into().unwrap());
        let batches: Vec<_> = commit.batches().map(Result::unwrap).collect();
        assert_eq!(batches.len(), 2, "{what}: commit {i}");
        for batch in batches {
            let events: Vec<_> = batch.events().map(Result::unwrap).collect();
            assert_eq!(events.len(), 1, "{what}: commit {i}");
            if i > 0 {
                assert!(Some(events[0].payload()) == rows[0].value, "{what}: commit {i}");
            }
        }
        found.push(i);
    }
    assert!(found.is_sorted(), "{what}: {found:?}");
    found
}

fn check(outcomes: &BTreeMap<u32, Said>, found: &[u32], what: &str) {
    for (i, said) in outcomes {
        let there = found.contains(i);
        match said {
            Said::Committed => assert!(there, "{what}: commit {i} is lost: {outcomes:?}"),
            Said::NotWritten | Said::Refused => {
                assert!(!there, "{what}: commit {i} is there all the same: {outcomes:?}");
            }
            Said::Unknown => {}
        }
    }
}

/// Runs the workload on a disk that does `fate` to the operations of the kind `op` in `failing`;
/// whether any of them was reached.
fn run(op: Op, failing: std::ops::Range<usize>, fate: fn() -> Fate, what: &str) -> bool {
    let dir = directory();
    let path = dir.path().join("store");
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, range) = (count.clone(), failing.clone());
    let disk = disk_with(move |found, _: &Path| {
        let fails = found == op && range.contains(&counted.fetch_add(1, Ordering::Relaxed));
        if fails { fate() } else { Fate::Done }
    });
    let mut outcomes = BTreeMap::new();
    match small_segments().disk(disk).open(&path) {
        Ok(store) => {
            outcomes = work(&store, what);
            // What cannot be written can still be read.
            let visible = visible(&store, what);
            let unseen =
                outcomes.iter().find(|(i, said)| **said == Said::Committed && !visible.contains(i));
            assert!(unseen.is_none(), "{what}: {unseen:?} cannot be read");
            let _ = store.shut_down();
        }
        Err(Error::Io { .. } | Error::NotAStore { .. } | Error::Locked { .. }) => {}
        Err(Error::Corrupt(corruption)) => panic!("{what}: {corruption}"),
        Err(error) => panic!("{what}: {error}"),
    }
    let store =
        small_segments().open(&path).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    let found = present(&store, what);
    check(&outcomes, &found, what);
    drop(store);
    let store = small_segments().open(&path).unwrap();
    assert_eq!(store.report().verdict, kinlog::Verdict::Clean, "{what}");
    assert_eq!(present(&store, what), found, "{what}");
    count.load(Ordering::Relaxed) > failing.start
}

/// Lets the first, second, third, … operation fail until there are no more: alone, and with all
/// that follow it.
fn sweep(op: Op, fate: fn() -> Fate, name: &str) {
    for k in 0.. {
        let mut reached = false;
        for (failing, lasting) in [(k..k + 1, "once"), (k..usize::MAX, "for good")] {
            let what = format!("{op:?} {k} fails {lasting}, {name}");
            reached |= run(op, failing, fate, &what);
        }
        if !reached {
            assert!(k > 0, "{op:?} never happens");
            return;
        }
    }
}

fn broken() -> Fate {
    Fate::Fails(ErrorKind::Other)
}

fn full() -> Fate {
    Fate::Fails(ErrorKind::StorageFull)
}

#[test]
fn every_write_fails_in_turn() {
    sweep(Op::Write, broken, "EIO");
    sweep(Op::Write, full, "ENOSPC");
}

#[test]
fn every_write_is_cut_short_in_turn() {
    sweep(Op::Write, || Fate::Partly(500, ErrorKind::Other), "in the middle");
    sweep(Op::Write, || Fate::Partly(1000, ErrorKind::StorageFull), "at the end");
}

#[test]
fn every_sync_fails_in_turn() {
    sweep(Op::Sync, broken, "EIO");
}

#[test]
fn every_operation_on_names_fails_in_turn() {
    for op in [Op::Rename, Op::SyncDir, Op::CreateDir, Op::Create, Op::Open, Op::Remove, Op::List] {
        sweep(op, broken, "EIO");
    }
    sweep(Op::Create, full, "ENOSPC");
}

#[test]
fn every_read_map_and_lock_fails_in_turn() {
    for op in [Op::Read, Op::Map, Op::Lock] {
        sweep(op, broken, "EIO");
    }
}
