//! Which runs a store of many years holds: every one is known from its number.
//!
//! Runs come in families. The first run of a family is the parent, every third run of the store is a child of the
//! family it lies in, all others stand alone. A few of those that stand alone stay open, evenly spread.

use kinlog::{RunId, Timestamp};

use crate::data::next;

/// Changes with anything that changes a store.
pub const VERSION: u32 = 1;

/// Runs that stay open, if the store has ten times as many.
const OPEN: u32 = 10_000;
/// Children of the largest family, which is the first one, and of the smallest.
pub const CHILDREN: [u32; 2] = [1_000, 10];
/// 1 January 2025, in nanoseconds.
const BEGIN: i64 = 1_735_689_600_000_000_000;
/// A run every three seconds: 10 M a year.
const APART: i64 = 3_000_000_000;
/// Numbers from here on are no runs.
const ABSENT: u32 = 1 << 31;

const NAMESPACES: [&str; 4] = ["shop", "billing", "fulfilment", "notifications"];
const KINDS: [(&str, &str); 6] = [
    ("order", "OrderWorkflow"),
    ("payment", "CapturePayment"),
    ("shipment", "ShipParcel"),
    ("refund", "RefundWorkflow"),
    ("invoice", "IssueInvoice"),
    ("notification", "NotifyCustomer"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Alone,
    Parent,
    Child {
        parent: u32,
        /// Whether it is the last child of its parent.
        is_last: bool,
    },
}

pub struct Plan {
    pub runs: u32,
    open: u32,
    /// The number of each family's first run, and behind them where the last family ends.
    families: Vec<u32>,
}

impl Plan {
    pub fn new(runs: u32) -> Self {
        let mut left = runs / 3;
        let (mut families, mut at, mut state) = (vec![], 0, 5);
        while left > 0 {
            let [largest, smallest] = CHILDREN.map(f64::from);
            // As many families of 10 to 100 children as of 100 to 1,000.
            let unit = (next(&mut state) >> 11) as f64 / (1u64 << 53) as f64;
            let any = (smallest * (largest / smallest).powf(unit)) as u32;
            let children = if families.is_empty() { CHILDREN[0] } else { any }.min(left);
            families.push(at);
            at += 3 * children;
            left -= children;
        }
        families.push(at);
        Plan { runs, open: OPEN.min(runs / 10), families }
    }

    pub fn kind(&self, run: u32) -> Kind {
        let behind = self.families.partition_point(|first| *first <= run);
        let (Some(parent), Some(end)) =
            (behind.checked_sub(1).map(|n| self.families[n]), self.families.get(behind))
        else {
            return Kind::Alone;
        };
        match run {
            run if run == parent => Kind::Parent,
            run if run % 3 == 2 => Kind::Child { parent, is_last: run + 1 == *end },
            _ => Kind::Alone,
        }
    }

    /// Whether a run stays open.
    pub fn is_open(&self, run: u32) -> bool {
        run < self.runs && run % 3 == 1 && self.open_before(run / 3) < self.open_before(run / 3 + 1)
    }

    /// How many of the first runs that stand alone stay open.
    fn open_before(&self, alone: u32) -> u64 {
        u64::from(alone) * u64::from(self.open) / u64::from(self.runs / 3).max(1)
    }

    /// The runs that stay open.
    pub fn open(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.runs).filter(|run| self.is_open(*run))
    }

    /// A run that is closed.
    pub fn any_closed(&self, state: &mut u64) -> u32 {
        loop {
            let run = (next(state) % u64::from(self.runs)) as u32;
            if !self.is_open(run) {
                return run;
            }
        }
    }

    /// The closed run nearest to an open one that stands alone, too; itself if there is none.
    pub fn closed_beside(&self, open: u32) -> u32 {
        let is_like = |run: &u32| self.kind(*run) == Kind::Alone && !self.is_open(*run);
        let before = || (0..open).rev().find(is_like);
        (open..self.runs).find(is_like).or_else(before).unwrap_or(open)
    }

    /// The parent of the largest family, and how many children it has.
    pub fn largest_family(&self) -> (u32, usize) {
        (0, CHILDREN[0].min(self.runs / 3) as usize)
    }

    /// The namespace of a run: that of its family.
    pub fn namespace(&self, run: u32) -> &'static str {
        let parent = match self.kind(run) {
            Kind::Child { parent, .. } => parent,
            _ => run,
        };
        NAMESPACES[(mixed(parent) % 4) as usize]
    }
}

