//! Packing: histories of closed runs take less, and whoever reads them does not notice.

use std::ops::Range;
use std::path::Path;

use kinlog::retention::{Compacted, Compaction, Keep};
use kinlog::salvage::salvage;
use kinlog::{Close, Error, EventKind, NewReset, Options, RunId, Store};
use kinlog_testing::Rng;
use kinlog_testing::files::{Image, directory, segment_name, small_segments};
use kinlog_testing::steps::{fill, marker, start};

use crate::erasing::is_in_blocks;

/// Text as engines write it: most of it has been there before.
fn payload(number: usize) -> Vec<u8> {
    format!("{{\"activity\":\"charge\",\"attempt\":1,\"order\":{number},\"currency\":\"EUR\"}}")
        .repeat(3)
        .into()
}

fn append(store: &Store, run: &RunId, numbers: Range<usize>) {
    for number in numbers {
        let event = payload(number);
        store.transact(|tx| tx.append(run, marker(&event))).unwrap();
    }
}

fn close(store: &Store, run: &RunId) {
    store.close_run(run, Close::completed(b"result")).unwrap();
}

/// Runs that take turns, all of which have closed but for the last one, and a table that has changed all the time; the
/// segment that the log ends in has none of it.
fn filled(store: &Store) -> Vec<RunId> {
    let runs: Vec<_> = (0..8).map(|number| start(store, &format!("order-{number}"))).collect();
    for turn in 0..60 {
        for run in &runs {
            append(store, run, turn..turn + 1);
        }
        store.transact(|tx| tx.put("turns", b"last", &payload(turn))).unwrap();
    }
    runs.iter().take(7).for_each(|run| close(store, run));
    fill(store);
    runs
}

fn pack(store: &Store) -> Compacted {
    store.compact(&Compaction::new().pack()).unwrap()
}

/// An event: id, kind, size, payload.
type Told = (u32, EventKind, u32, Vec<u8>);

/// All that a reader finds of a run.
fn told(store: &Store, run: &RunId) -> Vec<Told> {
    let history = store.history(run).unwrap();
    let told = |event: kinlog::Result<kinlog::Event<'_>>| {
        let event = event.unwrap();
        (event.id(), event.kind(), event.size(), event.payload().to_vec())
    };
    let forward: Vec<_> = history.iter().map(told).collect();
    let mut backward: Vec<_> = history.rev().map(told).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    forward
}

fn all_told(store: &Store, runs: &[RunId]) -> Vec<Vec<Told>> {
    runs.iter().map(|run| told(store, run)).collect()
}

fn segment_of(dir: &Path, number: usize) -> Vec<u8> {
    std::fs::read(dir.join(segment_name(number))).unwrap()
}

/// A field in the header of a segment.
fn field(segment: &[u8], at: usize) -> usize {
    let bytes = segment.get(at..).and_then(<[u8]>::first_chunk);
    u32::from_le_bytes(*bytes.unwrap()) as usize
}

/// Where the blocks of a packed segment are in its file.
fn blocks_of(segment: &[u8]) -> Range<usize> {
    let start = 4096 + field(segment, 144);
    start..start + field(segment, 152)
}

