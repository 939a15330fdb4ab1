//! Races and repetitions that once went through: what a transaction relies on holds when it is
//! committed, what happens once happens once, and what goes with a settlement is in its commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kinlog::error::Moved;
use kinlog::event::ActivityTask;
use kinlog::{
    Body, Close, DutyKind, Error, EventKind, Expect, NewChild, NewEvent, NewReset, NewRun, Options,
    Position, RunId, RunStatus, Store, Timestamp, Transaction,
};
use kinlog_testing::steps::{marker, recorded, start};

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
    (dir, store)
}

fn wake(tx: &mut Transaction<'_>) -> kinlog::Result<()> {
    for run in tx.runs() {
        tx.put("ready", run.as_bytes(), b"")?;
    }
    Ok(())
}

/// Appends an event, with a row that says so.
fn news(store: &Store, run: &RunId) {
    let mut tx = store.begin();
    tx.append(run, marker(b"")).unwrap();
    wake(&mut tx).unwrap();
    tx.commit().unwrap();
}

fn is_ready(store: &Store, run: &RunId) -> bool {
    store.get("ready", run.as_bytes()).unwrap().is_some()
}

/// A worker takes a row out of a queue while another one puts it in again: its news must not be
/// lost with the row.
#[test]
fn a_transaction_without_events_still_holds_its_expectation() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    news(&store, &run);
    let mut worker = store.begin();
    worker.expect(&run, Expect::NextEvent(3)).unwrap();
    worker.delete("ready", run.as_bytes()).unwrap();
    news(&store, &run);
    let end = store.end();
    match worker.commit() {
        Err(Error::Conflict { run: of, expected: 3, found: 4 }) => assert_eq!(of, run),
        other => panic!("{other:?}"),
    }
    assert!(is_ready(&store, &run));
    assert_eq!(store.end(), end);

    let mut worker = store.begin();
    worker.expect(&run, Expect::NextEvent(4)).unwrap();
    worker.delete("ready", run.as_bytes()).unwrap();
    worker.commit().unwrap();
    assert!(!is_ready(&store, &run));
}

#[test]
fn a_transaction_of_nothing_at_all_still_holds_its_expectation() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    let expecting = || {
        let mut tx = store.begin();
        tx.expect(&run, Expect::NextEvent(2)).unwrap();
        tx
    };
    let (first, second) = (expecting(), expecting());
    first.commit().unwrap();
    news(&store, &run);
    assert!(matches!(second.commit(), Err(Error::Conflict { expected: 2, found: 3, .. })));
}

#[test]
fn an_expectation_holds_beside_events_of_another_run() {
    let (_dir, store) = open();
    let (run, other) = (start(&store, "order"), start(&store, "other"));
    let mut tx = store.begin();
    tx.expect(&run, Expect::NextEvent(2)).unwrap();
    tx.append(&other, marker(b"")).unwrap();
    news(&store, &run);
    assert!(matches!(tx.commit(), Err(Error::Conflict { expected: 2, found: 3, .. })));
    assert_eq!(store.run(&other).unwrap().events, 1);
}

#[test]
fn who_expects_nothing_meets_no_conflict() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    let expectations: [&[Expect]; 3] = [&[], &[Expect::Any], &[Expect::NextEvent(2), Expect::Any]];
    let mut waiting = vec![];
    for expectations in expectations {
        let mut tx = store.begin();
        for expect in expectations {
            tx.expect(&run, *expect).unwrap();
        }
        tx.delete("ready", run.as_bytes()).unwrap();
        waiting.push(tx);
    }
    for tx in waiting {
        news(&store, &run);
        tx.commit().unwrap();
        assert!(!is_ready(&store, &run));
    }
}

/// Every way in which an activity ends.
fn ends(scheduled_event_id: u32) -> [NewEvent<'static>; 4] {
    let task = ActivityTask { scheduled_event_id, ..Default::default() };
    [
        NewEvent::activity_completed(scheduled_event_id),
        NewEvent::activity_failed(scheduled_event_id),
        NewEvent::new(Body::ActivityTaskTimedOut(task)),
        NewEvent::new(Body::ActivityTaskCanceled(task)),
    ]
}

