//! Going on in the next segment while a thread prepares it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kinlog::Durability::{Buffered, Sync};
use kinlog::Error;
use kinlog_testing::disk::Op;
use shuttle::future::block_on;
use shuttle::thread;

use crate::device::{is_log, turn};
use crate::explore::explore;
use crate::world::{SEGMENT_BYTES, World, draw, either, open_copy, token};

const THREADS: usize = 2;
const ROUNDS: usize = 3;
/// Two fit into a segment.
const LARGE: usize = 24 << 10;

#[test]
fn commits_go_on_over_the_end_of_a_segment() {
    explore(300, || {
        let world = World::new();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        world.commit(token(number, round), LARGE, either()).unwrap();
                    }
                });
            }
        });
        assert!(world.store.stats().unwrap().file_bytes >= 3 * SEGMENT_BYTES);
        let log = world.check(&world.store, THREADS * ROUNDS, Buffered);
        assert_eq!(log.len(), THREADS * ROUNDS);
        world.end();
    });
}

/// Full segments are on their way to the device while the log goes on in others.
#[test]
fn the_log_is_on_the_device_as_far_as_the_store_says() {
    explore(60, || {
        let world = World::new();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let durability = if draw(4) == 0 { Sync } else { Buffered };
                        world.commit(token(number, round), LARGE, durability).unwrap();
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..3 {
                    (0..draw(60)).for_each(|_| turn());
                    let durable = world.store.durable_end().unwrap();
                    let left = world.device.after_power_loss();
                    // An overstated mark of a frame is damage here.
                    assert!(open_copy(left.path()).end() >= durable);
                }
            });
        });
        world.end();
    });
}

#[test]
fn durable_up_to_a_commit_is_waited_for_and_awaited() {
    explore(60, || {
        let world = World::new();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let world = &world;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let token = token(number, round);
                        let mut tx = world.store.begin();
                        tx.put("rows", &token, &vec![b'.'; LARGE]).unwrap();
                        let position = tx.submit(Buffered).unwrap().position();
                        let (store, kept) = (&world.store, draw(2) == 0);
                        let waiting =
                            if kept { store.durable(position) } else { store.logged(position) };
                        match draw(2) {
                            0 => waiting.wait().unwrap(),
                            _ => block_on(waiting).unwrap(),
                        }
                        assert!(world.device.holds(&token));
                        assert!(!kept || world.device.keeps(&token));
                    }
                    block_on(world.store.durable(world.store.end())).unwrap();
                    (0..ROUNDS).for_each(|it| assert!(world.device.keeps(&token(number, it))));
                });
            }
        });
        world.end();
    });
}

/// Whom the sync of a full segment satisfies may be the one whose turn it was to lead.
#[test]
fn a_full_segment_that_comes_to_the_device_leaves_nobody_waiting_without_a_leader() {
    explore(300, || {
        let world = World::new();
        let submit = |round| {
            let mut tx = world.store.begin();
            tx.put("rows", &token(0, round), &vec![b'.'; LARGE]).unwrap();
            tx.submit(Buffered).unwrap().position()
        };
        let positions: Vec<_> = (0..ROUNDS).map(submit).collect();
        thread::scope(|scope| {
            for position in positions {
                let store = &world.store;
                scope.spawn(move || store.durable(position).wait().unwrap());
            }
        });
        world.end();
    });
}

#[test]
fn a_segment_that_cannot_be_prepared_refuses_commits_only_until_it_can() {
    explore(400, || {
        let at = [Op::Create, Op::Write, Op::Sync][draw(3)];
        let failures = 1 + draw(3);
        let (calls, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let world = World::with(move |op, path| {
            let prepares = path.parent().is_some_and(|dir| dir.ends_with("log")) && !is_log(path);
            prepares && op == at && calls.fetch_add(1, SeqCst) < failures
        });
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (world, refused) = (&world, &refused);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let token = token(number, round);
                        while let Err(error) = world.commit(token, LARGE, either()) {
                            assert!(matches!(error, Error::NotWritten { .. }), "{error}");
                            assert!(!world.device.tried(&token));
                            refused.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
        });
        // A failure is told to one committer at most.
        assert!(refused.load(SeqCst) <= failures);
        let log = world.check(&world.store, THREADS * ROUNDS, Buffered);
        assert_eq!(log.len(), THREADS * ROUNDS);
        world.end();
    });
}
