//! Compaction beside all that goes on in a store: what any reader sees at any moment follows from one number a writer.
//!
//! How the threads interleave is left to the machine; what is asserted holds however they do.

#![allow(clippy::indexing_slicing, clippy::big_endian_bytes)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Close, Error, EventKind, NewEvent, NewRun, RunFilter, RunId, Snapshot, Store, Transaction,
};
use kinlog_testing::disk::{Fate, disk_with};
use kinlog_testing::files::{directory, small_segments};

const WRITERS: u32 = 2;
/// Commits of each writer.
const ROUNDS: u32 = 240;
/// Rounds from the start of one run to that of the next.
const LIFE: u32 = 4;
/// A run is deleted with the end of that which began so many later.
const KEPT: u32 = 3;
/// A row that is put once is deleted so many rounds later: in another segment.
const ONCE: u32 = 30;
const BACKUPS: usize = 4;

fn name(writer: u32, run: u32) -> String {
    format!("{writer}-{run}")
}

fn payload(writer: u32, round: u32) -> Vec<u8> {
    [writer, round].iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<_>>().repeat(250)
}

fn keep(run: u32) -> Keep {
    if run.is_multiple_of(2) { Keep::Outcome } else { Keep::Nothing }
}

/// What a writer does in a round: it goes on with a run, and overwrites a row that says so.
fn take_round(
    store: &Store,
    tx: &mut Transaction<'_>,
    writer: u32,
    round: u32,
) -> kinlog::Result<()> {
    let (run, step) = (round / LIFE, round % LIFE);
    let (name, payload) = (name(writer, run), payload(writer, round));
    tx.put("once", &[writer, round].map(u32::to_be_bytes).concat(), &payload[..400])?;
    if let Some(old) = round.checked_sub(ONCE) {
        tx.delete("once", &[writer, old].map(u32::to_be_bytes).concat())?;
    }
    tx.put("rounds", &writer.to_le_bytes(), &payload)?;
    tx.put("steps", &[writer as u8, step as u8], &payload)?;
    tx.delete("steps", &[writer as u8, (step + 2) as u8 % LIFE as u8])?;
    if step == 0 {
        return tx.start(NewRun::new("shop", &name, "Order").input(&payload)).map(drop);
    }
    let found = store.current_run("shop", &name)?.unwrap();
    if step < LIFE - 1 {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &payload);
        return tx.append(&found, event).map(drop);
    }
    tx.close_run(&found, Close::completed(&payload))?;
    let Some(old) = run.checked_sub(KEPT) else { return Ok(()) };
    let found = store.current_run("shop", &self::name(writer, old))?.unwrap();
    tx.delete_run(&found, keep(old))
}

/// Checks all that a snapshot shows, and returns the last round of each writer.
fn check(snapshot: &Snapshot) -> [Option<u32>; WRITERS as usize] {
    let mut rounds = [None; WRITERS as usize];
    let mut runs = 0;
    for (writer, last) in (0..).zip(&mut rounds) {
        let row = snapshot.get("rounds", &u32::to_le_bytes(writer)).unwrap();
        let Some(row) = row else { continue };
        let round = u32::from_le_bytes(row[4..8].try_into().unwrap());
        assert_eq!(row, payload(writer, round));
        *last = Some(round);
        for step in 0..LIFE {
            let value = snapshot.get("steps", &[writer as u8, step as u8]).unwrap();
            // Of this round and of the one before.
            let of = [Some(round), round.checked_sub(1)].into_iter().flatten();
            let of = of.into_iter().find(|of| of % LIFE == step);
            assert_eq!(
                value,
                of.map(|of| payload(writer, of)).as_deref(),
                "{writer} {round} {step}"
            );
        }
        let once = snapshot.rows_with_prefix("once", &writer.to_be_bytes());
        let keys = once.map(|row| u32::from_be_bytes(row.unwrap().key[4..].try_into().unwrap()));
        assert!(keys.eq((round + 1).saturating_sub(ONCE)..=round), "{writer} {round}");
        for run in 0..=round / LIFE {
            runs += usize::from(check_run(snapshot, writer, run, round));
        }
    }
    assert_eq!(snapshot.runs(RunFilter::all()).count(), runs);
    rounds
}

