//! Schedules in great number: every place of a fault in turn, and mixtures at random.

use std::ops::Range;

use crate::disk::{Errno, Fault, Operation, Survivors, Wrong};
use crate::random::Random;
use crate::reference::Reference;
use crate::schedule::{End, Harm, Life, Schedule, Step};
use crate::trial;
use crate::world::World;

/// A class of faults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// The process is killed at some operation.
    Kill,
    /// The power goes at some operation.
    PowerLoss,
    /// The power goes, goes again while the store recovers, and once more.
    LossInRecovery,
    /// One operation fails.
    FailOnce,
    /// Every operation of a kind fails from one on.
    FailForGood,
    /// A write is done in part, a sync forgets part of what it should have written; then the
    /// process ends, or the power goes.
    FailInPart,
    /// The disk is full for a while.
    Full,
    /// A bit of a file is flipped.
    Flip,
    /// A file is cut short.
    Truncate,
    /// A file is missing, swapped, there twice, of another store, or an old one.
    Misplace,
    /// A compaction is cut short, by a kill, a loss or a failing operation, and the store goes on.
    Compaction,
    /// Several lives with faults of all sorts, losses, kills, jumps of the clock, harm.
    Mixed,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 12] = [
        Class::Kill,
        Class::PowerLoss,
        Class::LossInRecovery,
        Class::FailOnce,
        Class::FailForGood,
        Class::FailInPart,
        Class::Full,
        Class::Flip,
        Class::Truncate,
        Class::Misplace,
        Class::Compaction,
        Class::Mixed,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Kill => "kill at an operation",
            Class::PowerLoss => "power loss at an operation",
            Class::LossInRecovery => "power loss while recovering, twice",
            Class::FailOnce => "an operation fails once",
            Class::FailForGood => "operations fail from one on",
            Class::FailInPart => "a write or sync is done in part, then an end",
            Class::Full => "the disk is full for a while",
            Class::Flip => "a flipped bit",
            Class::Truncate => "a file cut short",
            Class::Misplace => "a file missing, swapped, doubled, foreign, old",
            Class::Compaction => "a compaction cut short",
            Class::Mixed => "all of it, in several lives",
        }
    }

    /// The schedule of this class with this number, for a world whose undisturbed first life took
    /// so many `operations`. Numbers up to about `operations` go through all places in turn.
    #[must_use]
    pub fn schedule(self, reference: &Reference, operations: u64, number: u64) -> Schedule {
        let World { seed, .. } = reference.world;
        let mut random = Random::of(seed ^ 0x5eed, number.wrapping_mul(16) + self as u64);
        let commits = reference.operations() * 3 / 4;
        let at = number % (operations + 1);
        let one = |end| vec![life(commits, vec![], end)];
        let (mut lives, mut harms) = match self {
            Class::Kill => (one(End::Kill(at)), vec![]),
            Class::PowerLoss => (one(End::PowerLoss(at, survivors(&mut random))), vec![]),
            Class::LossInRecovery => (recoveries(&mut random, commits, at), vec![]),
            Class::FailOnce => (failing(&mut random, commits, at, 1..2), vec![]),
            Class::FailForGood => {
                (failing(&mut random, commits, at, 1 << 40..(1 << 40) + 1), vec![])
            }
            Class::FailInPart => (in_part(&mut random, commits, number), vec![]),
            Class::Full => (full(&mut random, commits, at), vec![]),
            Class::Flip => (closed_or_not(&mut random, commits), vec![flip(&mut random)]),
            Class::Truncate => {
                let harm = Harm::Truncate(random.below(64), random.below(66_000));
                (closed_or_not(&mut random, commits), vec![harm])
            }
            Class::Misplace => misplaced(&mut random, commits),
            Class::Compaction => compactions(&mut random, commits, number),
            Class::Mixed => mixed(&mut random, reference.operations(), operations),
        };
        let between = |life: &Life| steps(reference.world, life.commits);
        lives.iter_mut().for_each(|life| life.steps.splice(0..0, between(life)).for_each(drop));
        harms.iter_mut().for_each(|harm| *harm = detectable(*harm, &lives));
        Schedule { world: reference.world, lives, harms }
    }
}

