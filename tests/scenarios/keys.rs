//! Keys of events: an engine's own number for an event, once in a run.

use std::sync::Mutex;
use std::thread;

use kinlog::{
    Close, Durability, Error, Expect, NewEvent, NewReset, NextRun, Result, RunId, Transaction,
};

use super::support::{TERMINATE, World, child, note, overtaken};

fn keyed(key: u64) -> NewEvent<'static> {
    note().key(key)
}

#[track_caller]
fn assert_taken<T: std::fmt::Debug>(outcome: Result<T>, expected: (RunId, u64, u32)) {
    match outcome {
        Err(Error::EventKeyExists { run, key, event }) => assert_eq!((run, key, event), expected),
        other => panic!("not a key that is taken: {other:?}"),
    }
}

#[test]
fn a_key_is_taken_once_in_a_run_and_finds_its_event() {
    let world = World::new();
    let (run, other) = (world.start("p"), world.start("q"));
    world.commit(|tx| {
        assert_eq!(tx.event_by_key(&run, 7).unwrap(), None);
        assert_eq!(tx.append(&run, keyed(7)).unwrap(), 2);
        assert_eq!(tx.append(&run, keyed(u64::MAX)).unwrap(), 3);
        assert_taken(tx.append(&run, keyed(7)), (run, 7, 2));
        assert_eq!(tx.event_by_key(&run, 7).unwrap(), Some(2));
        assert_eq!(tx.append(&other, keyed(7)).unwrap(), 2);
    });
    assert_taken(world.append(&run, keyed(7)), (run, 7, 2));
    // A refused event takes no key.
    let mut tx = world.begin();
    let long = vec![0; 3 << 20];
    assert!(tx.append(&run, note().payload(&long).key(9)).is_err());
    assert_eq!(tx.event_by_key(&run, 9).unwrap(), None);
    tx.close_run(&run, Close::completed(b"").key(9)).unwrap();
    tx.commit().unwrap();
    let unknown = RunId::from_bytes([9; 16]);
    assert!(matches!(world.event_by_key(&unknown, 7), Err(Error::RunNotFound { .. })));
    assert!(matches!(world.begin().event_by_key(&unknown, 7), Err(Error::RunNotFound { .. })));
    world.ends(|world| {
        let found = |run, key| world.event_by_key(&run, key).unwrap();
        assert_eq!(
            [found(run, 7), found(run, u64::MAX), found(run, 9)],
            [Some(2), Some(3), Some(4)]
        );
        assert_eq!((found(run, 8), found(other, 7)), (None, Some(2)));
        // It has closed, and says what is more to the point of whoever asks again.
        assert_taken(world.begin().append(&run, keyed(7)), (run, 7, 2));
        assert!(matches!(world.begin().append(&run, keyed(8)), Err(Error::RunClosed { .. })));
    });
}

#[test]
fn nobody_comes_between_a_key_and_its_event_or_takes_the_key_as_well() {
    let world = World::new();
    let run = world.start("p");
    let anywhere = |tx: &mut Transaction<'_>, key| {
        tx.expect(&run, Expect::Any).unwrap();
        tx.append(&run, keyed(key)).unwrap();
    };
    let (mut first, mut second, mut third) = (world.begin(), world.begin(), world.begin());
    anywhere(&mut first, 1);
    anywhere(&mut second, 1);
    anywhere(&mut third, 3);
    second.commit().unwrap();
    overtaken(first.commit().map(drop).unwrap_err());
    overtaken(third.commit().map(drop).unwrap_err());

    // Who saw that nobody has a key.
    let mut seen = world.begin();
    assert_eq!(seen.event_by_key(&run, 2).unwrap(), None);
    seen.put("t", b"", b"").unwrap();
    world.append(&run, keyed(2)).unwrap();
    overtaken(seen.commit().map(drop).unwrap_err());
    world.ends(|world| {
        let found: Vec<_> = (1..4).map(|key| world.event_by_key(&run, key).unwrap()).collect();
        assert_eq!(found, [Some(2), Some(3), None]);
    });
}

#[test]
fn a_refused_key_leaves_a_run_where_it_may_be_anywhere() {
    let world = World::new();
    let run = world.start("p");
    world.append(&run, keyed(1)).unwrap();
    let mut tx = world.begin();
    tx.expect(&run, Expect::Any).unwrap();
    assert_taken(tx.append(&run, keyed(1)), (run, 1, 2));
    tx.put("t", b"", b"").unwrap();
    world.note(&run);
    overtaken(tx.commit().map(drop).unwrap_err());
    let mut tx = world.begin();
    tx.expect(&run, Expect::Any).unwrap();
    let illegal = kinlog::event::ActivityTask { scheduled_event_id: 9, started_event_id: 0 };
    let illegal = NewEvent::new(kinlog::Body::ActivityTaskCompleted(illegal)).key(5);
    assert!(matches!(tx.append(&run, illegal), Err(Error::IllegalEvent { .. })));
    drop(tx);
    world.ends(|world| assert_eq!(world.event_by_key(&run, 5).unwrap(), None));
}