/// Checks a run of a writer that has come to a round; returns whether it is there.
fn check_run(snapshot: &Snapshot, writer: u32, run: u32, round: u32) -> bool {
    let (name, first) = (name(writer, run), run * LIFE);
    let last = round.min(first + LIFE - 1);
    let deleted = round >= (run + KEPT) * LIFE + LIFE - 1;
    let found = snapshot.current_run("shop", &name).unwrap();
    if deleted && keep(run) == Keep::Nothing {
        assert_eq!(found, None, "{name} at {round}");
        return false;
    }
    let found = found.unwrap();
    if deleted {
        let history = snapshot.history(&found).map(drop);
        assert!(matches!(history, Err(Error::RunDeleted { .. })), "{name} at {round}: {history:?}");
        let outcome = snapshot.closing_event(&found).unwrap().unwrap();
        assert_eq!(outcome.payload(), payload(writer, last), "{name} at {round}");
    } else {
        let history = snapshot.history(&found).unwrap();
        let payloads = history.iter().map(|event| event.unwrap().payload().to_vec());
        assert!(payloads.eq((first..=last).map(|of| payload(writer, of))), "{name} at {round}");
    }
    true
}

/// Checks snapshots and keeps some, which later show the same.
fn read(store: &Store, goes_on: &dyn Fn() -> bool) {
    let mut kept: Vec<(Snapshot, _)> = vec![];
    let mut last = [None; WRITERS as usize];
    while goes_on() {
        let snapshot = store.snapshot();
        let rounds = check(&snapshot);
        assert!(last.iter().zip(&rounds).all(|(before, now)| before <= now), "{last:?} {rounds:?}");
        last = rounds;
        store.verify(|_| ()).unwrap();
        kept.push((snapshot, rounds));
        if kept.len() == 4 {
            let (snapshot, rounds) = kept.remove(1);
            assert_eq!(check(&snapshot), rounds, "a snapshot changed");
        }
    }
    // The first one is from before most compactions.
    for (snapshot, rounds) in kept {
        assert_eq!(check(&snapshot), rounds, "a snapshot changed");
    }
}

/// As another process: told to open the store anew where it is behind a compaction.
fn follow(path: &Path, goes_on: &dyn Fn() -> bool) {
    let open = || small_segments().read_only(true).open(path).unwrap();
    let mut store = open();
    let mut last = [None; WRITERS as usize];
    while goes_on() {
        match store.refresh() {
            Ok(_) => {}
            Err(Error::Compacted { .. }) => store = open(),
            Err(error) => panic!("{error}"),
        }
        let rounds = check(&store.snapshot());
        assert!(last.iter().zip(&rounds).all(|(before, now)| before <= now), "{last:?} {rounds:?}");
        last = rounds;
    }
}

/// Other processes that come, look and go.
fn visit(path: &Path, goes_on: &dyn Fn() -> bool) {
    while goes_on() {
        let store = small_segments().read_only(true).open(path).unwrap();
        check(&store.snapshot());
    }
}

/// Backups, each of which shares what it can with the one before.
fn back_up(store: &Store, to: &Path, goes_on: &dyn Fn() -> bool) {
    let path = |number: usize| to.join(number.to_string());
    for number in 0..BACKUPS {
        if !goes_on() {
            return;
        }
        let base = number.checked_sub(1).map(path);
        store.backup(path(number), base.as_deref(), |_| ()).unwrap();
        let copy = small_segments().read_only(true).open(path(number)).unwrap();
        check(&copy.snapshot());
        copy.verify(|_| ()).unwrap();
    }
}

