//! What is committed to: an engine on a watched disk.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Scenario;
use super::disk::{Watch, Watched};
use super::schedule::Schedule;
use super::span::Span;
use super::tally::Tally;
use crate::data::{Data, next};
use crate::engine::{Batch, Durability, Engine, Result};
use crate::engines::{bare, kinlog};

/// Runs that are read, of so many events; runs that are written come after them.
const READ_RUNS: u32 = 1000;
const READ_EVENTS: u32 = 100;
const WRITTEN_RUNS: u32 = 1000;
/// How many runs one transaction of the filling has, so that it fits into the smallest segment.
const AT_ONCE: u32 = 50;

pub struct Target {
    pub name: &'static str,
    engine: Arc<dyn Engine>,
    watch: Arc<Watch>,
    /// How many commits were made to it.
    commits: u32,
}

impl Target {
    pub fn kinlog(dir: &Path, segment_bytes: u32) -> Result<Self> {
        let watch = Watch::new();
        let options = ::kinlog::Options::new()
            .disk(Arc::new(Watched::new(watch.clone())))
            .segment_bytes(segment_bytes);
        let engine = kinlog::open_with(&options, dir)?;
        Ok(Target { name: kinlog::PEER.name, engine: engine.into(), watch, commits: 0 })
    }

    pub fn bare(dir: &Path) -> Result<Self> {
        let watch = Watch::new();
        let engine = bare::open_with(&Watched::new(watch.clone()), dir)?;
        Ok(Target { name: bare::PEER.name, engine: engine.into(), watch, commits: 0 })
    }

    pub fn engine(&self) -> Arc<dyn Engine> {
        self.engine.clone()
    }

    /// Begins the runs that are written, and fills those that are read if there is a reader.
    pub fn fill(&self, data: &Data, reader: bool) -> Result<()> {
        let read = (1..=READ_EVENTS).map(|event| (0..READ_RUNS, event));
        let written = (READ_RUNS..READ_RUNS + WRITTEN_RUNS, 1);
        for (runs, first) in read.filter(|_| reader).chain([written]) {
            for from in runs.clone().step_by(AT_ONCE as usize) {
                let batch = |run| Batch { run, first, events: vec![data.payload(run, first)] };
                let batches: Vec<_> = (from..runs.end.min(from + AT_ONCE)).map(batch).collect();
                self.engine.append(&batches, Durability::Os)?;
            }
        }
        self.engine.settle()
    }

    /// Commits what is due at a rate.
    pub fn at_rate(
        &mut self,
        scenario: &Scenario,
        data: &Data,
        rate: u32,
        long: Duration,
    ) -> Result<Tally> {
        let schedule = Schedule { start: Instant::now(), rate };
        let count = schedule.count(long);
        let mut commits = Vec::with_capacity(usize::try_from(count)?);
        self.watch.take();
        for n in 0..count {
            let batch = self.next(scenario, data);
            let due = schedule.wait(n);
            self.engine.append(&[batch], scenario.durability)?;
            commits.push(Span { from: self.watch.at(due), to: self.watch.now() });
        }
        Tally::of(&commits, &self.watch.take(), scenario.durability)
    }

    /// Commits one after another; how many in a second.
    pub fn at_once(&mut self, scenario: &Scenario, data: &Data, long: Duration) -> Result<f64> {
        let (start, before) = (Instant::now(), self.commits);
        while start.elapsed() < long {
            let batch = self.next(scenario, data);
            self.engine.append(&[batch], scenario.durability)?;
        }
        Ok(f64::from(self.commits - before) / start.elapsed().as_secs_f64())
    }

    fn next<'a>(&mut self, scenario: &Scenario, data: &'a Data) -> Batch<'a> {
        let run = READ_RUNS + self.commits % WRITTEN_RUNS;
        let first = 2 + self.commits / WRITTEN_RUNS * scenario.events;
        self.commits += 1;
        let payload = |event| match scenario.payload_bytes {
            Some(bytes) => data.exactly(run, event, bytes),
            None => data.payload(run, event),
        };
        Batch { run, first, events: (first..first + scenario.events).map(payload).collect() }
    }
}

/// Does something while another thread reads random histories of a store all the time.
pub fn beside_reader<T>(engine: &dyn Engine, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    let read = || -> Result<()> {
        let mut state = 11;
        while !stop.load(Ordering::Relaxed) {
            let run = (next(&mut state) >> 32) as u32 % READ_RUNS;
            engine.read(run, &mut |_, payload| {
                black_box(payload);
            })?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let reader = scope.spawn(read);
        let done = work();
        stop.store(true, Ordering::Relaxed);
        reader.join().map_err(|_| "the reader panicked")??;
        done
    })
}
