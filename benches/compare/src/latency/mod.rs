//! Latency at fixed rates: how long a commit takes from the moment when it is due, and how much of
//! that is not the device's.

mod disk;
mod report;
mod scenario;
mod schedule;
mod span;
mod tally;
mod target;

use std::path::Path;
use std::time::Duration;

use crate::data::Data;
use crate::engine::Result;
use crate::process::fsync_cost;
use crate::runner::Options;
use crate::stats::median;

use scenario::{QUIET, Rate, Scenario};
use tally::{Tally, quantile};
use target::{Target, beside_reader};

pub use schedule::Schedule;

/// What one scenario came to.
pub struct Outcome {
    scenario: &'static Scenario,
    /// Commits in a second.
    rate: u32,
    /// What a sync costs, in microseconds.
    sync: f64,
    /// The rounds of each target.
    targets: Vec<(&'static str, Vec<Tally>)>,
}

/// Measures scenarios, all if none is named, in stores below `stores`, and reports below `out`.
pub fn measure(options: &Options, names: &[String], stores: &Path, out: &Path) -> Result<()> {
    let scenarios = scenario::chosen(names)?;
    std::fs::create_dir_all(stores)?;
    let bench = Bench { options, stores, data: Data::default() };
    let half = bench.half()?;
    let mut outcomes = vec![];
    for scenario in scenarios {
        eprintln!("latency, {}", scenario.name);
        let rate = match scenario.rate {
            Rate::Of(rate) => rate,
            Rate::Half => half,
        };
        outcomes.push(bench.scenario(scenario, rate)?);
    }
    std::fs::remove_dir_all(stores)?;
    report::write(&outcomes, out)
}

struct Bench<'a> {
    options: &'a Options,
    stores: &'a Path,
    data: Data,
}

impl Bench<'_> {
    /// Half of what the bare loop comes to, in two digits.
    fn half(&self) -> Result<u32> {
        let mut bare = Target::bare(&self.stores.join("bare"))?;
        let rate = bare.at_once(&QUIET, &self.data, self.long())? / 2.0;
        let unit = 10f64.powf(rate.log10().floor() - 1.0);
        Ok(((rate / unit).floor() * unit) as u32)
    }

    fn scenario(&self, scenario: &'static Scenario, rate: u32) -> Result<Outcome> {
        let dir = self.stores.join(scenario.name);
        let kinlog = Target::kinlog(&dir, scenario.segment_bytes)?;
        kinlog.fill(&self.data, scenario.reader)?;
        let read = scenario.reader.then(|| kinlog.engine());
        let mut targets = [(Target::bare(&self.stores.join("bare"))?, vec![]), (kinlog, vec![])];
        let mut probes = vec![];
        for round in 0..self.options.rounds {
            for n in 0..targets.len() {
                let turn = (n + round as usize) % targets.len();
                let (target, tallies) = &mut targets[turn];
                probes.push(fsync_cost(self.stores)?);
                let mut work = || target.at_rate(scenario, &self.data, rate, self.long());
                tallies.push(match &read {
                    Some(engine) => beside_reader(&**engine, work)?,
                    None => work()?,
                });
            }
        }
        let syncs = Tally::sum(&targets[0].1)?.sync;
        let probe = median(&probes).unwrap_or_default();
        let sync = if syncs.is_empty() { probe } else { quantile(&syncs, 0.5) };
        let targets = targets.map(|(target, tallies)| (target.name, tallies)).into();
        std::fs::remove_dir_all(dir)?;
        Ok(Outcome { scenario, rate, sync, targets })
    }

    /// How long a rate is kept up.
    fn long(&self) -> Duration {
        Duration::from_millis(if self.options.quick { 200 } else { 2000 })
    }
}
