//! The power goes while a run is deleted and purged, at every operation in turn: what was deleted stays so, and the next
//! purge leaves nothing of it.

use std::path::Path;
use std::sync::Arc;

use kinlog::admin::{Purged, purge};
use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Error, EventKind, NewEvent, NewRun, Options, Result, RunId, Store};
use kinlog_rig::disk::{Content, SimulatedDisk, Survivors};

const STORE: &str = "/data/store";
const EVENTS: u32 = 120;
const GONE: RunId = RunId::from_bytes(*b"jane's own runid");
const STAYS: RunId = RunId::from_bytes(*b"john's own runid");
/// What only the run has that is deleted.
const TRACES: [&[u8]; 3] = [b"jane@example.org", b"jane's card", GONE.as_bytes()];

fn options(disk: &SimulatedDisk) -> Options {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone()))
}

fn payload(run: &RunId, event: u32) -> Vec<u8> {
    let what: &[u8] = if *run == GONE { b"jane's card" } else { b"john's card" };
    what.iter().copied().chain(event.to_le_bytes()).cycle().take(700).collect()
}

/// Two runs that have closed, of which each segment has some, in the files of an index too.
fn filled() -> Content {
    let disk = SimulatedDisk::new(1);
    let store = options(&disk).memory_bytes(0).open(STORE).unwrap();
    let start = |workflow: &str, run: RunId| {
        store.transact(|tx| tx.start(NewRun::new("shop", workflow, "Order").id(run))).unwrap();
    };
    // The first run of its type cannot be erased.
    start("first", RunId::from_bytes([1; 16]));
    start("jane@example.org", GONE);
    start("john@example.org", STAYS);
    for event in 0..EVENTS {
        for run in [GONE, STAYS] {
            let payload = payload(&run, event);
            store.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
        }
    }
    for run in [GONE, STAYS] {
        store.close_run(&run, Close::completed(b"")).unwrap();
    }
    assert!(store.report().segments < 3 && store.stats().unwrap().index.files > 0);
    store.shut_down().unwrap();
    disk.content()
}

/// The same, packed.
fn packed() -> Content {
    let disk = SimulatedDisk::with(filled(), 1);
    let store = options(&disk).open(STORE).unwrap();
    assert!(store.compact(&Compaction::new().pack()).unwrap().rewritten > 1);
    assert!(is_there(&store, &GONE) && is_there(&store, &STAYS));
    store.shut_down().unwrap();
    disk.content()
}

/// What `kinlog delete --now` does; says so when the run is deleted.
fn delete_now(disk: &SimulatedDisk, deleted: &mut bool) -> Result<Purged> {
    let store = options(disk).open(STORE)?;
    store.transact(|tx| tx.delete_run(&GONE, Keep::Nothing))?;
    *deleted = true;
    store.shut_down()?;
    purge(STORE, &options(disk))
}

/// Whether the run is there; if so, all of it.
fn is_there(store: &Store, run: &RunId) -> bool {
    let history = match store.history(run) {
        Ok(history) => history,
        Err(Error::RunDeleted { .. } | Error::RunNotFound { .. }) => return false,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(history.len(), EVENTS + 2);
    for (event, found) in (0..EVENTS).zip(history.iter().skip(1)) {
        assert!(found.unwrap().payload() == payload(run, event), "event {event}");
    }
    true
}

/// The files that have something of the deleted run, but for what a repair has put aside.
fn files_with_traces(content: &Content) -> Vec<&Path> {
    let quarantine = Path::new(STORE).join("quarantine");
    let has_any = |bytes: &[u8]| {
        TRACES.iter().any(|trace| bytes.windows(trace.len()).any(|window| window == *trace))
    };
    let files = content.files().filter(|(path, _)| !path.starts_with(&quarantine));
    files.filter(|(_, bytes)| has_any(bytes)).map(|(path, _)| path).collect()
}

/// Nothing of the run is left, nor comes back when the power goes once more.
fn check_purged(disk: &SimulatedDisk, what: &str) {
    for survivors in [Survivors::Everything, Survivors::Nothing] {
        let content = disk.content().after_power_loss(survivors);
        assert_eq!(files_with_traces(&content), [] as [&Path; 0], "{what}, {survivors:?}");
    }
}

fn survivors(at: u64) -> Survivors {
    match at % 4 {
        0 => Survivors::Nothing,
        1 => Survivors::Everything,
        2 => Survivors::Pages(at),
        _ => Survivors::Sectors(at),
    }
}

#[test]
fn what_was_purged_does_not_come_back_when_the_power_goes() {
    let disk = SimulatedDisk::with(filled(), 2);
    assert!(!files_with_traces(&disk.content()).is_empty());
    let purged = delete_now(&disk, &mut false).unwrap();
    assert_eq!((purged.erased.runs, purged.erased.left), (1, 0));
    check_purged(&disk, "undisturbed");
}

/// Lets the power go at one operation after the other.
fn cut_power(before: &Content, operations: impl Iterator<Item = u64>) {
    for at in operations {
        let what = format!("the power goes at operation {at}");
        let disk = SimulatedDisk::with(before.clone(), at);
        disk.cut_power_at(at);
        let mut deleted = false;
        let purged = delete_now(&disk, &mut deleted);
        if !disk.is_dead() {
            let purged = purged.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(purged.compacted.rewritten > 1 && at > 100, "{what}: {purged:?}");
            return;
        }
        let left = disk.content().after_power_loss(survivors(at));
        let disk = SimulatedDisk::with(left, at);
        let store = options(&disk).open(STORE).unwrap_or_else(|error| panic!("{what}: {error}"));
        store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(is_there(&store, &STAYS), "{what}");
        let is_there_still = is_there(&store, &GONE);
        assert!(!(deleted && is_there_still), "{what}: it is there again");
        if is_there_still {
            store.transact(|tx| tx.delete_run(&GONE, Keep::Nothing)).unwrap();
        }
        store.shut_down().unwrap();
        let purged = purge(STORE, &options(&disk)).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(purged.erased.left, 0, "{what}");
        check_purged(&disk, &what);
        let store = options(&disk).open(STORE).unwrap();
        store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(is_there(&store, &STAYS) && !is_there(&store, &GONE), "{what}");
    }
}

#[test]
fn a_purge_that_the_power_ends_at_any_operation_loses_nothing_and_is_done_by_the_next_one() {
    cut_power(&filled(), 0..);
}

#[test]
fn a_purge_of_packed_segments_that_the_power_ends_loses_nothing_and_is_done_by_the_next_one() {
    cut_power(&packed(), (0..).step_by(5));
}
