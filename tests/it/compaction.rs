//! Compaction: what comes back, and what stays for whoever may still ask for it.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinlog::retention::{Compacted, Compaction, Keep};
use kinlog::{
    Close, Error, EventKind, NewChild, NewEvent, NewReset, NewRun, Options, Position, RunId, Store,
};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{directory, small_segments};
use kinlog_testing::steps::fill;

const SEGMENT: u64 = 64 << 10;

fn payload(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(100)
}

fn append(store: &Store, run: &RunId, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let event = payload(number);
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &event);
        store.transact(|tx| tx.append(run, event)).unwrap();
    }
}

fn start(store: &Store, workflow: &str) -> RunId {
    store.transact(|tx| tx.start(NewRun::new("shop", workflow, "Order").input(b"input"))).unwrap().0
}

/// A run of some length that has closed.
fn closed(store: &Store, workflow: &str) -> RunId {
    let run = start(store, workflow);
    append(store, &run, 0..20);
    store.close_run(&run, Close::completed(b"result")).unwrap();
    run
}

fn delete(store: &Store, run: &RunId, keep: Keep) {
    store.transact(|tx| tx.delete_run(run, keep)).unwrap();
}

fn compact(store: &Store) -> Compacted {
    store.compact(&Compaction::new().dead_percent(0)).unwrap()
}

fn payloads(store: &Store, run: &RunId) -> Vec<Vec<u8>> {
    let history = store.history(run).unwrap();
    history.iter().map(|event| event.unwrap().payload().to_vec()).collect()
}

/// Whether any file of the log has these bytes.
fn is_in_log(store: &Store, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(store.path().join("log")).unwrap();
    let mut contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    contents.any(|content| content.windows(bytes.len()).any(|window| window == bytes))
}

#[test]
fn the_space_of_a_deleted_history_comes_back_and_its_outcome_stays() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let (gone, kept, whole) =
        (closed(&store, "gone"), closed(&store, "kept"), closed(&store, "whole"));
    let (before, sizes) = (payloads(&store, &whole), store.run(&kept).unwrap());
    delete(&store, &gone, Keep::Nothing);
    delete(&store, &kept, Keep::Outcome);
    fill(&store);
    let done = compact(&store);
    let left = std::fs::metadata(dir.path().join("log/00000000.seg")).unwrap().len();
    assert_eq!(SEGMENT - left, done.freed_bytes);
    assert!(done.freed_bytes > 2 * 20 * 400, "{done:?}");
    let store = {
        drop(store);
        Options::new().check_log(true).open(dir.path()).unwrap()
    };
    let found = store.run(&kept).unwrap();
    assert_eq!(
        (found.events, found.bytes, found.status),
        (sizes.events, sizes.bytes, sizes.status)
    );
    let outcome = store.snapshot().closing_event(&kept).unwrap().map(|it| it.payload().to_vec());
    assert_eq!(outcome.as_deref(), Some(&b"result"[..]));
    assert!(matches!(store.history(&kept), Err(Error::RunDeleted { .. })));
    assert_eq!(payloads(&store, &whole), before);
    assert_eq!(compact(&store).rewritten, 0);
    store.verify(|_| ()).unwrap();
}

/// The payloads of a deleted run, wherever they were.
#[test]
fn no_payload_of_a_deleted_run_is_left() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let run = start(&store, "gone");
    let secret = b"the number of a credit card".repeat(10);
    let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &secret);
    store.transact(|tx| tx.append(&run, event)).unwrap();
    store.transact(|tx| tx.put("cards", b"one", &secret)).unwrap();
    store.close_run(&run, Close::completed(&secret)).unwrap();
    store.transact(|tx| tx.delete("cards", b"one")).unwrap();
    delete(&store, &run, Keep::Nothing);
    fill(&store);
    assert!(is_in_log(&store, b"credit card"));
    compact(&store);
    assert!(!is_in_log(&store, b"credit card"));
}

