//! What the files of segments are used for: every byte of them.

use std::fs;
use std::path::Path;

use kinlog::retention::{Compaction, Keep, SegmentSpace};
use kinlog::{Close, EventKind, NewEvent, NewRun, Options, Position, RunId, Store};
use kinlog_testing::files::{directory, segment_name, small_segments};
use kinlog_testing::steps::fill;

const SEGMENT: u64 = 64 << 10;

fn closed(store: &Store, workflow: &str) -> RunId {
    let run = store.transact(|tx| tx.start(NewRun::new("shop", workflow, "Order"))).unwrap().0;
    for number in 0..20u32 {
        let payload = number.to_le_bytes().repeat(100);
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &payload);
        store.transact(|tx| tx.append(&run, event)).unwrap();
    }
    store.close_run(&run, Close::completed(b"result")).unwrap();
    run
}

fn space(store: &Store) -> Vec<SegmentSpace> {
    store.space(&Compaction::new()).unwrap().segments
}

fn bytes_of_files(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let bytes = |path: &Path| match path.is_dir() {
        true => bytes_of_files(path),
        false => fs::metadata(path).unwrap().len(),
    };
    entries.map(|path| bytes(&path)).sum()
}

/// The parts of each file of a closed store add up to its length, and these to those of all files. Returns them.
#[track_caller]
fn accounted(dir: &Path) -> Vec<SegmentSpace> {
    let store = Options::new().read_only(true).open(dir).unwrap();
    let (segments, stats) = (space(&store), store.stats().unwrap());
    for (number, it) in segments.iter().enumerate() {
        let parts =
            it.live_bytes + it.dead_bytes + it.pinned_bytes + it.index_bytes + it.free_bytes;
        assert_eq!(parts, it.file_bytes, "{it:?}");
        assert_eq!(it.segment as usize, number);
        let file = fs::metadata(dir.join(segment_name(number))).unwrap();
        assert_eq!(it.file_bytes, file.len(), "{it:?}");
    }
    let log: u64 = segments.iter().map(|it| it.file_bytes).sum();
    let beside = stats.administration_bytes + stats.index_bytes + stats.quarantine_bytes;
    assert_eq!(log + beside, bytes_of_files(dir));
    assert_eq!(log + beside, stats.file_bytes);
    let free: u64 = segments.iter().map(|it| it.free_bytes).sum();
    assert_eq!(free, stats.free_bytes);
    segments
}

fn sum(segments: &[SegmentSpace], part: fn(&SegmentSpace) -> u64) -> u64 {
    segments.iter().map(part).sum()
}

#[test]
fn every_byte_of_every_file_is_one_thing() {
    let dir = directory();
    let path = dir.path();
    let with = |change: &dyn Fn(&Store)| {
        let store = small_segments().open(path).unwrap();
        change(&store);
        store.shut_down().unwrap();
        accounted(path)
    };
    let empty = with(&|_| ());
    assert_eq!(sum(&empty, |it| it.live_bytes + it.dead_bytes), 0, "{empty:?}");
    let mut runs = vec![];
    let store = small_segments().open(path).unwrap();
    runs.extend(["gone", "whole"].map(|workflow| closed(&store, workflow)));
    store.shut_down().unwrap();
    let whole = accounted(path);
    assert_eq!(sum(&whole, |it| it.dead_bytes), 0, "{whole:?}");
    let deleted = with(&|store| {
        store.transact(|tx| tx.delete_run(&runs[0], Keep::Nothing)).unwrap();
        fill(store);
    });
    assert!(deleted[0].dead_bytes > 20 * 400 && deleted[0].rewritten, "{deleted:?}");
    let compacted = with(&|store| {
        store.compact(&Compaction::new().dead_percent(0)).unwrap();
    });
    assert_eq!(compacted[0].dead_bytes, 0, "{compacted:?}");
    assert!(compacted[0].index_bytes > 4096 && compacted[0].file_bytes < SEGMENT);
    assert_eq!(compacted[0].live_bytes, deleted[0].live_bytes);
    assert_eq!(compacted[0].file_bytes, deleted[0].left_bytes);
    let packed = with(&|store| {
        store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    });
    assert!(packed[0].live_bytes < compacted[0].live_bytes, "{packed:?}");
    assert_eq!(packed[0].dead_bytes, 0);
    let again = with(&|store| {
        store.transact(|tx| tx.delete_run(&runs[1], Keep::Nothing)).unwrap();
    });
    assert!(again[0].dead_bytes > 0, "{again:?}");
}

/// In the segment that takes commits, too.
#[test]
fn a_commit_of_which_nothing_is_asked_for_any_more_is_dead() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let put = |value: u8| store.transact(|tx| tx.put("jobs", b"one", &[value; 1_000])).unwrap();
    let before = store.end().as_u64();
    put(1);
    let first = store.end().as_u64() - before;
    assert_eq!((space(&store)[0].live_bytes, space(&store)[0].dead_bytes), (first, 0));
    put(2);
    let current = space(&store)[0];
    assert_eq!((current.live_bytes, current.dead_bytes), (first, first));
    assert_eq!(current.free_bytes, SEGMENT - store.end().as_u64());
    assert!(!current.rewritten, "it takes commits");
}

#[test]
fn what_a_consumer_is_to_read_is_pinned_and_not_dead() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let before = store.end().as_u64();
    store.transact(|tx| tx.advance_consumer("search", Position::START)).unwrap();
    let its_own = store.end().as_u64() - before;
    let gone = closed(&store, "gone");
    store.transact(|tx| tx.delete_run(&gone, Keep::Nothing)).unwrap();
    fill(&store);
    store.shut_down().unwrap();
    let pinned = accounted(dir.path());
    assert!(pinned[0].pinned_bytes > 20 * 400 && pinned[0].dead_bytes == 0, "{pinned:?}");
    assert_eq!(pinned.last().unwrap().pinned_bytes, 0, "nobody would rewrite it");
    let store = small_segments().open(dir.path()).unwrap();
    store.transact(|tx| tx.remove_consumer("search")).unwrap();
    let dead = space(&store);
    assert_eq!(dead[0].dead_bytes, pinned[0].pinned_bytes + its_own);
    assert_eq!(dead[0].pinned_bytes, 0);
}

#[test]
fn what_a_snapshot_holds_of_a_segment_is_told_beside_its_file() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let gone = ["first", "second"].map(|workflow| {
        let run = closed(&store, workflow);
        fill(&store);
        run
    });
    let snapshot = store.snapshot();
    for run in &gone {
        store.transact(|tx| tx.delete_run(run, Keep::Nothing)).unwrap();
    }
    let done = store.compact(&Compaction::new().dead_percent(0)).unwrap();
    assert!(done.rewritten >= 2, "{done:?}");
    for (before, after) in done.segments.iter().zip(space(&store)) {
        let held = if before.rewritten { SEGMENT } else { 0 };
        assert_eq!((after.segment, after.held_bytes), (before.segment, held));
    }
    drop(snapshot);
}
