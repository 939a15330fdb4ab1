//! Stores of many years: what opening them takes, and finding in them, as they grow. kinlog alone.

mod commits;
mod fill;
mod measure;
mod plan;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::kinlog::Durability;
use clap::ValueEnum;

use crate::engine::Result;
use crate::engines::kinlog;
use crate::process::{copy, file_bytes, fsync_cost};
use crate::sample::{Sample, Samples};
use crate::worker::{Said, Worker};
use crate::workloads::{Outcome, timed};
use plan::Plan;

#[derive(clap::Args)]
pub struct Args {
    /// How many runs the stores have, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000")]
    runs: Vec<u32>,
    /// Where the stores are made; they stay there and are used again
    #[arg(long, default_value = STORES)]
    dir: PathBuf,
    /// Measure also with nothing of the store in memory
    #[arg(long)]
    cold: bool,
    /// Make the stores anew: after a change of what kinlog writes
    #[arg(long)]
    fresh: bool,
    /// The program `kinlog`, in release mode; without it, its row is empty
    #[arg(long, default_value = PROGRAM)]
    program: PathBuf,
}

/// On the disk that the build lies on.
const STORES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/years");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/kinlog");

#[derive(clap::Args)]
pub struct StepArgs {
    step: Step,
    dir: PathBuf,
    #[arg(long)]
    runs: u32,
}

/// What is done in a process of its own, so that memory and time are those of one opening.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Step {
    Fill,
    Settle,
    Kill,
    KillBuffered,
    Commit,
    Open,
    OpenCold,
    Look,
    LookCold,
}

pub fn take_step(args: &StepArgs, quick: bool) -> Result<Outcome> {
    let (plan, dir) = (Plan::new(args.runs), &args.dir);
    match args.step {
        Step::Fill => fill::fill(&plan, dir),
        Step::Settle => fill::settle(&plan, dir),
        Step::Kill => fill::kill(&plan, dir, Durability::Sync, quick),
        Step::KillBuffered => fill::kill(&plan, dir, Durability::Buffered, quick),
        Step::Commit => commits::beside_index(&plan, dir, quick),
        Step::Open => measure::open(&plan, dir),
        Step::OpenCold => measure::open_cold(&plan, dir),
        Step::Look => measure::look(&plan, dir),
        Step::LookCold => measure::look_cold(&plan, dir),
    }
}

/// What a store and a copy of it take for each run, in bytes, with some to spare.
const BYTES_EACH: u64 = 700;
/// What a store takes besides: segments that are prepared, and those that are filled before a kill.
const BYTES_BESIDES: u64 = 1 << 30;

/// Measures stores of all sizes, and reports below `out`.
pub fn measure(args: &Args, rounds: u32, quick: bool, out: &Path) -> Result<()> {
    std::fs::create_dir_all(&args.dir)?;
    let mut bench = Bench { args, rounds, quick, samples: Samples::default() };
    bench.check_room()?;
    for runs in &args.runs {
        bench.measure(*runs)?;
        // After each, as the next one may take long.
        report::write(&bench.samples, &args.dir, &args.runs, out)?;
    }
    print!("{}", std::fs::read_to_string(out.join(report::FILE))?);
    Ok(())
}

struct Bench<'a> {
    args: &'a Args,
    rounds: u32,
    quick: bool,
    samples: Samples,
}

