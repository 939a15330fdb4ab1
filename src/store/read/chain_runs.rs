//! The runs of a chain in their order, as far as a snapshot sees them.

use super::snapshot::Snapshot;
use crate::bytes::wide;
use crate::index::{Index, Size};

/// How many runs are looked at while the index is held.
const PAGE_RUNS: usize = 256;

/// Runs in order.
#[derive(Clone, Debug)]
pub(crate) enum ChainRuns {
    /// One run by itself.
    One(u32),
    /// The first runs of a chain, which came in their order.
    First { chain: u32, len: usize },
    /// Runs that may have come in another order than that of their chain.
    Sorted(Box<[u32]>),
}

impl ChainRuns {
    /// The runs of a chain in the order in which they came.
    pub(crate) fn arrived(snapshot: &Snapshot, chain: u32) -> Self {
        let index = snapshot.index();
        let runs = index.chains.get(chain).map(|found| found.runs()).unwrap_or_default();
        // Later runs have higher numbers and lie further on in the log.
        let len = runs.partition_point(|run| snapshot.sees(&index, *run));
        ChainRuns::First { chain, len }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            ChainRuns::One(_) => 1,
            ChainRuns::First { len, .. } => *len,
            ChainRuns::Sorted(runs) => runs.len(),
        }
    }

    /// The number of the run at `place`.
    pub(crate) fn get(&self, index: &Index, place: usize) -> Option<u32> {
        match self {
            ChainRuns::One(run) => (place == 0).then_some(*run),
            ChainRuns::First { chain, len } => {
                let runs = index.chains.get(*chain)?.runs();
                runs.get(place).copied().filter(|_| place < *len)
            }
            ChainRuns::Sorted(runs) => runs.get(place).copied(),
        }
    }

    /// The number of the last run.
    pub(crate) fn last(&self, index: &Index) -> Option<u32> {
        self.get(index, self.len().checked_sub(1)?)
    }

    /// What the runs add up to.
    pub(crate) fn size(&self, snapshot: &Snapshot) -> Size {
        let mut size = Size::default();
        self.each(snapshot, |index, run| {
            if let Some(state) =
                index.runs.get(run).and_then(|run| index.runs.state_at(run, snapshot.end()))
            {
                let events = u64::from(state.next_event - 1);
                size += Size { runs: 1, events, bytes: state.bytes.into() };
            }
        });
        size
    }

    /// How many children the runs have.
    pub(crate) fn count_children(&self, snapshot: &Snapshot) -> u64 {
        let mut count = 0;
        self.each(snapshot, |index, run| {
            let links = index.runs.get(run).and_then(|run| run.links.as_deref());
            count += links.map_or(0, |links| wide(snapshot.children_of(links)));
        });
        count
    }

    /// Looks at each run, and lets go of the index now and then.
    pub(crate) fn each(&self, snapshot: &Snapshot, mut look: impl FnMut(&Index, u32)) {
        for page in (0..self.len()).step_by(PAGE_RUNS) {
            let index = snapshot.index();
            let places = page..self.len().min(page + PAGE_RUNS);
            places.filter_map(|place| self.get(&index, place)).for_each(|run| look(&index, run));
        }
    }
}
