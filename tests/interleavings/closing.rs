//! Closing a store that commits are still on their way in.

use kinlog::{CommitHandle, Durability, Position, Verdict};
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore::explore;
use crate::world::{World, draw, either, open_copy, read, token};

/// More than half a segment: the next one is being prepared while the store closes.
const LARGE: usize = 40 << 10;

/// Submits two commits and learns what became of them while the store is closed by `close`.
fn race(close: fn(World)) {
    let world = World::new();
    let device = world.device.clone();
    let submit = |number, len| {
        let mut tx = world.store.begin();
        tx.put("rows", &token(number, 0), &vec![b'.'; len]).unwrap();
        tx.submit(either()).unwrap()
    };
    let handles = [submit(0, LARGE), submit(1, 16)];
    let learn = |handle: CommitHandle| {
        thread::spawn(move || match draw(3) {
            0 => drop(handle),
            1 => drop(handle.wait().unwrap()),
            _ => drop(block_on(handle).unwrap()),
        })
    };
    let learners = handles.map(learn);
    close(world);
    let left = device.after_power_loss();
    learners.into_iter().for_each(|learner| learner.join().unwrap());
    let store = open_copy(left.path());
    assert_eq!(store.report().verdict, Verdict::Clean);
    assert_eq!(read(&mut store.tail(Position::START)).len(), 2);
}

#[test]
fn commits_on_their_way_are_kept_when_the_store_is_shut_down() {
    explore(400, || race(|world| world.store.shut_down().unwrap()));
}

#[test]
fn commits_on_their_way_are_kept_when_the_store_is_dropped() {
    explore(400, || race(drop));
}

#[test]
fn a_store_at_rest_says_how_far_it_is_durable_and_no_further() {
    explore(400, || {
        let world = World::new();
        let device = world.device.clone();
        let commit = |number, durability| {
            let mut tx = world.store.begin();
            tx.put("rows", &token(number, 0), b"").unwrap();
            tx.commit_with(durability).unwrap();
        };
        commit(0, Durability::Sync);
        commit(1, Durability::Buffered);
        // Meanwhile the store's thread may have marked the manifest.
        (0..draw(60)).for_each(|_| crate::device::turn());
        let left = device.after_power_loss();
        commit(2, Durability::Sync);
        let store = open_copy(left.path());
        assert!(matches!(store.report().verdict, Verdict::Unclosed), "{:?}", store.report());
        assert!(!read(&mut store.tail(Position::START)).is_empty());
        world.end();
    });
}
