//! People as faults: files of an open store are removed, moved, replaced, copied, restored and
//! linked, and its process forks, at random moments.
//!
//! A deed is done to a store that one process has open; mostly a second one comes to
//! the same place. In a trial each has a world of its own, so that it can be told
//! whose commits are there. What is right: whatever one of them got acknowledged is there, or a
//! store is refused with the reason; and two never hold one place at a time.

mod deed;
mod judge;
mod trial;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use deed::Deed;
use judge::Came;
use trial::Trial;

use super::kill::remove;

/// Lets people at the files of stores that are open. What was acknowledged must be there, or a
/// store be refused with the reason. Prints a table of its own.
#[derive(Debug, Args)]
pub struct People {
    /// How many trials; the deeds take turns.
    #[arg(long, value_name = "N", default_value_t = 400)]
    times: u64,
    /// The seed of the first trial; the next one has the next seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where stores are made; those of a trial that went wrong are left there, if this is given.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What trials with one deed came to.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    trials: u64,
    acknowledged: u64,
    /// All that was acknowledged was there.
    complete: u64,
    /// So often one of the processes was refused, at a commit or at opening.
    stopped: u64,
    /// So often a store was refused at the end.
    refused: u64,
    wrong: u64,
}

impl People {
    /// Tries, and prints the table.
    ///
    /// # Errors
    /// How often something was wrong; what, is printed.
    pub fn run(&self) -> Result<(), String> {
        let rig = env::current_exe().map_err(|error| error.to_string())?;
        let temporary = tempfile::tempdir().map_err(|error| error.to_string())?;
        let dir = self.dir.as_deref().unwrap_or(temporary.path());
        let mut counts = BTreeMap::<Deed, Count>::new();
        for seed in self.seed..self.seed.saturating_add(self.times) {
            let trial = Trial::new(seed);
            let count = counts.entry(trial.deed()).or_default();
            count.trials += 1;
            let place = dir.join(format!("people-{seed}"));
            match try_once(trial, &rig, &place) {
                Ok(came) => count.add(came),
                Err(what) => {
                    eprintln!("WRONG: {}, people --times 1 --seed {seed}: {what}", trial.deed());
                    count.wrong += 1;
                    if self.dir.is_some() {
                        continue;
                    }
                }
            }
            remove(&place)?;
        }
        print(&counts);
        let wrong: u64 = counts.values().map(|count| count.wrong).sum();
        if wrong > 0 { Err(format!("{wrong} trials went wrong")) } else { Ok(()) }
    }
}

fn try_once(trial: Trial, rig: &Path, place: &Path) -> Result<Came, String> {
    fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
    trial.run(rig, place)
}

impl Count {
    fn add(&mut self, came: Came) {
        self.acknowledged += came.acknowledged;
        self.stopped += u64::from(came.stopped);
        self.refused += u64::from(came.refused);
        self.complete += u64::from(!came.refused);
    }
}

fn print(counts: &BTreeMap<Deed, Count>) {
    println!(
        "| done to an open store | trials | acknowledged | a process stopped | complete | refused | wrong |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (deed, count) in counts {
        let Count { trials, acknowledged, complete, stopped, refused, wrong } = count;
        println!(
            "| {deed} | {trials} | {acknowledged} | {stopped} | {complete} | {refused} | {wrong} |"
        );
    }
}
