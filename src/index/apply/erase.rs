//! Deleted runs are erased: nothing in the index says that they were there.

use std::ops::Bound;

use crate::hash::Map;
use crate::id::{Position, RunNumber, WorkflowNumber};
use crate::index::state::{
    DELETED_TABLE, Deletion, DutyKey, ERASED_SIZES_TABLE, EVENT_KEYS_TABLE, ErasedSize, Erasure,
    Impossible, Index, Must, Run,
};
use crate::log::format::Put;
use crate::retention::Keep;

impl Index {
    /// Takes in an erasure. Those that are not there are left out: nothing of them was left in the log.
    pub(crate) fn apply_erasure(
        &mut self,
        erasure: &Erasure<'_>,
        commit: Position,
    ) -> Result<(), Impossible> {
        let mut newer = Map::default();
        // From the newest one on, which is how runs of a workflow are linked.
        for number in erasure.runs().rev() {
            self.cuts.strays.remove(&number);
            self.cuts.gaps.remove(&number);
            match self.runs.get(number) {
                Some(_) => self.erase_run(number, commit, &mut newer)?,
                // The next run has a higher number all the same.
                None => self.runs.skip(number),
            }
        }
        Ok(())
    }

    /// Takes in how much of a chain was erased.
    pub(crate) fn apply_erased_size(&mut self, erased: &ErasedSize) -> Result<(), Impossible> {
        let chain = self.chain_of_first(&erased.first);
        self.chains.set_erased(chain.must("a chain has no first run")?, erased.size)
    }

    /// Erases a run. `newer` has of workflows a run that came after it and is not erased.
    fn erase_run(
        &mut self,
        number: RunNumber,
        commit: Position,
        newer: &mut Map<WorkflowNumber, RunNumber>,
    ) -> Result<(), Impossible> {
        const NO_RUN: &str = "a run is erased that is not there";
        let run = self.runs.get(number).must(NO_RUN)?.into_owned();
        let state = *run.state.latest();
        if state.deleted != Some(Keep::Nothing) {
            // Nothing of its deletion was left in the log either.
            let deletion = Deletion { run: run.id, keep: Keep::Nothing };
            self.apply_deletion(deletion, commit)?;
        }
        self.forget_duties(number);
        if state.status.is_open() {
            // Of how it closed, nothing was left in the log.
            self.totals.open_runs -= 1;
            self.namespaces.types.close(run.workflow_type, number, commit);
        }
        self.forget_rows(number, &run, commit)?;
        self.totals.runs -= 1;
        self.totals.runs_deleted -= 1;
        self.totals.histories_deleted -= 1;
        self.totals.events_deleted -= u64::from(state.next_event - 1);
        self.totals.bytes_deleted -= u64::from(state.bytes);
        self.chains.remove(run.chain, number)?;
        self.unlink(&run, number, newer)?;
        let places = self.places(number);
        self.runs.erase(number, &run.id);
        self.relist(number, places, commit);
        Ok(())
    }

    /// Forgets that a run was deleted, the keys of its events, and with a whole chain what was erased of it before.
    fn forget_rows(
        &mut self,
        number: RunNumber,
        run: &Run,
        commit: Position,
    ) -> Result<(), Impossible> {
        let id = run.id.as_bytes();
        let keyed = self.tables.rows_after(EVENT_KEYS_TABLE, Bound::Included(id));
        let keys = keyed.map(|(key, _)| key.to_vec()).take_while(|key| key.starts_with(id));
        for key in keys.collect::<Vec<_>>() {
            self.tables.put(&Put { table: EVENT_KEYS_TABLE, key: &key, value: None }, commit)?;
        }
        let is_last = self.chains.get(run.chain).is_some_and(|chain| {
            // The first run of the chain: the others went before.
            chain.runs() == [number] && chain.erased.is_some()
        });
        if is_last {
            self.tables.put(&Put { table: ERASED_SIZES_TABLE, key: id, value: None }, commit)?;
        }
        self.tables.put(&Put { table: DELETED_TABLE, key: id, value: None }, commit)
    }

    /// Forgets what is due of a run's children. Nothing is of one that was deleted, unless some of its events are missing.
    fn forget_duties(&mut self, number: RunNumber) {
        let Some(links) = self.runs.links(number) else { return };
        let duties = links.children.iter().filter_map(|relation| {
            let (kind, since) = relation.duty?;
            Some(DutyKey { since, kind, run: number, event: relation.initiated })
        });
        let duties: Vec<_> = duties.collect();
        drop(links);
        duties.iter().for_each(|key| self.duties.remove(key));
    }

    /// Takes a run out of the runs of its workflow, and out of the index a workflow that has no other one.
    fn unlink(
        &mut self,
        run: &Run,
        number: RunNumber,
        newer: &mut Map<WorkflowNumber, RunNumber>,
    ) -> Result<(), Impossible> {
        let workflow = self.namespaces.workflow(run.workflow);
        let (_, workflow) = workflow.must("a run is of a workflow that is not there")?;
        if workflow.newest == number {
            return self.namespaces.set_newest(run.workflow, run.older);
        }
        let newer = newer.entry(run.workflow).or_insert(workflow.newest);
        loop {
            let older = self.runs.look(*newer, |run| run.older).flatten();
            match older.must("a run is not among those of its workflow")? {
                older if older == number => break,
                older => *newer = older,
            }
        }
        let newer = self.runs.get_mut(*newer).must("a run is of a workflow and not there")?;
        newer.older = run.older;
        Ok(())
    }
}
