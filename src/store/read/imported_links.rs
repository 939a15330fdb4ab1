//! Imported chains that are one by the word of their runs.
//!
//! The index puts imported runs together by the first run that they name. Earlier servers did not
//! name it: then each run looks like the first of a chain of its own, and what is left are the links
//! from run to run, which say more the more of them are in the store. So they are followed when
//! somebody asks.

use std::collections::{HashMap, HashSet};

use super::chain_runs::ChainRuns;
use super::lineage::started;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::{Position, RunId};
use crate::index::Index;

/// Chains that are linked, and the links that only their former ends name.
#[derive(Default)]
pub(crate) struct ImportedLinks {
    pub(crate) chains: Vec<u32>,
    /// By the run that follows, the one whose closing event names it.
    pub(crate) followed: HashMap<RunId, RunId>,
}

/// An imported run.
struct ImportedRun {
    number: u32,
    id: RunId,
    first_batch: Position,
    /// Its closing event names the run that follows.
    continued: bool,
}

impl ImportedLinks {
    /// All that is linked with an imported chain, which comes first.
    pub(crate) fn with(snapshot: &Snapshot, chain: u32) -> Result<Self> {
        let mut linked = ImportedLinks { chains: vec![chain], followed: HashMap::new() };
        let mut known = HashSet::from([chain]);
        let mut place = 0;
        while let Some(chain) = linked.chains.get(place).copied() {
            place += 1;
            let runs = ImportedRun::of(snapshot, chain);
            let before = runs.iter().map(|run| run.before(snapshot)).collect::<Result<Vec<_>>>()?;
            // Where the next run names the one before it, that need not be asked.
            let known_next: HashSet<RunId> = before.iter().flatten().copied().collect();
            for (run, before) in runs.iter().zip(&before) {
                let next = match known_next.contains(&run.id) {
                    true => None,
                    false => run.next(snapshot)?,
                };
                linked.followed.extend(next.map(|next| (next, run.id)));
                let named = [*before, next].into_iter().flatten();
                let chains = named.filter_map(|other| chain_of(snapshot, &other));
                let chains = chains.chain(chains_after(snapshot, &run.id));
                linked.chains.extend(chains.filter(|chain| known.insert(*chain)));
            }
        }
        Ok(linked)
    }
}

impl ImportedRun {
    fn new(snapshot: &Snapshot, index: &Index, number: u32) -> Option<Self> {
        let run = index.runs.get(number)?;
        let state = index.runs.state_at(run, snapshot.end())?;
        let (id, first_batch) = (run.id, run.first_batch);
        run.imported.then_some(ImportedRun { number, id, first_batch, continued: state.continued })
    }

    /// The runs of a chain.
    fn of(snapshot: &Snapshot, chain: u32) -> Vec<Self> {
        let arrived = ChainRuns::arrived(snapshot, chain);
        let mut runs = Vec::with_capacity(arrived.len());
        arrived.each(snapshot, |index, number| {
            runs.extend(ImportedRun::new(snapshot, index, number));
        });
        runs
    }

    /// The run that it says it continues.
    fn before(&self, snapshot: &Snapshot) -> Result<Option<RunId>> {
        Ok(started(snapshot.view(), self.number, self.first_batch)?.continued_run_id)
    }

    /// The run that its closing event names.
    fn next(&self, snapshot: &Snapshot) -> Result<Option<RunId>> {
        if !self.continued {
            return Ok(None);
        }
        let history = snapshot.history(&self.id)?;
        let last = history.rev().next().transpose()?;
        Ok(last.and_then(|event| event.body().next_run()))
    }
}

/// The chain of an imported run, if it is in the store.
fn chain_of(snapshot: &Snapshot, run: &RunId) -> Option<u32> {
    let index = snapshot.index();
    let number = snapshot.number(&index, run).ok()?;
    index.runs.get(number).filter(|run| run.imported).map(|run| run.chain)
}

/// The chains of runs that say that they continue `run`, and not which run was the first.
fn chains_after(snapshot: &Snapshot, run: &RunId) -> Vec<u32> {
    let index = snapshot.index();
    let after = index.chains.followers(run).iter().filter(|after| snapshot.sees(&index, **after));
    after.filter_map(|after| index.runs.get(*after)).map(|after| after.chain).collect()
}