#[test]
fn a_packed_store_reads_as_before_and_is_smaller() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let runs = filled(&store);
    let before = all_told(&store, &runs);
    let snapshot = store.snapshot();
    let planned = store.space(&Compaction::new().pack()).unwrap();
    let full = 0..planned.segments.len();
    let bytes = || full.clone().map(|it| segment_of(dir.path(), it).len()).sum::<usize>();
    let bytes_before = bytes();
    let done = pack(&store);
    assert!(done.rewritten >= 2, "{done:?}");
    assert_eq!((bytes_before - bytes()) as u64, done.freed_bytes);
    assert_eq!(planned.rewritten, done.rewritten);
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes);
    assert_eq!(stats.packed_segments, u64::from(done.rewritten));
    assert!(stats.packed_bytes * 4 < stats.unpacked_bytes, "{stats:?}");
    let segments: Vec<_> = (0..done.segments.len()).map(|it| segment_of(dir.path(), it)).collect();
    let packed = segments.iter().map(|it| field(it, 152) + 16 * field(it, 148)).sum::<usize>();
    let unpacked = segments.iter().map(|it| field(it, 72) - field(it, 144)).sum::<usize>();
    assert_eq!((stats.packed_bytes, stats.unpacked_bytes), (packed as u64, unpacked as u64));
    assert!(stats.log_bytes() < stats.event_bytes, "{stats:?}");
    assert_eq!(all_told(&store, &runs), before);
    let old: Vec<_> = runs
        .iter()
        .map(|run| {
            snapshot
                .history(run)
                .unwrap()
                .iter()
                .map(|it| it.unwrap().payload().to_vec())
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(old.iter().zip(&before).all(|(old, new)| old.iter().eq(new.iter().map(|it| &it.3))));
    store.verify(|_| ()).unwrap();
    // Nothing is left to pack.
    assert_eq!(pack(&store).rewritten, 0);
    assert_eq!(store.compact(&Compaction::new().dead_percent(0)).unwrap().rewritten, 0);
    store.shut_down().unwrap();
    drop(snapshot);
    let _ = std::fs::remove_dir_all(dir.path().join("index"));
    for options in [Options::new(), Options::new().check_log(true), Options::new().read_only(true)]
    {
        let store = options.open(dir.path()).unwrap();
        assert_eq!(all_told(&store, &runs), before);
        assert_eq!(store.get("turns", b"last").unwrap().unwrap(), payload(59));
    }
}

/// So that whoever follows the links of a run backward reads the file forward.
#[test]
fn what_is_left_of_a_run_lies_together_the_last_batch_first() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    filled(&store);
    assert!(store.compact(&Compaction::new().dead_percent(0)).unwrap().rewritten > 0);
    let segment = segment_of(dir.path(), 0);
    let pieces = 4096 + field(&segment, 72);
    // Where it lies, its run, and where it was.
    let batch = |entry: usize| {
        let (at, place) = (field(&segment, entry), field(&segment, entry + 8));
        let is_one = segment[place + 18..place + 20] == [1, 0] && field(&segment, entry + 4) >= 44;
        is_one.then(|| (place, field(&segment, place + 20), at))
    };
    let mut batches: Vec<_> = (pieces..segment.len()).step_by(12).filter_map(batch).collect();
    batches.sort_unstable();
    let mut runs: Vec<_> = batches.chunk_by(|a, b| a.1 == b.1).map(|of_run| of_run[0].1).collect();
    let groups = runs.len();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!((runs.len(), groups), (8, 8));
    for of_run in batches.chunk_by(|a, b| a.1 == b.1) {
        assert!(of_run.len() > 20 && of_run.is_sorted_by(|a, b| a.2 > b.2), "{of_run:?}");
    }
}

/// Also where a commit appends to a run that is: an engine looks at its rows long after.
#[test]
fn rows_are_not_packed() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let runs: Vec<_> = (0..4).map(|number| start(&store, &format!("order-{number}"))).collect();
    let row = |turn: usize| (format!("{turn:03}"), format!("row {turn} of 100"));
    for turn in 0..100 {
        let (key, value) = row(turn);
        let appends_and_puts = |tx: &mut kinlog::Transaction<'_>| {
            tx.append(&runs[turn % 4], marker(&payload(turn)))?;
            tx.put("turns", key.as_bytes(), value.as_bytes())
        };
        store.transact(appends_and_puts).unwrap();
    }
    runs.iter().for_each(|run| close(&store, run));
    fill(&store);
    let before = all_told(&store, &runs);
    assert!(pack(&store).rewritten > 0);
    assert!(is_in_blocks(dir.path(), &payload(42)) && !is_in_blocks(dir.path(), b"row 42 of"));
    assert_eq!(all_told(&store, &runs), before);
    for (key, value) in (0..100).map(row) {
        assert_eq!(store.get("turns", key.as_bytes()).unwrap().unwrap(), value.as_bytes());
    }
    store.verify(|_| ()).unwrap();
}

/// What is open goes on, is packed once it has closed, and what is deleted goes from packed segments.
#[test]
fn packed_segments_are_packed_anew_as_runs_close_and_are_deleted() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let runs = filled(&store);
    pack(&store);
    let first = segment_of(dir.path(), 0).len();
    let open = &runs[7];
    append(&store, open, 60..65);
    close(&store, open);
    let before = all_told(&store, &runs);
    fill(&store);
    // An eighth of the segment was not packed, which is most of what it takes.
    assert!(pack(&store).rewritten > 0);
    let second = segment_of(dir.path(), 0).len();
    assert!(second < first, "{first} {second}");
    assert_eq!(all_told(&store, &runs), before);
    for run in &runs[..6] {
        store.transact(|tx| tx.delete_run(run, Keep::Nothing)).unwrap();
    }
    fill(&store);
    // Packed segments stay packed, and nothing of what was deleted is in a block.
    assert!(store.compact(&Compaction::new()).unwrap().rewritten > 0);
    assert!(segment_of(dir.path(), 0).len() < second);
    assert_eq!(all_told(&store, &runs[6..]), before[6..]);
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes);
    store.verify(|_| ()).unwrap();
    store.shut_down().unwrap();
    let _ = std::fs::remove_dir_all(dir.path().join("index"));
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(all_told(&store, &runs[6..]), before[6..]);
}

