//! Compactions beside those who are to read what they drop, and the thread that has them done.

use std::time::Duration;

use kinlog::retention::{Compaction, Maintenance};
use kinlog::{Durability, Error, Options, Position, Store};
use shuttle::thread;

use crate::device::Device;
use crate::explore::explore;
use crate::world::{SEGMENT_BYTES, World, draw, either};

/// Rows that overwrite each other, over the end of a segment.
fn fill(store: &Store) {
    for _ in 0..4 {
        let mut tx = store.begin();
        tx.put("filling", b"row", &[b'.'; 24 << 10]).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
}

/// The pass may have taken its snapshot before the consumer's commit is published.
#[test]
fn a_consumer_that_was_made_beside_a_compaction_reads_every_commit() {
    explore(300, || {
        let world = World::new();
        fill(&world.store);
        let store = &world.store;
        thread::scope(|scope| {
            scope.spawn(move || store.compact(&Compaction::new().dead_percent(0)).unwrap());
            scope.spawn(move || {
                let mut tx = store.begin();
                let made = tx.advance_consumer("late", Position::START);
                let made = made.and_then(|()| match draw(2) {
                    0 => tx.commit_with(either()),
                    _ => tx.submit(either())?.wait(),
                });
                match made {
                    Ok(_) | Err(Error::Compacted { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            });
        });
        if let Some(from) = store.consumer("late").unwrap() {
            let mut tail = store.tail(from);
            let commits = std::iter::from_fn(|| tail.try_next().unwrap());
            assert_eq!(commits.count(), 5);
        }
        store.verify(|_| ()).unwrap();
    });
}

/// Whoever asks for a round gets it, and the thread ends with the store.
#[test]
fn rounds_are_done_for_all_who_ask_and_end_with_the_store() {
    explore(100, || {
        let device = Device::new(|_, _| false);
        let maintenance = Maintenance::every(Duration::MAX);
        let options = Options::new().segment_bytes(SEGMENT_BYTES.try_into().unwrap());
        let options = options.maintenance(maintenance).disk(device.disk());
        let store = options.open(device.path()).unwrap();
        thread::scope(|scope| {
            let store = &store;
            scope.spawn(move || fill(store));
            for _ in 0..2 {
                scope.spawn(move || store.maintain().unwrap());
            }
        });
        assert!((1..=2).contains(&store.stats().unwrap().maintenance.rounds));
        match draw(2) {
            0 => store.shut_down().unwrap(),
            _ => drop(store),
        }
    });
}