/// Adds activities to a run: their Scheduled events.
fn schedule<const N: usize>(store: &Store, run: &RunId) -> [u32; N] {
    let mut tx = store.begin();
    let mut schedule = || tx.append(run, NewEvent::activity_scheduled("charge")).unwrap();
    let scheduled = std::array::from_fn(|_| schedule());
    tx.commit().unwrap();
    scheduled
}

fn check_refused<T: std::fmt::Debug>(outcome: kinlog::Result<T>, end: &NewEvent<'_>, of: u32) {
    match outcome {
        Err(Error::IllegalEvent { kind, refers_to, .. }) => {
            assert_eq!((kind, refers_to), (end.kind(), of));
        }
        other => panic!("{:?} of {of}: {other:?}", end.kind()),
    }
}

fn check_ended(store: &Store, run: &RunId, scheduled: u32) {
    for end in &ends(scheduled) {
        check_refused(store.append(run, *end), end, scheduled);
    }
}

#[test]
fn an_activity_ends_once() {
    let (dir, store) = open();
    let run = start(&store, "order");
    // Nothing is scheduled by these events.
    for event in [0, 1, 2, u32::MAX] {
        check_ended(&store, &run, event);
    }
    for (i, end) in ends(0).iter().enumerate() {
        let [scheduled] = schedule(&store, &run);
        let mut tx = store.begin();
        tx.append(&run, ends(scheduled)[i]).unwrap();
        for again in &ends(scheduled) {
            check_refused(tx.append(&run, *again), again, scheduled);
        }
        tx.commit().unwrap();
        assert_eq!(store.history(&run).unwrap().rev().next().unwrap().unwrap().kind(), end.kind());
        check_ended(&store, &run, scheduled);
    }
    let mut tx = store.begin();
    let scheduled = tx.append(&run, NewEvent::activity_scheduled("charge")).unwrap();
    tx.append(&run, NewEvent::activity_completed(scheduled)).unwrap();
    let again = NewEvent::activity_completed(scheduled);
    check_refused(tx.append(&run, again), &again, scheduled);
    tx.commit().unwrap();

    let [open] = schedule(&store, &run);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    check_ended(&store, &run, scheduled);
    store.append(&run, NewEvent::activity_completed(open)).unwrap();
    check_ended(&store, &run, open);
    store.verify(|_| {}).unwrap();
}

#[test]
fn an_activity_ends_once_for_two_that_know_nothing_of_each_other() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    let [scheduled] = schedule(&store, &run);
    let end = NewEvent::activity_completed(scheduled);
    let ending = |expect: Option<Expect>| {
        let mut tx = store.begin();
        expect.into_iter().for_each(|expect| tx.expect(&run, expect).unwrap());
        tx.append(&run, end).unwrap();
        tx
    };
    let (first, second) = (ending(Some(Expect::Any)), ending(Some(Expect::Any)));
    let third = ending(None);
    first.commit().unwrap();
    let end_of_log = store.end();
    for other in [second, third] {
        match other.commit() {
            Err(Error::Overtaken { moved, attempts: 1 }) => {
                assert_eq!(moved, Moved::Run { run, expected: 3, found: 4 });
            }
            found => panic!("{found:?}"),
        }
    }
    for expect in [Some(Expect::Any), None] {
        let mut again = store.begin();
        expect.into_iter().for_each(|expect| again.expect(&run, expect).unwrap());
        check_refused(again.append(&run, end), &end, scheduled);
    }
    assert_eq!(store.end(), end_of_log);
    assert_eq!(store.history(&run).unwrap().len(), 3);
}

#[test]
fn an_activity_that_a_reset_leaves_open_ends_once_more() {
    let (_dir, store) = open();
    let base = start(&store, "order");
    let [a, b] = schedule(&store, &base);
    store.append(&base, NewEvent::activity_completed(a)).unwrap();
    assert_eq!([a, b], [2, 3]);
    store.append(&base, marker(b"")).unwrap();
    for (last, open) in [(1, vec![]), (a, vec![a]), (b, vec![a, b]), (4, vec![b]), (5, vec![b])] {
        let mut tx = store.begin();
        let run = tx.reset(&base, NewReset::to(last)).unwrap();
        tx.commit().unwrap();
        for activity in [a, b] {
            if open.contains(&activity) {
                store.append(&run, NewEvent::activity_completed(activity)).unwrap();
            }
            check_ended(&store, &run, activity);
        }
    }
    store.verify(|_| {}).unwrap();
}

