//! Committers that gather in groups.

use kinlog::Durability::{Buffered, Sync};
use kinlog::Position;
use shuttle::thread;

use crate::explore::explore;
use crate::world::{EVER, World, either, open_copy, token};

const THREADS: usize = 3;
const ROUNDS: usize = 2;

#[test]
fn an_acknowledged_commit_is_published_and_as_durable_as_it_asked() {
    explore(400, || {
        let world = World::new();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        world.commit(token(number, round), 16, either()).unwrap();
                    }
                });
            }
        });
        let log = world.check(&world.store, THREADS * ROUNDS, Buffered);
        assert_eq!(log.len(), THREADS * ROUNDS);
        world.end();
    });
}

#[test]
fn a_power_loss_at_any_moment_leaves_what_was_acknowledged() {
    explore(400, || {
        let world = World::new();
        thread::scope(|scope| {
            let world = &world;
            for number in 0..2 {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        world.commit(token(number, round), 16, either()).unwrap();
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..crate::world::draw(100) {
                    crate::device::turn();
                }
                let acknowledged = world.acknowledged();
                let left = world.device.after_power_loss();
                let crashed = world.device.after_crash();
                world.check(&open_copy(left.path()), acknowledged, Sync);
                world.check(&open_copy(crashed.path()), acknowledged, Buffered);
            });
        });
        world.end();
    });
}

#[test]
fn a_submitted_commit_that_nobody_waits_for_is_written() {
    explore(400, || {
        let world = World::new();
        thread::scope(|scope| {
            let world = &world;
            for number in 0..2 {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let mut tx = world.store.begin();
                        tx.put("rows", &token(number, round), b"").unwrap();
                        drop(tx.submit(either()).unwrap());
                    }
                });
            }
            scope.spawn(|| {
                let mut tail = world.store.tail(Position::START);
                for _ in 0..2 * ROUNDS {
                    tail.next_timeout(EVER).unwrap().unwrap();
                }
            });
        });
        world.end();
    });
}

#[test]
fn a_sync_of_the_store_covers_what_was_committed_before_it() {
    explore(300, || {
        let world = World::new();
        thread::scope(|scope| {
            for number in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    let token = token(number, 0);
                    world.commit(token, 16, Buffered).unwrap();
                    world.store.sync().unwrap();
                    assert!(world.device.keeps(&token));
                });
            }
        });
        world.end();
    });
}