#[test]
fn events_that_resets_share_stay_as_long_as_one_run_has_them() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let base = start(&store, "order");
    append(&store, &base, 0..10);
    let reset = |of: &RunId, after: u32| {
        store.transact(|tx| tx.reset(of, NewReset::to(after).reason("again"))).unwrap().0
    };
    let middle = reset(&base, 8);
    append(&store, &middle, 10..15);
    let last = reset(&middle, 5);
    append(&store, &last, 20..30);
    let before = payloads(&store, &last);
    delete(&store, &base, Keep::Nothing);
    delete(&store, &middle, Keep::Nothing);
    fill(&store);
    compact(&store);
    assert_eq!(payloads(&store, &last), before);
    assert!(is_in_log(&store, &payload(3)) && !is_in_log(&store, &payload(9)));
    store.close_run(&last, Close::completed(b"done")).unwrap();
    delete(&store, &last, Keep::Outcome);
    fill(&store);
    compact(&store);
    assert!(!is_in_log(&store, &payload(3)));
    store.verify(|_| ()).unwrap();
}

#[test]
fn a_parent_keeps_what_its_deleted_children_came_to() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let parent = start(&store, "parent");
    let spawn =
        |tx: &mut kinlog::Transaction<'_>| tx.spawn_child(&parent, NewChild::new("child", "Item"));
    let child = store.transact(spawn).unwrap().0.run;
    append(&store, &child, 0..20);
    store.close_run(&child, Close::completed(b"result")).unwrap();
    store.settle_all().unwrap();
    delete(&store, &child, Keep::Nothing);
    fill(&store);
    compact(&store);
    drop(store);
    let store = Options::new().check_log(true).open(dir.path()).unwrap();
    let children: Vec<_> = store.children(&parent).unwrap().map(Result::unwrap).collect();
    let [only] = children.as_slice() else { panic!("{children:?}") };
    assert!(only.is_deleted);
    store.verify(|_| ()).unwrap();
}

#[test]
fn a_tail_is_told_where_it_can_go_on() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let gone = closed(&store, "gone");
    delete(&store, &gone, Keep::Nothing);
    let behind = store.tail(Position::START);
    fill(&store);
    let mut here = store.tail(store.end());
    let kept = store.compact(&Compaction::new().dead_percent(0).keep_from(behind.position()));
    assert_eq!(kept.unwrap().rewritten, 0, "a consumer that is behind holds it back");
    compact(&store);
    start(&store, "later");
    let mut behind = store.tail(behind.position());
    let resume = match behind.try_next() {
        Err(Error::Compacted { resume, .. }) => resume,
        other => panic!("{other:?}"),
    };
    assert_eq!(resume.as_u64() / SEGMENT, 1);
    assert!(store.tail(resume).try_next().unwrap().is_some());
    assert_eq!(here.try_next().unwrap().unwrap().batches().count(), 1);
}

#[test]
fn a_snapshot_from_before_has_everything_and_holds_its_space() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let gone = closed(&store, "gone");
    let before = payloads(&store, &gone);
    let snapshot = store.snapshot();
    delete(&store, &gone, Keep::Nothing);
    fill(&store);
    compact(&store);
    let history = snapshot.history(&gone).unwrap();
    let found: Vec<_> = history.iter().map(|event| event.unwrap().payload().to_vec()).collect();
    assert_eq!(found, before);
    assert_eq!(store.stats().unwrap().held_bytes, SEGMENT);
    drop((snapshot, history));
    // A thread that prepares a segment has a view for as long as that takes.
    let mut looks = (0..100_000).map(|_| store.stats().unwrap().held_bytes);
    assert!(looks.any(|held| held == 0));
}

/// A queue in a table: what is put is taken soon.
/// The row is in a segment that is left, and its deletion in one that is rewritten.
#[test]
fn a_row_stays_deleted_whose_segment_is_left() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let fill_up_to = |segment: u64, stays: bool| {
        while store.end().as_u64() < segment * SEGMENT {
            let key = if stays { store.end().as_u64().to_le_bytes() } else { [0; 8] };
            store.transact(|tx| tx.put("filling", &key, &[7; 10_000])).unwrap();
        }
    };
    store.transact(|tx| tx.put("rows", b"row", b"value")).unwrap();
    fill_up_to(1, true);
    store.transact(|tx| tx.delete("rows", b"row")).unwrap();
    fill_up_to(2, false);
    let segments = store.compact(&Compaction::new()).unwrap().segments;
    assert_eq!([segments[0].rewritten, segments[1].rewritten], [false, true]);
    store.shut_down().unwrap();
    let store = small_segments().check_log(true).open(dir.path()).unwrap();
    assert_eq!(store.get("rows", b"row").unwrap(), None);
    store.verify(|_| ()).unwrap();
}

