//! The worlds that run with the machine's own threads.

use crate::mix;
use crate::scenes;
use crate::seeds::check;
use crate::tell::tell;
use crate::world::{Extent, Play, run};

const CROWD: Extent = Extent { threads: 8, programs: 40 };
/// Nobody else is there: whatever was accepted must be committed.
const ALONE: Extent = Extent { threads: 1, programs: 200 };

#[test]
fn everything_is_serializable() {
    check(&mix::EVERYTHING, CROWD, 20_000);
}

#[test]
fn tight_limits_are_serializable() {
    check(&mix::TIGHT, CROWD, 12_000);
}

#[test]
fn names_are_serializable() {
    check(&mix::NAMES, CROWD, 12_000);
}

#[test]
fn blind_appends_are_serializable() {
    check(&mix::BLIND, CROWD, 12_000);
}

#[test]
fn resets_are_serializable() {
    check(&mix::RESETS, CROWD, 12_000);
}

#[test]
fn requests_are_serializable() {
    check(&mix::REQUESTS, CROWD, 12_000);
}

#[test]
fn policies_are_serializable() {
    check(&mix::POLICIES, CROWD, 12_000);
}

#[test]
fn rows_are_serializable() {
    check(&mix::ROWS, CROWD, 12_000);
}

#[test]
fn everything_that_is_accepted_is_committed_where_nobody_else_is() {
    check(&mix::EVERYTHING, ALONE, 4_000);
}

#[test]
fn tight_limits_that_are_met_are_met_by_the_step_where_nobody_else_is() {
    check(&mix::TIGHT, ALONE, 4_000);
}

/// How often a scene is played: most times nothing comes between.
const TIMES: usize = 400;

fn play(scene: &Play) {
    for time in 0..TIMES {
        if let Err(broken) = run(scene) {
            tell(&broken);
            panic!("{}: went wrong the {time}th time", scene.name);
        }
    }
}

#[test]
fn a_spawned_child_is_bound_whatever_else_its_parent_gets() {
    play(&scenes::wrong_child());
}

#[test]
fn a_reset_forgets_nothing_that_is_settled_beside_it() {
    play(&scenes::forgetful_reset());
}

#[test]
fn a_signal_reaches_a_workflow_that_goes_on() {
    play(&scenes::lost_request(true));
}

#[test]
fn a_cancel_request_reaches_a_workflow_that_goes_on() {
    play(&scenes::lost_request(false));
}

#[test]
fn a_policy_reaches_a_child_that_goes_on() {
    play(&scenes::escaping_child());
}

#[test]
fn a_child_that_takes_a_place_takes_it_from_whoever_has_it() {
    play(&scenes::two_open_runs());
}