/// The harm, or another one instead of an older copy of a segment before others that were compacted, which nothing detects:
/// docs/durability.md.
fn detectable(harm: Harm, lives: &[Life]) -> Harm {
    let is_compacted = |step: &Step| matches!(step, Step::Compact(_));
    match harm {
        Harm::Old(file, _)
            if file != MANIFEST && lives.iter().any(|life| life.steps.iter().any(is_compacted)) =>
        {
            Harm::Remove(file)
        }
        harm => harm,
    }
}

/// How many operations on the disk a world's first life takes.
///
/// # Errors
/// What is wrong even without a fault.
pub fn operations(reference: &Reference) -> Result<u64, String> {
    let commits = reference.operations() * 3 / 4;
    let world = reference.world;
    let lives = vec![Life { steps: steps(world, commits), ..life(commits, vec![], End::Close) }];
    let schedule = Schedule { world, lives, harms: vec![] };
    let found = trial::run(&schedule, reference)?;
    Ok(found.operations.first().copied().unwrap_or_default())
}

/// More operations than an opening and the compaction of a world that sheds take.
pub const COMPACTION_OPERATIONS: u64 = 260;
/// The number of the manifest among the files of a store: the lock file comes first.
const MANIFEST: usize = 1;

fn life(commits: usize, faults: Vec<Fault>, end: End) -> Life {
    Life { commits, steps: vec![], faults, end }
}

/// Rests, closings and compactions, as an engine has them that is idle now and then, and restarted. They belong to
/// the world and not to the schedule, so that a fault can hit each of their operations in turn.
fn steps(world: World, commits: usize) -> Vec<Step> {
    let mut random = Random::of(world.seed ^ 0x57e9, commits as u64);
    let step = |after| match random.below(100) {
        0..12 => Some(Step::Rest(after)),
        12..16 => Some(Step::Reopen(after)),
        16..28 if world.sheds => Some(Step::Compact(after)),
        _ => None,
    };
    (0..=commits).filter_map(step).collect()
}

fn survivors(random: &mut Random) -> Survivors {
    match random.below(8) {
        0 => Survivors::Nothing,
        1 => Survivors::Everything,
        2..5 => Survivors::Pages(random.draw()),
        _ => Survivors::Sectors(random.draw()),
    }
}

fn recoveries(random: &mut Random, commits: usize, at: u64) -> Vec<Life> {
    let mut lives = vec![life(commits, vec![], End::PowerLoss(at, survivors(random)))];
    for _ in 0..2 {
        // An opening takes some thirty operations.
        let at = random.below(45) as u64;
        lives.push(life(0, vec![], End::PowerLoss(at, survivors(random))));
    }
    lives
}

fn failing(random: &mut Random, commits: usize, at: u64, times: Range<u64>) -> Vec<Life> {
    let errno = random.pick(&[Errno::Eio, Errno::Eio, Errno::Enospc, Errno::Eintr, Errno::Emfile]);
    let wrong = random.pick(&[Wrong::Nothing, Wrong::Nothing, Wrong::Half, Wrong::All]);
    let fault = Fault { operation: Operation::Any, nth: at, times: times.start, wrong, errno };
    vec![life(commits, vec![fault], any_end(random, u64::MAX >> 1))]
}

fn any_end(random: &mut Random, at: u64) -> End {
    match random.below(3) {
        0 => End::Close,
        1 => End::Kill(at),
        _ => End::PowerLoss(at, survivors(random)),
    }
}

fn in_part(random: &mut Random, commits: usize, number: u64) -> Vec<Life> {
    let operation = random.pick(&[Operation::Write, Operation::Sync]);
    let wrong = random.pick(&[Wrong::Half, Wrong::Half, Wrong::All]);
    let errno = random.pick(&[Errno::Eio, Errno::Enospc]);
    let fault = Fault { operation, nth: number % 80, times: 1, wrong, errno };
    let mut lives = vec![life(commits, vec![fault], any_end(random, u64::MAX >> 1))];
    // What a failed sync forgot shows when the power goes later.
    lives.push(life(commits + 3, vec![], any_end(random, u64::MAX >> 1)));
    lives
}

