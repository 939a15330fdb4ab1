//! All runs that a filter admits, in the order in which they were added.

use super::run_filter::RunFilter;
use super::run_info::{RunInfo, info};
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::{RunNumber, TypeNumber};
use crate::index::{Index, RunStatus};
use crate::retention::Keep;

/// How many open runs are looked up at a time.
const PAGE_RUNS: usize = 64;

impl Snapshot {
    /// The runs that `filter` admits, in the order in which they were added to the store. If it has both a
    /// namespace and a workflow id, only the runs of that workflow are visited; otherwise, if it asks for
    /// [`RunStatus::Running`], only open runs, of the namespace and the type if it has them; otherwise all runs are.
    /// [`Snapshot::list_runs`] lists them page by page, by when they started or closed.
    #[must_use]
    pub fn runs(&self, filter: RunFilter) -> Runs<'_> {
        Runs::new(self, filter)
    }
}

/// Runs in the order in which they were added to the store. See [`Snapshot::runs`].
pub struct Runs<'s> {
    snapshot: &'s Snapshot,
    filter: RunFilter,
    next: Next,
    ended: bool,
}

/// The runs that follow.
enum Next {
    /// All from this number on.
    Number(RunNumber),
    /// These, from the last one to the first: the runs of one workflow.
    Known(Vec<RunNumber>),
    /// Those that are open.
    Open(OpenRuns),
}

/// The open runs of some workflow types, read page by page.
pub(super) struct OpenRuns {
    types: Vec<TypeNumber>,
    /// Where the next page begins; `None` after the last one.
    from: Option<RunNumber>,
    page: std::vec::IntoIter<RunNumber>,
}

impl OpenRuns {
    pub(super) fn of(index: &Index, filter: &RunFilter) -> Self {
        let namespace = filter.namespace.as_deref();
        let place = namespace.map(|name| index.namespaces.place(name));
        let types = match place {
            Some(None) => vec![],
            place => index.namespaces.types.find(place.flatten(), filter.workflow_type.as_deref()),
        };
        OpenRuns { types, from: Some(RunNumber::FIRST), page: vec![].into_iter() }
    }

    pub(super) fn next(&mut self, index: &Index) -> Option<RunNumber> {
        if let Some(run) = self.page.next() {
            return Some(run);
        }
        let page = index.namespaces.types.page(&self.types, self.from?, PAGE_RUNS);
        self.from = page.last().and_then(|last| last.next());
        self.page = page.into_iter();
        self.page.next()
    }
}

impl<'s> Runs<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, filter: RunFilter) -> Self {
        // The runs of one workflow are linked, so that other runs need not be visited.
        let next = match (&filter.namespace, &filter.workflow_id) {
            (Some(namespace), Some(workflow_id)) => {
                let index = snapshot.index();
                let newest = index.namespaces.find(namespace, workflow_id).map(|w| w.newest);
                let older = |number: &RunNumber| index.runs.get(*number)?.older;
                Next::Known(std::iter::successors(newest, older).collect())
            }
            _ if filter.status == Some(RunStatus::Running) => {
                Next::Open(OpenRuns::of(&snapshot.index(), &filter))
            }
            _ => Next::Number(RunNumber::FIRST),
        };
        Runs { snapshot, filter, next, ended: false }
    }
}

impl Iterator for Runs<'_> {
    type Item = Result<RunInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.step();
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl Runs<'_> {
    fn step(&mut self) -> Result<Option<RunInfo>> {
        self.snapshot.here()?;
        let index = self.snapshot.index();
        index.sure(self.found(&index))
    }

    /// The next run that the filter admits.
    fn found(&mut self, index: &Index) -> Option<RunInfo> {
        loop {
            let number = match &mut self.next {
                Next::Known(numbers) => numbers.pop()?,
                Next::Open(open) => open.next(index)?,
                Next::Number(next) => {
                    let number = *next;
                    *next = number.next()?;
                    if index.runs.get(number).is_none() {
                        *next = index.runs.following(*next)?;
                        continue;
                    }
                    number
                }
            };
            let info = info(index, number, self.snapshot.end());
            let kept = info.filter(|info| info.deleted != Some(Keep::Nothing));
            if let Some(info) = kept.filter(|info| self.filter.admits(info)) {
                return Some(info);
            }
        }
    }
}
