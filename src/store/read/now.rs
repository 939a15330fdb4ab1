//! Reads as of the last published commit. A [`Snapshot`] has the same methods for one position.
//!
//! [`Snapshot`]: super::Snapshot

use super::chain::Chain;
use super::chain_children::ChainChildren;
use super::children::Children;
use super::parent::{Parent, Root};
use super::tree::Tree;
use crate::error::Result;
use crate::id::{Position, RunId};
use crate::index::Size;
use crate::store::shared::Store;

use super::history::History;
use super::index_at::IndexAt;
use super::run_filter::RunFilter;
use super::run_info::RunInfo;
use super::run_order::{RunCursor, RunOrder};
use super::run_page::RunPage;
use super::snapshot::Snapshot;
use super::tail::Tail;
use crate::limits::Limits;
use crate::retention::Retention;

impl Store {
    /// The limits of a namespace: the defaults if none were set.
    #[must_use]
    pub fn limits(&self, namespace: &str) -> Limits {
        let index = self.shared.index.read();
        index.namespaces.get(namespace).map(|found| found.settings.limits).unwrap_or_default()
    }

    /// How long a namespace keeps its runs: for ever if nothing was set.
    #[must_use]
    pub fn retention(&self, namespace: &str) -> Retention {
        let index = self.shared.index.read();
        index.namespaces.get(namespace).map(|found| found.settings.retention).unwrap_or_default()
    }

    /// The names of the namespaces, in order.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let index = self.shared.index.read();
        let mut names: Vec<_> = index.namespaces.iter().map(|n| n.name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// A snapshot as of the last published commit, for any number of consistent reads. Writers are not blocked.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.shared)
    }

    /// The history of a run, as of now.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound).
    pub fn history(&self, run: &RunId) -> Result<History> {
        self.shared.here()?;
        // While the lock is held, no version that the view sees is dropped.
        let index = self.shared.index.read();
        let view = self.shared.published.view();
        let lineage = IndexAt { index: &index, end: view.end }.lineage(run)?;
        drop(index);
        Ok(History::new(view, lineage))
    }

    /// What is known about a run without reading its history, as of now.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound).
    pub fn run(&self, run: &RunId) -> Result<RunInfo> {
        self.shared.here()?;
        self.shared.at_end(&self.shared.index.read()).run(run)
    }

    /// The outcome of a run: the payload of the event that closed it, a result or a failure. `None` while it is open.
    ///
    /// # Errors
    /// As [`Snapshot::closing_event`](crate::Snapshot::closing_event).
    pub fn outcome(&self, run: &RunId) -> Result<Option<Vec<u8>>> {
        let snapshot = self.snapshot();
        Ok(snapshot.closing_event(run)?.map(|event| event.payload().to_vec()))
    }

    /// The current run of a workflow id, as of now; `None` if there was never one.
    ///
    /// # Errors
    /// As [`Snapshot::current_run`](crate::Snapshot::current_run).
    pub fn current_run(&self, namespace: &str, workflow_id: &str) -> Result<Option<RunId>> {
        self.shared.here()?;
        self.shared.at_end(&self.shared.index.read()).current_run(namespace, workflow_id)
    }

    /// A row of a table, as of now.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::Corrupt`](crate::Error::Corrupt) if the row cannot be read.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot().get(table, key)?.map(<[u8]>::to_vec))
    }

    /// The event of a run that has this key, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::event_by_key`](crate::Snapshot::event_by_key).
    pub fn event_by_key(&self, run: &RunId, key: u64) -> Result<Option<u32>> {
        self.snapshot().event_by_key(run, key)
    }

    /// Every commit from `from` on, then future ones (change data capture). [`Position::START`] for all.
    #[must_use]
    pub fn tail(&self, from: Position) -> Tail {
        Tail::new(self.shared.clone(), from)
    }

    /// The chain that a run belongs to, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::chain`](crate::Snapshot::chain).
    pub fn chain(&self, run: &RunId) -> Result<Chain> {
        self.snapshot().chain(run)
    }

    /// A page of the runs that `filter` admits, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::list_runs`](crate::Snapshot::list_runs).
    pub fn list_runs(
        &self,
        filter: &RunFilter,
        order: RunOrder,
        limit: usize,
        after: Option<&RunCursor>,
    ) -> Result<RunPage> {
        self.snapshot().list_runs(filter, order, limit, after)
    }

    /// The children of a run, as of now, including those that have ended.
    ///
    /// # Errors
    /// As [`Snapshot::children`](crate::Snapshot::children).
    pub fn children(&self, run: &RunId) -> Result<Children> {
        self.snapshot().children(run)
    }

    /// The children of all runs of a run's chain, as of now, each with the run that has it.
    ///
    /// # Errors
    /// As [`Snapshot::children_of_chain`](crate::Snapshot::children_of_chain).
    pub fn children_of_chain(&self, run: &RunId) -> Result<ChainChildren> {
        self.snapshot().children_of_chain(run)
    }

    /// The parent of a run, as of now; `None` for one that has none.
    ///
    /// # Errors
    /// As [`Snapshot::parent`](crate::Snapshot::parent).
    pub fn parent(&self, run: &RunId) -> Result<Option<Parent>> {
        self.snapshot().parent(run)
    }

    /// The run at the root of the tree that a run is in.
    ///
    /// # Errors
    /// As [`Snapshot::root`](crate::Snapshot::root).
    pub fn root(&self, run: &RunId) -> Result<Root> {
        self.snapshot().root(run)
    }

    /// The tree below a run, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::tree`](crate::Snapshot::tree).
    pub fn tree(&self, run: &RunId) -> Result<Tree> {
        self.snapshot().tree(run)
    }

    /// The total size of the runs of a run's chain, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::chain_size`](crate::Snapshot::chain_size).
    pub fn chain_size(&self, run: &RunId) -> Result<Size> {
        self.snapshot().chain_size(run)
    }

    /// The total size of the tree below a run, including the run itself, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::tree_size`](crate::Snapshot::tree_size).
    pub fn tree_size(&self, run: &RunId) -> Result<Size> {
        self.snapshot().tree_size(run)
    }

    /// The total size of all runs of a namespace, as of now; zeros if the namespace is not known.
    #[must_use]
    pub fn namespace_size(&self, namespace: &str) -> Size {
        self.snapshot().namespace_size(namespace)
    }
}
