//! The store held still.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::history::History;
use super::index_at::IndexAt;
use super::lineage::started;
use super::run_info::RunInfo;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::Started;
use crate::id::{Position, RunId};
use crate::index::{Index, IndexReadGuard, RunLinks, ValueRef};
use crate::log::files::View;
use crate::store::shared::{Pin, Shared};

/// How many rows of a table are looked up at a time.
const PAGE_ROWS: usize = 256;

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

    /// A row of a table, borrowed from the log; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the row cannot be read.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<&[u8]>> {
        self.shared.here()?;
        let place = self.index().tables.get(table, key, self.end());
        Ok(place.map(|place| self.row(place)).transpose()?.map(|row| row.value))
    }

    /// The rows of a table whose keys lie in `range`, in the order of their keys.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// let mut tx = store.begin();
    /// tx.put("timers", b"2026-11-21 wake", b"order-42")?;
    /// tx.commit()?;
    /// let snapshot = store.snapshot();
    /// let due: Vec<_> = snapshot.rows("timers", ..b"2026-12".as_slice()).collect();
    /// assert_eq!(due[0].as_ref().unwrap().value, b"order-42");
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn rows<'k>(&self, table: &str, range: impl RangeBounds<&'k [u8]>) -> Rows<'_> {
        let owned = |bound: Bound<&&[u8]>| match bound {
            Bound::Included(key) => Bound::Included(Box::from(*key)),
            Bound::Excluded(key) => Bound::Excluded(Box::from(*key)),
            Bound::Unbounded => Bound::Unbounded,
        };
        Rows {
            snapshot: self,
            table: table.to_owned(),
            from: Some(owned(range.start_bound())),
            to: owned(range.end_bound()),
            page: VecDeque::new(),
        }
    }

    /// The names of the tables that ever held a row, in order; kinlog's own begin with `kinlog.`.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        let index = self.index();
        let mut names: Vec<_> = index.tables.names(self.end()).map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    fn row(&self, place: ValueRef) -> Result<Row<'_>> {
        let key_len = usize::from(place.key_len);
        let value_len = usize::try_from(place.value_len).unwrap_or(usize::MAX);
        let start = Position::from_u64(place.value.as_u64() - wide(key_len));
        let bytes = self.view.bytes(start, key_len.saturating_add(value_len))?;
        let (key, value) = bytes.split_at_checked(key_len).unwrap_or_default();
        Ok(Row { key, value })
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("end", &self.end()).finish()
    }
}

/// A row of a table, borrowed from the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Rows in the order of their keys. See [`Snapshot::rows`].
pub struct Rows<'s> {
    snapshot: &'s Snapshot,
    table: String,
    /// Where the next page begins; `None` after the last one.
    from: Option<Bound<Box<[u8]>>>,
    to: Bound<Box<[u8]>>,
    page: VecDeque<ValueRef>,
}

impl<'s> Iterator for Rows<'s> {
    type Item = Result<Row<'s>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() {
            let from = self.from.take()?;
            let range = (from.as_ref().map(|key| &**key), self.to.as_ref().map(|key| &**key));
            let index = self.snapshot.index();
            let end = self.snapshot.end();
            let (places, last) = index.tables.page(&self.table, range, end, PAGE_ROWS);
            self.page.extend(places);
            self.from = last.map(Bound::Excluded);
        }
        self.page.pop_front().map(|place| self.snapshot.row(place))
    }
}
