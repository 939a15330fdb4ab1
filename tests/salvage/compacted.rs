//! Compacted segments, whole and damaged.

use std::fs;
use std::path::Path;

use kinlog::retention::{Compaction, Keep};
use kinlog::salvage::SalvageReport;
use kinlog::{Close, EventKind, NewChild, NewEvent, NewRun, NextRun, RunFilter, RunId, Store};
use kinlog_testing::files::{PAGE, SEGMENT, directory, segment_name, small_segments};

use super::original::events;

/// Runs with payloads, of which every second one was deleted; segment 0 is compacted.
fn compacted(path: &Path) -> Vec<(RunId, Vec<String>)> {
    let store = small_segments().open(path).unwrap();
    let payload = [7; 2000];
    for number in 0_u64.. {
        if store.end().as_u64() >= 2 * SEGMENT as u64 {
            break;
        }
        let id = format!("w{number}");
        let run = store.transact(|tx| tx.start(NewRun::new("shop", &id, "Order"))).unwrap().0;
        for _ in 0..3 {
            let note = NewEvent::opaque(EventKind::MARKER_RECORDED, &payload);
            store.transact(|tx| tx.append(&run, note)).unwrap();
        }
        if number % 2 == 0 {
            store.transact(|tx| tx.close_run(&run, Close::completed(b"done"))).unwrap();
            store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
        }
        store.transact(|tx| tx.put("rows", id.as_bytes(), b"row")).unwrap();
    }
    let done = store.compact(&Compaction::new().dead_percent(0)).unwrap();
    assert!(done.rewritten > 0);
    let left = left(&store);
    store.shut_down().unwrap();
    left
}

fn left(store: &Store) -> Vec<(RunId, Vec<String>)> {
    let snapshot = store.snapshot();
    let runs = snapshot.runs(RunFilter::all()).map(|run| run.unwrap().id);
    let mut left: Vec<_> = runs.map(|run| (run, events(&store.history(&run).unwrap()))).collect();
    left.sort();
    left
}

fn salvaged(dir: &Path) -> (SalvageReport, Store) {
    let (src, dst) = (dir.join("src"), dir.join("dst"));
    let report = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
    let store = small_segments().create(false).open(&dst).unwrap();
    store.verify(|_| ()).unwrap();
    (report, store)
}

#[test]
fn what_is_not_deleted_comes_out_of_compacted_segments() {
    let dir = directory();
    let expected = compacted(&dir.path().join("src"));
    let (report, store) = salvaged(dir.path());
    assert!(report.is_complete() && report.files.is_empty(), "{report:?}");
    assert_eq!(left(&store), expected);
    assert!(report.runs_left_out.is_empty() && store.stats().unwrap().deleted_runs > 1);
}

#[test]
fn erased_runs_are_left_out_as_if_they_had_never_been() {
    let dir = directory();
    let src = dir.path().join("src");
    let expected = compacted(&src);
    let store = small_segments().open(&src).unwrap();
    // What is left of them in the segments stays: nothing compacts these again.
    let erased = store.erase().unwrap();
    assert!(erased.runs > 1 && erased.left <= 2, "{erased:?}");
    store.shut_down().unwrap();
    let (report, store) = salvaged(dir.path());
    assert!(report.is_complete() && report.runs_cut.is_empty(), "{report:?}");
    assert_eq!(left(&store), expected);
    assert!(report.runs_left_out.is_empty(), "{report:?}");
    assert_eq!(store.stats().unwrap().deleted_runs, erased.left);
}

#[test]
fn an_outcome_that_a_compaction_left_is_kept() {
    let dir = directory();
    let src = dir.path().join("src");
    let store = small_segments().open(&src).unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order"))).unwrap().0;
    let note = NewEvent::opaque(EventKind::MARKER_RECORDED, &[7; 2000]);
    store.transact(|tx| tx.append(&run, note)).unwrap();
    store.close_run(&run, Close::completed(b"done")).unwrap();
    store.transact(|tx| tx.delete_run(&run, Keep::Outcome)).unwrap();
    while store.end().as_u64() < SEGMENT as u64 {
        store.transact(|tx| tx.put("filling", b"row", &[7; 9_000])).unwrap();
    }
    assert_eq!(store.compact(&Compaction::new().dead_percent(0)).unwrap().rewritten, 1);
    store.shut_down().unwrap();
    let (report, store) = salvaged(dir.path());
    assert!(report.is_complete() && report.runs_left_out.is_empty(), "{report:?}");
    assert_eq!(store.run(&run).unwrap().deleted, Some(Keep::Outcome));
    assert_eq!(store.outcome(&run).unwrap().as_deref(), Some(&b"done"[..]));
}

#[test]
fn damage_in_a_compacted_segment_takes_its_frame_and_a_damaged_table_the_segment() {
    for in_table in [false, true] {
        let dir = directory();
        let src = dir.path().join("src");
        let expected = compacted(&src);
        let path = src.join(segment_name(0));
        let mut bytes = fs::read(&path).unwrap();
        let (len, at) = (bytes.len(), if in_table { bytes.len() - 4 } else { PAGE + 3000 });
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (report, store) = salvaged(dir.path());
        assert!(!report.is_complete());
        let lost = &report.lost;
        assert!(lost.iter().all(|lost| lost.path == path), "{lost:?}");
        assert!(lost.iter().any(|lost| (lost.from..lost.to).contains(&(at as u64))), "{lost:?}");
        if in_table {
            assert_eq!((lost[0].from, lost[0].to), (PAGE as u64, len as u64));
        }
        let found = left(&store);
        assert!(!found.is_empty());
        for (run, events) in found {
            let whole = &expected.iter().find(|(id, _)| *id == run).unwrap().1;
            assert!(whole.starts_with(&events), "{run}");
        }
    }
}

/// A chain of runs with payloads of which those in the middle are deleted and nothing is kept, with a child that one of the runs
/// that are left has.
fn chain_without_its_middle(store: &Store, erase: bool) {
    let (mut run, _) = store.transact(|tx| tx.start(NewRun::new("shop", "cron", "Order"))).unwrap();
    let mut runs = vec![run];
    for _ in 0..5 {
        let note = NewEvent::opaque(EventKind::MARKER_RECORDED, &[7; 6000]);
        store.transact(|tx| tx.append(&run, note)).unwrap();
        run = store.transact(|tx| tx.continue_as_new(&run, NextRun::new("Order"))).unwrap().0;
        runs.push(run);
    }
    store.transact(|tx| tx.spawn_child(&run, NewChild::new("ship", "Shipping"))).unwrap();
    for run in &runs[1..4] {
        store.transact(|tx| tx.delete_run(run, Keep::Nothing)).unwrap();
    }
    if erase {
        assert_eq!(store.erase().unwrap().runs, 3);
    }
    while store.end().as_u64() < 2 * SEGMENT as u64 {
        store.transact(|tx| tx.put("filling", b"row", &[7; 9_000])).unwrap();
    }
    assert!(store.compact(&Compaction::new().dead_percent(0)).unwrap().rewritten > 0);
}

#[test]
fn what_goes_on_with_a_run_that_is_left_out_is_kept() {
    for erase in [false, true] {
        let dir = directory();
        let src = dir.path().join("src");
        let store = small_segments().open(&src).unwrap();
        chain_without_its_middle(&store, erase);
        let expected = left(&store);
        assert_eq!(expected.len(), 4, "three of the chain, and a child");
        store.shut_down().unwrap();
        let (report, store) = salvaged(dir.path());
        assert_eq!(left(&store), expected, "{report:?}");
        assert!(report.is_complete(), "{report:?}");
    }
}
