//! Orders the runs of an imported chain by their links to each other.

use std::collections::{HashMap, HashSet, VecDeque};

use super::chain_runs::ChainRuns;
use super::imported_links::ImportedLinks;
use super::lineage::started;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::{ChainNumber, Position, RunId, RunNumber, Timestamp};

impl ChainRuns {
    /// The runs of a chain, in order. Those of an imported chain are collected and ordered by their links.
    pub(crate) fn of(snapshot: &Snapshot, chain: ChainNumber) -> Result<Self> {
        let arrived = Self::arrived(snapshot, chain)?;
        let imported = snapshot
            .look(|index| index.chains.get(chain).is_some_and(|chain| chain.imported.is_some()))?;
        if !imported || arrived.len() == 0 {
            return Ok(arrived);
        }
        let linked = ImportedLinks::with(snapshot, chain)?;
        let mut runs = Vec::with_capacity(arrived.len());
        for chain in linked.chains {
            runs.extend(Self::arrived(snapshot, chain)?.read_starts(snapshot)?);
        }
        if runs.len() < 2 {
            return Ok(arrived);
        }
        for run in &mut runs {
            run.continues = run.continues.or(linked.followed.get(&run.id).copied());
        }
        Ok(ChainRuns::several(&in_order(runs), true))
    }

    fn read_starts(&self, snapshot: &Snapshot) -> Result<Vec<ImportedRun>> {
        let mut runs = Vec::with_capacity(self.len());
        self.each(snapshot, |index, number| {
            runs.extend(index.runs.get(number).map(|run| ImportedRun {
                number,
                id: run.id,
                first_batch: run.first_batch,
                started_at: run.started_at,
                continues: None,
                is_first:
                    index.chains.get(run.chain).is_some_and(|chain| chain.imported == Some(run.id)),
            }));
        })?;
        for run in &mut runs {
            run.continues = started(snapshot.view(), run.number, run.first_batch)?.continued_run_id;
        }
        Ok(runs)
    }
}

/// An imported run and the one that it continues according to its Started event.
struct ImportedRun {
    number: RunNumber,
    id: RunId,
    first_batch: Position,
    started_at: Timestamp,
    continues: Option<RunId>,
    /// Whether the chain is named after it.
    is_first: bool,
}

/// Orders runs after those that they continue. Runs that continue none in the store are ordered by their start
/// time, after the first run of the chain. Copies of a run are next to it, before the run that follows, so that
/// the last run is the end of the longest sequence.
fn in_order(mut runs: Vec<ImportedRun>) -> Vec<RunNumber> {
    runs.sort_unstable_by_key(|run| (!run.is_first, run.started_at, run.number));
    let present: HashSet<RunId> = runs.iter().map(|run| run.id).collect();
    // By the run that they continue, which need not be present.
    let mut followers: HashMap<Option<RunId>, Vec<&ImportedRun>> = HashMap::new();
    for run in &runs {
        followers.entry(run.continues).or_default().push(run);
    }
    let is_head =
        |run: &&ImportedRun| run.continues.is_none_or(|before| !present.contains(&before));
    let mut order = Vec::with_capacity(runs.len());
    let mut ordered = HashSet::new();
    // Runs that continue each other in a cycle come last, each once.
    for head in runs.iter().filter(is_head).chain(&runs) {
        if ordered.contains(&head.number) {
            continue;
        }
        let mut next: VecDeque<_> = followers.get(&head.continues).into_iter().flatten().collect();
        while let Some(run) = next.pop_front() {
            if ordered.insert(run.number) {
                order.push(run.number);
                next.extend(followers.get(&Some(run.id)).into_iter().flatten());
            }
        }
    }
    order
}