/// A reset shares events that are packed.
#[test]
fn a_packed_run_can_be_reset() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let runs = filled(&store);
    let before = told(&store, &runs[2]);
    pack(&store);
    let reset = NewReset::to(9).reason("again");
    let fork = store.transact(|tx| tx.reset(&runs[2], reset)).unwrap().0;
    append(&store, &fork, 100..103);
    let after = told(&store, &fork);
    assert_eq!((&after[..9], after.len()), (&before[..9], 13));
}

#[test]
fn backups_of_packed_stores_are_whole_and_grow() {
    let (dir, copy) = (directory(), directory());
    let store = small_segments().open(dir.path()).unwrap();
    let runs = filled(&store);
    let former = copy.path().join("former");
    store.backup(&former, None, |_| ()).unwrap();
    pack(&store);
    let before = all_told(&store, &runs);
    let packed = copy.path().join("packed");
    store.backup(&packed, Some(&former), |_| ()).unwrap();
    assert!(segment_of(&packed, 0) == segment_of(dir.path(), 0), "shared with what was before");
    let more = start(&store, "more");
    let later = copy.path().join("later");
    store.backup(&later, Some(&packed), |_| ()).unwrap();
    for (backup, has_more) in [(packed, false), (later, true)] {
        let backup = Options::new().check_log(true).open(&backup).unwrap();
        backup.verify(|_| ()).unwrap();
        assert_eq!(all_told(&backup, &runs), before);
        assert_eq!(backup.run(&more).is_ok(), has_more);
    }
}

/// Whatever byte of the blocks or of their table is another one, it is found, and no event is made up.
#[test]
fn damage_in_blocks_is_found() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let runs = filled(&store);
    pack(&store);
    let before = all_told(&store, &runs);
    store.shut_down().unwrap();
    let whole = Image::read(dir.path());
    let (blocks, len) = (blocks_of(whole.segment(0)), whole.segment(0).len());
    let mut rng = Rng::new(3);
    let in_blocks: Vec<_> = (0..12).map(|_| blocks.start + rng.below(blocks.len())).collect();
    for at in in_blocks.into_iter().chain(len - 16..len) {
        let mut image = whole.clone();
        image.segment_mut(0)[at] ^= 1 << rng.below(8);
        let damaged = directory();
        image.write(damaged.path());
        let checked = Options::new().check_log(true).open(damaged.path());
        assert!(matches!(checked, Err(Error::Corrupt(_))), "{at}");
        let Ok(store) = Store::open(damaged.path()) else { continue };
        for (run, before) in runs.iter().zip(&before) {
            let history = store.history(run).unwrap();
            let read: kinlog::Result<Vec<_>> =
                history.iter().map(|event| Ok(event?.payload().to_vec())).collect();
            match read {
                Ok(read) => assert!(read.iter().eq(before.iter().map(|it| &it.3)), "{at}"),
                Err(Error::Corrupt(damage)) => {
                    let is_block = damage.offset == blocks.start as u64
                        && damage.what.contains("blocks of a packed segment");
                    assert!(is_block || at >= len - 16, "{at}: {damage:?}");
                    assert_eq!(damage.runs, [*run]);
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(store.verify(|_| ()).is_err(), "{at}");
    }
}

/// What is in other blocks is not lost with one, and what is not packed with none.
#[test]
fn salvage_keeps_what_is_not_in_a_damaged_block() {
    let (dir, rescued) = (directory(), directory());
    let store = small_segments().open(dir.path()).unwrap();
    let runs = filled(&store);
    pack(&store);
    let before = all_told(&store, &runs);
    store.shut_down().unwrap();
    let whole = Image::read(dir.path());
    let blocks = blocks_of(whole.segment(0));
    let table = whole.segment(0).len() - 16;
    for damaged in [blocks.start + blocks.len() / 2, table + 5] {
        let mut image = whole.clone();
        image.segment_mut(0)[damaged] ^= 4;
        image.write(dir.path());
        let to = rescued.path().join(damaged.to_string());
        let report = salvage(dir.path(), &to, &Options::new(), |_| ()).unwrap();
        // Once, whatever was in it.
        let lost: Vec<_> = report.lost.iter().map(|lost| (lost.from, lost.to)).collect();
        assert_eq!(lost, [(blocks.start as u64, blocks.end as u64)], "{report:?}");
        let store = Store::open(&to).unwrap();
        // It was never packed, hence is all there.
        assert_eq!(told(&store, &runs[7]), before[7]);
        assert_eq!(store.get("turns", b"last").unwrap().unwrap(), payload(59));
    }
}
