//! A naive model beside the store, under random operations.
//!
//! Every seed is a store of its own. `KINLOG_SEED` runs one seed, `KINLOG_SEEDS` that many from 1
//! on, `KINLOG_OPS` sets the operations of each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "model/beside.rs"]
mod beside;
#[path = "model/check.rs"]
mod check;
#[path = "model/draw.rs"]
mod draw;
#[path = "model/naive.rs"]
mod model;
#[path = "model/session.rs"]
mod session;

use std::sync::atomic::{AtomicU64, Ordering};

use session::Session;

const SEEDS: u64 = 16;
const OPERATIONS: u64 = 7_000;
const THREADS: usize = 2;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}

#[test]
fn the_store_agrees_with_a_naive_model() {
    let operations = number("KINLOG_OPS").unwrap_or(OPERATIONS);
    if let Some(seed) = number("KINLOG_SEED") {
        Session::new(seed).run(operations);
        return;
    }
    let seeds = number("KINLOG_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(1);
    let (beside, overtaken) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return;
            }
            let (came_through, did_not) = Session::new(seed).run(operations);
            beside.fetch_add(came_through, Ordering::Relaxed);
            overtaken.fetch_add(did_not, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert_eq!(failed, 0, "a thread found a difference, see above");
    });
    // A store that refuses whatever others come before would agree with any model.
    let (beside, overtaken) = (beside.into_inner(), overtaken.into_inner());
    assert!(beside > overtaken / 2, "{beside} commits beside others, {overtaken} overtaken");
}
