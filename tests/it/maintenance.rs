//! The store's own thread that expires runs and compacts the log.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kinlog::retention::{Compaction, Maintenance, Retention};
use kinlog::{Close, Error, NewRun, Options, RunId, Store, Timestamp};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{directory, small_segments};

const SEGMENT: u64 = 64 << 10;
/// Far longer than any round takes: who waits for so long waits in vain.
const IN_VAIN: Duration = Duration::from_secs(120);

/// Rounds when they are asked for.
fn asked() -> Maintenance {
    Maintenance::every(Duration::MAX).compaction(Compaction::new().dead_percent(0))
}

fn closed(store: &Store, workflow: &str, at: i64) -> RunId {
    let at = Timestamp::from_unix_nanos(at);
    let steps = |tx: &mut kinlog::Transaction<'_>| {
        let run = tx.start(NewRun::new("shop", workflow, "Order").at(at))?;
        tx.close_run(&run, Close::completed(b"ok").at(at))?;
        Ok(run)
    };
    store.transact(steps).unwrap().0
}

/// Overwrites a row until the log goes on in another segment.
fn fill(store: &Store) {
    let segment = || store.end().as_u64() / SEGMENT;
    let filled = segment();
    while segment() == filled {
        store.transact(|tx| tx.put("filling", b"row", &[7; 10_000])).unwrap();
    }
}

#[test]
fn a_store_maintains_itself_only_if_it_is_asked() {
    let dir = directory();
    let store = Store::open(dir.path()).unwrap();
    assert!(matches!(store.maintain(), Err(Error::InvalidArgument { .. })));
    assert_eq!(store.stats().unwrap().maintenance.rounds, 0);
    drop(store);
    let never = Options::new().maintenance(Maintenance::every(Duration::ZERO)).open(dir.path());
    assert!(matches!(never, Err(Error::InvalidArgument { .. })));
    let reader = Options::new().read_only(true).maintenance(asked()).open(dir.path()).unwrap();
    assert!(matches!(reader.maintain(), Err(Error::ReadOnly)));
}

#[test]
fn a_round_expires_all_by_the_clock_given_and_then_gives_space_back() {
    let dir = directory();
    let clock = Arc::new(AtomicU64::new(50));
    let now = {
        let clock = clock.clone();
        move || Timestamp::from_unix_nanos(clock.load(Ordering::SeqCst).cast_signed())
    };
    let store = small_segments().maintenance(asked().now(now)).open(dir.path()).unwrap();
    let retention = Retention::new().history(Duration::from_nanos(100));
    store.set_retention("shop", retention.outcome(Duration::from_nanos(1_000))).unwrap();
    // More than are one commit.
    let runs: Vec<_> = (0..300).map(|it| closed(&store, &format!("order-{it}"), 100)).collect();
    let late = closed(&store, "late", 5_000);
    fill(&store);
    let none = store.maintain().unwrap();
    assert_eq!((none.expired.runs, none.expired.outcomes), (0, 0));
    assert!(none.compacted.unwrap().freed_bytes > 0, "a row was overwritten");
    let still = store.maintain().unwrap();
    assert_eq!(still.compacted, None, "nothing has changed");
    clock.store(200, Ordering::SeqCst);
    let done = store.maintain().unwrap();
    assert_eq!((done.expired.runs, done.expired.outcomes, done.expired.more), (0, 300, false));
    assert!(matches!(store.history(&runs[0]), Err(Error::RunDeleted { .. })));
    clock.store(2_000, Ordering::SeqCst);
    assert_eq!(store.maintain().unwrap().expired.runs, 300);
    assert!(matches!(store.run(&runs[299]), Err(Error::RunNotFound { .. })));
    assert_eq!(store.history(&late).unwrap().len(), 2);
    let told = store.stats().unwrap().maintenance;
    assert_eq!((told.rounds, told.runs, told.outcomes, &told.last_error), (4, 300, 300, &None));
    assert!(told.freed_bytes > 0);
    store.verify(|_| ()).unwrap();
}

