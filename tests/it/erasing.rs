//! Erasing: what it takes, what it waits for, and that nothing is left.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Close, DutyFilter, DutyKind, Error, EventKind, NewChild, NewEvent, NewRun, NextRun, Options,
    ParentClosePolicy, Position, RunId, Size, Store, Target, Transaction,
};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{Image, directory, small_segments};
use kinlog_testing::steps::marker;

const SEGMENT: u64 = 64 << 10;

fn start(store: &Store, workflow: &str) -> RunId {
    store.transact(|tx| tx.start(NewRun::new("shop", workflow, "Order"))).unwrap().0
}

fn append(store: &Store, run: &RunId, count: usize) {
    for _ in 0..count {
        store.transact(|tx| tx.append(run, marker(&[7; 400]))).unwrap();
    }
}

/// A run of 22 events that has closed.
fn closed(store: &Store, workflow: &str) -> RunId {
    let run = start(store, workflow);
    append(store, &run, 20);
    store.close_run(&run, Close::completed(b"result")).unwrap();
    run
}

fn delete(store: &Store, run: &RunId, keep: Keep) {
    store.transact(|tx| tx.delete_run(run, keep)).unwrap();
}

/// Fills segments up to the one with this number, with rows that stay or with one that is overwritten.
fn fill(store: &Store, number: u64, stays: bool) {
    while store.end().as_u64() < number * SEGMENT {
        let key = if stays { store.end().as_u64().to_le_bytes() } else { [0; 8] };
        store.transact(|tx| tx.put("filling", &key, &[7; 10_000])).unwrap();
    }
}

fn compact(store: &Store, percent: u8) -> Vec<bool> {
    let done = store.compact(&Compaction::new().dead_percent(percent)).unwrap();
    done.segments.iter().map(|segment| segment.rewritten).collect()
}

fn is_gone(store: &Store, run: &RunId) -> bool {
    matches!(store.run(run), Err(Error::RunNotFound { .. }))
}

/// Opens the store without its index, which is then built from the log alone.
fn rebuilt(dir: &Path) -> Store {
    let _ = fs::remove_dir_all(dir.join("index"));
    let store = small_segments().open(dir).unwrap();
    store.verify(|_| ()).unwrap();
    store
}

/// The child's end and the erasure lie in a segment that was rewritten, the child's beginning and its parent in one that
/// was not: the parent seems to have closed with an open child that its policy has not reached.
#[test]
fn what_is_left_of_erased_runs_is_left_out_of_an_index_that_is_built_anew() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store, "first");
    let parent = start(&store, "parent");
    let child = NewChild::new("child", "Order").on_parent_close(ParentClosePolicy::Terminate);
    let child = store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
    store.close_run(&parent, Close::completed(b"")).unwrap();
    fill(&store, 1, true);
    store.settle_all().unwrap();
    delete(&store, &child, Keep::Nothing);
    delete(&store, &parent, Keep::Nothing);
    assert_eq!(store.erase().unwrap().runs, 2);
    fill(&store, 3, false);
    let last = start(&store, "last");
    assert_eq!(compact(&store, 25)[..2], [false, true]);
    drop(store);
    let store = rebuilt(dir.path());
    assert!(is_gone(&store, &parent) && is_gone(&store, &child) && store.run(&last).is_ok());
    assert_eq!(store.duties(DutyFilter::all()).count(), 0);
    // Once nothing is left of them, the rows that say so go, too.
    assert!(compact(&store, 0)[0]);
    let dropped = store.stats().unwrap().dropped_bytes;
    compact(&store, 0);
    assert_eq!(store.stats().unwrap().dropped_bytes, dropped, "in one pass");
    drop(store);
    assert!(is_gone(&rebuilt(dir.path()), &child));
}

