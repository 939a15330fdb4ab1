//! The runs of a chain in order, as a snapshot sees them.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::bytes::wide;
use crate::error::Result;
use crate::id::{ChainNumber, RunNumber};
use crate::index::{Index, RunState, Size};
use crate::retention::Keep;

/// How many runs are visited under one read lock of the index.
const PAGE_RUNS: usize = 256;

/// Runs in order, as they were listed once: what is left of a chain moves up when others are erased, while this is used.
#[derive(Clone, Debug)]
pub(crate) struct ChainRuns {
    runs: Runs,
    /// Nothing was kept of some of the chain's runs.
    has_gone: bool,
}

/// Most chains have one run.
#[derive(Clone, Debug)]
enum Runs {
    One(RunNumber),
    Many(Arc<[RunNumber]>),
}

impl ChainRuns {
    /// A single run, of which something was kept.
    pub(crate) fn one(run: RunNumber) -> Self {
        ChainRuns { runs: Runs::One(run), has_gone: false }
    }

    /// Several runs, in this order.
    pub(crate) fn several(runs: &[RunNumber], has_gone: bool) -> Self {
        let runs = match runs {
            [run] => Runs::One(*run),
            runs => Runs::Many(runs.into()),
        };
        ChainRuns { runs, has_gone }
    }

    /// The runs of a chain in the order in which they arrived.
    pub(crate) fn arrived(snapshot: &Snapshot, chain: ChainNumber) -> Result<Self> {
        let index = snapshot.index();
        let found = index.sure(index.chains.get(chain))?;
        let (runs, gone) = found.as_deref().map_or((&[][..], 0), |it| (it.runs(), it.deleted));
        // In the order of their numbers, hence of their positions in the log.
        let seen = runs.partition_point(|run| snapshot.sees(&index, *run));
        let runs = ChainRuns::several(runs.get(..seen).unwrap_or_default(), gone > 0);
        index.sure(runs)
    }

    fn as_slice(&self) -> &[RunNumber] {
        match &self.runs {
            Runs::One(run) => std::slice::from_ref(run),
            Runs::Many(runs) => runs,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The number of the run at `at` in the chain.
    pub(crate) fn get(&self, at: usize) -> Option<RunNumber> {
        self.as_slice().get(at).copied()
    }

    /// The number of the last run.
    pub(crate) fn last(&self) -> Option<RunNumber> {
        self.as_slice().last().copied()
    }

    /// Those of which something was kept.
    pub(crate) fn kept(self, snapshot: &Snapshot) -> Result<Self> {
        // Nothing is undeleted: where no run is gone now, none was before.
        if !self.has_gone {
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
            // One that is missing was erased meanwhile.
            let is_there = index.runs.state(run).is_some();
            runs.extend((is_there && wanted(snapshot.at(index).deleted(run))).then_some(run));
        })?;
        Ok(if runs.len() == self.len() { self } else { ChainRuns::several(&runs, false) })
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
        for page in self.as_slice().chunks(PAGE_RUNS) {
            let index = snapshot.index();
            page.iter().for_each(|run| visit(&index, *run));
            index.check_cold()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kinlog_testing::files::directory;

    use super::ChainRuns;
    use crate::retention::Keep;
    use crate::{NewRun, NextRun, Store};

    #[test]
    fn a_chain_that_was_listed_has_its_runs_when_others_are_erased() {
        let dir = directory();
        let store = Store::open(dir.path()).unwrap();
        let first = store.transact(|tx| tx.start(NewRun::new("ns", "cron", "T"))).unwrap().0;
        let mut runs = vec![first];
        for _ in 0..9 {
            let next = |run| store.transact(|tx| tx.continue_as_new(run, NextRun::new("T")));
            runs.push(next(&runs[runs.len() - 1]).unwrap().0);
        }
        for run in &runs[1..6] {
            store.transact(|tx| tx.delete_run(run, Keep::Nothing)).unwrap();
        }
        let snapshot = store.snapshot();
        let number = {
            let index = snapshot.index();
            index.runs.get(snapshot.number(&index, &first).unwrap()).unwrap().chain
        };
        let listed = ChainRuns::of(&snapshot, number).unwrap();
        assert_eq!(store.erase().unwrap().runs, 5);
        let last = listed.last();
        let kept = listed.kept(&snapshot).unwrap();
        assert_eq!((kept.len(), kept.last()), (5, last));
        let ids = |index: &crate::index::Index, run| index.runs.get(run).map(|run| run.id);
        let mut read = vec![];
        kept.each(&snapshot, |index, run| read.extend(ids(index, run))).unwrap();
        runs.drain(1..6);
        assert_eq!(read, runs);
    }
}