#[test]
fn the_next_run_has_no_keys_and_one_that_a_reset_made_has_those_it_shares() {
    let world = World::new();
    let base = world.start("p");
    for key in 1..4 {
        world.append(&base, keyed(key)).unwrap();
    }
    let (again, next) = world.commit(|tx| {
        let again = tx.reset(&base, NewReset::to(3)).unwrap();
        assert_eq!(tx.event_by_key(&again, 2).unwrap(), Some(3));
        assert_eq!(tx.event_by_key(&again, 3).unwrap(), None);
        assert_taken(tx.append(&again, keyed(2)), (again, 2, 3));
        assert_eq!(tx.append(&again, keyed(3)).unwrap(), 5);
        assert_eq!(tx.append(&again, keyed(4)).unwrap(), 6);
        let close = Close::completed(b"").key(5);
        (again, tx.close_and_continue(&again, close, NextRun::cron("P")).unwrap())
    });
    let last = world.commit(|tx| tx.reset(&again, NewReset::to(5)).unwrap());
    world.append(&next, keyed(1)).unwrap_err();
    world.ends(|world| {
        let found = |run| -> Vec<_> {
            (1..6).map(|key| world.event_by_key(run, key).unwrap().unwrap_or(0)).collect()
        };
        assert_eq!(found(&base), [2, 3, 4, 0, 0]);
        assert_eq!(found(&again), [2, 3, 5, 6, 7]);
        assert_eq!(found(&next), [0, 0, 0, 0, 0]);
        assert_eq!(found(&last), [2, 3, 5, 0, 0]);
        assert_taken(world.begin().append(&last, keyed(1)), (last, 1, 2));
    });
}

#[test]
fn the_table_of_keys_is_the_stores_own_and_shown() {
    let world = World::new();
    let run = world.start("p");
    let before = world.snapshot();
    world.append(&run, keyed(1)).unwrap();
    assert_eq!(before.event_by_key(&run, 1).unwrap(), None);
    drop(before);
    let mut tx = world.begin();
    for refused in [tx.put("kinlog.keys", b"k", b"v"), tx.delete("kinlog.keys", b"k")] {
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    }
    drop(tx);
    world.ends(|world| {
        let snapshot = world.snapshot();
        assert_eq!(snapshot.tables(), ["kinlog.keys"]);
        let rows: Vec<_> = snapshot.rows("kinlog.keys", ..).map(Result::unwrap).collect();
        let key = [run.as_bytes().as_slice(), &1u64.to_le_bytes()].concat();
        assert_eq!((rows[0].key, rows[0].value), (&key[..], &2u32.to_le_bytes()[..]));
    });
}

/// Threads append the same keys to a few runs; each key must be there once, at the event that says so.
#[test]
fn of_threads_that_append_the_same_key_one_succeeds() {
    const KEYS: u64 = 120;
    let world = World::new();
    let parent = world.start("p");
    let runs = [parent, world.spawn(&parent, "c", TERMINATE)];
    world.commit(|tx| tx.initiate_child(&parent, child("d", TERMINATE)).unwrap());
    let won = Mutex::new(vec![]);
    let append = |thread: u64| {
        for i in 0..KEYS {
            let key = if thread.is_multiple_of(2) { i } else { KEYS - 1 - i };
            for run in runs {
                let payload = key.to_le_bytes();
                let done = world.transact_with(Durability::Buffered, |tx| {
                    if (key + thread).is_multiple_of(3) {
                        tx.expect(&run, Expect::Any)?;
                    }
                    tx.append(&run, note().payload(&payload).key(key))
                });
                match done {
                    Ok((event, _)) => won.lock().unwrap().push((run, key, event)),
                    Err(Error::EventKeyExists { run: of, key: taken, .. }) => {
                        assert_eq!((of, taken), (run, key));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    };
    thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || append(thread)))));
    let mut won = won.into_inner().unwrap();
    won.sort_unstable();
    let mut expected: Vec<_> =
        runs.iter().flat_map(|run| (0..KEYS).map(|key| (*run, key))).collect();
    expected.sort_unstable();
    assert_eq!(won.iter().map(|(run, key, _)| (*run, *key)).collect::<Vec<_>>(), expected);
    world.ends_with_duties(|world| {
        for (run, key, event) in &won {
            assert_eq!(world.event_by_key(run, *key).unwrap(), Some(*event));
            world.event(run, *event, |event| assert_eq!(event.payload(), key.to_le_bytes()));
        }
    });
}