/// The run closes in a segment that was rewritten, and asks another one in a segment that was not: it seems to wait still.
#[test]
fn what_an_erased_run_asked_is_due_no_more() {
    for deleted_in in [1, 2] {
        let dir = directory();
        let store = small_segments().open(dir.path()).unwrap();
        start(&store, "first");
        let run = start(&store, "asks");
        let ask = |tx: &mut Transaction<'_>| {
            tx.signal_external(&run, Target::workflow("nobody"), "s", b"")?;
            tx.cancel_external(&run, Target::workflow("nobody"))
        };
        store.transact(ask).unwrap();
        fill(&store, 1, true);
        store.close_run(&run, Close::completed(b"")).unwrap();
        fill(&store, deleted_in, false);
        delete(&store, &run, Keep::Nothing);
        assert_eq!(store.erase().unwrap().runs, 1);
        fill(&store, 2, false);
        fill(&store, 3, true);
        assert_eq!(compact(&store, 25)[..3], [false, true, false]);
        drop(store);
        let store = rebuilt(dir.path());
        assert!(is_gone(&store, &run));
        assert_eq!(store.duties(DutyFilter::all()).count(), 0);
        assert!(DutyKind::ALL.iter().all(|kind| store.duty_count(*kind) == 0));
    }
}

/// The parent begins in a segment that was not rewritten, initiates the child in one that was, and starts it in one that was
/// not.
#[test]
fn an_erased_child_is_left_out_whose_parent_seems_not_to_have_initiated_it() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store, "first");
    let parent = start(&store, "parent");
    let other = NewChild::new("other", "Order");
    let other = store.transact(|tx| tx.spawn_child(&parent, other)).unwrap().0.run;
    store.close_run(&other, Close::completed(b"")).unwrap();
    fill(&store, 1, true);
    let initiate =
        |tx: &mut Transaction<'_>| tx.initiate_child(&parent, NewChild::new("child", "Order"));
    let initiated = store.transact(initiate).unwrap().0;
    fill(&store, 2, false);
    let child = store.transact(|tx| tx.start_child(&parent, initiated, None)).unwrap().0;
    fill(&store, 3, true);
    store.close_run(&child, Close::completed(b"")).unwrap();
    store.settle_all().unwrap();
    store.close_run(&parent, Close::completed(b"")).unwrap();
    [other, child, parent].iter().for_each(|run| delete(&store, run, Keep::Nothing));
    assert_eq!(store.erase().unwrap().runs, 3);
    fill(&store, 4, true);
    assert_eq!(compact(&store, 25)[..3], [false, true, false]);
    drop(store);
    let store = rebuilt(dir.path());
    assert!(is_gone(&store, &parent) && is_gone(&store, &child));
    assert_eq!(store.duties(DutyFilter::all()).count(), 0);
}

#[test]
fn the_number_of_an_erased_run_is_not_used_again() {
    let dir = directory();
    let store = small_segments().memory_bytes(0).open(dir.path()).unwrap();
    start(&store, "first");
    let gone: Vec<_> = (0..5).map(|it| closed(&store, &format!("order-{it}"))).collect();
    gone.iter().for_each(|run| delete(&store, run, Keep::Nothing));
    assert_eq!(store.erase().unwrap().runs, 5);
    fill(&store, 4, false);
    // Each opening writes more of the index into files, behind which nothing is compacted.
    let mut store = store;
    let mut openings = 0;
    while !compact(&store, 0).contains(&true) {
        openings += 1;
        assert!(openings < 50, "the index is not written");
        store.shut_down().unwrap();
        store = small_segments().memory_bytes(0).open(dir.path()).unwrap();
        store.transact(|tx| tx.put("filling", &[0; 8], b"")).unwrap();
    }
    store.shut_down().unwrap();
    let indexed = directory();
    Image::read_but_lock(dir.path()).write(indexed.path());
    let next = start(&rebuilt(dir.path()), "next");
    // With the index from before, which knows the number of the next run by itself.
    let index = indexed.path().join("index");
    assert!(fs::read_dir(&index).unwrap().count() > 1);
    let _ = fs::remove_dir_all(dir.path().join("index"));
    fs::rename(index, dir.path().join("index")).unwrap();
    let store = small_segments().create(false).open(dir.path()).unwrap();
    assert_eq!(store.report().index, kinlog::admin::IndexFound::Used);
    assert!(store.run(&next).is_ok());
    store.verify(|_| ()).unwrap();
}

