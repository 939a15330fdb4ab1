//! What a measurement came to, as histograms of nanoseconds.

use hdrhistogram::Histogram;

use super::disk::Seen;
use super::span::{Span, covered};
use crate::engine::{Durability, Result};

/// What a stall is: a commit that took, besides the device's time, more than so many syncs.
pub const STALL_SYNCS: f64 = 10.0;
const LONGEST: u64 = 600_000_000_000;
const DIGITS: u8 = 3;

#[derive(Clone)]
pub struct Tally {
    /// From the moment a commit was due until it had returned.
    pub latency: Histogram<u64>,
    /// Those of them during which a segment was prepared.
    pub preparing: Histogram<u64>,
    /// What of each latency the device did not take.
    pub rest: Histogram<u64>,
    pub sync: Histogram<u64>,
    /// How many segments were prepared.
    pub prepared: usize,
}

impl Tally {
    pub fn new() -> Result<Self> {
        let empty = Histogram::new_with_bounds(1, LONGEST, DIGITS)?;
        let [latency, preparing, rest, sync] = std::array::from_fn(|_| empty.clone());
        Ok(Tally { latency, preparing, rest, sync, prepared: 0 })
    }

    /// Of commits, each from when it was due until it had returned. A sync is no excuse for one that
    /// need not wait for the device.
    pub fn of(commits: &[Span], seen: &Seen, durability: Durability) -> Result<Self> {
        let excuses = if durability == Durability::Device { &seen.syncs[..] } else { &[] };
        let mut tally = Tally::new()?;
        for commit in commits {
            let long = commit.len();
            tally.latency.record(long.max(1))?;
            if covered(*commit, &seen.prepared) > 0 {
                tally.preparing.record(long.max(1))?;
            }
            tally.rest.record((long - covered(*commit, excuses)).max(1))?;
        }
        for sync in &seen.syncs {
            tally.sync.record(sync.len().max(1))?;
        }
        tally.prepared = seen.prepared.len();
        Ok(tally)
    }

    pub fn sum(parts: &[Tally]) -> Result<Self> {
        let mut sum = Tally::new()?;
        for part in parts {
            sum.latency.add(&part.latency)?;
            sum.preparing.add(&part.preparing)?;
            sum.rest.add(&part.rest)?;
            sum.sync.add(&part.sync)?;
            sum.prepared += part.prepared;
        }
        Ok(sum)
    }

    /// How many commits stalled, where a sync takes `sync` microseconds.
    pub fn stalls(&self, sync: f64) -> u64 {
        let limit = (STALL_SYNCS * sync * 1e3) as u64;
        self.rest.count_between(limit + 1, LONGEST)
    }
}

/// A quantile in microseconds.
pub fn quantile(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

/// The longest in microseconds.
pub fn longest(histogram: &Histogram<u64>) -> f64 {
    histogram.max() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_what_the_device_did_not_cause() {
        let span = |from, to| Span { from, to };
        let seen = Seen {
            syncs: vec![span(1_000, 901_000), span(1_000_000, 1_100_000)],
            prepared: vec![span(0, 950_000)],
            ..Seen::default()
        };
        // Kept by the device; kept by something else; quick.
        let commits = [span(0, 902_000), span(950_000, 2_100_000), span(0, 10_000)];
        let tally = Tally::of(&commits, &seen, Durability::Device).unwrap();
        assert_eq!(tally.latency.len(), 3);
        assert_eq!(tally.preparing.len(), 2);
        assert_eq!(tally.stalls(100.0), 1);
        assert_eq!(tally.stalls(106.0), 0);
        let buffered = Tally::of(&commits, &seen, Durability::Os).unwrap();
        assert_eq!((buffered.stalls(90.0), buffered.stalls(100.0)), (2, 1));
        let twice = Tally::sum(&[tally.clone(), tally]).unwrap();
        assert_eq!((twice.stalls(100.0), twice.prepared, twice.sync.len()), (2, 2, 4));
    }
}