/// The number of a run that is in no store.
pub fn absent(run: u32) -> u32 {
    run | ABSENT
}

/// The id of a run, in the form that kinlog draws: the time, then random bits.
pub fn run_id(run: u32) -> RunId {
    let mut state = u64::from(run) ^ 0x0079_6561_7273;
    let millis = (time(run).unix_nanos() / 1_000_000) as u64;
    let high = millis << 16 | 0x7000 | next(&mut state) >> 52;
    let low = 1 << 63 | next(&mut state) >> 2;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&high.to_be_bytes());
    id[8..].copy_from_slice(&low.to_be_bytes());
    RunId::from_bytes(id)
}

/// The workflow id of a run, such as `order-5f3c9a1e-2026-11-29`.
pub fn workflow_id(run: u32) -> String {
    let number = mixed(run);
    let (prefix, _) = KINDS[(number % 6) as usize];
    let (month, day) = (number / 6 % 12 + 1, number / 72 % 28 + 1);
    format!("{prefix}-{number:08x}-2026-{month:02}-{day:02}")
}

pub fn workflow_type(run: u32) -> &'static str {
    KINDS[(mixed(run) % 6) as usize].1
}

/// Every fourth run was asked for by a request with an id.
pub fn request_id(run: u32) -> Option<String> {
    run.is_multiple_of(4).then(|| run_id(absent(run)).to_string())
}

/// When a run began.
pub fn time(run: u32) -> Timestamp {
    Timestamp::from_unix_nanos(BEGIN + i64::from(run) * APART)
}

/// Another number for every number.
fn mixed(run: u32) -> u32 {
    let mut it = run ^ 0x9e37_79b9;
    it = (it ^ it >> 16).wrapping_mul(0x7feb_352d);
    it = (it ^ it >> 15).wrapping_mul(0x846c_a68b);
    it ^ it >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_third_run_is_a_child_and_each_parent_has_a_last_one() {
        for runs in [0, 2, 100, 10_001, 100_000] {
            let plan = Plan::new(runs);
            let (mut children, mut open_parent) = (0, None);
            for run in 0..runs {
                match plan.kind(run) {
                    Kind::Alone => {}
                    Kind::Parent => assert_eq!(open_parent.replace(run), None, "{run} of {runs}"),
                    Kind::Child { parent, is_last } => {
                        assert_eq!(open_parent, Some(parent), "{run} of {runs}");
                        children += 1;
                        open_parent = open_parent.filter(|_| !is_last);
                    }
                }
            }
            assert_eq!((children, open_parent), (runs / 3, None), "{runs}");
            assert_eq!(plan.open().count(), OPEN.min(runs / 10) as usize, "{runs}");
            assert!(plan.open().all(|run| plan.kind(run) == Kind::Alone));
        }
    }

    #[test]
    fn families_have_10_to_1000_children_and_the_first_one_1000() {
        let plan = Plan::new(1_000_000);
        let sizes: Vec<_> = plan.families.windows(2).map(|pair| (pair[1] - pair[0]) / 3).collect();
        assert_eq!(sizes[0], 1_000);
        let (_, but_last) = sizes.split_last().unwrap();
        assert!(but_last.iter().all(|children| (10..=1_000).contains(children)));
    }

    #[test]
    fn names_are_unique_and_those_that_are_absent_are_nobodys() {
        let ids = |run: u32| (run_id(run), workflow_id(run));
        let all: HashSet<_> = (0..50_000).chain((0..50_000).map(absent)).map(ids).collect();
        assert_eq!(all.len(), 100_000);
    }
}