/// The size of the only child of a run.
fn child_size(store: &Store, parent: &RunId) -> Size {
    store.children(parent).unwrap().next().unwrap().unwrap().size
}

/// A child that continues for ever: a parent, and the runs of the child's chain.
fn cron(store: &Store, runs: usize) -> (RunId, Vec<RunId>) {
    let parent = start(store, "parent");
    let child = NewChild::new("child", "Order");
    let mut run = store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
    let mut chain = vec![run];
    while chain.len() < runs {
        append(store, &run, 3);
        let next = NextRun::new("Order");
        run = store.transact(|tx| tx.continue_as_new(&run, next)).unwrap().0;
        chain.push(run);
    }
    (parent, chain)
}

/// As the index says in memory, in files, and built anew from a log that was compacted in between.
#[test]
fn a_parent_goes_on_to_count_the_runs_of_a_child() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store, "first");
    let (parent, chain) = cron(&store, 8);
    let before = child_size(&store, &parent);
    assert_eq!(before.runs, 8);
    for run in &chain[1..3] {
        delete(&store, run, Keep::Nothing);
    }
    let erased = store.erase().unwrap();
    assert_eq!((erased.runs, erased.left), (2, 0));
    assert!(is_gone(&store, &chain[1]) && !is_gone(&store, &chain[3]));
    assert_eq!(child_size(&store, &parent), before);
    fill(&store, 3, false);
    assert!(compact(&store, 0).contains(&true));
    store.shut_down().unwrap();
    let store = rebuilt(dir.path());
    assert_eq!(child_size(&store, &parent), before);
    store.shut_down().unwrap();
    let store = small_segments().memory_bytes(0).open(dir.path()).unwrap();
    for run in &chain[3..6] {
        delete(&store, run, Keep::Nothing);
    }
    assert_eq!(store.erase().unwrap().runs, 3);
    fill(&store, 5, false);
    store.shut_down().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().index, kinlog::admin::IndexFound::Used);
    assert_eq!(child_size(&store, &parent), before);
    assert_eq!(store.chain(&chain[0]).unwrap().len(), 3);
    compact(&store, 0);
    store.shut_down().unwrap();
    let store = rebuilt(dir.path());
    assert_eq!(child_size(&store, &parent), before);
    // What is known of the chain goes with the last of it.
    let erased_sizes = || store.snapshot().rows("kinlog.erased_sizes", ..).count();
    assert_eq!(erased_sizes(), 1);
    store.delete_tree(&parent, Keep::Nothing, "").unwrap();
    assert_eq!(store.erase().unwrap().left, 0);
    assert!(is_gone(&store, &parent) && erased_sizes() == 0);
    store.verify(|_| ()).unwrap();
}

/// Whether the close policy of a parent has reached a child follows from the run of the child that was asked to cancel, and
/// from the one that was the last when the parent closed: here the first, the second or none of the two in the middle.
#[test]
fn a_child_is_asked_to_cancel_as_before_whatever_is_erased_of_its_chain() {
    for (asked, closed_at) in [(Some(1), 1), (None, 1), (Some(1), 2), (Some(2), 2), (Some(0), 1)] {
        let dir = directory();
        let store = small_segments().open(dir.path()).unwrap();
        start(&store, "first");
        let parent = start(&store, "parent");
        let child = NewChild::new("child", "Order");
        let child = child.on_parent_close(ParentClosePolicy::RequestCancel);
        let mut chain = vec![store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run];
        for at in 0..4 {
            let run = chain[at];
            if asked == Some(at) {
                store.transact(|tx| tx.request_cancel(&run, b"stop")).unwrap();
            }
            if closed_at == at {
                store.close_run(&parent, Close::completed(b"")).unwrap();
                if asked.is_none() {
                    store.settle_all().unwrap();
                }
            }
            let next = NextRun::new("Order");
            chain.push(store.transact(|tx| tx.continue_as_new(&run, next)).unwrap().0);
        }
        let due = store.duties(DutyFilter::all()).count();
        chain[..4].iter().for_each(|run| delete(&store, run, Keep::Nothing));
        assert_eq!(store.erase().unwrap().runs, 0, "{asked:?} {closed_at}");
        fill(&store, 2, false);
        assert!(compact(&store, 0)[0]);
        store.shut_down().unwrap();
        let store = rebuilt(dir.path());
        assert_eq!(store.duties(DutyFilter::all()).count(), due, "{asked:?} {closed_at}");
    }
}

