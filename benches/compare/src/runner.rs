//! Runs the workloads, each engine in a process of its own, engine after engine and round after
//! round.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::engine::Result;
use crate::engines::{Peer, bare};
use crate::process::copy;
use crate::sample::{Sample, Samples};
use crate::worker::{Said, Worker};
use crate::workloads::{
    self, CHILDREN, CLOSE, END, FAMILIES, FILL, GROW, GROWTH, Outcome, Place, SPACE, STAGES,
    Workload,
};

/// An engine whose cell takes longer than this is not asked again in the next round.
const SLOW: Duration = Duration::from_secs(10);
/// An engine that would need longer than this to grow to the next stage stays where it is.
const FILL_SECONDS_MAX: f64 = 60.0;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub rounds: u32,
    pub quick: bool,
    pub max_events: u64,
    /// How many runs have ended, where they are looked up.
    pub entries: u64,
}

/// Why an engine has no figure, or fewer than others.
pub struct Note {
    pub key: String,
    pub engine: &'static str,
    pub text: String,
    pub failure: bool,
}

pub struct Runner {
    peers: Vec<Peer>,
    options: Options,
    stores: PathBuf,
    pub samples: Samples,
    pub notes: Vec<Note>,
    /// The first answer to each question, and whose it is.
    answers: HashMap<(String, u32, String), (&'static str, String)>,
    /// Who takes no further part in what.
    out: HashSet<(String, &'static str)>,
}

/// A workload at one size, in one round.
#[derive(Clone)]
struct Task {
    workload: &'static Workload,
    /// What its figures go by.
    key: String,
    size: u64,
    from: u64,
    round: u32,
    turns: u32,
    /// Whose directory the store is in.
    store: &'static str,
}

/// What a workload's figures go by, at one size or the only one.
pub fn key(workload: &Workload, size: Option<u64>) -> String {
    size.map_or_else(|| workload.name.to_owned(), |size| format!("{}/{size}", workload.name))
}

impl Runner {
    /// Stores are made below `stores`, which is made anew.
    pub fn new(peers: Vec<Peer>, options: Options, stores: PathBuf) -> Result<Self> {
        if stores.exists() {
            std::fs::remove_dir_all(&stores)?;
        }
        std::fs::create_dir_all(&stores)?;
        Ok(Runner {
            peers,
            options,
            stores,
            samples: Samples::default(),
            notes: vec![],
            answers: HashMap::new(),
            out: HashSet::new(),
        })
    }

    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    pub fn failed(&self) -> bool {
        self.notes.iter().any(|note| note.failure)
    }

    /// The rows of those names, all if none is named.
    pub fn rows(&mut self, names: &[String]) -> Result<()> {
        let rows = workloads::rows(names)?;
        let any_in = |places: &[Place]| rows.iter().any(|row| places.contains(&row.place));
        if any_in(&[Place::Filled, Place::Killed]) {
            eprintln!("rows, filling");
            (0..self.peers.len()).try_for_each(|engine| self.fill(engine))?;
        }
        if any_in(&[Place::Ended]) {
            eprintln!("rows, {} runs that have ended", self.options.entries);
            let end = self.task(&END, None, 0);
            (0..self.peers.len()).try_for_each(|engine| self.cell(engine, &end))?;
        }
        for round in 0..self.options.rounds {
            eprintln!("rows, round {} of {}", round + 1, self.options.rounds);
            for workload in rows.iter().copied() {
                let task = self.task(workload, None, round);
                let started = Instant::now();
                if task.turns > 0 {
                    self.in_turns(&task)?;
                } else {
                    self.in_order(round).try_for_each(|engine| self.row(engine, &task))?;
                }
                eprintln!("  {} took {:.1} s", workload.name, started.elapsed().as_secs_f64());
            }
        }
        self.remove(FILL.name)?;
        self.remove(CLOSE.name)?;
        self.remove(END.name)
    }

    /// Makes the stores that rows share: one whose process was killed, and one that was closed.
    fn fill(&mut self, engine: usize) -> Result<()> {
        let (fill, close) = (self.task(&FILL, None, 0), self.task(&CLOSE, None, 0));
        self.cell(engine, &fill)?;
        if self.takes_part(engine, &fill.key) {
            copy(&self.store(engine, fill.store), &self.store(engine, close.store))?;
            return self.cell(engine, &close);
        }
        self.out.insert((close.key, self.peers[engine].name));
        Ok(())
    }

    fn row(&mut self, engine: usize, task: &Task) -> Result<()> {
        let fill = task.workload.place.fill();
        if fill.is_some_and(|fill| !self.takes_part(engine, fill.name)) {
            return Ok(());
        }
        match fill {
            Some(fill) if task.workload.place != Place::Killed => {
                return self.cell(engine, &Task { store: fill.name, ..task.clone() });
            }
            Some(fill) => copy(&self.store(engine, fill.name), &self.store(engine, task.store))?,
            None => {}
        }
        let started = Instant::now();
        self.cell(engine, task)?;
        let took = started.elapsed();
        if took > SLOW && self.options.rounds > 1 && self.takes_part(engine, &task.key) {
            let text = format!("1 round, which took {:.0} s", took.as_secs_f64());
            self.leave(engine, &task.key, text, false);
        }
        self.remove_one(engine, task.store)
    }

    pub fn growth(&mut self) -> Result<()> {
        let within = |size: &u64| *size <= self.options.max_events;
        let stages: Vec<_> = STAGES.into_iter().filter(within).collect();
        let mut from = 0;
        for (n, size) in stages.iter().copied().enumerate() {
            eprintln!("growth, {size} events");
            for engine in 0..self.peers.len() {
                self.grow(engine, from, size, stages.get(n + 1).copied())?;
            }
            for round in 0..self.options.rounds {
                let task = self.task(&GROWTH, Some(size), round);
                for engine in self.in_order(round) {
                    if self.takes_part(engine, &key(&GROW, Some(size))) {
                        self.cell(engine, &task)?;
                    }
                }
            }
            from = size;
        }
        self.remove(GROWTH.name)
    }

    /// Fills a store on to a stage, and looks ahead whether the next one would take too long.
    fn grow(&mut self, engine: usize, from: u64, size: u64, next: Option<u64>) -> Result<()> {
        let grow = self.task(&GROW, Some(size), 0);
        let started = Instant::now();
        self.cell(engine, &Task { from, store: GROWTH.name, ..grow })?;
        let each = started.elapsed().as_secs_f64() / (size - from) as f64;
        let Some(next) = next else { return Ok(()) };
        let needs = each * (next - size) as f64;
        if needs > FILL_SECONDS_MAX {
            let text = format!("stays at {size} events: to fill {next} would take {needs:.0} s");
            self.leave(engine, &key(&GROW, Some(next)), text, false);
        }
        if !self.takes_part(engine, &key(&GROW, Some(next))) {
            for later in STAGES.into_iter().filter(|stage| *stage > size) {
                self.out.insert((key(&GROW, Some(later)), self.peers[engine].name));
            }
        }
        Ok(())
    }

    pub fn children(&mut self) -> Result<()> {
        let largest = if self.options.quick { 1_000 } else { u64::MAX };
        for round in 0..self.options.rounds {
            eprintln!("children, round {} of {}", round + 1, self.options.rounds);
            for (size, turns) in FAMILIES.into_iter().filter(|(size, _)| *size <= largest) {
                let task = self.task(&CHILDREN, Some(size), round);
                self.in_turns(&Task { turns: self.no_more_than(turns), ..task })?;
            }
        }
        Ok(())
    }

    /// With so many runs kept.
    pub fn space(&mut self, kept: u32) -> Result<()> {
        for round in 0..self.options.rounds {
            eprintln!("space, round {} of {}", round + 1, self.options.rounds);
            let task = Task { size: kept.into(), ..self.task(&SPACE, None, round) };
            self.in_order(round).try_for_each(|engine| self.row(engine, &task))?;
        }
        Ok(())
    }

    fn task(&self, workload: &'static Workload, size: Option<u64>, round: u32) -> Task {
        let key = key(workload, size);
        let turns = self.no_more_than(workload.turns);
        let size = size.unwrap_or(self.options.entries);
        Task { workload, key, size, from: 0, round, turns, store: workload.name }
    }

    fn no_more_than(&self, turns: u32) -> u32 {
        if self.options.quick { turns.min(2) } else { turns }
    }

    /// Every engine, another one first in every round.
    fn in_order(&self, round: u32) -> impl Iterator<Item = usize> + use<> {
        let count = self.peers.len();
        (0..count).map(move |n| (n + round as usize) % count)
    }

    /// All engines at a workload, each ready and waiting for its next short turn.
    fn in_turns(&mut self, task: &Task) -> Result<()> {
        let mut ready = vec![];
        for engine in self.in_order(task.round) {
            if !self.takes_part(engine, &task.key) {
                continue;
            }
            let start = || -> Result<_> {
                let mut worker = self.start(engine, task)?;
                let said = worker.hear()?;
                Ok((worker, said))
            };
            match start() {
                Ok((worker, Said::Ready)) => ready.push((engine, worker)),
                Ok((_, said)) => self.is_done(engine, task, said)?,
                Err(error) => self.fails(engine, task, &error.to_string()),
            }
        }
        for turn in 0..task.turns {
            let first = turn as usize % ready.len().max(1);
            let task = Task { round: task.round * task.turns + turn, ..task.clone() };
            for n in 0..ready.len() {
                let count = ready.len();
                let (engine, worker) = &mut ready[(first + n) % count];
                if !self.takes_part(*engine, &task.key) {
                    continue;
                }
                match worker.turn() {
                    Ok(Said::Turn(outcome)) => self.take_in(*engine, &task, outcome)?,
                    Ok(said) => self.fails(*engine, &task, &format!("said {said:?}")),
                    Err(error) => self.fails(*engine, &task, &error.to_string()),
                }
            }
        }
        for (engine, mut worker) in ready {
            if self.takes_part(engine, &task.key) {
                match worker.end().and_then(|said| worker.join().map(|()| said)) {
                    Ok(said) => self.is_done(engine, task, said)?,
                    Err(error) => self.fails(engine, task, &error.to_string()),
                }
            }
        }
        self.remove(task.store)
    }

    /// One measurement from its beginning to its end.
    fn cell(&mut self, engine: usize, task: &Task) -> Result<()> {
        if !self.takes_part(engine, &task.key) {
            return Ok(());
        }
        let work = || -> Result<Said> {
            let mut worker = self.start(engine, task)?;
            let said = worker.hear()?;
            worker.join()?;
            Ok(said)
        };
        match work() {
            Ok(said) => self.is_done(engine, task, said),
            Err(error) => {
                self.fails(engine, task, &error.to_string());
                Ok(())
            }
        }
    }

    fn start(&self, engine: usize, task: &Task) -> Result<Worker> {
        let name = self.peers[engine].name;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", name, task.workload.name]).arg(self.store(engine, task.store));
        let numbers = [
            ("--size", task.size),
            ("--from", task.from),
            ("--round", task.round.into()),
            ("--turns", task.turns.into()),
        ];
        for (flag, number) in numbers {
            command.args([flag, &number.to_string()]);
        }
        command.args(self.options.quick.then_some("--quick"));
        let complaints = self.stores.join(format!("complaints-{name}"));
        Worker::start(command, complaints, task.workload.name == FILL.name)
    }

    fn takes_part(&self, engine: usize, key: &str) -> bool {
        !self.out.contains(&(key.to_owned(), self.peers[engine].name))
    }

    fn is_done(&mut self, engine: usize, task: &Task, said: Said) -> Result<()> {
        match said {
            Said::Done(Outcome { lacks: Some(lacks), .. }) => {
                self.leave(engine, &task.key, lacks, false);
                Ok(())
            }
            Said::Done(outcome) => self.take_in(engine, task, outcome),
            said => Err(format!("{}: a worker said {said:?}", task.key).into()),
        }
    }

    fn fails(&mut self, engine: usize, task: &Task, error: &str) {
        self.leave(engine, &task.key, format!("failed: {error}"), true);
    }

    fn leave(&mut self, engine: usize, key: &str, text: String, failure: bool) {
        let engine = self.peers[engine].name;
        eprintln!("  {key}: {engine} {text}");
        self.out.insert((key.to_owned(), engine));
        self.notes.push(Note { key: key.to_owned(), engine, text, failure });
    }

    fn take_in(&mut self, engine: usize, task: &Task, outcome: Outcome) -> Result<()> {
        let (engine, key) = (self.peers[engine].name, &task.key);
        for (to, answer) in outcome.answers {
            let asked = (key.clone(), task.round, to.clone());
            let (first, expected) = self.answers.entry(asked).or_insert((engine, answer.clone()));
            if *expected != answer {
                return Err(format!(
                    "{key}, {to}: {first} and {engine} give different answers: {expected}, {answer}"
                )
                .into());
            }
        }
        for figure in outcome.figures {
            let metric = task.workload.metrics.iter().find(|metric| metric.name == figure.metric);
            let metric = metric.ok_or_else(|| format!("{key} has no {}", figure.metric))?;
            self.samples.0.push(Sample {
                workload: key.clone(),
                engine: engine.to_owned(),
                round: task.round,
                metric: metric.name.to_owned(),
                value: figure.value,
                unit: metric.unit.to_owned(),
                fsync_us: outcome.fsync_us,
            });
        }
        Ok(())
    }

    /// The directory of an engine's store. The bare loop has one, whose zeros it needs not write
    /// again.
    fn store(&self, engine: usize, what: &str) -> PathBuf {
        let name = self.peers[engine].name;
        let shared = name == bare::PEER.name;
        self.stores.join(if shared { name.to_owned() } else { format!("{what}-{name}") })
    }

    fn remove(&self, what: &str) -> Result<()> {
        (0..self.peers.len()).try_for_each(|engine| self.remove_one(engine, what))
    }

    fn remove_one(&self, engine: usize, what: &str) -> Result<()> {
        let dir = self.store(engine, what);
        if self.peers[engine].name != bare::PEER.name && dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
        Ok(())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.stores);
    }
}
