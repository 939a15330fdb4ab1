//! What the workloads share.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::data::{Data, Digest};
use crate::engine::{Batch, Durability, Engine, Relations, Result};
use crate::engines::{Peer, bare};
use crate::process::fsync_cost;
use crate::worker::Said;

/// How many runs one transaction begins.
const AT_ONCE: u32 = 1000;
/// Bytes of the payload that begins a run.
const INPUT_BYTES: usize = 120;

/// One measurement.
pub struct Cell {
    pub peer: Peer,
    pub dir: PathBuf,
    /// How much: what it means is the workload's.
    pub size: u64,
    pub from: u64,
    pub round: u32,
    /// How many turns it will have.
    pub turns: u32,
    pub quick: bool,
    pub data: Data,
}

/// What a cell says on its standard output.
#[derive(Serialize, Deserialize, Default, Debug)]
pub struct Outcome {
    pub fsync_us: f64,
    pub figures: Vec<Figure>,
    /// Its answers, each to be held against that of other engines.
    pub answers: Vec<(String, String)>,
    /// Why there are no figures, or not all.
    pub lacks: Option<String>,
}

#[derive(Serialize, Deserialize, Debug)]
pub struct Figure {
    pub metric: String,
    pub value: f64,
}

impl Outcome {
    pub fn at(fsync_us: f64) -> Self {
        Outcome { fsync_us, ..Default::default() }
    }

    /// For an engine that does not do this.
    pub fn lacks(what: &str) -> Self {
        Outcome { lacks: Some(what.to_owned()), ..Default::default() }
    }

    pub fn figure(mut self, metric: &str, value: f64) -> Self {
        self.figures.push(Figure { metric: metric.to_owned(), value });
        self
    }

    pub fn answer(mut self, to: &str, answer: impl std::fmt::Debug) -> Self {
        self.answers.push((to.to_owned(), format!("{answer:?}")));
        self
    }
}

pub const NO_RELATIONS: &str = "has neither tables nor indexes";
pub const NO_QUEUE: &str = "is opened without transactions that can read";
pub const NOT_A_STORE: &str = "is a loop, not a store";
pub const NO_OS: &str = "has no commit that survives a kill and does not wait for the device";

impl Cell {
    pub fn is_bare(&self) -> bool {
        self.peer.name == bare::PEER.name
    }

    pub fn open(&self) -> Result<Box<dyn Engine>> {
        (self.peer.open)(&self.dir)
    }

    /// What a sync costs at this moment; to be asked right before the clock starts.
    pub fn fsync(&self) -> Result<f64> {
        fsync_cost(self.dir.parent().ok_or("a store needs a directory around it")?)
    }

    /// Takes turns with other engines, so that all of them meet the same moods of the disk: says
    /// what each turn came to, until no more are wanted.
    pub fn turns(&self, mut turn: impl FnMut(f64) -> Result<Outcome>) -> Result<()> {
        say(&Said::Ready)?;
        for line in std::io::stdin().lock().lines() {
            line?;
            say(&Said::Turn(turn(self.fsync()?)?))?;
        }
        Ok(())
    }

    /// One value, or another one for a quick look.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// An open store in which `runs` runs have begun.
    pub fn begun(&self, runs: u32) -> Result<Box<dyn Engine>> {
        let engine = self.open()?;
        for first in (0..runs).step_by(AT_ONCE as usize) {
            let begin = |run| {
                let events = vec![self.data.exactly(run, 1, INPUT_BYTES)];
                Batch { run, first: 1, events }
            };
            let batches: Vec<_> = (first..runs.min(first + AT_ONCE)).map(begin).collect();
            engine.append(&batches, Durability::Os)?;
        }
        engine.settle()?;
        Ok(engine)
    }
}

/// Says a line to whoever started this process.
pub fn say(what: &Said) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    Ok(out.flush()?)
}

/// Repeats a step until its own time adds up to that of a turn; the seconds that each took.
pub fn repeat(long: Duration, mut step: impl FnMut() -> Result<Duration>) -> Result<Vec<f64>> {
    /// However slow it is.
    const LEAST: usize = 8;
    let (mut took, mut sum) = (vec![], Duration::ZERO);
    while sum < long || took.len() < LEAST {
        let time = step()?;
        sum += time;
        took.push(time.as_secs_f64());
    }
    Ok(took)
}

/// Does something, and how long it took.
pub fn timed<T>(what: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let started = Instant::now();
    let done = what()?;
    Ok((started.elapsed(), done))
}

/// What some runs hold, up to and with the event `last`.
pub fn read_back(
    engine: &dyn Engine,
    runs: impl Iterator<Item = u32>,
    last: u32,
) -> Result<Digest> {
    let mut digest = Digest::default();
    for run in runs {
        let mut take = |id, payload: &[u8]| {
            if id <= last {
                digest.take(id, payload);
            }
        };
        engine.read(run, &mut take)?;
    }
    Ok(digest)
}

/// The relations of an engine that was found to have them.
pub fn relations(engine: &dyn Engine) -> Result<&dyn Relations> {
    engine.relations().ok_or_else(|| NO_RELATIONS.into())
}