#[test]
fn rounds_come_by_themselves() {
    let dir = directory();
    let (began, rounds) = mpsc::channel();
    let now = move || {
        // The last ones are told to nobody.
        let _ = began.send(());
        Timestamp::from_unix_nanos(0)
    };
    let often = Maintenance::every(Duration::from_millis(1)).now(now);
    let store = small_segments().maintenance(often).open(dir.path()).unwrap();
    for round in 0..3 {
        rounds.recv_timeout(IN_VAIN).unwrap_or_else(|_| panic!("round {round} did not come"));
    }
    store.shut_down().unwrap();
}

#[test]
fn what_a_round_failed_with_is_told_until_one_goes_well() {
    let dir = directory();
    let fails = Arc::new(AtomicBool::new(true));
    let disk = {
        let fails = fails.clone();
        disk_with(move |op, at: &Path| match op == Op::Write && at.ends_with("compacting.tmp") {
            true if fails.load(Ordering::SeqCst) => Fate::Fails(ErrorKind::PermissionDenied),
            _ => Fate::Done,
        })
    };
    let store = small_segments().maintenance(asked()).disk(disk).open(dir.path()).unwrap();
    store.set_retention("shop", Retention::new().outcome(Duration::ZERO)).unwrap();
    closed(&store, "order", 0);
    fill(&store);
    assert!(matches!(store.maintain(), Err(Error::Io { .. })));
    let told = store.stats().unwrap().maintenance;
    assert_eq!((told.rounds, told.runs), (1, 1), "what expired before has expired");
    assert!(told.last_error.unwrap().contains("compacting.tmp"));
    fails.store(false, Ordering::SeqCst);
    assert!(store.maintain().unwrap().compacted.unwrap().freed_bytes > 0);
    assert_eq!(store.stats().unwrap().maintenance.last_error, None);
}

/// Nobody waits for a thread that is gone, and the store goes on without it.
#[test]
fn a_clock_that_panics_ends_the_thread_and_nothing_else() {
    let dir = directory();
    let broken = asked().now(|| panic!("this clock is broken"));
    let store = small_segments().maintenance(broken).open(dir.path()).unwrap();
    let (tell, told) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let rounds = [store.maintain(), store.maintain()];
        tell.send(rounds).unwrap();
        store
    });
    let rounds = told.recv_timeout(IN_VAIN).expect("who asks for a round waits for ever");
    for round in rounds {
        assert!(matches!(round, Err(Error::InvalidArgument { .. })), "{round:?}");
    }
    let store = waiting.join().unwrap();
    closed(&store, "order", 0);
    store.shut_down().unwrap();
}

#[test]
fn beside_commits_readers_and_consumers_rounds_take_nothing_that_is_needed() {
    let dir = directory();
    let now = || Timestamp::from_unix_nanos(1_000);
    let store = small_segments().maintenance(asked().now(now)).open(dir.path()).unwrap();
    store.set_retention("shop", Retention::new().outcome(Duration::from_nanos(900))).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (store, over) = (&store, &over);
        let rounds = scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                store.maintain().unwrap();
            }
        });
        let commits = |it: u32| {
            move || {
                for round in 0..15 {
                    closed(store, &format!("old {it} {round}"), 1);
                    let kept = closed(store, &format!("new {it} {round}"), 500);
                    let mut tail = store.tail(store.end());
                    let from = tail.position();
                    let name = format!("{it}");
                    let made = |tx: &mut kinlog::Transaction<'_>| {
                        tx.remove_consumer(&name)?;
                        tx.advance_consumer(&name, from)
                    };
                    store.transact(made).unwrap();
                    fill(store);
                    assert_eq!(store.history(&kept).unwrap().len(), 2);
                    while tail.try_next().unwrap().is_some() {}
                }
            }
        };
        let writers = [0, 1].map(|it| scope.spawn(commits(it)));
        let ends = writers.map(|writer| writer.join());
        over.store(true, Ordering::Relaxed);
        ends.into_iter().for_each(|end| end.unwrap());
        rounds.join().unwrap();
    });
    store.maintain().unwrap();
    assert_eq!(store.stats().unwrap().maintenance.runs, 30);
    store.verify(|_| ()).unwrap();
}
