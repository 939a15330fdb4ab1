//! Named consumers of the log: how far each has come, and what a compaction leaves for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kinlog::retention::{Compacted, Compaction};
use kinlog::{Error, Options, Position, Store, Transaction};
use kinlog_testing::files::{directory, small_segments};

const SEGMENT: u64 = 64 << 10;

fn segment(position: Position) -> u64 {
    position.as_u64() / SEGMENT
}

/// Overwrites a row until the log goes on in another segment.
fn fill(store: &Store) {
    let filled = segment(store.end());
    while segment(store.end()) == filled {
        store.transact(|tx| tx.put("filling", b"row", &[7; 10_000])).unwrap();
    }
}

fn compact(store: &Store) -> Compacted {
    store.compact(&Compaction::new().dead_percent(0)).unwrap()
}

fn advance(store: &Store, name: &str, position: Position) {
    store.transact(|tx| tx.advance_consumer(name, position)).unwrap();
}

fn refusal(steps: impl FnOnce(&mut Transaction<'_>) -> Result<(), Error>, store: &Store) -> Error {
    steps(&mut store.begin()).unwrap_err()
}

/// How many commits there are from a position on.
fn count_from(store: &Store, position: Position) -> usize {
    let mut tail = store.tail(position);
    std::iter::from_fn(|| tail.try_next().unwrap()).count()
}

#[test]
fn what_a_consumer_did_and_how_far_it_came_are_one_commit() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    store.transact(|tx| tx.put("orders", b"1", b"paid")).unwrap();
    let mut tail = store.tail(store.consumer("search").unwrap().unwrap_or(Position::START));
    tail.try_next().unwrap().unwrap();
    let mut tx = store.begin();
    tx.put("search", b"1", b"paid").unwrap();
    tx.advance_consumer("search", tail.position()).unwrap();
    drop(tx);
    assert_eq!(store.consumers().unwrap(), [], "it was not committed");
    let done = |tx: &mut Transaction<'_>| {
        tx.put("search", b"1", b"paid")?;
        tx.advance_consumer("search", tail.position())
    };
    store.transact(done).unwrap();
    advance(&store, "audit", Position::START);
    let before = store.end();
    advance(&store, "audit", Position::START);
    assert_eq!(store.end(), before, "where it is already nothing is written");
    drop(store);
    let store = Options::new().check_log(true).open(dir.path()).unwrap();
    let [audit, search] = &store.consumers().unwrap()[..] else { panic!("two were made") };
    assert_eq!((&*audit.name, audit.position), ("audit", Position::START));
    assert_eq!((&*search.name, search.position), ("search", tail.position()));
    assert_eq!(search.behind_bytes, store.end().as_u64() - tail.position().as_u64());
    assert_eq!(audit.behind_bytes, store.end().as_u64());
    store.verify(|_| ()).unwrap();
}

#[test]
fn a_position_goes_forward_until_the_consumer_is_removed() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    store.transact(|tx| tx.put("orders", b"1", b"paid")).unwrap();
    let end = store.end();
    advance(&store, "search", end);
    match refusal(|tx| tx.advance_consumer("search", Position::START), &store) {
        Error::ConsumerAhead { consumer, position, asked } => {
            assert_eq!((&*consumer, position, asked), ("search", end, Position::START));
        }
        other => panic!("{other:?}"),
    }
    let anew = |tx: &mut Transaction<'_>| {
        tx.remove_consumer("search")?;
        tx.advance_consumer("search", Position::START)?;
        tx.advance_consumer("search", end)?;
        let back = tx.advance_consumer("search", Position::START);
        assert!(matches!(back, Err(Error::ConsumerAhead { .. })), "{back:?}");
        Ok(())
    };
    store.transact(anew).unwrap();
    assert_eq!(store.consumer("search").unwrap(), Some(end));
    store.transact(|tx| tx.remove_consumer("search")).unwrap();
    store.transact(|tx| tx.remove_consumer("nobody")).unwrap();
    assert_eq!(store.consumer("search").unwrap(), None);
}

