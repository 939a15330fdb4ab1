//! A run is deleted: what only its events tell is forgotten at once, so that the index does not depend on whether a
//! compaction has dropped them.

use crate::bytes::wide;
use crate::id::{Position, RunNumber};
use crate::index::state::{Deletion, Impossible, Index, Must, Size, Waypoints};
use crate::retention::Keep;

impl Index {
    /// Takes in a deletion. What the run has to do with others stays known: its
    /// relations, and its place in its chain.
    pub(crate) fn apply_deletion(
        &mut self,
        deletion: Deletion,
        commit: Position,
    ) -> Result<(), Impossible> {
        const NO_RUN: &str = "a run is deleted that is not there";
        let number = self.runs.number(&deletion.run).must(NO_RUN)?;
        let run = self.runs.get(number).must(NO_RUN)?;
        let (namespace, workflow, chain) = (run.namespace, run.workflow, run.chain);
        let before = *run.state.latest();
        let mut after = before;
        after.deleted = Some(deletion.keep);
        let (was, is) = (before.kept_size(), after.kept_size());
        let freed = was.less(is).must("a deletion keeps more than there was")?;
        let places = self.places(number);
        self.runs.extend(number, commit, after)?;
        self.forget_events(number)?;
        self.relist(number, places, commit);
        if freed != Size::default() {
            self.namespaces.resize(namespace, commit, |now| now.less(freed))?;
        }
        if before.deleted.is_none() {
            let children = self.runs.links(number).map_or(0, |links| wide(links.children.len()));
            let totals = &mut self.totals;
            totals.relations -= children;
            totals.histories_deleted += 1;
            totals.events_deleted += freed.events;
            totals.bytes_deleted += freed.bytes;
        }
        if deletion.keep == Keep::Nothing {
            self.totals.runs_deleted += 1;
            let chain = self.chains.get_mut(chain).must("a run is of a chain that is not there")?;
            chain.deleted += 1;
            self.namespaces.vacate(workflow, number, commit)?;
        }
        Ok(())
    }

    /// Forgets where the run's batches lie, and what it waits for.
    fn forget_events(&mut self, number: RunNumber) -> Result<(), Impossible> {
        // Requests lapse with a run that closes; of one that is erased later, that may be missing.
        let requests: Vec<_> = self.runs.links(number).map_or_else(Vec::new, |links| {
            links.outgoing.iter().filter_map(|(event, sent)| sent.key(number, *event)).collect()
        });
        requests.iter().for_each(|key| self.duties.remove(key));
        let run = self.runs.get_mut(number).must("a run is deleted that is not there")?;
        run.waypoints = Waypoints::default();
        if let Some(links) = run.links.as_deref_mut() {
            links.forget_events();
        }
        run.links.take_if(|links| links.is_empty());
        Ok(())
    }
}
