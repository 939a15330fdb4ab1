//! Makes a schedule that fails smaller.

use crate::disk::Survivors;
use crate::schedule::{End, Schedule};

/// The smallest schedule found that still `fails`; looks at no more than `tries`.
pub fn shrink(
    schedule: &Schedule,
    mut tries: usize,
    fails: impl Fn(&Schedule) -> bool,
) -> Schedule {
    let mut smallest = schedule.clone();
    loop {
        let mut better = None;
        for candidate in smaller(&smallest) {
            if tries == 0 {
                return smallest;
            }
            tries -= 1;
            if fails(&candidate) {
                better = Some(candidate);
                break;
            }
        }
        match better {
            Some(candidate) => smallest = candidate,
            None => return smallest,
        }
    }
}

/// Schedules that do a little less, those that do much less first.
fn smaller(schedule: &Schedule) -> Vec<Schedule> {
    let mut candidates = vec![];
    let mut propose = |change: &dyn Fn(&mut Schedule)| {
        let mut candidate = schedule.clone();
        change(&mut candidate);
        if candidate != *schedule {
            candidates.push(candidate);
        }
    };
    for harm in 0..schedule.harms.len() {
        propose(&|it| {
            it.harms.remove(harm);
        });
    }
    for (i, life) in schedule.lives.iter().enumerate() {
        propose(&|it| drop(it.lives.remove(i)));
        for part in [2, 4, 8, 16] {
            propose(&|it| it.lives[i].commits -= life.commits / part);
        }
        propose(&|it| it.lives[i].commits = life.commits.saturating_sub(1));
        for step in 0..life.steps.len() {
            propose(&|it| {
                it.lives[i].steps.remove(step);
            });
        }
        for fault in 0..life.faults.len() {
            propose(&|it| {
                it.lives[i].faults.remove(fault);
            });
            propose(&|it| it.lives[i].faults[fault].times = 1);
        }
        propose(&|it| it.lives[i].end = End::Close);
        if let End::PowerLoss(at, survivors) = life.end {
            propose(&|it| it.lives[i].end = End::Kill(at));
            propose(&|it| it.lives[i].end = End::PowerLoss(at, Survivors::Nothing));
            for earlier in [at / 2, at.saturating_sub(8), at.saturating_sub(1)] {
                propose(&|it| it.lives[i].end = End::PowerLoss(earlier, survivors));
            }
        }
        if let End::Kill(at) = life.end {
            for earlier in [at / 2, at.saturating_sub(8), at.saturating_sub(1)] {
                propose(&|it| it.lives[i].end = End::Kill(earlier));
            }
        }
    }
    candidates
}
