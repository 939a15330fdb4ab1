//! Many schedules of one world, counted; the first one that fails, made small.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::reference::Reference;
use crate::schedule::Schedule;
use crate::shrink::shrink;
use crate::sweep::{Class, operations};
use crate::trial::{self, Found, Outcome};
use crate::world::World;

/// How many commits a world has.
pub const COMMITS: usize = 40;
/// How many schedules are looked at to make a failing one smaller.
const SHRINKING: usize = 400;

/// What schedules came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Everything acknowledged was there, and nothing else.
    pub complete: u64,
    /// Of these: bytes in doubt were found behind the last commit.
    pub ambiguous: u64,
    /// The store was refused with an error that names the place.
    pub refused: u64,
}

impl Count {
    /// All schedules.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.complete + self.refused
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.complete += other.complete;
        self.ambiguous += other.ambiguous;
        self.refused += other.refused;
    }
}

/// A schedule with a third result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// As it was drawn.
    pub schedule: Schedule,
    /// The smallest one found that fails too.
    pub smallest: Schedule,
    /// What is wrong after that one.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  as drawn: kinlog-rig replay '{}'", self.schedule)?;
        write!(f, "  smallest: kinlog-rig replay '{}'", self.smallest)
    }
}

/// Carries out a schedule; a panic of the store is an error like any other.
///
/// # Errors
/// What is wrong.
pub fn attempt(schedule: &Schedule, reference: &Reference) -> Result<Found, String> {
    let caught = catch_unwind(AssertUnwindSafe(|| trial::run(schedule, reference)));
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Carries out the schedules of a class with these numbers in one world.
///
/// # Errors
/// The first one that fails.
pub fn sweep(
    class: Class,
    reference: &Reference,
    operations: u64,
    numbers: Range<u64>,
) -> Result<Count, Box<Failure>> {
    let mut count = Count::default();
    for number in numbers {
        let schedule = class.schedule(reference, operations, number);
        match attempt(&schedule, reference) {
            Ok(found) => count += one(&found),
            Err(what) => return Err(Box::new(explain(schedule, what, reference))),
        }
    }
    Ok(count)
}

fn one(found: &Found) -> Count {
    match found.outcome {
        Outcome::Complete => Count { complete: 1, ambiguous: found.ambiguous.into(), refused: 0 },
        Outcome::Refused(_) => Count { refused: 1, ..Count::default() },
    }
}

fn explain(schedule: Schedule, what: String, reference: &Reference) -> Failure {
    let smallest = shrink(&schedule, SHRINKING, |it| attempt(it, reference).is_err());
    let what = attempt(&smallest, reference).err().unwrap_or(what);
    Failure { schedule, smallest, what }
}

/// A world, and how many operations on the disk its first life takes.
///
/// # Errors
/// What is wrong with it even without a fault.
pub fn world(world: World) -> Result<(Reference, u64), Box<Failure>> {
    let reference = Reference::new(world, COMMITS);
    let undisturbed = Schedule { world, lives: vec![], harms: vec![] };
    let count = operations(&reference).map_err(|what| {
        Box::new(Failure { schedule: undisturbed.clone(), smallest: undisturbed, what })
    })?;
    Ok((reference, count))
}

/// Counts by class, as a table in Markdown.
#[must_use]
pub fn table(counts: &BTreeMap<Class, Count>) -> String {
    let mut text = String::from(
        "| faults | schedules | complete | of these ambiguous | refused | wrong |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let mut sum = Count::default();
    for (class, count) in counts {
        sum += *count;
        text += &row(class.name(), count);
    }
    text + &row("**all**", &sum)
}

fn row(name: &str, count: &Count) -> String {
    let Count { complete, ambiguous, refused } = count;
    format!("| {name} | {} | {complete} | {ambiguous} | {refused} | 0 |\n", count.all())
}