#[test]
fn of_two_that_move_one_consumer_one_is_overtaken() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    store.transact(|tx| tx.put("orders", b"1", b"paid")).unwrap();
    let end = store.end();
    for first in [Position::START, end] {
        let mut late = store.begin();
        late.advance_consumer("search", first).unwrap();
        late.put("search", b"1", b"done").unwrap();
        store
            .transact(|tx| {
                tx.remove_consumer("search")?;
                tx.advance_consumer("search", end)
            })
            .unwrap();
        let overtaken = late.commit();
        assert!(matches!(overtaken, Err(Error::Overtaken { .. })), "{overtaken:?}");
    }
}

#[test]
fn bad_names_positions_and_writes_to_the_table_change_nothing() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    store.transact(|tx| tx.put("orders", b"1", b"paid")).unwrap();
    let end = store.end();
    let mut tx = store.begin();
    let beyond = Position::from_u64(end.as_u64() + 8);
    let within = Position::from_u64(end.as_u64() - 8);
    let far = Position::from_u64(u64::MAX);
    for position in [beyond, within, far] {
        let refused = tx.advance_consumer("search", position);
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{refused:?}");
    }
    for refused in [
        tx.advance_consumer("", end),
        tx.remove_consumer(""),
        tx.put("kinlog.consumers", b"search", &[0; 8]),
        tx.delete("kinlog.consumers", b"search"),
    ] {
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{refused:?}");
    }
    let long = tx.advance_consumer(&"n".repeat(256), end);
    assert!(matches!(long, Err(Error::LimitExceeded { max: 255, .. })), "{long:?}");
    tx.commit().unwrap();
    assert_eq!(store.end(), end);
    advance(&store, &"n".repeat(255), end);
}

#[test]
fn a_compaction_leaves_the_log_whole_for_the_slowest_consumer() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    advance(&store, "slow", Position::START);
    fill(&store);
    let middle = store.end();
    fill(&store);
    advance(&store, "fast", store.end());
    let commits = count_from(&store, Position::START);
    let left = compact(&store);
    assert_eq!((left.rewritten, left.segments.len()), (0, 0));
    let held = left.held_back.unwrap();
    assert_eq!((held.consumer.as_deref(), held.position), (Some("slow"), Position::START));
    assert_eq!((held.segments, held.bytes), (2, 2 * SEGMENT));
    assert_eq!(count_from(&store, Position::START), commits, "its tail reads on");
    let later = store.compact(&Compaction::new().dead_percent(0).keep_from(middle)).unwrap();
    assert_eq!(later.rewritten, 0, "the slower of both counts");
    advance(&store, "slow", middle);
    let planned = store.space(&Compaction::new().dead_percent(0)).unwrap();
    let done = compact(&store);
    assert_eq!((done.rewritten, &done.held_back), (1, &planned.held_back));
    assert_eq!(done.held_back.unwrap().segments, 1);
    let stats = store.stats().unwrap();
    assert_eq!(stats.consumers, store.consumers().unwrap());
    assert!(count_from(&store, middle) < commits);
    let kept = store.compact(&Compaction::new().dead_percent(0).keep_from(Position::START));
    assert_eq!(kept.unwrap().held_back.unwrap().consumer, None);
    store.transact(|tx| tx.remove_consumer("slow")).unwrap();
    let done = compact(&store);
    assert_eq!((done.rewritten, done.held_back), (1, None));
}

#[test]
fn a_consumer_is_not_made_where_the_log_was_compacted() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    fill(&store);
    assert_eq!(compact(&store).rewritten, 1);
    let resume = match refusal(|tx| tx.advance_consumer("new", Position::START), &store) {
        Error::Compacted { resume, .. } => resume,
        other => panic!("{other:?}"),
    };
    advance(&store, "new", resume);
    assert_eq!(count_from(&store, resume), 2);
}

