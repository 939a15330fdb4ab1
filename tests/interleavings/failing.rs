//! A disk that fails at a drawn moment.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use kinlog::Durability::{Buffered, Sync};
use kinlog::Error;
use kinlog_testing::disk::Op;
use shuttle::thread;

use crate::device::is_log;
use crate::explore::explore;
use crate::world::{World, draw, either, open_copy, token};

const THREADS: usize = 3;
const ROUNDS: usize = 2;
/// Few worlds without a failure get as far.
const CALLS: usize = 10;
/// Two fit into a segment.
const LARGE: usize = 24 << 10;

/// A rule by which the `doomed`th write or sync of the log fails, once.
fn one_failure(doomed: usize) -> impl Fn(Op, &Path) -> bool {
    let calls = AtomicUsize::new(0);
    move |op, path| {
        let counts = is_log(path) && matches!(op, Op::Write | Op::Sync);
        counts && calls.fetch_add(1, SeqCst) == doomed
    }
}

#[test]
fn after_a_failure_nobody_is_told_a_wrong_thing() {
    explore(600, || fail(16));
}

/// The failure may be that of a sync of a full segment, while others write and sync the next one.
#[test]
fn after_a_failure_among_full_segments_nobody_is_told_a_wrong_thing() {
    explore(60, || fail(LARGE));
}

/// Commits of `len` bytes meet a failure.
fn fail(len: usize) {
    let world = World::with(one_failure(draw(CALLS)));
    // Somebody was told of the failure.
    let known = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (world, known) = (&world, &known);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let token = token(number, round);
                    let hopeless = known.load(SeqCst);
                    match world.commit(token, len, either()) {
                        Ok(()) => assert!(!hopeless),
                        Err(Error::NotWritten { .. }) => {
                            assert!(!world.device.tried(&token));
                            known.store(true, SeqCst);
                        }
                        Err(Error::OutcomeUnknown { .. }) => {
                            // That of a full segment may be told while others are about to be written.
                            let tried = world.device.tried(&token) || len == LARGE;
                            assert!(!hopeless && tried);
                            known.store(true, SeqCst);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    let acknowledged = world.acknowledged();
    world.check(&world.store, acknowledged, Buffered);
    let (lost, crashed) = (world.device.after_power_loss(), world.device.after_crash());
    world.check(&open_copy(lost.path()), acknowledged, Sync);
    world.check(&open_copy(crashed.path()), acknowledged, Buffered);
    let World { store, device, .. } = world;
    assert_eq!(store.shut_down().is_err(), device.log_failed());
}
