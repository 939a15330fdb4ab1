//! Readers beside committers.

use kinlog::Position;
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore::explore;
use crate::world::{EVER, World, either, read, token};

const WRITERS: usize = 2;
const ROUNDS: usize = 2;
/// Two fit into a segment: the log goes on in the next one while it is read.
const LARGE: usize = 24 << 10;

fn write(world: &World, number: usize) {
    for round in 0..ROUNDS {
        world.commit(token(number, round), LARGE, either()).unwrap();
    }
}

#[test]
fn what_lies_below_a_published_end_is_whole_and_stays() {
    explore(400, || {
        let world = World::new();
        let begun = world.store.end();
        let seen = thread::scope(|scope| {
            let world = &world;
            (0..WRITERS).for_each(|number| drop(scope.spawn(move || write(world, number))));
            let reader = scope.spawn(move || {
                let mut seen: Vec<(Position, Vec<Vec<u8>>)> = vec![];
                let mut tail = world.store.tail(begun);
                let mut passed = vec![];
                for _ in 0..3 {
                    let end = world.store.end();
                    assert!(seen.last().is_none_or(|(last, _)| *last <= end), "the end fell");
                    passed.extend(read(&mut tail));
                    assert!(tail.position() >= end, "a commit below the end cannot be read");
                    let snapshot = world.store.snapshot();
                    assert!(snapshot.end() >= end);
                    let rows = snapshot.rows("rows", ..).map(|row| row.unwrap().key.to_vec());
                    seen.push((snapshot.end(), rows.collect()));
                }
                (seen, passed)
            });
            reader.join().unwrap()
        });
        let log = read(&mut world.store.tail(Position::START));
        let (snapshots, passed) = seen;
        assert_eq!(passed, log[..passed.len()]);
        for (end, rows) in snapshots {
            let below = log.iter().filter(|(position, _)| *position < end);
            let mut below: Vec<_> = below.map(|(_, token)| token.clone()).collect();
            below.sort_unstable();
            assert_eq!(rows, below);
        }
        world.end();
    });
}

#[test]
fn a_tail_that_waits_misses_no_commit() {
    explore(400, || {
        let world = World::new();
        let seen = thread::scope(|scope| {
            let world = &world;
            let blocking = scope.spawn(|| {
                let mut tail = world.store.tail(Position::START);
                let mut next = || tail.next_timeout(EVER).unwrap().unwrap().position();
                (0..WRITERS * ROUNDS).map(|_| next()).collect::<Vec<_>>()
            });
            let awaiting = scope.spawn(|| {
                let mut tail = world.store.tail(Position::START);
                let mut next = || block_on(tail.next()).unwrap().position();
                (0..WRITERS * ROUNDS).map(|_| next()).collect::<Vec<_>>()
            });
            (0..WRITERS).for_each(|number| drop(scope.spawn(move || write(world, number))));
            [blocking.join().unwrap(), awaiting.join().unwrap()]
        });
        let log = read(&mut world.store.tail(Position::START));
        for seen in seen {
            assert!(seen.iter().eq(log.iter().map(|(position, _)| position)));
        }
        world.end();
    });
}
