//! A run is deleted.

use crate::bytes::wide;
use crate::id::Position;
use crate::index::state::{Deletion, Impossible, Index, Must, Size};
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
}