/// The parent has closed, and its policy has not reached the child yet, which goes on all the same.
#[test]
fn a_policy_that_is_due_stays_so_whatever_is_erased_of_the_childs_chain() {
    for policy in [ParentClosePolicy::Terminate, ParentClosePolicy::RequestCancel] {
        let dir = directory();
        let store = small_segments().open(dir.path()).unwrap();
        start(&store, "first");
        let parent = start(&store, "parent");
        let child = NewChild::new("child", "Order").on_parent_close(policy);
        let mut run = store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
        let mut chain = vec![run];
        for at in 0..4 {
            if at == 1 {
                store.close_run(&parent, Close::completed(b"")).unwrap();
            }
            let next = NextRun::new("Order");
            run = store.transact(|tx| tx.continue_as_new(&run, next)).unwrap().0;
            chain.push(run);
        }
        chain[1..4].iter().for_each(|run| delete(&store, run, Keep::Nothing));
        assert_eq!(store.erase().unwrap().runs, 3);
        fill(&store, 2, false);
        assert!(compact(&store, 0)[0]);
        store.shut_down().unwrap();
        let store = rebuilt(dir.path());
        let due = |store: &Store| store.duties(DutyFilter::all()).count();
        assert_eq!(due(&store), 1, "{policy:?}");
        store.settle_all().unwrap();
        assert_eq!(due(&store), 0, "{policy:?}");
        store.shut_down().unwrap();
        assert_eq!(due(&rebuilt(dir.path())), 0, "{policy:?}");
    }
}

/// Whether any file of a store has these bytes.
fn is_in_files(dir: &Path, bytes: &[u8]) -> bool {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found = entries.map(|path| match path.is_dir() {
        true => is_in_files(&path, bytes),
        false => std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes),
    });
    found.any(|found| found)
}

/// Not in the segment that the log ended in, nor in the index.
#[test]
fn nothing_of_what_was_purged_is_left_in_any_file() {
    let dir = directory();
    let store = small_segments().memory_bytes(0).open(dir.path()).unwrap();
    start(&store, "first");
    let (gone, stays) = (start(&store, "jane@example.org"), start(&store, "john@example.org"));
    append(&store, &gone, 200);
    let key = NewEvent::opaque(EventKind::MARKER_RECORDED, b"jane's card").key(0x1122_3344_5566);
    store.transact(|tx| tx.append(&gone, key)).unwrap();
    let child = NewChild::new("jane's child", "Order");
    let child = store.transact(|tx| tx.spawn_child(&gone, child)).unwrap().0.run;
    store.delete_tree(&gone, Keep::Nothing, "jane asked for it").unwrap();
    let traces: [&[u8]; 5] =
        [b"jane", gone.as_bytes(), child.as_bytes(), b"card", &0x1122_3344_5566_u64.to_le_bytes()];
    store.shut_down().unwrap();
    assert!(traces.iter().all(|trace| is_in_files(dir.path(), trace)));
    let purged = kinlog::admin::purge(dir.path(), &small_segments()).unwrap();
    assert_eq!((purged.erased.runs, purged.erased.left), (2, 0));
    for trace in traces {
        assert!(!is_in_files(dir.path(), trace), "{}", trace.escape_ascii());
    }
    let again = kinlog::admin::purge(dir.path(), &small_segments()).unwrap();
    assert_eq!((again.erased.runs, again.erased.left), (0, 0), "{again:?}");
    let store = small_segments().open(dir.path()).unwrap();
    assert!(store.run(&stays).is_ok() && is_in_files(dir.path(), b"john"));
    store.verify(|_| ()).unwrap();
}

