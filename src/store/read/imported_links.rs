//! Finds imported chains that belong together by the links between their runs.
//!
//! The index groups imported runs into chains by the first run that they name. Earlier Temporal servers did not
//! name it, so each of their runs is in a chain by itself. The links from run to run show which chains belong
//! together, as far as the runs are in the store; they are followed when a chain is read.

use std::collections::{HashMap, HashSet};

use super::chain_runs::ChainRuns;
use super::lineage::started;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::{ChainNumber, Position, RunId, RunNumber};
use crate::index::Index;

/// Linked chains, and the links that are recorded only in the run before.
#[derive(Default)]
pub(crate) struct ImportedLinks {
    pub(crate) chains: Vec<ChainNumber>,
    /// Maps a run to the one whose closing event names it as the next.
    pub(crate) followed: HashMap<RunId, RunId>,
}

/// An imported run.
struct ImportedRun {
    number: RunNumber,
    id: RunId,
    first_batch: Position,
    /// Whether its closing event names a next run.
    continued: bool,
}

impl ImportedLinks {
    /// All chains that are linked with an imported chain, that one first.
    pub(crate) fn with(snapshot: &Snapshot, chain: ChainNumber) -> Result<Self> {
        let mut linked = ImportedLinks { chains: vec![chain], followed: HashMap::new() };
        let mut known = HashSet::from([chain]);
        let mut at = 0;
        while let Some(chain) = linked.chains.get(at).copied() {
            at += 1;
            let runs = ImportedRun::of(snapshot, chain)?;
            let before = runs.iter().map(|run| run.before(snapshot)).collect::<Result<Vec<_>>>()?;
            // Runs that another one says it continues: their closing events need not be read.
            let known_next: HashSet<RunId> = before.iter().flatten().copied().collect();
            for (run, before) in runs.iter().zip(&before) {
                let next = match known_next.contains(&run.id) {
                    true => None,
                    false => run.next(snapshot)?,
                };
                linked.followed.extend(next.map(|next| (next, run.id)));
                let named = [*before, next].into_iter().flatten();
                let mut chains = chains_after(snapshot, &run.id)?;
                for other in named {
                    chains.extend(chain_of(snapshot, &other)?);
                }
                linked.chains.extend(chains.into_iter().filter(|chain| known.insert(*chain)));
            }
        }
        Ok(linked)
    }
}

impl ImportedRun {
    fn new(snapshot: &Snapshot, index: &Index, number: RunNumber) -> Option<Self> {
        let run = index.runs.get(number)?;
        let state = index.runs.state_at(&run, snapshot.end())?;
        let (id, first_batch) = (run.id, run.first_batch);
        run.imported.then_some(ImportedRun { number, id, first_batch, continued: state.continued })
    }

    /// The runs of a chain.
    fn of(snapshot: &Snapshot, chain: ChainNumber) -> Result<Vec<Self>> {
        let arrived = ChainRuns::arrived(snapshot, chain)?;
        let mut runs = Vec::with_capacity(arrived.len());
        arrived.each(snapshot, |index, number| {
            runs.extend(ImportedRun::new(snapshot, index, number));
        })?;
        Ok(runs)
    }

    /// The run that it continues according to its Started event.
    fn before(&self, snapshot: &Snapshot) -> Result<Option<RunId>> {
        Ok(started(snapshot.view(), self.number, self.first_batch)?.continued_run_id)
    }

    /// The next run according to its closing event.
    fn next(&self, snapshot: &Snapshot) -> Result<Option<RunId>> {
        if !self.continued {
            return Ok(None);
        }
        let closing = snapshot.closing_event_of(self.number)?;
        Ok(closing.and_then(|event| event.body().next_run()))
    }
}

/// The chain of an imported run, if it is in the store or was deleted there.
fn chain_of(snapshot: &Snapshot, run: &RunId) -> Result<Option<ChainNumber>> {
    snapshot.look(|index| {
        let number = index.runs.number(run).filter(|run| snapshot.sees(index, *run))?;
        index.runs.get(number).filter(|run| run.imported).map(|run| run.chain)
    })
}

/// The chains of the runs that continue `run` according to their Started events and do not name a first run.
fn chains_after(snapshot: &Snapshot, run: &RunId) -> Result<Vec<ChainNumber>> {
    let index = snapshot.index();
    let after = index.chains.followers(run).iter().filter(|after| snapshot.sees(&index, **after));
    let after = after.filter_map(|after| index.runs.get(*after)).map(|after| after.chain);
    index.sure(after.collect())
}
