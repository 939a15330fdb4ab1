//! Measures kinlog beside other stores, and beside the bare loop that no log can do without.

mod agree;
mod data;
mod engine;
mod engines;
mod latency;
mod machine;
mod process;
mod report;
mod runner;
mod sample;
mod stats;
mod worker;
mod workloads;
mod years;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::data::Data;
use crate::engine::Result;
use crate::engines::{Peer, kinlog};
use crate::runner::{Options, Runner};
use crate::sample::Samples;
use crate::worker::Said;
use crate::workloads::{Cell, SPACE, STAGES, say};

/// Measures kinlog beside other stores; without a command: rows, growth, children and latency.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args)]
struct Flags {
    /// How often everything is measured [default: 5, 1 with --quick]
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..100))]
    rounds: Option<u32>,
    /// Only these engines and kinlog, separated by commas
    #[arg(long, global = true, value_delimiter = ',')]
    engines: Vec<String>,
    /// Where the report goes
    #[arg(long, global = true, default_value = "target/compare")]
    out: PathBuf,
    /// Small and short: to see that it works, not for figures
    #[arg(long, global = true)]
    quick: bool,
    /// How large stores grow [default: 10,000,000, 10,000 with --quick]
    #[arg(long, global = true)]
    max_events: Option<u64>,
    /// How many runs have ended, where they are looked up [default: 1,000,000, 10,000 with --quick]
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(1..1 << 31))]
    entries: Option<u64>,
}

impl Flags {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }
}

#[derive(Subcommand)]
enum Command {
    /// The rows of the table
    Rows {
        /// Only these
        rows: Vec<String>,
    },
    /// The same at growing sizes of the store
    Growth,
    /// Fan-outs of growing families
    Children,
    /// Space over years: runs close and are deleted at a steady rate
    Space {
        /// How many runs are kept [default: 8,000, 50 with --quick]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
        kept: Option<u32>,
    },
    /// Latencies of commits at fixed rates
    Latency {
        /// Only these
        scenarios: Vec<String>,
    },
    /// Stores of many years: opening, memory, look-ups; kinlog alone
    Years(years::Args),
    /// Whether two runs agree in every ratio
    Agree { a: PathBuf, b: PathBuf },
    /// One measurement, for this program itself
    #[command(hide = true)]
    Worker(Task),
    /// One step of `years`, for this program itself
    #[command(hide = true)]
    YearsStep(years::StepArgs),
}

#[derive(Args)]
struct Task {
    engine: String,
    workload: String,
    dir: PathBuf,
    #[arg(long)]
    size: u64,
    #[arg(long)]
    from: u64,
    #[arg(long)]
    round: u32,
    #[arg(long)]
    turns: u32,
}

/// On the disk that the build lies on.
const STORES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/compare-stores");

fn main() -> ExitCode {
    let Cli { command, flags } = Cli::parse();
    let done = match command {
        Some(Command::Agree { a, b }) => agree(&a, &b),
        Some(Command::Worker(task)) => work(task, flags.quick).map(|()| true),
        Some(Command::Years(args)) => {
            let rounds = flags.rounds();
            years::measure(&args, rounds, flags.quick, &flags.out).map(|()| true)
        }
        Some(Command::YearsStep(args)) => {
            let outcome = years::take_step(&args, flags.quick);
            outcome.and_then(|outcome| say(&Said::Done(outcome))).map(|()| true)
        }
        command => compare(command.as_ref(), &flags),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports; whether nothing failed.
fn compare(command: Option<&Command>, flags: &Flags) -> Result<bool> {
    let options = Options {
        rounds: flags.rounds(),
        quick: flags.quick,
        entries: flags.entries.unwrap_or(if flags.quick { 10_000 } else { 1_000_000 }),
        max_events: flags.max_events.unwrap_or(STAGES[if flags.quick { 0 } else { 3 }]),
    };
    let latency = |only: &[String]| {
        latency::measure(&options, only, &Path::new(STORES).join("latency"), &flags.out)
    };
    if let Some(Command::Latency { scenarios }) = command {
        return latency(scenarios).map(|()| true);
    }
    let peers = match command {
        Some(Command::Space { .. }) => engines::small(),
        _ => engines::all(),
    };
    let mut runner = Runner::new(chosen(peers, &flags.engines)?, options, STORES.into())?;
    match command {
        Some(Command::Rows { rows }) => runner.rows(rows)?,
        Some(Command::Growth) => runner.growth()?,
        Some(Command::Children) => runner.children()?,
        Some(Command::Space { kept }) => {
            runner.space(kept.unwrap_or(if flags.quick { 50 } else { 8_000 }))?;
        }
        _ => {
            runner.rows(&[])?;
            runner.growth()?;
            runner.children()?;
        }
    }
    report::write(&runner, Path::new(STORES), &flags.out)?;
    if command.is_none() {
        latency(&[])?;
    }
    Ok(!runner.failed())
}

/// The engines to measure; kinlog always, all others are measured against it.
fn chosen(all: Vec<Peer>, names: &[String]) -> Result<Vec<Peer>> {
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|peer| peer.name == **name)) {
        let known: Vec<_> = all.iter().map(|peer| peer.name).collect();
        return Err(format!("no engine {unknown}; there are {}", known.join(", ")).into());
    }
    let wanted = |peer: &Peer| {
        names.is_empty() || peer.name == kinlog::PEER.name || names.iter().any(|it| it == peer.name)
    };
    Ok(all.into_iter().filter(wanted).collect())
}

fn work(task: Task, quick: bool) -> Result<()> {
    let Task { engine, workload, dir, size, from, round, turns } = task;
    let workload = workloads::named(&workload).ok_or("no such workload")?;
    let peers = if workload.name == SPACE.name { engines::small() } else { engines::all() };
    let peer = peers.into_iter().find(|peer| peer.name == engine).ok_or("no such engine")?;
    let data = Data::default();
    let outcome = (workload.run)(&Cell { peer, dir, size, from, round, turns, quick, data })?;
    say(&Said::Done(outcome))
}

/// Prints every ratio of two runs; whether all of them agree.
fn agree(a: &Path, b: &Path) -> Result<bool> {
    let pairs = agree::pairs(&Samples::read(a)?, &Samples::read(b)?);
    for pair in &pairs {
        let mark = if pair.agrees() { ' ' } else { '!' };
        let ([workload, metric, engine], [a, b]) = (&pair.what, pair.ratios);
        let apart = pair.apart() * 100.0;
        println!("{mark} {apart:>5.1} %  {a:>10.3} {b:>10.3}  {workload} {metric} {engine}");
    }
    let apart = pairs.iter().filter(|pair| !pair.agrees()).count();
    let margin = agree::MARGIN * 100.0;
    println!("{apart} of {} ratios are more than {margin} % apart", pairs.len());
    Ok(apart == 0 && !pairs.is_empty())
}