#[test]
fn a_reader_goes_past_an_erasure_once_no_snapshot_sees_what_it_erases() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store, "first");
    let (one, other) = (closed(&store, "one"), closed(&store, "other"));
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    let erase = |run: &RunId| {
        delete(&store, run, Keep::Nothing);
        assert_eq!(store.erase().unwrap().runs, 1);
        start(&store, &format!("after {run}"))
    };
    // Deleted and erased since the reader last looked, and no snapshot is held.
    let after = erase(&one);
    assert!(reader.refresh().unwrap());
    assert!(matches!(reader.run(&one), Err(Error::RunNotFound { .. })));
    assert!(reader.run(&after).is_ok());
    let snapshot = reader.snapshot();
    let after = erase(&other);
    for _ in 0..2 {
        let held = reader.refresh();
        assert!(matches!(held, Err(Error::SnapshotHeld { .. })), "{held:?}");
        assert_eq!(snapshot.history(&other).unwrap().len(), 22);
        // What was committed before is taken in.
        assert!(matches!(reader.run(&other), Err(Error::RunDeleted { .. })));
        assert!(matches!(reader.run(&after), Err(Error::RunNotFound { .. })));
    }
    drop(snapshot);
    assert!(reader.refresh().unwrap());
    assert!(matches!(reader.run(&other), Err(Error::RunNotFound { .. })));
    assert!(reader.run(&after).is_ok());
    // Nor does the writer erase what a snapshot of its own sees.
    let third = closed(&store, "third");
    let snapshot = store.snapshot();
    delete(&store, &third, Keep::Nothing);
    assert_eq!(store.erase().unwrap().runs, 0);
    assert_eq!(snapshot.history(&third).unwrap().len(), 22);
    drop(snapshot);
    assert_eq!(store.erase().unwrap().runs, 1);
}

/// Found by the rig: a debug build panicked, and others said that kinlog was at fault.
#[test]
fn a_tail_leaves_out_what_was_erased_since() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let (first, gone) = (start(&store, "first"), closed(&store, "gone"));
    delete(&store, &gone, Keep::Nothing);
    append(&store, &first, 2);
    let told = |store: &Store| {
        let mut tail = store.tail(Position::START);
        let mut told = vec![];
        while let Some(commit) = tail.try_next().unwrap() {
            told.extend(commit.batches().map(|batch| batch.unwrap().run()));
        }
        told
    };
    let before = told(&store);
    assert_eq!(before.iter().filter(|run| **run == gone).count(), 22);
    assert_eq!(store.erase().unwrap().runs, 1);
    let left: Vec<RunId> = before.into_iter().filter(|run| *run != gone).collect();
    assert_eq!((told(&store), left.len()), (left.clone(), 3));
    assert_eq!(told(&Options::new().read_only(true).open(dir.path()).unwrap()), left);
}

/// The file of a segment with much in it that is small and little that is dead gets longer when it is rewritten.
#[test]
fn what_was_purged_goes_from_a_segment_of_many_small_commits() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store, "first");
    let gone = start(&store, "jane@example.org");
    store.close_run(&gone, Close::completed(b"")).unwrap();
    delete(&store, &gone, Keep::Nothing);
    for n in 0u32.. {
        if store.end().as_u64() > SEGMENT {
            break;
        }
        store.transact(|tx| tx.put("t", &n.to_le_bytes(), b"")).unwrap();
    }
    store.shut_down().unwrap();
    let purged = kinlog::admin::purge(dir.path(), &small_segments()).unwrap();
    assert_eq!((purged.erased.runs, purged.compacted.freed_bytes), (1, 0));
    assert!(!is_in_files(dir.path(), b"jane") && !is_in_files(dir.path(), gone.as_bytes()));
}

/// Makes a store, of which the index is in files, with a run that was deleted.
fn jane_was_deleted(dir: &Path) -> RunId {
    let store = small_segments().memory_bytes(0).open(dir).unwrap();
    start(&store, "first");
    let gone = closed(&store, "jane@example.org");
    delete(&store, &gone, Keep::Nothing);
    store.shut_down().unwrap();
    gone
}

