//! The parent of a run, and the root of its tree.

use std::collections::HashSet;
use std::sync::Arc;

use super::chain_parent::relation_of_chain;
use super::lineage::started;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::event::Started;
use crate::id::{ChainNumber, RunId, RunNumber};
use crate::index::{Index, Run};
use crate::retention::Keep;

/// The parent of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Parent {
    /// The parent's workflow id.
    pub workflow_id: Arc<str>,
    /// The parent's run: after a reset of the parent, the one that has the child now.
    pub run: RunId,
    /// The Initiated event of the parent.
    pub initiated_event_id: u32,
    /// Whether that run is in the store.
    pub is_here: bool,
}

/// The run at the root of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Root {
    /// Its workflow id.
    pub workflow_id: Arc<str>,
    /// The run.
    pub run: RunId,
    /// Whether that run is in the store.
    pub is_here: bool,
}

impl Snapshot {
    /// The parent of a run; `None` for one that has none. For an imported run it is the one that the Started
    /// event names.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound), [`Error::Corrupt`](crate::Error::Corrupt) if
    /// the Started event cannot be read.
    pub fn parent(&self, run: &RunId) -> Result<Option<Parent>> {
        self.here()?;
        if let Some(started) = self.imported(run)? {
            let Some(parent) = started.parent_run_id else { return Ok(None) };
            return Ok(Some(Parent {
                workflow_id: started.parent_workflow_id.into(),
                run: parent,
                initiated_event_id: started.parent_initiated_event_id,
                is_here: self.holds(&parent)?,
            }));
        }
        let index = self.index();
        let found = index.runs.get(self.number(&index, run)?);
        let parent = found.and_then(|found| relation_of_chain(&index, self.end(), found.chain));
        index.sure(parent.and_then(|(parent, initiated_event_id)| {
            let number = parent;
            let parent = index.runs.get(parent)?;
            let is_here = self.is_kept(&index, number, &parent);
            let workflow_id = index.workflow_of(&parent)?.1.id.clone();
            Some(Parent { workflow_id, run: parent.id, initiated_event_id, is_here })
        }))
    }

    /// The run at the root of the tree that a run is in: itself if it has no parent.
    ///
    /// For an imported run it is the one that the Started event names, or else the highest known ancestor. One
    /// that is not in the store may have a parent itself.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound), [`Error::Corrupt`](crate::Error::Corrupt) if
    /// a Started event cannot be read.
    pub fn root(&self, run: &RunId) -> Result<Root> {
        self.here()?;
        let workflow_id = self.run(run)?.workflow_id;
        let mut top = Root { workflow_id, run: *run, is_here: true };
        // Imported runs may name each other as ancestors, in a cycle.
        let mut visited = HashSet::new();
        while top.is_here && visited.insert(top.run) {
            if let Some(root) = self.recorded_root(&top.run)? {
                return Ok(root);
            }
            let Some(parent) = self.parent(&top.run)? else { break };
            top =
                Root { workflow_id: parent.workflow_id, run: parent.run, is_here: parent.is_here };
        }
        Ok(top)
    }

    /// Whether something of a run is kept.
    fn is_kept(&self, index: &Index, number: RunNumber, run: &Run) -> bool {
        // Most were never deleted.
        run.state.latest().deleted.is_none()
            || self.at(index).deleted(number) != Some(Keep::Nothing)
    }

    /// The root that is recorded with the run, if it has a parent.
    fn recorded_root(&self, run: &RunId) -> Result<Option<Root>> {
        if let Some(started) = self.imported(run)? {
            let Some(root) = started.root_run_id else { return Ok(None) };
            return Ok(Some(Root {
                workflow_id: started.root_workflow_id.into(),
                run: root,
                is_here: self.holds(&root)?,
            }));
        }
        let index = self.index();
        let found = index.runs.get(self.number(&index, run)?);
        let chain = found.and_then(|found| index.chains.get(found.chain));
        let root = chain.and_then(|chain| chain.root);
        index.sure(root.and_then(|root| {
            let number = root;
            let root = index.runs.get(root)?;
            let is_here = self.is_kept(&index, number, &root);
            let workflow_id = index.workflow_of(&root)?.1.id.clone();
            Some(Root { workflow_id, run: root.id, is_here })
        }))
    }

    /// The Started event of a run, if the run was imported.
    fn imported(&self, run: &RunId) -> Result<Option<Started<'_>>> {
        let imported = {
            let index = self.index();
            let number = self.number(&index, run)?;
            index.sure(index.is_imported(number))?
        };
        if imported { self.started(run).map(Some) } else { Ok(None) }
    }
}

/// The parent run of a chain, and the Initiated event there: from the index, or for an imported chain from the
/// Started event of its first run in the store.
pub(crate) fn parent_of(snapshot: &Snapshot, chain: ChainNumber) -> Result<Option<(RunId, u32)>> {
    let (number, first_batch) = {
        let index = snapshot.index();
        let Some(found) = index.sure(index.chains.get(chain))? else { return Ok(None) };
        if found.imported.is_none() {
            let relation = relation_of_chain(&index, snapshot.end(), chain);
            let parent = relation.and_then(|(run, event)| Some((index.runs.get(run)?.id, event)));
            return index.sure(parent);
        }
        let run = found.runs().first().and_then(|first| Some((*first, index.runs.get(*first)?)));
        let Some((number, run)) = index.sure(run)? else { return Ok(None) };
        (number, run.first_batch)
    };
    let started = started(snapshot.view(), number, first_batch)?;
    Ok(started.parent_run_id.map(|parent| (parent, started.parent_initiated_event_id)))
}
