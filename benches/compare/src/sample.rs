//! Figures, as they are taken and as they lie in a CSV file.

use std::fmt::Write;
use std::path::Path;

use crate::engine::Result;
use crate::stats::{Spread, ratios};

/// One figure of one engine in one round.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The workload, and behind a slash the size where it is run at several.
    pub workload: String,
    pub engine: String,
    pub round: u32,
    pub metric: String,
    pub value: f64,
    pub unit: String,
    /// What a write and sync of 4 KiB cost at that moment.
    pub fsync_us: f64,
}

#[derive(Default)]
pub struct Samples(pub Vec<Sample>);

const HEADER: &str = "workload,engine,round,metric,value,unit,fsync_us";

impl Samples {
    fn of<'a>(
        &'a self,
        workload: &'a str,
        engine: &'a str,
        metric: &'a str,
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            sample.workload == workload && sample.engine == engine && sample.metric == metric
        })
    }

    /// The values of each round.
    pub fn series(&self, workload: &str, engine: &str, metric: &str) -> Vec<(u32, f64)> {
        self.of(workload, engine, metric).map(|sample| (sample.round, sample.value)).collect()
    }

    pub fn spread(&self, workload: &str, engine: &str, metric: &str) -> Option<Spread> {
        let values: Vec<_> = self.of(workload, engine, metric).map(|it| it.value).collect();
        Spread::of(&values)
    }

    /// What a sync cost beside these figures.
    pub fn fsync(&self, workload: &str, engine: &str, metric: &str) -> Option<Spread> {
        let costs: Vec<_> = self.of(workload, engine, metric).map(|it| it.fsync_us).collect();
        Spread::of(&costs)
    }

    /// What an engine's figure is of that of another one, round by round.
    pub fn ratio(&self, workload: &str, metric: &str, engine: &str, base: &str) -> Option<Spread> {
        let base = self.series(workload, base, metric);
        Spread::of(&ratios(&self.series(workload, engine, metric), &base))
    }

    /// Everything that was measured, each once, in the order in which it was.
    pub fn measured(&self) -> Vec<(&str, &str)> {
        let mut seen = vec![];
        for sample in &self.0 {
            let what = (sample.workload.as_str(), sample.metric.as_str());
            if !seen.contains(&what) {
                seen.push(what);
            }
        }
        seen
    }

    /// The engines, in the order in which they come up.
    pub fn engines(&self) -> Vec<&str> {
        let mut seen = vec![];
        for sample in &self.0 {
            if !seen.contains(&sample.engine.as_str()) {
                seen.push(&sample.engine);
            }
        }
        seen
    }

    pub fn to_csv(&self) -> String {
        let mut csv = format!("{HEADER}\n");
        for sample in &self.0 {
            let Sample { workload, engine, round, metric, value, unit, fsync_us } = sample;
            // Writing to a string does not fail.
            let _ = writeln!(csv, "{workload},{engine},{round},{metric},{value},{unit},{fsync_us}");
        }
        csv
    }

    pub fn read(path: &Path) -> Result<Self> {
        let csv = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Samples::from_csv(&csv).map_err(|e| format!("{}: {e}", path.display()).into())
    }

    fn from_csv(csv: &str) -> Result<Self> {
        let mut lines = csv.lines();
        if lines.next() != Some(HEADER) {
            return Err("not the results of a comparison".into());
        }
        lines.map(parse).collect::<Result<_>>().map(Samples)
    }
}

fn parse(line: &str) -> Result<Sample> {
    let fields: Vec<_> = line.split(',').collect();
    let [workload, engine, round, metric, value, unit, fsync_us] = fields[..] else {
        return Err(format!("not a figure: {line}").into());
    };
    Ok(Sample {
        workload: workload.to_owned(),
        engine: engine.to_owned(),
        round: round.parse()?,
        metric: metric.to_owned(),
        value: value.parse()?,
        unit: unit.to_owned(),
        fsync_us: fsync_us.parse()?,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn sample(engine: &str, round: u32, value: f64) -> Sample {
        Sample {
            workload: "read".into(),
            engine: engine.into(),
            round,
            metric: "run".into(),
            value,
            unit: "µs".into(),
            fsync_us: 700.5,
        }
    }

    #[test]
    fn csv_gives_back_what_it_took() {
        let samples = Samples(vec![sample("a", 0, 1.5), sample("b", 1, 0.25)]);
        assert_eq!(Samples::from_csv(&samples.to_csv()).unwrap().0, samples.0);
        assert!(Samples::from_csv("workload\n").is_err());
        assert!(Samples::from_csv(&format!("{HEADER}\nread,a,0,run\n")).is_err());
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let samples = [("a", 0, 2.0), ("a", 1, 30.0), ("b", 0, 1.0), ("b", 1, 10.0)];
        let samples = Samples(samples.map(|(e, r, v)| sample(e, r, v)).to_vec());
        let ratio = samples.ratio("read", "run", "a", "b").unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.5, 2.0, 3.0));
        assert_eq!(samples.ratio("read", "run", "a", "c"), None);
    }
}
