//! One thing at a time: what a user does first.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use kinlog::error::Moved;
use kinlog::{
    Close, Durability, Error, Expect, Limits, NewEvent, NewRun, Options, Position, RunFilter,
    RunStatus, Store, Verdict,
};
use kinlog_testing::files::small_segments;
use kinlog_testing::steps::marker;

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (run, bytes);
    {
        let store = small_segments().open(dir.path()).unwrap();
        assert_eq!(store.report().verdict, Verdict::Created);
        let mut tx = store.begin();
        run = tx.start(NewRun::new("shop", "order-42", "Order").input(b"{}")).unwrap();
        assert_eq!(tx.append(&run, marker(b"paid")).unwrap(), 2);
        tx.put("timers", b"k", b"v").unwrap();
        tx.commit().unwrap();
        store.append(&run, marker(b"packed")).unwrap();
        store.close_run(&run, Close::completed(b"ok")).unwrap();
        bytes = store.history(&run).unwrap().bytes();
    }
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    let history = store.history(&run).unwrap();
    let events: Vec<_> = history.iter().map(Result::unwrap).collect();
    let payloads: Vec<_> = events.iter().map(|event| event.payload()).collect();
    assert_eq!(payloads, [&b"{}"[..], b"paid", b"packed", b"ok"]);
    assert_eq!(events.iter().map(|event| u64::from(event.size())).sum::<u64>(), bytes);
    assert_eq!(history.bytes(), bytes);
    let reversed: Vec<_> = history.rev().map(|event| event.unwrap().id()).collect();
    assert_eq!(reversed, [4, 3, 2, 1]);
    let from: Vec<_> = history.from(3).map(|event| event.unwrap().id()).collect();
    assert_eq!(from, [3, 4]);
    assert_eq!(history.started().unwrap().workflow_id, "order-42");
    assert_eq!(store.get("timers", b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(store.run(&run).unwrap().status, RunStatus::Completed);
    assert_eq!(store.snapshot().runs(RunFilter::all()).count(), 1);
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(run));
    assert!(matches!(store.append(&run, marker(b"late")), Err(Error::RunClosed { .. })));
    let report = store.verify(|_| {}).unwrap();
    assert_eq!((report.commits, report.events, report.runs), (3, 4, 1));
}

#[test]
fn a_commit_that_comes_second_conflicts_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.commit().unwrap();

    let mut first = store.begin();
    let mut second = store.begin();
    first.append(&run, marker(b"first")).unwrap();
    second.append(&run, marker(b"second")).unwrap();
    second.put("t", b"k", b"v").unwrap();
    first.commit().unwrap();
    let before = (store.end(), store.stats().unwrap());
    let error = second.commit().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let Error::Overtaken { moved, attempts: 1 } = error else { panic!("{error}") };
    assert_eq!(moved, Moved::Run { run, expected: 2, found: 3 });
    assert_eq!((store.end(), store.stats().unwrap()), before);
    assert_eq!(store.get("t", b"k").unwrap(), None);

    let mut third = store.begin();
    let error = third.expect(&run, Expect::NextEvent(2)).unwrap_err();
    assert!(
        matches!(error, Error::Conflict { expected: 2, found: 3, .. }) && !error.is_retryable()
    );
    third.expect(&run, Expect::NextEvent(3)).unwrap();
    third.append(&run, marker(b"third")).unwrap();
    third.commit().unwrap();
}

#[test]
fn every_byte_of_every_file_is_accounted_for_over_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.commit().unwrap();
    for i in 0..400u32 {
        let mut tx = store.begin();
        tx.append(&run, marker(&vec![7; (i as usize * 37) % 3000])).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
        let stats = store.stats().unwrap();
        assert_eq!(stats.accounted_bytes(), stats.file_bytes, "{stats:?}");
    }
    assert!(store.report().segments < store.stats().unwrap().header_bytes as u32 / 4096);
    store.verify(|_| {}).unwrap();
    let len = store.history(&run).unwrap().iter().map(Result::unwrap).count();
    assert_eq!(len, 401);
    drop(store);
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes, "{stats:?}");
}

#[test]
fn a_tail_sees_every_commit_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tail = store.tail(Position::START);
    assert!(tail.try_next().unwrap().is_none());
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.put("t", b"k", b"v").unwrap();
    let first = tx.commit().unwrap();
    let handle = {
        let mut tx = store.begin();
        tx.append(&run, marker(b"x")).unwrap();
        tx.delete("t", b"k").unwrap();
        tx.submit(Durability::Sync).unwrap()
    };
    let second = handle.wait().unwrap();
    let view = tail.next_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(view.position(), first.position());
    assert_eq!(
        view.batches()
            .map(Result::unwrap)
            .map(|b| (b.run(), b.events().count()))
            .collect::<Vec<_>>(),
        [(run, 1)]
    );
    assert_eq!(view.rows().map(|r| r.value).collect::<Vec<_>>(), [Some(&b"v"[..])]);
    let view = tail.next_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(view.position(), second.position());
    assert_eq!(view.rows().map(|r| (r.key, r.value)).collect::<Vec<_>>(), [(&b"k"[..], None)]);
    assert!(tail.try_next().unwrap().is_none());
}

