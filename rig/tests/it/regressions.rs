//! Schedules that found a bug once, as the rig made them small.

use kinlog_rig::campaign::{COMMITS, attempt};
use kinlog_rig::reference::Reference;
use kinlog_rig::schedule::Schedule;
use kinlog_rig::trial::Outcome;

fn complete(text: &str) {
    let schedule: Schedule = text.parse().unwrap();
    let reference = Reference::new(schedule.world, COMMITS);
    let found = attempt(&schedule, &reference).unwrap_or_else(|what| panic!("{what}"));
    assert_eq!(found.outcome, Outcome::Complete);
}

#[test]
fn a_directory_that_cannot_be_listed_is_not_taken_for_one_that_is_there() {
    for listing in 0..4 {
        complete(&format!("world=1 life=4,list:{listing}:1:nothing:ENOSPC,loss:16383:nothing"));
    }
}

#[test]
fn directories_that_a_killed_process_made_are_synced_by_the_next() {
    for kill in 0..12 {
        complete(&format!("world=3 life=0,kill:{kill} life=2,loss:16383:nothing"));
    }
}

#[test]
fn a_first_segment_that_was_never_finished_may_have_any_length() {
    for len in [0, 1, 4095, 4096, 4097, 59_367, 65_535] {
        complete(&format!("world=7 life=0,kill:23 truncate=1:{len}"));
    }
}
