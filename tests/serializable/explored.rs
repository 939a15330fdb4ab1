//! Tiny worlds under schedules that are drawn; see `tests/interleavings.rs` for how to run them.

use kinlog::{Durability, DutyFilter, NextRun, Store};
use shuttle::rand::{Rng, thread_rng};

use crate::explore::explore;
use crate::mix::{self, Mix};
use crate::place;
use crate::scenes;
use crate::take::NAMESPACE;
use crate::tell::tell;
use crate::threads;
use crate::world::{Extent, Play, run};

/// Schedules of each kind unless `KINLOG_SCHEDULES` says how many.
const SCHEDULES: usize = 500;

fn play(play: &Play) {
    if let Err(broken) = run(play) {
        eprintln!("{}:", play.name);
        tell(&broken);
        panic!("not serializable");
    }
}

/// A world whose seed is part of the schedule.
fn drawn(mix: &Mix) {
    let mut rng = thread_rng();
    let extent = Extent { threads: rng.gen_range(2..4), programs: rng.gen_range(1..4) };
    play(&Play::drawn(mix, rng.r#gen(), extent));
}

#[test]
fn everything_is_serializable() {
    explore(SCHEDULES, || drawn(&mix::EVERYTHING));
}

#[test]
fn tight_limits_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::TIGHT));
}

#[test]
fn names_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::NAMES));
}

#[test]
fn blind_appends_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::BLIND));
}

#[test]
fn resets_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::RESETS));
}

#[test]
fn requests_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::REQUESTS));
}

#[test]
fn policies_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::POLICIES));
}

#[test]
fn rows_are_serializable() {
    explore(SCHEDULES, || drawn(&mix::ROWS));
}

#[test]
fn a_spawned_child_is_bound_whatever_else_its_parent_gets() {
    explore(SCHEDULES, || play(&scenes::wrong_child()));
}

#[test]
fn a_reset_forgets_nothing_that_is_settled_beside_it() {
    explore(SCHEDULES, || play(&scenes::forgetful_reset()));
}

#[test]
fn a_request_reaches_a_workflow_that_goes_on() {
    explore(SCHEDULES, || play(&scenes::lost_request(thread_rng().r#gen())));
}

#[test]
fn a_policy_reaches_a_child_that_goes_on() {
    explore(SCHEDULES, || play(&scenes::escaping_child()));
}

#[test]
fn a_child_that_takes_a_place_takes_it_from_whoever_has_it() {
    explore(SCHEDULES, || play(&scenes::two_open_runs()));
}

#[test]
fn settling_beside_settling_settles_everything_once() {
    explore(SCHEDULES, || {
        let (_place, store) = place::contested(&mix::EVERYTHING);
        crate::world::prepare(&store, &scenes::lost_request(thread_rng().r#gen()));
        threads::scope(|scope| {
            let all = scope.spawn(|| store.settle_all().unwrap());
            let duties: Vec<_> = store.duties(DutyFilter::all()).map(Result::unwrap).collect();
            for due in &duties {
                store.settle(due).unwrap();
            }
            drop(all.join().unwrap());
        });
        assert!(store.duties(DutyFilter::all()).map(Result::unwrap).next().is_none());
        store.shut_down().unwrap();
    });
}

/// The current run of "t" goes on, twice, if nobody ends it.
fn go_on(store: &Store) {
    for _ in 0..2 {
        let run = store.current_run(NAMESPACE, "t").unwrap().unwrap();
        let mut tx = store.begin();
        if tx.continue_as_new(&run, NextRun::new("T")).is_ok() {
            // Whoever came first: the child is open or was ended.
            let _ = tx.commit_with(Durability::Buffered);
        }
    }
}

#[test]
fn settling_all_leaves_no_policy_due_however_often_the_child_goes_on() {
    explore(SCHEDULES, || {
        let (_place, store) = place::contested(&mix::EVERYTHING);
        crate::world::prepare(&store, &scenes::escaping_child());
        threads::scope(|scope| {
            scope.spawn(|| go_on(&store));
            let settled = store.settle_all().unwrap();
            assert!(
                store.duties(DutyFilter::all()).map(Result::unwrap).next().is_none(),
                "due after {settled:?}"
            );
        });
        store.shut_down().unwrap();
    });
}