impl Bench<'_> {
    /// Refuses to begin what the disk has no room for.
    fn check_room(&self) -> Result<()> {
        let bytes = |runs: u32| u64::from(runs) * BYTES_EACH;
        let missing = self.args.runs.iter().filter(|runs| !self.dir(**runs).exists());
        let stores: u64 = missing.map(|runs| bytes(*runs)).sum();
        let largest = self.args.runs.iter().max().copied().unwrap_or_default();
        let needs = stores + bytes(largest) + BYTES_BESIDES;
        let disk = rustix::fs::statvfs(&self.args.dir)?;
        let free = disk.f_bavail * disk.f_frsize;
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let dir = self.args.dir.display();
        let says = format!("needs {:.1} GiB in {dir}, where {:.1} are free", gib(needs), gib(free));
        eprintln!("years: {says}");
        if needs > free { Err(says.into()) } else { Ok(()) }
    }

    /// Everything at one size.
    fn measure(&mut self, runs: u32) -> Result<()> {
        eprintln!("years, {runs} runs");
        let filled = self.filled(runs)?;
        self.take_in(runs, 0, 0.0, filled);
        let store = self.dir(runs).join(STORE);
        let mut steps = vec![];
        for round in 0..self.rounds {
            steps.push((round, Step::Open));
            steps.extend(self.args.cold.then_some((round, Step::OpenCold)));
        }
        steps.push((0, Step::Look));
        steps.extend(self.args.cold.then_some((0, Step::LookCold)));
        for (round, step) in steps {
            let sync = fsync_cost(&self.args.dir)?;
            let outcome = self.step(step, runs, &store)?;
            self.take_in(runs, round, sync, outcome);
        }
        self.take_in(runs, 0, 0.0, files(&store, runs)?);
        self.show(runs, &store)?;
        self.on_a_copy(runs, &store)
    }

    /// What filling a store of so many runs came to, now or when it was made.
    fn filled(&self, runs: u32) -> Result<Outcome> {
        let dir = self.dir(runs);
        if self.args.fresh && dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        if !dir.exists() {
            let part = dir.with_extension("part");
            if part.exists() {
                std::fs::remove_dir_all(&part)?;
            }
            std::fs::create_dir_all(&part)?;
            let mut outcome = self.step(Step::Fill, runs, &part.join(STORE))?;
            outcome.figures.extend(self.step(Step::Settle, runs, &part.join(STORE))?.figures);
            std::fs::write(part.join(FILLED), serde_json::to_vec(&outcome)?)?;
            // Under its name it is complete.
            std::fs::rename(part, &dir)?;
        }
        Ok(serde_json::from_slice(&std::fs::read(dir.join(FILLED))?)?)
    }

    /// Opens a copy of the store after a kill, which adds some runs each time, and commits to it.
    fn on_a_copy(&mut self, runs: u32, store: &Path) -> Result<()> {
        let killed = self.dir(runs).join("killed");
        if killed.exists() {
            std::fs::remove_dir_all(&killed)?;
        }
        copy(store, &killed)?;
        for (kill, name) in [(Step::Kill, "killed"), (Step::KillBuffered, "killed-buffered")] {
            for round in 0..self.rounds {
                self.step(kill, runs, &killed)?;
                let sync = fsync_cost(&self.args.dir)?;
                let opened = self.step(Step::Open, runs, &killed)?.figures.into_iter();
                let outcome = opened.fold(Outcome::default(), |it, figure| match &*figure.metric {
                    "open" => it.figure(&format!("open-{name}"), figure.value),
                    _ => it,
                });
                self.take_in(runs, round, sync, outcome);
            }
        }
        let sync = fsync_cost(&self.args.dir)?;
        let committed = self.step(Step::Commit, runs, &killed)?;
        self.take_in(runs, 0, sync, committed);
        Ok(std::fs::remove_dir_all(killed)?)
    }

    /// The whole process that shows one run.
    fn show(&mut self, runs: u32, store: &Path) -> Result<()> {
        if !self.args.program.exists() {
            eprintln!("  no {}: build it to measure it", self.args.program.display());
            return Ok(());
        }
        let run = plan::run_id(runs / 2).to_string();
        for round in 0..self.rounds {
            let mut show = Command::new(&self.args.program);
            show.arg("--store").arg(store).args(["show", &run]).stdout(Stdio::null());
            let (took, status) = timed(|| Ok(show.status()?))?;
            if !status.success() {
                return Err(format!("kinlog show {run}: {status}").into());
            }
            let outcome = Outcome::default().figure("show", took.as_secs_f64() * 1e3);
            self.take_in(runs, round, 0.0, outcome);
        }
        Ok(())
    }

    fn step(&self, step: Step, runs: u32, dir: &Path) -> Result<Outcome> {
        let mut command = Command::new(std::env::current_exe()?);
        let name = step.to_possible_value().ok_or("a step without a name")?;
        command.args(["years-step", name.get_name()]).arg(dir);
        command.args(["--runs", &runs.to_string()]).args(self.quick.then_some("--quick"));
        let complaints = self.args.dir.join(format!("complaints-{runs}"));
        let (took, outcome) = timed(|| {
            let mut worker = Worker::start(
                command,
                complaints,
                matches!(step, Step::Kill | Step::KillBuffered),
            )?;
            let said = worker.hear()?;
            worker.join()?;
            match said {
                Said::Done(outcome) => Ok(outcome),
                said => Err(format!("{step:?} said {said:?}").into()),
            }
        })?;
        eprintln!("  {} took {:.1} s", name.get_name(), took.as_secs_f64());
        Ok(outcome)
    }

    fn take_in(&mut self, runs: u32, round: u32, fsync_us: f64, outcome: Outcome) {
        for figure in outcome.figures {
            self.samples.0.push(Sample {
                workload: report::key(runs),
                engine: kinlog::PEER.name.to_owned(),
                round,
                unit: report::unit(&figure.metric).to_owned(),
                metric: figure.metric,
                value: figure.value,
                fsync_us,
            });
        }
    }

    /// What belongs to a store of so many runs.
    fn dir(&self, runs: u32) -> PathBuf {
        self.args.dir.join(format!("runs-{runs}-plan-{}", plan::VERSION))
    }
}

const STORE: &str = "store";
const FILLED: &str = "filled.json";

/// What the files of a closed store take.
fn files(store: &Path, runs: u32) -> Result<Outcome> {
    let bytes = |name: &str| {
        let dir = store.join(name);
        if dir.exists() { file_bytes(&dir) } else { Ok(0) }
    };
    let (log, index) = (bytes("log")?, bytes("index")?);
    let others = file_bytes(store)? - log - index;
    let closed = runs - u32::try_from(Plan::new(runs).open().count())?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(Outcome::default()
        .figure("log-files", mib(log))
        .figure("index-files", mib(index))
        .figure("other-files", mib(others))
        .figure("index", index as f64 / f64::from(closed.max(1))))
}