#[test]
fn what_a_recorded_run_says_of_its_activities_is_kept_as_it_is() {
    let (_dir, store) = open();
    let run = RunId::from_bytes([7; 16]);
    let mut tx = store.begin();
    tx.start(NewRun::imported(recorded(run, "order"))).unwrap();
    tx.append(&run, NewEvent::activity_completed(9)).unwrap();
    tx.append(&run, NewEvent::activity_completed(9)).unwrap();
    tx.commit().unwrap();
    store.append(&run, NewEvent::activity_failed(9)).unwrap();
    assert_eq!(store.history(&run).unwrap().len(), 4);
    store.verify(|_| {}).unwrap();
}

/// A run, a child of it that has closed, and one of that child that is to be terminated for it.
fn family(store: &Store) -> [RunId; 3] {
    let parent = start(store, "parent");
    let mut tx = store.begin();
    let child = tx.spawn_child(&parent, NewChild::new("child", "Child")).unwrap().run;
    let grandchild = tx.spawn_child(&child, NewChild::new("grandchild", "Child")).unwrap().run;
    tx.commit().unwrap();
    store.close_run(&child, Close::completed(b"")).unwrap();
    [parent, child, grandchild]
}

/// The events and the rows of the commits from `position` on: by which runs.
fn commits(store: &Store, position: Position) -> Vec<[BTreeSet<RunId>; 2]> {
    let mut tail = store.tail(position);
    let mut commits = vec![];
    while let Some(commit) = tail.try_next().unwrap() {
        let events = commit.batches().map(Result::unwrap).map(|batch| batch.run()).collect();
        let rows = commit.rows().map(|row| RunId::from_bytes(row.key.try_into().unwrap()));
        commits.push([events, rows.collect()]);
    }
    commits
}

#[test]
fn settle_with_adds_rows_to_the_same_commit() {
    let (_dir, store) = open();
    let [parent, _, grandchild] = family(&store);
    let before = store.end();
    let settled = store.settle_with(&DutyKind::ALL, wake).unwrap();
    let reached = BTreeSet::from([parent, grandchild]);
    assert_eq!((settled.duties, settled.commits), (2, 1));
    assert_eq!(commits(&store, before), [[reached.clone(), reached]]);
    assert_eq!(store.run(&grandchild).unwrap().status, RunStatus::Terminated);

    let nothing = store.settle_with(&DutyKind::ALL, |_| panic!("nothing is settled")).unwrap();
    assert_eq!(nothing.commits, 0);
}

#[test]
fn settle_with_leaves_nothing_of_a_commit_that_its_closure_fails() {
    let (_dir, store) = open();
    let [parent, _, grandchild] = family(&store);
    let before = store.end();
    let error = store.settle_with(&DutyKind::ALL, |tx| {
        wake(tx)?;
        tx.put("", b"a table has a name", b"")
    });
    assert!(matches!(error, Err(Error::InvalidArgument { .. })), "{error:?}");
    assert_eq!(store.end(), before);
    assert!(!is_ready(&store, &parent) && !is_ready(&store, &grandchild));
    assert_eq!(store.run(&grandchild).unwrap().status, RunStatus::Running);
    assert_eq!(store.settle_all().unwrap().duties, 2);
}

#[test]
fn settle_with_asks_again_for_a_commit_that_another_came_before() {
    let (_dir, store) = open();
    let [parent, _, grandchild] = family(&store);
    let mut asked = 0;
    let mut before = store.end();
    let settled = store.settle_with(&DutyKind::ALL, |tx| {
        asked += 1;
        if asked == 1 {
            store.close_run(&grandchild, Close::completed(b""))?;
            before = store.end();
        }
        wake(tx)
    });
    assert_eq!((asked, settled.unwrap().commits), (2, 1));
    let reached = BTreeSet::from([parent]);
    assert_eq!(commits(&store, before), [[reached.clone(), reached]]);
    assert_eq!(store.run(&grandchild).unwrap().status, RunStatus::Completed);
}

