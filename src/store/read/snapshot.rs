//! The store held still.

use std::sync::Arc;

use super::history::History;
use super::index_at::IndexAt;
use super::lineage::started;
use super::run_info::RunInfo;
use crate::error::{Error, Result};
use crate::event::Started;
use crate::id::{Position, RunId};
use crate::index::{Index, IndexReadGuard, RunLinks};
use crate::log::files::View;
use crate::store::shared::{Pin, Shared};

/// The store as it was published at one position. Cheap to take and to clone; while it is held,
/// the index keeps what it sees.
#[derive(Clone)]
pub struct Snapshot {
    shared: Arc<Shared>,
    view: View,
    /// `None` in a forked process, where there is nothing to see.
    _pin: Option<Arc<Pin>>,
}

impl Snapshot {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        if shared.here().is_err() {
            let view = View::empty(shared.published.identity);
            return Snapshot { shared: shared.clone(), view, _pin: None };
        }
        let mut view = None;
        let pin = shared.pins.pin(|| view.insert(shared.published.view()).end);
        // `pin` has called the closure.
        let view = view.unwrap_or_else(|| shared.published.view());
        Snapshot { shared: shared.clone(), view, _pin: Some(Arc::new(pin)) }
    }

    /// The position: the snapshot holds every commit before it and none from it on.
    #[must_use]
    pub fn end(&self) -> Position {
        self.view.end
    }

    /// [`Error::Forked`] in a process that did not open the store.
    pub(crate) fn here(&self) -> Result<()> {
        self.shared.here()
    }

    pub(crate) fn index(&self) -> IndexReadGuard<'_> {
        self.shared.index.read()
    }

    fn seen<'i>(&self, index: &'i Index) -> IndexAt<'i> {
        IndexAt { index, end: self.end() }
    }

    /// How many of a run's relations there are.
    pub(crate) fn children_of(&self, links: &RunLinks) -> usize {
        // In the order of their events, hence of their batches.
        links.children.partition_point(|relation| relation.initiated_batch < self.end())
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The number of a run that the snapshot sees.
    pub(crate) fn number(&self, index: &Index, run: &RunId) -> Result<u32> {
        self.seen(index).number(run)
    }

    /// Whether the run began before the snapshot.
    pub(crate) fn sees(&self, index: &Index, number: u32) -> bool {
        self.seen(index).sees(number)
    }

    /// Whether a run is in the store.
    pub(crate) fn holds(&self, run: &RunId) -> bool {
        self.number(&self.index(), run).is_ok()
    }

    /// What a run's own first event says; for a run that was not made by a reset.
    pub(crate) fn started(&self, run: &RunId) -> Result<Started<'_>> {
        let (number, first_batch) = {
            let index = self.index();
            let number = self.number(&index, run)?;
            let found = index.runs.get(number).ok_or(Error::RunNotFound { run: *run })?;
            (number, found.first_batch)
        };
        started(&self.view, number, first_batch)
    }

    /// The history of a run.
    ///
    /// # Errors
    /// [`Error::RunNotFound`].
    pub fn history(&self, run: &RunId) -> Result<History> {
        self.shared.here()?;
        let lineage = self.seen(&self.index()).lineage(run)?;
        Ok(History::new(self.view.clone(), lineage))
    }

    /// What is known about a run.
    ///
    /// # Errors
    /// [`Error::RunNotFound`].
    pub fn run(&self, run: &RunId) -> Result<RunInfo> {
        self.shared.here()?;
        self.seen(&self.index()).run(run)
    }

    /// The run that a workflow id stands for; `None` if there was never one.
    #[must_use]
    pub fn current_run(&self, namespace: &str, workflow_id: &str) -> Option<RunId> {
        self.seen(&self.index()).current_run(namespace, workflow_id)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("end", &self.end()).finish()
    }
}