/// Segments behind the end of an index in files stay as they are. It was told as a bug of kinlog.
#[test]
fn an_index_that_cannot_be_written_is_told_as_what_the_disk_said() {
    let dir = directory();
    let gone = jane_was_deleted(dir.path());
    for failing in [Op::CreateDir, Op::Create, Op::Write, Op::Rename] {
        let index = dir.path().join("index");
        let disk = disk_with(move |op, at: &Path| match op == failing && at.starts_with(&index) {
            true => Fate::Fails(ErrorKind::StorageFull),
            false => Fate::Done,
        });
        match kinlog::admin::purge(dir.path(), &small_segments().disk(disk)) {
            Err(Error::Io { path, source, .. }) => {
                assert!(path.starts_with(dir.path().join("index")), "{failing:?}: {path:?}");
                assert_eq!(source.kind(), ErrorKind::StorageFull);
            }
            other => panic!("{failing:?}: {other:?}"),
        }
        let store = small_segments().open(dir.path()).unwrap();
        store.verify(|_| ()).unwrap();
        assert!(store.stats().unwrap().index.files > 0);
        store.shut_down().unwrap();
    }
    kinlog::admin::purge(dir.path(), &small_segments()).unwrap();
    assert!(!is_in_files(dir.path(), b"jane") && !is_in_files(dir.path(), gone.as_bytes()));
}

/// It was told that nothing is left.
#[test]
fn files_of_the_index_that_cannot_be_removed_are_told() {
    let dir = directory();
    let gone = jane_was_deleted(dir.path());
    let disk = disk_with(|op, at: &Path| match at.extension().is_some_and(|it| it == "idx") {
        true if op == Op::Remove => Fate::Fails(ErrorKind::PermissionDenied),
        _ => Fate::Done,
    });
    match kinlog::admin::purge(dir.path(), &small_segments().disk(disk)) {
        Err(Error::Io { operation: "remove", path, .. }) => {
            assert!(path.starts_with(dir.path().join("index")), "{path:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(is_in_files(dir.path(), b"jane"));
    let again = kinlog::admin::purge(dir.path(), &small_segments()).unwrap();
    assert_eq!(again.erased.left, 0);
    assert!(!is_in_files(dir.path(), b"jane") && !is_in_files(dir.path(), gone.as_bytes()));
}

/// Nor in what is compressed.
#[test]
fn what_was_purged_is_in_no_block() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    start(&store, "first");
    let (gone, stays) = (start(&store, "jane@example.org"), closed(&store, "john@example.org"));
    append(&store, &gone, 20);
    store.close_run(&gone, Close::completed(b"jane's card")).unwrap();
    fill(&store, 1, false);
    let done = store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    assert!(done.rewritten > 0);
    assert!(is_in_blocks(dir.path(), b"jane") && is_in_blocks(dir.path(), b"john"));
    let before = store.history(&stays).unwrap().len();
    delete(&store, &gone, Keep::Nothing);
    store.shut_down().unwrap();
    kinlog::admin::purge(dir.path(), &small_segments()).unwrap();
    for trace in [b"jane".as_slice(), gone.as_bytes(), b"card"] {
        let is_left = is_in_files(dir.path(), trace) || is_in_blocks(dir.path(), trace);
        assert!(!is_left, "{}", trace.escape_ascii());
    }
    assert!(is_in_blocks(dir.path(), b"john"));
    assert_eq!(Store::open(dir.path()).unwrap().history(&stays).unwrap().len(), before);
}

/// Whether any block of a packed segment has these bytes.
pub(crate) fn is_in_blocks(dir: &Path, bytes: &[u8]) -> bool {
    const ZSTD: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
    let files = fs::read_dir(dir.join("log")).unwrap();
    let mut contents = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    contents.any(|content| {
        let packed = content.starts_with(b"KINLOGCS");
        let frames = (0..content.len()).filter_map(|at| content.get(at..));
        let frames = frames.filter(|frame| packed && frame.starts_with(&ZSTD));
        let mut blocks = frames.filter_map(|frame| {
            let mut decoder = zstd::stream::read::Decoder::new(frame).ok()?.single_frame();
            let mut block = vec![];
            decoder.read_to_end(&mut block).ok().map(|_| block)
        });
        blocks.any(|block| block.windows(bytes.len()).any(|window| window == bytes))
    })
}