#[test]
fn a_second_writer_is_told_who_holds_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    match small_segments().open(dir.path()) {
        Err(Error::Locked { holder, .. }) => assert_eq!(holder.process, std::process::id()),
        other => panic!("{other:?}"),
    }
    store.shut_down().unwrap();
    small_segments().open(dir.path()).unwrap();
}

#[test]
fn a_reader_follows_a_living_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.commit().unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.report().verdict, Verdict::Live);
    assert_eq!(reader.history(&run).unwrap().len(), 1);
    for i in 0..200 {
        let mut tx = store.begin();
        tx.append(&run, marker(&[1; 1000])).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
        assert!(reader.refresh().unwrap());
        assert!(!reader.refresh().unwrap());
        assert_eq!(reader.history(&run).unwrap().len(), i + 2);
    }
    assert!(matches!(reader.append(&run, marker(b"")), Err(Error::ReadOnly)));
    reader.verify(|_| {}).unwrap();
    drop(store);
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.report().verdict, Verdict::Clean);
    assert_eq!(reader.history(&run).unwrap().len(), 201);
}

/// Turns a byte of the first segment over.
fn flip(dir: &Path, offset: u64) {
    let path = dir.join("log").join("00000000.seg");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

#[test]
fn a_reader_that_met_a_bad_frame_goes_on_once_the_frame_is_good_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.commit().unwrap();
    let bad = store.append(&run, marker(b"bad for a while")).unwrap().position();
    flip(dir.path(), bad.as_u64() + 20);

    assert!(matches!(reader.refresh(), Err(Error::Corrupt(_))));
    assert_eq!(reader.end(), bad, "what came before is taken in");
    assert_eq!(reader.history(&run).unwrap().len(), 1);
    assert!(matches!(reader.refresh(), Err(Error::Corrupt(_))), "it is still bad");

    flip(dir.path(), bad.as_u64() + 20);
    assert!(reader.refresh().unwrap());
    assert_eq!((reader.end(), reader.history(&run).unwrap().len()), (store.end(), 2));
    reader.verify(|_| {}).unwrap();
}

#[test]
fn readers_do_not_take_each_other_for_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    // What a reader does to see whether a writer lives, held on to for longer than a reader would.
    let probe = std::fs::File::open(dir.path()).unwrap();
    probe.try_lock_shared().unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.report().verdict, Verdict::Clean);
}

#[test]
fn the_word_of_a_writer_that_is_long_gone_is_no_news() {
    let dir = tempfile::tempdir().unwrap();
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    // As a power loss may leave it: the word is there, what it speaks of is not.
    let lock = dir.path().join("LOCK");
    let mut word = std::fs::read(&lock).unwrap();
    word[16..24].copy_from_slice(&20_000u64.to_le_bytes());
    std::fs::write(&lock, word).unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert!(!reader.refresh().unwrap());

    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    tx.put("t", b"k", b"v").unwrap();
    tx.commit().unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.get("t", b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_copy_without_the_lock_file_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    small_segments().open(dir.path()).unwrap().shut_down().unwrap();
    std::fs::remove_file(dir.path().join("LOCK")).unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.report().verdict, Verdict::Clean);
    assert!(!reader.refresh().unwrap());
}

#[test]
fn a_snapshot_stands_still_beside_a_busy_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.put("t", b"k", b"old").unwrap();
    tx.commit().unwrap();
    let snapshot = store.snapshot();
    let mut tx = store.begin();
    tx.put("t", b"k", b"new").unwrap();
    tx.put("t", b"l", b"new").unwrap();
    tx.close_run(&run, Close::terminated("enough")).unwrap();
    let other = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.commit().unwrap();
    assert_eq!(snapshot.get("t", b"k").unwrap(), Some(&b"old"[..]));
    assert_eq!(snapshot.rows("t", ..).count(), 1);
    assert_eq!(snapshot.run(&run).unwrap().status, RunStatus::Running);
    assert!(snapshot.run(&run).unwrap().is_current);
    assert!(matches!(snapshot.run(&other), Err(Error::RunNotFound { .. })));
    assert_eq!(snapshot.current_run("shop", "order-42").unwrap(), Some(run));
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(other));
    assert_eq!(store.snapshot().rows("t", ..).count(), 2);
    assert_eq!(store.run(&run).unwrap().status, RunStatus::Terminated);
}

#[test]
fn a_limit_that_was_lowered_keeps_nobody_from_waiting_for_less() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    for expected in 2..=4 {
        assert_eq!(tx.append(&run, NewEvent::activity_scheduled("Pack")).unwrap(), expected);
    }
    tx.commit().unwrap();
    let mut limits = Limits::default();
    limits.open_activities = 1;
    store.set_limits("shop", limits).unwrap();
    store.append(&run, NewEvent::activity_completed(2)).unwrap();
    let mut tx = store.begin();
    tx.request_cancel(&run, b"").unwrap();
    tx.commit().unwrap();
    let more = store.append(&run, NewEvent::activity_scheduled("Pack"));
    assert!(matches!(more, Err(Error::LimitExceeded { now: 2, asked: 3, max: 1, .. })));
}
