//! What is done to a store in one trial, as data and as a line of text.

use std::fmt;
use std::str::FromStr;

use crate::disk::{Fault, Survivors};
use crate::world::World;

/// One trial: a world that lives on through failures, and what is done to its files at last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The world.
    pub world: World,
    /// The lives of its store, one after the other.
    pub lives: Vec<Life>,
    /// What is done to the files in the end, one after the other.
    pub harms: Vec<Harm>,
}

/// From one opening of the store to the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// The world goes on until it has so many commits.
    pub commits: usize,
    /// What else is done between commits, in order.
    pub steps: Vec<Step>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How it ends.
    pub end: End,
}

/// What is done once the world has so many commits. Where a life begins with more or ends with fewer,
/// the step is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The store comes to rest.
    Rest(usize),
    /// The store is closed in order and opened again, on the same disk.
    Reopen(usize),
    /// The store is compacted.
    Compact(usize),
}

impl Step {
    /// How many commits the world has then.
    #[must_use]
    pub fn after(self) -> usize {
        match self {
            Step::Rest(commits) | Step::Reopen(commits) | Step::Compact(commits) => commits,
        }
    }
}

/// How a life ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The store is closed in order.
    Close,
    /// The process is killed at this operation on the disk, or after the last commit.
    Kill(u64),
    /// The power goes at this operation on the disk, or after the last commit.
    PowerLoss(u64, Survivors),
}

/// What is done to the files of a store that nobody has open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    /// A bit of a file is flipped: file, offset, bit.
    Flip(usize, usize, u8),
    /// A bit of the log is flipped, so many bytes before its last one that is not zero.
    FlipLast(usize, u8),
    /// A file is cut to this length.
    Truncate(usize, usize),
    /// A file is missing.
    Remove(usize),
    /// Two files have changed their names.
    Swap(usize, usize),
    /// A file is there under the name of another one, too.
    Duplicate(usize, usize),
    /// A file comes from a store of another world.
    Foreign(usize),
    /// A file is as it was at the end of an earlier life.
    Old(usize, usize),
    /// The index is missing: nothing is lost by that.
    NoIndex,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "world={}", self.world)?;
        for life in &self.lives {
            write!(f, " life={}", life.commits)?;
            for step in &life.steps {
                match step {
                    Step::Rest(after) => write!(f, ",rest:{after}")?,
                    Step::Reopen(after) => write!(f, ",reopen:{after}")?,
                    Step::Compact(after) => write!(f, ",compact:{after}")?,
                }
            }
            for fault in &life.faults {
                write!(f, ",{fault}")?;
            }
            match life.end {
                End::Close => write!(f, ",close")?,
                End::Kill(at) => write!(f, ",kill:{at}")?,
                End::PowerLoss(at, survivors) => {
                    write!(f, ",loss:{at}:")?;
                    match survivors {
                        Survivors::Nothing => write!(f, "nothing")?,
                        Survivors::Everything => write!(f, "everything")?,
                        Survivors::Pages(seed) => write!(f, "pages:{seed}")?,
                        Survivors::Sectors(seed) => write!(f, "sectors:{seed}")?,
                    }
                }
            }
        }
        self.harms.iter().try_for_each(|harm| match harm {
            Harm::Flip(file, offset, bit) => write!(f, " flip={file}:{offset}:{bit}"),
            Harm::FlipLast(back, bit) => write!(f, " flip_last={back}:{bit}"),
            Harm::Truncate(file, len) => write!(f, " truncate={file}:{len}"),
            Harm::Remove(file) => write!(f, " remove={file}"),
            Harm::Swap(a, b) => write!(f, " swap={a}:{b}"),
            Harm::Duplicate(from, to) => write!(f, " duplicate={from}:{to}"),
            Harm::Foreign(file) => write!(f, " foreign={file}"),
            Harm::Old(file, life) => write!(f, " old={file}:{life}"),
            Harm::NoIndex => write!(f, " no_index=0"),
        })
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut schedule = Schedule { world: World::of(0), lives: vec![], harms: vec![] };
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or(format!("{word:?} has no value"))?;
            match name {
                "world" => schedule.world = value.parse()?,
                "life" => schedule.lives.push(value.parse()?),
                _ => schedule.harms.push(harm(name, value)?),
            }
        }
        Ok(schedule)
    }
}

impl FromStr for Life {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (commits, rest) = text.split_once(',').ok_or(format!("{text:?} has no end"))?;
        let commits = number(commits)?;
        let mut life = Life { commits, steps: vec![], faults: vec![], end: End::Close };
        for part in rest.split(',') {
            let words: Vec<&str> = part.split(':').collect();
            match words[..] {
                ["close"] => life.end = End::Close,
                ["rest", after] => life.steps.push(Step::Rest(number(after)?)),
                ["reopen", after] => life.steps.push(Step::Reopen(number(after)?)),
                ["compact", after] => life.steps.push(Step::Compact(number(after)?)),
                ["kill", at] => life.end = End::Kill(number(at)?),
                ["loss", at, ref kept @ ..] => {
                    life.end = End::PowerLoss(number(at)?, survivors(kept)?);
                }
                _ => life.faults.push(part.parse()?),
            }
        }
        Ok(life)
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn survivors(words: &[&str]) -> Result<Survivors, String> {
    match words {
        ["nothing"] => Ok(Survivors::Nothing),
        ["everything"] => Ok(Survivors::Everything),
        ["pages", seed] => Ok(Survivors::Pages(number(seed)?)),
        ["sectors", seed] => Ok(Survivors::Sectors(number(seed)?)),
        _ => Err(format!("{words:?} says not what survives")),
    }
}

fn harm(name: &str, value: &str) -> Result<Harm, String> {
    let numbers: Vec<usize> = value.split(':').map(number).collect::<Result<_, _>>()?;
    match (name, &numbers[..]) {
        ("flip", [file, offset, bit]) => Ok(Harm::Flip(*file, *offset, *bit as u8 % 8)),
        ("flip_last", [back, bit]) => Ok(Harm::FlipLast(*back, *bit as u8 % 8)),
        ("truncate", [file, len]) => Ok(Harm::Truncate(*file, *len)),
        ("remove", [file]) => Ok(Harm::Remove(*file)),
        ("swap", [a, b]) => Ok(Harm::Swap(*a, *b)),
        ("duplicate", [from, to]) => Ok(Harm::Duplicate(*from, *to)),
        ("foreign", [file]) => Ok(Harm::Foreign(*file)),
        ("old", [file, life]) => Ok(Harm::Old(*file, *life)),
        ("no_index", [_]) => Ok(Harm::NoIndex),
        _ => Err(format!("{name}={value} is no harm")),
    }
}
