//! `kinlog-rig`: tries kinlog on a disk that fails, for as long as asked, and counts.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use kinlog_rig::campaign::{self, Count, Failure};
use kinlog_rig::real;
use kinlog_rig::reference::Reference;
use kinlog_rig::schedule::Schedule;
use kinlog_rig::sweep::Class;
use kinlog_rig::world::World;

/// Tries kinlog on a disk that fails.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs schedules of every class in world after world, and prints what they came to.
    Run {
        /// For how long.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
        /// The seed of the first world; the next one has the next seed.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// How many schedules of each class a world gets.
        #[arg(long, value_name = "N", default_value_t = 250)]
        each: u64,
        /// How many threads; as many as there are processors, if nothing is said.
        #[arg(long, value_name = "N")]
        threads: Option<usize>,
    },
    /// Runs one schedule, as a failure prints it.
    Replay {
        /// The schedule.
        schedule: Schedule,
    },
    #[command(flatten)]
    Real(real::Command),
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run { seconds, seed, each, threads } => {
            let all = thread::available_parallelism().map_or(1, usize::from);
            run(Duration::from_secs(seconds), seed, each, threads.unwrap_or(all))
        }
        Command::Replay { schedule } => replay(&schedule),
        Command::Real(command) => match command.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(what) => {
                eprintln!("WRONG: {what}");
                ExitCode::FAILURE
            }
        },
    }
}

/// What all threads of a run share.
struct Run {
    until: Instant,
    next: AtomicU64,
    each: u64,
    over: AtomicBool,
    counts: Mutex<BTreeMap<Class, Count>>,
    failure: Mutex<Option<Failure>>,
}

fn run(time: Duration, seed: u64, each: u64, threads: usize) -> ExitCode {
    let run = Run {
        until: Instant::now() + time,
        next: AtomicU64::new(seed),
        each,
        over: AtomicBool::new(false),
        counts: Mutex::default(),
        failure: Mutex::default(),
    };
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| run.work());
        }
    });
    let worlds = run.next.into_inner() - seed;
    let counts = run.counts.into_inner().unwrap_or_default();
    println!("{}", campaign::table(&counts));
    match run.failure.into_inner().unwrap_or_default() {
        Some(failure) => {
            println!("WRONG: {failure}");
            ExitCode::FAILURE
        }
        None => {
            println!("worlds {seed} to {}: nothing wrong", seed + worlds - 1);
            ExitCode::SUCCESS
        }
    }
}

impl Run {
    fn work(&self) {
        while !self.is_over() {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if let Err(failure) = self.world(seed) {
                self.over.store(true, Ordering::Relaxed);
                let mut first = self.failure.lock().expect("nobody panics with it");
                first.get_or_insert(*failure);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || Instant::now() >= self.until
    }

    fn world(&self, seed: u64) -> Result<(), Box<Failure>> {
        // Two of four worlds shed what a compaction takes.
        let world = World { seed, sheds: seed & 2 > 0 };
        let (reference, operations) = campaign::world(world)?;
        for class in Class::ALL {
            // Other numbers in each world, until all places were tried.
            let first = seed.wrapping_mul(self.each) % (operations + 1);
            for number in first..first + self.each {
                if self.is_over() {
                    return Ok(());
                }
                let count = campaign::sweep(class, &reference, operations, number..number + 1)?;
                let mut counts = self.counts.lock().expect("nobody panics with it");
                *counts.entry(class).or_default() += count;
            }
        }
        let _ = write!(std::io::stderr(), "\rworld {seed} done ");
        Ok(())
    }
}

fn replay(schedule: &Schedule) -> ExitCode {
    let reference = Reference::new(schedule.world, campaign::COMMITS);
    match campaign::attempt(schedule, &reference) {
        Ok(found) => {
            println!("{found:?}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!("WRONG: {what}");
            ExitCode::FAILURE
        }
    }
}
