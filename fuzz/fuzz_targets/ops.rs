//! A sequence of commits with faults, held against the same commits without: what was
//! acknowledged is there, whole and in order, and nothing else, or the store is refused with its
//! place; relations, duties and sizes are those that follow.
//!
//! Input: two bytes that choose the world, one that says how many commits it has and whether it sheds what
//! compactions take, then eight bytes for each fault, end of a life and harm.

#![no_main]

use kinlog_fuzz::seeds;
use kinlog_rig::campaign::attempt;
use kinlog_rig::disk::{Errno, Fault, Operation, Survivors, Wrong};
use kinlog_rig::reference::Reference;
use kinlog_rig::schedule::{End, Harm, Life, Schedule, Step};
use kinlog_rig::world::World;
use libfuzzer_sys::fuzz_target;

const COMMITS_MAX: usize = 16;
const STEPS_MAX: usize = 12;
/// The bit of the number of commits that says that the world sheds.
const SHEDS: u8 = 0x80;

/// Adds what eight bytes say to the schedule. The lives before the last one have ended.
fn step(schedule: &mut Schedule, step: &[u8; 8]) {
    let [what, a, b, c, d, e, f, g] = *step;
    let number = u64::from(u16::from_le_bytes([a, b]));
    let Some(life) = schedule.lives.last_mut() else { return };
    match what % 8 {
        0..3 => life.faults.push(Fault {
            operation: Operation::ALL[usize::from(c) % Operation::ALL.len()],
            nth: number % 300,
            times: if d == 255 { u64::MAX >> 1 } else { 1 + u64::from(d % 4) },
            wrong: [Wrong::Nothing, Wrong::Half, Wrong::All][usize::from(e) % 3],
            errno: [Errno::Eio, Errno::Enospc, Errno::Eintr, Errno::Emfile][usize::from(f) % 4],
        }),
        3 => life.end = End::Kill(number % 400),
        4 | 5 => {
            let seed = u64::from(u32::from_le_bytes([d, e, f, g]));
            let survivors = match c % 4 {
                0 => Survivors::Nothing,
                1 => Survivors::Everything,
                2 => Survivors::Pages(seed),
                _ => Survivors::Sectors(seed),
            };
            life.end = End::PowerLoss(number % 400, survivors);
        }
        6 => {
            let commits = usize::from(a) % COMMITS_MAX;
            let mut steps = steps(g);
            if schedule.world.sheds {
                steps.push(Step::Compact(usize::from(f) % COMMITS_MAX));
            }
            schedule.lives.push(Life { commits, steps, faults: vec![], end: End::Close });
        }
        _ => {
            let (file, offset) = (usize::from(c), usize::from(u16::from_le_bytes([d, e])));
            // One only: a store without any of its files is no store.
            schedule.harms = vec![match f % 5 {
                0 => Harm::Flip(file, offset, g % 8),
                1 => Harm::Truncate(file, offset),
                2 => Harm::Remove(file),
                3 => Harm::Swap(file, offset),
                _ => Harm::Foreign(file),
            }];
        }
    }
}

/// A rest and a closing, each at a place that four bits choose, or neither.
fn steps(places: u8) -> Vec<Step> {
    let (rest, reopen) = (usize::from(places % 16), usize::from(places / 16));
    if places == 0 { vec![] } else { vec![Step::Rest(rest), Step::Reopen(reopen)] }
}

fn seeds() -> Vec<Vec<u8>> {
    let kinds = 0..8u8;
    let steps = kinds.map(|what| vec![7, 0, 15, what, 40 + what, 0, what, 1, 2, 3, 4]);
    let lives =
        [7, 0, 9, 4, 60, 0, 3, 1, 2, 3, 4, 6, 12, 0, 0, 0, 0, 0, 0, 4, 20, 0, 2, 9, 9, 9, 9];
    let mut sheds = lives;
    sheds[2] |= SHEDS;
    steps.chain([lives.to_vec(), sheds.to_vec()]).collect()
}

fuzz_target!(init: seeds::write(seeds), |input: &[u8]| {
    let Some(([low, high, commits], rest)) = input.split_first_chunk() else { return };
    let seed = u64::from(u16::from_le_bytes([*low, *high]));
    let world = World { seed, sheds: commits & SHEDS > 0 };
    let commits = 1 + usize::from(*commits) % COMMITS_MAX;
    let lives = vec![Life { commits, steps: vec![], faults: vec![], end: End::Close }];
    let mut schedule = Schedule { world, lives, harms: vec![] };
    for chunk in rest.as_chunks::<8>().0.iter().take(STEPS_MAX) {
        step(&mut schedule, chunk);
    }
    let reference = Reference::new(world, commits);
    if let Err(what) = attempt(&schedule, &reference) {
        panic!("{what}\n{schedule}, {commits} commits");
    }
});