#[test]
fn all_readers_see_whole_rounds_beside_a_loop_of_compactions() {
    let rewritten = AtomicU32::new(0);
    for memory in [0, 64 << 20] {
        let (dir, backups) = (directory(), directory());
        let store = small_segments().memory_bytes(memory).open(dir.path()).unwrap();
        let writing = AtomicUsize::new(WRITERS as usize);
        let goes_on = || writing.load(Ordering::Acquire) > 0;
        let compact = || {
            let packs = !rewritten.load(Ordering::Relaxed).is_multiple_of(2);
            let compaction = Compaction::new().dead_percent(10);
            let compaction = if packs { compaction.pack() } else { compaction };
            let done = store.compact(&compaction).unwrap();
            rewritten.fetch_add(done.rewritten, Ordering::Relaxed);
        };
        thread::scope(|scope| {
            let (store, writing, compact) = (&store, &writing, &compact);
            for writer in 0..WRITERS {
                scope.spawn(move || {
                    let ended = Ended(writing);
                    for round in 0..ROUNDS {
                        store.transact(|tx| take_round(store, tx, writer, round)).unwrap();
                        if round % 20 == 19 {
                            compact();
                        }
                    }
                    drop(ended);
                });
            }
            scope.spawn(|| read(store, &goes_on));
            scope.spawn(|| follow(dir.path(), &goes_on));
            scope.spawn(|| visit(dir.path(), &goes_on));
            scope.spawn(|| back_up(store, backups.path(), &goes_on));
            while goes_on() {
                compact();
            }
        });
        let all = [Some(ROUNDS - 1); WRITERS as usize];
        assert_eq!(check(&store.snapshot()), all);
        store.shut_down().unwrap();
        let store = small_segments().check_log(true).open(dir.path()).unwrap();
        assert_eq!(check(&store.snapshot()), all);
        store.verify(|_| ()).unwrap();
    }
    assert!(rewritten.into_inner() > 20);
}

/// Counts a thread as ended, also if it fails: the others must not go on for ever.
struct Ended<'a>(&'a AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A store with a row in its first segment that was deleted in the second, one that is there still, and a run.
fn with_dead_rows(dir: &Path) -> (Store, RunId) {
    let store = small_segments().open(dir).unwrap();
    let fill = |segments: u64| {
        while store.end().as_u64() < segments * (64 << 10) {
            store.transact(|tx| tx.put("filling", b"row", &[7; 12_000])).unwrap();
        }
    };
    let start = NewRun::new("shop", "order", "Order").input(&[3; 5_000]);
    let (run, _) = store.transact(|tx| tx.start(start)).unwrap();
    store.close_run(&run, Close::completed(b"done")).unwrap();
    store.transact(|tx| tx.put("rows", b"gone", &[1; 2_000])).unwrap();
    store.transact(|tx| tx.put("rows", b"there", &[1; 2_000])).unwrap();
    fill(1);
    store.transact(|tx| tx.delete("rows", b"gone")).unwrap();
    fill(3);
    store.sync().unwrap();
    (store, run)
}

/// At any operation of an opening for reading only, another process compacts, and deletes before or did so earlier.
#[test]
fn a_reader_that_is_overtaken_while_it_opens_has_all_or_says_so() {
    for (at, deletes) in (0..).flat_map(|at| [(at, false), (at, true)]) {
        let dir = directory();
        let (store, run) = with_dead_rows(dir.path());
        let operations = Arc::new(AtomicUsize::new(0));
        let disk = {
            let operations = operations.clone();
            disk_with(move |_, _| {
                if operations.fetch_add(1, Ordering::SeqCst) == at {
                    if deletes {
                        store.transact(|tx| tx.put("rows", b"there", &[2; 2_000])).unwrap();
                        store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
                    }
                    let done = store.compact(&Compaction::new().dead_percent(0)).unwrap();
                    assert_eq!(done.rewritten, 3);
                }
                Fate::Done
            })
        };
        let reader = small_segments().read_only(true).disk(disk).open(dir.path()).unwrap();
        if operations.load(Ordering::SeqCst) <= at {
            return;
        }
        let snapshot = reader.snapshot();
        assert_eq!(snapshot.get("rows", b"gone").unwrap(), None, "at {at}");
        let there = snapshot.get("rows", b"there").unwrap().unwrap()[0];
        match snapshot.history(&run) {
            Ok(history) => assert_eq!((history.iter().flatten().count(), there), (2, 1), "at {at}"),
            Err(Error::RunDeleted { .. }) => assert_eq!(there, 2, "at {at}"),
            Err(error) => panic!("at {at}: {error}"),
        }
    }
}