/// A compaction that began before the consumer came reads what it is to read.
#[test]
fn a_consumer_is_not_made_where_a_compaction_is_at_work() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    fill(&store);
    let middle = store.end();
    fill(&store);
    // It takes its step before, and commits meanwhile.
    let mut begun = Some(store.begin());
    begun.as_mut().unwrap().advance_consumer("begun", Position::START).unwrap();
    let compaction = Compaction::new().dead_percent(0).keep_from(middle);
    let mut seen = 0;
    let done = store.compact_with(&compaction, &mut |_| {
        seen += 1;
        let refused = [
            begun.take().map(|tx| tx.commit().map(drop)),
            Some(store.transact(|tx| tx.advance_consumer("new", Position::START)).map(drop)),
        ];
        for refused in refused.into_iter().flatten() {
            match refused {
                Err(Error::Compacted { resume, .. }) => {
                    assert_eq!(segment(resume), segment(middle))
                }
                other => panic!("{other:?}"),
            }
        }
        advance(&store, "later", middle);
    });
    assert_eq!((done.unwrap().rewritten, seen), (1, 1));
    assert_eq!(store.consumers().unwrap().len(), 1);
    compact(&store);
    assert!(store.tail(middle).try_next().unwrap().is_some(), "it came before this one");
}

/// Once the compaction is over, only what it has rewritten cannot be read.
#[test]
fn after_a_compaction_that_left_all_a_consumer_is_made_anywhere() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    fill(&store);
    let mut refused = false;
    let compaction = Compaction::new().dead_percent(100);
    let done = store.compact_with(&compaction, &mut |_| {
        let made = store.transact(|tx| tx.advance_consumer("new", Position::START));
        refused = matches!(made, Err(Error::Compacted { .. }));
    });
    assert!(done.unwrap().rewritten == 0 && refused);
    advance(&store, "new", Position::START);
    assert_eq!(compact(&store).rewritten, 0);
}

/// However consumers are made and compactions run: whoever was made reads every commit.
#[test]
fn beside_compactions_no_consumer_loses_a_commit() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (store, stop) = (&store, &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                compact(store);
            }
        });
        let readers = (0..2).map(|reader| {
            scope.spawn(move || {
                for round in 0..40 {
                    fill(store);
                    let name = format!("{reader} {round}");
                    let mut from = Position::START;
                    loop {
                        match store.transact(|tx| tx.advance_consumer(&name, from)) {
                            Err(Error::Compacted { resume, .. }) => from = resume,
                            made => break made.map(drop).unwrap(),
                        }
                    }
                    fill(store);
                    // None of it is an error.
                    count_from(store, from);
                    store.transact(|tx| tx.remove_consumer(&name)).unwrap();
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        let ends: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        stop.store(true, Ordering::Relaxed);
        ends.into_iter().for_each(|end| end.unwrap());
    });
    store.verify(|_| ()).unwrap();
}

/// Its position would be one of another log.
#[test]
fn a_salvage_copies_no_consumer() {
    let dir = directory();
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    let store = small_segments().open(&from).unwrap();
    let done = |tx: &mut Transaction<'_>| {
        tx.put("search", b"1", b"paid")?;
        tx.advance_consumer("search", Position::START)
    };
    store.transact(done).unwrap();
    store.shut_down().unwrap();
    let report = kinlog::salvage::salvage(&from, &to, &Options::new(), |_| ()).unwrap();
    assert!(report.is_complete());
    let store = Store::open(&to).unwrap();
    assert_eq!(store.consumers().unwrap(), []);
    assert_eq!(store.get("search", b"1").unwrap().as_deref(), Some(&b"paid"[..]));
}

/// Only the segment in which it begins was asked: it was made, and came upon the gap later.
#[test]
fn no_consumer_is_made_before_a_segment_that_was_compacted_behind_one_that_was_not() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    while segment(store.end()) == 0 {
        let key = store.end().as_u64().to_le_bytes();
        store.transact(|tx| tx.put("kept", &key, &[7; 10_000])).unwrap();
    }
    fill(&store);
    fill(&store);
    let done = store.compact(&Compaction::new()).unwrap();
    let rewritten: Vec<_> = done.segments.iter().map(|it| it.rewritten).collect();
    assert_eq!(rewritten, [false, true, true]);
    let resume = match store.transact(|tx| tx.advance_consumer("search", Position::START)) {
        Err(Error::Compacted { resume, .. }) => resume,
        other => panic!("{other:?}"),
    };
    assert_eq!(segment(resume), 3);
    advance(&store, "search", resume);
    assert!(count_from(&store, resume) > 0);
    // Whoever reads without a name gets what is there.
    assert!(store.tail(Position::START).try_next().unwrap().is_some());
}
