//! Listing the children of all runs of a chain.

use super::chain_runs::ChainRuns;
use super::child::Child;
use super::children::Children;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::hash::Map;
use crate::id::{RunId, RunNumber};
use crate::index::Index;

/// The children of the runs of a chain, each with the run that has it. See [`Snapshot::children_of_chain`].
pub struct ChainChildren {
    snapshot: Snapshot,
    runs: ChainRuns,
    /// The place in the chain of the run that comes next; `None` after the last one, and after damage.
    next: Option<usize>,
    /// Up to which event a run shares its history with a later one.
    shared: Map<RunNumber, u32>,
    children: Option<(RunId, Children)>,
}

impl Snapshot {
    /// The children that the runs of a run's chain have initiated, in the order of the runs and, within one, of
    /// the Initiated events; each with the run in whose history that event is. Those of runs that have closed or
    /// continued are among them. An Initiated event that a reset made several runs share is listed once, as the
    /// last of these runs has it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{NewChild, NewRun, NextRun};
    ///
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// let ship = tx.spawn_child(&order, NewChild::new("ship-42", "Shipping"))?;
    /// let next = tx.continue_as_new(&order, NextRun::new("Order"))?;
    /// tx.commit()?;
    /// let (run, child) = store.children_of_chain(&next)?.next().unwrap()?;
    /// assert_eq!((run, child.first_run), (order, Some(ship.run)));
    /// assert_eq!(child.initiated_event_id, ship.initiated_event_id);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::chain`].
    pub fn children_of_chain(&self, run: &RunId) -> Result<ChainChildren> {
        self.here()?;
        let chain = {
            let index = self.index();
            let found = index.runs.get(self.number(&index, run)?);
            let chain = index.sure(found.map(|found| found.chain))?;
            chain.ok_or(Error::RunNotFound { run: *run })?
        };
        let runs = ChainRuns::of(self, chain)?.with_history(self)?;
        let shared = shared_with_later(self, &runs)?;
        Ok(ChainChildren { snapshot: self.clone(), runs, next: Some(0), shared, children: None })
    }
}

/// Up to which event each of the runs shares its history with a later one of them.
fn shared_with_later(snapshot: &Snapshot, runs: &ChainRuns) -> Result<Map<RunNumber, u32>> {
    let mut resets = vec![];
    runs.each(snapshot, |index, run| {
        resets.extend(
            index.runs.get(run).and_then(|found| found.fork.as_deref().copied()).map(|_| run),
        );
    })?;
    let index = snapshot.index();
    // Up to which event of its own each run is shared by those looked at so far, which are the later ones.
    let mut of_own = Map::default();
    let mut of_reset = vec![];
    for run in resets.into_iter().rev() {
        let ancestors = || history_of(&index, run);
        let common = |(of, last): (RunNumber, u32)| Some(last.min(*of_own.get(&of)?));
        of_reset.push((run, ancestors().filter_map(common).max().unwrap_or(0)));
        for (of, last) in ancestors().skip(1) {
            let known = of_own.entry(of).or_default();
            *known = last.max(*known);
        }
    }
    of_own.extend(of_reset);
    index.sure(of_own)
}

/// A run and those that it is based on, each with the last of its events that are of the run's history.
fn history_of(index: &Index, run: RunNumber) -> impl Iterator<Item = (RunNumber, u32)> {
    std::iter::successors(Some((run, u32::MAX)), |(run, last)| {
        let fork = index.runs.get(*run)?.fork.as_deref().copied()?;
        Some((fork.base, fork.shared.min(*last)))
    })
}

impl ChainChildren {
    /// The children of the next run that has any; `None` after the last one.
    fn next_run(&mut self) -> Result<Option<(RunId, Children)>> {
        let index = self.snapshot.index();
        while let Some(at) = self.next.take() {
            let number = self.runs.get(at);
            let run = number.and_then(|number| index.runs.get(number));
            let links = number.and_then(|number| index.runs.links(number));
            index.check_cold()?;
            let Some(number) = number else { break };
            self.next = Some(at + 1);
            if let (Some(run), Some(links)) = (run, links)
                && !links.children.is_empty()
            {
                let shared = self.shared.get(&number).copied().unwrap_or(0);
                return Ok(Some((run.id, Children::of(&self.snapshot, number).after(shared))));
            }
        }
        Ok(None)
    }
}

impl Iterator for ChainChildren {
    type Item = Result<(RunId, Child)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((run, children)) = &mut self.children
                && let Some(child) = children.next()
            {
                let run = *run;
                return Some(child.map(|child| (run, child)));
            }
            match self.next_run() {
                Ok(next) => self.children = Some(next?),
                Err(damage) => {
                    self.children = None;
                    return Some(Err(damage));
                }
            }
        }
    }
}

impl std::fmt::Debug for ChainChildren {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainChildren").field("next", &self.next).finish_non_exhaustive()
    }
}
