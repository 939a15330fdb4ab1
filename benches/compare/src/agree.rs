//! Whether two runs of the comparison agree.

use crate::engines::kinlog;
use crate::sample::Samples;

/// How far a ratio may be from that of another run.
pub const MARGIN: f64 = 0.25;

/// An engine's figure over kinlog's, in two runs.
pub struct Pair {
    /// The workload, the metric and the engine.
    pub what: [String; 3],
    pub ratios: [f64; 2],
}

impl Pair {
    /// How much larger the larger one is.
    pub fn apart(&self) -> f64 {
        let [a, b] = self.ratios;
        (a / b).max(b / a) - 1.0
    }

    pub fn agrees(&self) -> bool {
        self.apart() <= MARGIN
    }
}

/// Every ratio that both runs have, those furthest apart first.
pub fn pairs(a: &Samples, b: &Samples) -> Vec<Pair> {
    let mut pairs = vec![];
    for (workload, metric) in a.measured() {
        for engine in a.engines().into_iter().filter(|engine| *engine != kinlog::PEER.name) {
            let ratio = |run: &Samples| run.ratio(workload, metric, engine, kinlog::PEER.name);
            if let (Some(in_a), Some(in_b)) = (ratio(a), ratio(b)) {
                let what = [workload, metric, engine].map(str::to_owned);
                pairs.push(Pair { what, ratios: [in_a.median, in_b.median] });
            }
        }
    }
    pairs.sort_by(|a, b| b.apart().total_cmp(&a.apart()));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::sample;

    fn run(kinlog: f64, peer: f64) -> Samples {
        Samples(vec![sample("kinlog", 0, kinlog), sample("peer", 0, peer)])
    }

    fn agree(a: &Samples, b: &Samples) -> bool {
        let pairs = pairs(a, b);
        assert_eq!(pairs.len(), 1);
        pairs.iter().all(Pair::agrees)
    }

    #[test]
    fn a_slower_machine_agrees_and_another_ratio_does_not() {
        assert!(agree(&run(10.0, 30.0), &run(20.0, 60.0)));
        assert!(agree(&run(10.0, 30.0), &run(10.0, 37.0)));
        assert!(!agree(&run(10.0, 30.0), &run(10.0, 38.0)));
        assert!(!agree(&run(10.0, 38.0), &run(10.0, 30.0)));
    }
}