fn full(random: &mut Random, commits: usize, at: u64) -> Vec<Life> {
    let times = 1 + random.below(60) as u64;
    let operation = random.pick(&[Operation::Any, Operation::Write, Operation::Open]);
    let nth = if operation == Operation::Any { at } else { at / 4 };
    let wrong = random.pick(&[Wrong::Nothing, Wrong::Half]);
    let fault = Fault { operation, nth, times, wrong, errno: Errno::Enospc };
    vec![life(commits, vec![fault], any_end(random, u64::MAX >> 1))]
}

fn closed_or_not(random: &mut Random, commits: usize) -> Vec<Life> {
    let end = any_end(random, u64::MAX >> 1);
    let mut lives = vec![life(commits / 2, vec![], End::Close)];
    lives.push(life(commits, vec![], end));
    lives
}

fn flip(random: &mut Random) -> Harm {
    let bit = random.below(8) as u8;
    match random.below(4) {
        0 => Harm::Flip(random.below(64), random.below(4200), bit),
        // Where the last commits are, for which the least vouches.
        1 => Harm::FlipLast(random.below(3000), bit),
        _ => Harm::Flip(random.below(64), random.below(1 << 16), bit),
    }
}

fn misplaced(random: &mut Random, commits: usize) -> (Vec<Life>, Vec<Harm>) {
    let mut lives = closed_or_not(random, commits);
    if random.chance(20) {
        // An older manifest must not make damage to what came later look like a torn end.
        let old = Harm::Old(MANIFEST, 0);
        return (lives, vec![old, Harm::FlipLast(random.below(400), random.below(8) as u8)]);
    }
    let harm = misplace(random);
    if let (Harm::Old(..), Some(last)) = (harm, lives.last_mut()) {
        // An older copy of the last segment is found out by what the manifest or the lock file
        // remember. A power loss may take that memory with it.
        last.end = random.pick(&[End::Close, End::Kill(u64::MAX >> 1)]);
    }
    (lives, vec![harm])
}

fn misplace(random: &mut Random) -> Harm {
    let (a, b) = (random.below(64), random.below(64));
    match random.below(5) {
        0 => Harm::Remove(a),
        1 => Harm::Swap(a, b),
        2 => Harm::Duplicate(a, b),
        3 => Harm::Foreign(a),
        _ => Harm::Old(a, b),
    }
}

/// A store that was never compacted is, and something goes wrong at an operation of that or of the opening before; then it
/// goes on and is compacted again.
fn compactions(random: &mut Random, commits: usize, number: u64) -> (Vec<Life>, Vec<Harm>) {
    let at = number % COMPACTION_OPERATIONS;
    let (mut faults, mut end) = (vec![], any_end(random, u64::MAX >> 1));
    match random.below(4) {
        0 => end = End::Kill(at),
        1 => end = End::PowerLoss(at, survivors(random)),
        2 => faults = failing(random, commits, at, 1..2).remove(0).faults,
        _ => faults = full(random, commits, at).remove(0).faults,
    }
    let mut lives = vec![life(commits, vec![], End::Close), life(commits, faults, end)];
    lives.push(life(commits + 3, vec![], any_end(random, u64::MAX >> 1)));
    lives[1..].iter_mut().for_each(|life| life.steps.push(Step::Compact(life.commits)));
    let harms = match random.below(8) {
        0..3 => vec![Harm::NoIndex],
        3 => vec![flip(random)],
        _ => vec![],
    };
    (lives, harms)
}

fn mixed(random: &mut Random, commits: usize, operations: u64) -> (Vec<Life>, Vec<Harm>) {
    let mut lives = vec![];
    for _ in 0..1 + random.below(4) {
        let mut faults = vec![];
        for _ in 0..random.below(3) {
            faults.push(Fault {
                operation: random.pick(&Operation::ALL),
                nth: random.draw() % (operations / 2 + 1),
                times: 1 + random.below(3) as u64,
                wrong: random.pick(&[Wrong::Nothing, Wrong::Half, Wrong::All]),
                errno: random.pick(&[Errno::Eio, Errno::Enospc, Errno::Eintr, Errno::Emfile]),
            });
        }
        let at = random.draw() % (operations + 1);
        lives.push(life(random.below(commits + 1), faults, any_end(random, at)));
    }
    let mut harms = match random.below(6) {
        0 => vec![flip(random)],
        1 => vec![misplace(random)],
        _ => vec![],
    };
    harms.retain(|harm| !matches!(harm, Harm::Old(..)));
    (lives, harms)
}