#[test]
fn a_queue_in_a_table_levels_off() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let mut most = 0;
    for number in 0..2_000u32 {
        store
            .transact(|tx| {
                tx.put("queue", &number.to_le_bytes(), &payload(number))?;
                if let Some(taken) = number.checked_sub(10) {
                    tx.delete("queue", &taken.to_le_bytes())?;
                }
                Ok(())
            })
            .unwrap();
        if number % 200 == 199 {
            compact(&store);
            most = most.max(store.stats().unwrap().log_bytes());
        }
    }
    assert_eq!(store.snapshot().rows("queue", ..).count(), 10);
    // The segment that takes commits, and a header page for each that was.
    let segments = store.end().as_u64() / SEGMENT + 1;
    assert!(most <= 2 * SEGMENT + segments * 4500, "{most} B in {segments} segments");
    store.verify(|_| ()).unwrap();
}

/// There is no room for what is live, then for that with the reserve, then for all.
#[test]
fn on_a_full_disk_the_reserve_makes_room_and_nothing_is_lost() {
    let dir = directory();
    let (full, path) = (Arc::new(AtomicBool::new(false)), dir.path().to_owned());
    let disk = {
        let full = full.clone();
        disk_with(move |op, at: &Path| {
            let no_room = full.load(Ordering::SeqCst) && path.join("RESERVE").exists();
            let fails = no_room && op == Op::Write && at.ends_with("compacting.tmp");
            if fails { Fate::Fails(ErrorKind::StorageFull) } else { Fate::Done }
        })
    };
    let store = small_segments().disk(disk).open(dir.path()).unwrap();
    let (gone, whole) = (closed(&store, "gone"), closed(&store, "whole"));
    delete(&store, &gone, Keep::Nothing);
    fill(&store);
    full.store(true, Ordering::SeqCst);
    let done = compact(&store);
    assert_eq!(done.rewritten, 1);
    assert!(dir.path().join("RESERVE").exists(), "it is made anew");
    assert_eq!(payloads(&store, &whole).len(), 22);
    store.verify(|_| ()).unwrap();
}

#[test]
fn a_backup_is_based_on_one_from_before_a_compaction() {
    let dir = directory();
    let [path, first, second, third] =
        ["store", "first", "second", "third"].map(|name| dir.path().join(name));
    let store = small_segments().open(&path).unwrap();
    let (gone, whole) = (closed(&store, "gone"), closed(&store, "whole"));
    fill(&store);
    fill(&store);
    store.backup(&first, None, |_| {}).unwrap();
    delete(&store, &gone, Keep::Nothing);
    assert!(compact(&store).rewritten > 0);
    let report = store.backup(&second, Some(&first), |_| {}).unwrap();
    assert!(report.copied > 0, "{report:?}");
    let report = store.backup(&third, Some(&second), |_| {}).unwrap();
    assert!(report.linked > 0, "{report:?}");
    for (path, is_gone) in [(&first, false), (&second, true), (&third, true)] {
        let backup = small_segments().open(path).unwrap();
        assert_eq!(backup.run(&gone).is_err(), is_gone);
        assert_eq!(payloads(&backup, &whole), payloads(&store, &whole));
        backup.verify(|_| ()).unwrap();
    }
}

/// Found by the model: the value of such a row begins where its piece ends.
#[test]
fn an_empty_value_before_a_hole_is_read() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let put = |tx: &mut kinlog::Transaction<'_>| {
        tx.put("four", b"left", b"")?;
        tx.put("four", b"gone", b"value")
    };
    store.transact(put).unwrap();
    store.transact(|tx| tx.delete("four", b"gone")).unwrap();
    fill(&store);
    assert_eq!(compact(&store).rewritten, 1);
    assert_eq!(store.get("four", b"left").unwrap().as_deref(), Some(&b""[..]));
    let mut tx = store.begin();
    assert_eq!(tx.get("four", b"left").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(tx.rows("four", ..).count(), 1);
}
