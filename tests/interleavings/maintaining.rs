//! Compactions beside those who are to read what they drop, and the thread that has them done.

use std::time::Duration;

use kinlog::retention::{Compaction, Keep, Maintenance};
use kinlog::{Durability, Error, NewChild, NewRun, NextRun, Options, Position, Store};
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

/// What is erased leaves the chain and comes to the child's size in one commit; a reader may be in between.
#[test]
fn a_child_has_its_size_and_its_chain_its_runs_while_others_are_erased() {
    explore(300, || {
        let world = World::new();
        let store = &world.store;
        let mut tx = store.begin();
        let parent = tx.start(NewRun::new("ns", "parent", "T")).unwrap();
        let mut chain = vec![tx.spawn_child(&parent, NewChild::new("child", "T")).unwrap().run];
        tx.commit_with(Durability::Buffered).unwrap();
        for _ in 0..3 {
            let mut tx = store.begin();
            chain.push(tx.continue_as_new(&chain[chain.len() - 1], NextRun::new("T")).unwrap());
            tx.commit_with(Durability::Buffered).unwrap();
        }
        let mut tx = store.begin();
        for run in &chain[1..3] {
            tx.delete_run(run, Keep::Nothing).unwrap();
        }
        tx.commit().unwrap();
        let look = || {
            let snapshot = store.snapshot();
            let size = snapshot.children(&parent).unwrap().next().unwrap().unwrap().size;
            let runs = snapshot.chain(&chain[0]).unwrap();
            let runs: Vec<_> = runs.runs().map(|run| run.unwrap().id).collect();
            (size, runs)
        };
        let (size, runs) = look();
        assert_eq!((size.runs, runs.len()), (4, 2));
        thread::scope(|scope| {
            scope.spawn(|| store.erase().unwrap());
            scope.spawn(|| (0..2).for_each(|_| assert_eq!(look(), (size, runs.clone()))));
        });
        assert_eq!(look(), (size, runs.clone()));
        store.verify(|_| ()).unwrap();
    });
}
