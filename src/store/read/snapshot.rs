//! Snapshots: consistent reads as of one position, under multi-version concurrency control (MVCC).
//!
//! A snapshot is a position that is pinned. The index keeps the versions that a pinned position sees in memory
//! (`src/index/state/undo.rs`, `tables.rs`): an entry is left to files alone once every reader sees it as it is. The log
//! never changes below the position. So readers block no writer, and all reads of one snapshot see the same commits
//! (snapshot isolation). Transactions are serializable by another means, the read set of optimistic concurrency control
//! (`src/store/pending/read_set.rs`).

use std::sync::Arc;

use super::event_ref::{BatchCursor, EventRef};
use super::history::History;
use super::index_at::IndexAt;
use super::lineage::started;
use super::run_info::RunInfo;
use crate::error::{Error, Result};
use crate::event::{Event, Started};
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Index, IndexReadGuard, RunLinks, RunState};
use crate::log::files::View;
use crate::store::shared::{Pin, Shared};

/// The store as published up to one position (MVCC). Cheap to take and to clone. While it is held, the index
/// keeps the versions that it sees.
#[derive(Clone)]
pub struct Snapshot {
    shared: Arc<Shared>,
    view: View,
    /// `None` in a forked process, where the snapshot is empty.
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

    /// Its position: it sees every commit before that, and none from there on.
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

    /// What `look` finds in the index, if it meets no damage there.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Index) -> T) -> Result<T> {
        let index = self.index();
        index.sure(look(&index))
    }

    pub(crate) fn at<'i>(&self, index: &'i Index) -> IndexAt<'i> {
        IndexAt { index, end: self.end() }
    }

    /// How many of a run's relations the snapshot sees.
    pub(crate) fn children_of(&self, links: &RunLinks) -> usize {
        // They are ordered by event, hence by position.
        links.children.partition_point(|relation| relation.initiated_batch < self.end())
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The number of a run that the snapshot sees.
    pub(crate) fn number(&self, index: &Index, run: &RunId) -> Result<RunNumber> {
        self.at(index).number(run)
    }

    /// The number of a run that the snapshot sees and whose history was not deleted.
    pub(crate) fn with_history(&self, index: &Index, run: &RunId) -> Result<RunNumber> {
        self.at(index).with_history(run)
    }

    /// Whether the run started before the snapshot.
    pub(crate) fn sees(&self, index: &Index, number: RunNumber) -> bool {
        self.at(index).sees(number)
    }

    /// Whether a run is in the store.
    pub(crate) fn holds(&self, run: &RunId) -> Result<bool> {
        match self.number(&self.index(), run) {
            Ok(_) => Ok(true),
            Err(Error::RunNotFound { .. } | Error::RunDeleted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The Started event of a run, which must not be one that a reset created.
    pub(crate) fn started(&self, run: &RunId) -> Result<Started<'_>> {
        let (number, first_batch) = {
            let index = self.index();
            let number = self.number(&index, run)?;
            let found = index.runs.get(number);
            index.check_cold()?;
            let found = found.ok_or(Error::RunNotFound { run: *run })?;
            (number, found.first_batch)
        };
        started(&self.view, number, first_batch)
    }

    /// The history of a run.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`].
    pub fn history(&self, run: &RunId) -> Result<History> {
        self.shared.here()?;
        let lineage = self.at(&self.index()).lineage(run)?;
        Ok(History::new(self.view.clone(), lineage))
    }

    /// What is known about a run without reading its history.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`].
    pub fn run(&self, run: &RunId) -> Result<RunInfo> {
        self.shared.here()?;
        self.at(&self.index()).run(run)
    }

    /// The event that closed a run, whose payload is the run's outcome; `None` while it is open. Reads no other event.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`], [`Error::Corrupt`] if the event cannot be read.
    pub fn closing_event(&self, run: &RunId) -> Result<Option<Event<'_>>> {
        self.shared.here()?;
        let number = self.number(&self.index(), run)?;
        self.closing_event_of(number)
    }

    /// The same for a run that may have been deleted.
    pub(super) fn closing_event_of(&self, number: RunNumber) -> Result<Option<Event<'_>>> {
        let closing = {
            let index = self.index();
            let found =
                index.runs.get(number).and_then(|run| index.runs.state_at(&run, self.end()));
            let closed = found.filter(|state| !state.status.is_open());
            let event = |s: RunState| EventRef::of(&index, number, s.last_batch, s.next_event - 1);
            index.sure(closed.map(event))?
        };
        closing.map(|at| BatchCursor::default().read(&self.view, at)).transpose()
    }

    /// The current run of a workflow id; `None` if there was never one, or that was deleted.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if the index is damaged, [`Error::Forked`].
    pub fn current_run(&self, namespace: &str, workflow_id: &str) -> Result<Option<RunId>> {
        self.shared.here()?;
        self.at(&self.index()).current_run(namespace, workflow_id)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("end", &self.end()).finish()
    }
}
