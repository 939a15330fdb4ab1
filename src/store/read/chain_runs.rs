//! The runs of a chain in order, as a snapshot sees them.

use super::snapshot::Snapshot;
use crate::bytes::wide;
use crate::error::Result;
use crate::id::{ChainNumber, RunNumber};
use crate::index::{Index, RunState, Size};
use crate::retention::Keep;

/// How many runs are visited under one read lock of the index.
const PAGE_RUNS: usize = 256;

/// Runs in order.
#[derive(Clone, Debug)]
pub(crate) enum ChainRuns {
    /// A single run.
    One(RunNumber),
    /// The first `len` runs of a chain, which arrived in order.
    First { chain: ChainNumber, len: usize },
    /// Runs that may have arrived in another order than that of the chain.
    Sorted(Box<[RunNumber]>),
}

impl ChainRuns {
    /// The runs of a chain in the order in which they arrived.
    pub(crate) fn arrived(snapshot: &Snapshot, chain: ChainNumber) -> Result<Self> {
        let index = snapshot.index();
        // In the order of their numbers, hence of their positions in the log.
        let seen = |runs: &[RunNumber]| runs.partition_point(|run| snapshot.sees(&index, *run));
        let len = index.chains.get(chain).map_or(0, |found| seen(found.runs()));
        index.sure(ChainRuns::First { chain, len })
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            ChainRuns::One(_) => 1,
            ChainRuns::First { len, .. } => *len,
            ChainRuns::Sorted(runs) => runs.len(),
        }
    }

    /// The number of the run at `at` in the chain.
    pub(crate) fn get(&self, index: &Index, at: usize) -> Option<RunNumber> {
        match self {
            ChainRuns::One(run) => (at == 0).then_some(*run),
            ChainRuns::First { chain, len } => {
                index.chains.get(*chain)?.runs().get(at).copied().filter(|_| at < *len)
            }
            ChainRuns::Sorted(runs) => runs.get(at).copied(),
        }
    }

    /// The number of the last run.
    pub(crate) fn last(&self, index: &Index) -> Option<RunNumber> {
        self.get(index, self.len().checked_sub(1)?)
    }

    /// Those of which something was kept.
    pub(crate) fn kept(self, snapshot: &Snapshot) -> Result<Self> {
        // Nothing is undeleted: where no run is gone now, none was before.
        if let ChainRuns::First { chain, .. } = self
            && snapshot.look(|index| index.chains.get(chain).is_some_and(|it| it.deleted == 0))?
        {
            return Ok(self);
        }
        self.only(snapshot, |deleted| deleted != Some(Keep::Nothing))
    }

    /// Those whose histories were not deleted.
    pub(crate) fn with_history(self, snapshot: &Snapshot) -> Result<Self> {
        self.only(snapshot, |deleted| deleted.is_none())
    }

    fn only(self, snapshot: &Snapshot, wanted: impl Fn(Option<Keep>) -> bool) -> Result<Self> {
        let mut runs = vec![];
        self.each(snapshot, |index, run| {
            runs.extend(wanted(snapshot.at(index).deleted(run)).then_some(run));
        })?;
        let all = runs.len() == self.len();
        Ok(if all { self } else { ChainRuns::Sorted(runs.into()) })
    }

    /// What is kept of the runs, in sum.
    pub(crate) fn kept_size(&self, snapshot: &Snapshot) -> Result<Size> {
        self.sum(snapshot, |state| state.kept_size())
    }

    /// The total size of the runs, deleted ones as they were.
    pub(crate) fn size(&self, snapshot: &Snapshot) -> Result<Size> {
        self.sum(snapshot, RunState::whole_size)
    }

    fn sum(&self, snapshot: &Snapshot, of: impl Fn(&RunState) -> Size) -> Result<Size> {
        let mut size = Size::default();
        self.each(snapshot, |index, run| {
            if let Some(state) =
                index.runs.get(run).and_then(|run| index.runs.state_at(&run, snapshot.end()))
            {
                size += of(&state);
            }
        })?;
        Ok(size)
    }

    /// How many children the runs have.
    pub(crate) fn count_children(&self, snapshot: &Snapshot) -> Result<u64> {
        let mut count = 0;
        self.each(snapshot, |index, run| {
            let links = index.runs.links(run);
            count += links.map_or(0, |links| wide(snapshot.children_of(&links)));
        })?;
        Ok(count)
    }

    /// Calls `visit` for each run. Releases the lock of the index after each page.
    pub(crate) fn each(
        &self,
        snapshot: &Snapshot,
        mut visit: impl FnMut(&Index, RunNumber),
    ) -> Result<()> {
        for page in (0..self.len()).step_by(PAGE_RUNS) {
            let index = snapshot.index();
            let range = page..self.len().min(page + PAGE_RUNS);
            range.filter_map(|at| self.get(&index, at)).for_each(|run| visit(&index, run));
            index.check_cold()?;
        }
        Ok(())
    }
}