#[test]
fn the_clock_of_the_options_tells_the_time_of_settlements() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1));
    let seen = clock.clone();
    let now = move || Timestamp::from_unix_nanos(seen.load(Ordering::Relaxed));
    let store = Options::new().segment_bytes(1 << 20).clock(now).open(dir.path()).unwrap();
    let [parent, child, grandchild] = family(&store);
    clock.store(2, Ordering::Relaxed);
    assert_eq!(store.begin().now().unix_nanos(), 2);
    store.settle_all().unwrap();
    let times = |run: &RunId| -> Vec<i64> {
        let history = store.history(run).unwrap();
        history.iter().map(|event| event.unwrap().time().unix_nanos()).collect()
    };
    // The parent is told of the child's end, and the grandchild is terminated, by settling.
    assert_eq!(times(&parent), [1, 1, 1, 2]);
    assert_eq!(times(&child), [1, 1, 1, 1]);
    assert_eq!(times(&grandchild), [1, 2]);
    let at = Timestamp::from_unix_nanos(7);
    store.append(&parent, marker(b"").at(at)).unwrap();
    assert_eq!(times(&parent), [1, 1, 1, 2, 7]);
}

#[test]
fn a_history_has_the_events_that_it_has() {
    let (_dir, store) = open();
    let base = start(&store, "order");
    store.append(&base, marker(b"")).unwrap();
    news(&store, &base);
    let mut tx = store.begin();
    let reset = tx.reset(&base, NewReset::to(2)).unwrap();
    tx.commit().unwrap();
    for (run, len) in [(base, 4), (reset, 3)] {
        let history = store.history(&run).unwrap();
        assert_eq!(history.len(), len);
        for event in &history {
            let event = event.unwrap();
            let found = history.event(event.id()).unwrap().unwrap();
            assert_eq!((found.id(), found.kind()), (event.id(), event.kind()));
        }
        for id in [0, len + 1, len + 2, u32::MAX] {
            assert!(history.event(id).unwrap().is_none(), "{id}");
        }
    }
}

/// Where a run is found that got blind appends is said of where it is now, or not at all.
#[test]
fn what_is_expected_after_a_blind_append_is_not_compared_with_an_old_place() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    let blind = || {
        let mut tx = store.begin();
        tx.expect(&run, Expect::Any).unwrap();
        tx.append(&run, NewEvent::activity_scheduled("charge")).unwrap();
        tx
    };
    let mut tx = blind();
    let [_scheduled] = schedule(&store, &run);
    // Alone, the same steps would find the run at 4.
    match tx.expect(&run, Expect::NextEvent(4)) {
        Err(Error::Overtaken { moved, .. }) => {
            assert_eq!(moved, Moved::Run { run, expected: 2, found: 3 });
        }
        found => panic!("{found:?}"),
    }
    let mut tx = blind();
    tx.expect(&run, Expect::NextEvent(4)).unwrap();
    tx.commit().unwrap();
    assert_eq!(store.history(&run).unwrap().len(), 3);
}

/// Commits a row that `tx` then reads: whatever it has found before is seen as it is now.
fn move_to_the_present(store: &Store, tx: &mut kinlog::Transaction<'_>) {
    let mut other = store.begin();
    other.put("t", b"k", b"v").unwrap();
    other.commit().unwrap();
    assert_eq!(tx.get("t", b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_run_that_closed_after_it_was_found_gets_no_event() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    let mut tx = store.begin();
    tx.expect(&run, Expect::Any).unwrap();
    store.close_run(&run, Close::completed(b"")).unwrap();
    move_to_the_present(&store, &mut tx);
    let late = tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b""));
    assert!(matches!(late, Err(Error::RunClosed { run: of }) if of == run), "{late:?}");
}

#[test]
fn a_run_that_moved_after_it_was_found_gives_ids_of_now() {
    let (_dir, store) = open();
    let run = start(&store, "order");
    let mut tx = store.begin();
    let stranger = NewChild::new("ship", "Ship").namespace("elsewhere");
    let refused = tx.spawn_child(&run, stranger);
    assert!(matches!(refused, Err(Error::CrossNamespace { .. })), "{refused:?}");
    let [_scheduled] = schedule(&store, &run);
    move_to_the_present(&store, &mut tx);
    let marker = NewEvent::opaque(EventKind::MARKER_RECORDED, b"");
    assert_eq!(tx.append(&run, marker).unwrap(), 3);
    tx.commit().unwrap();
}
