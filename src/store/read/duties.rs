//! Listing duties: the effects between runs that are still outstanding, like a transactional outbox.

use std::collections::VecDeque;

use crate::error::Result;
use crate::event::ParentClosePolicy;
use crate::id::{ChildSlot, Position, RunId, RunNumber};
use crate::index::{DutyKey, DutyKind, Entry, Index, Relation, RunLinks};
use crate::store::shared::{Shared, Store};

/// Duties per page.
const PAGE_DUTIES: usize = 256;

/// An outstanding effect of one run on another. Two duties are equal if they are for the same effect.
#[derive(Clone, Copy, Debug)]
pub struct Duty {
    pub(crate) key: DutyKey,
    run: RunId,
    child: Option<RunId>,
    close_policy: Option<ParentClosePolicy>,
}

impl PartialEq for Duty {
    fn eq(&self, other: &Duty) -> bool {
        (self.key, self.run) == (other.key, other.run)
    }
}

impl Eq for Duty {}

impl Duty {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> DutyKind {
        self.key.kind
    }

    /// The position of the commit that opened it.
    #[must_use]
    pub fn since(&self) -> Position {
        self.key.since
    }

    /// The run that it comes from: the parent, or the run that signals or cancels.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The Initiated event of that run.
    #[must_use]
    pub fn initiated_event_id(&self) -> u32 {
        self.key.event
    }

    /// The current run of the child, as of when the duty was listed; `None` if the child has not started, and for
    /// signals and cancel requests.
    #[must_use]
    pub fn child(&self) -> Option<RunId> {
        self.child
    }

    /// The close policy of that child; `None` for signals and cancel requests.
    #[must_use]
    pub fn close_policy(&self) -> Option<ParentClosePolicy> {
        self.close_policy
    }

    /// A duty about a relation of `run`.
    fn about(index: &Index, key: DutyKey, run: RunId, relation: &Relation) -> Self {
        let child = relation.child.and_then(|child| {
            let first = index.runs.get(child)?;
            match index.chains.get(first.chain)?.newest() {
                newest if newest == child => Some(first.id),
                newest => index.runs.look(newest, |current| current.id),
            }
        });
        Duty { key, run, child, close_policy: Some(relation.policy) }
    }
}

/// Looks up duties in the index, mostly of one run after each other.
struct LookUp<'i> {
    index: &'i Index,
    /// The run of the last one.
    run: Option<(RunNumber, RunId)>,
    links: Option<Entry<'i, RunLinks>>,
    /// The slot of its relation, near which that of the next one may be.
    near: usize,
}

impl<'i> LookUp<'i> {
    fn new(index: &'i Index) -> Self {
        LookUp { index, run: None, links: None, near: 0 }
    }

    fn find(&mut self, key: DutyKey) -> Option<Duty> {
        let index = self.index;
        let (_, run) = match self.run.filter(|(number, _)| *number == key.run) {
            Some(known) => known,
            None => {
                let id = index.runs.look(key.run, |run| run.id)?;
                self.links = index.runs.links(key.run);
                *self.run.insert((key.run, id))
            }
        };
        if matches!(key.kind, DutyKind::DeliverSignal | DutyKind::DeliverCancel) {
            return Some(Duty { key, run, child: None, close_policy: None });
        }
        let links = self.links.as_deref()?;
        let is_it = |slot: &usize| {
            links.children.get(*slot).is_some_and(|relation| relation.initiated == key.event)
        };
        self.near = Some(self.near + 1)
            .filter(is_it)
            .or_else(|| links.find(key.event).map(ChildSlot::as_index))?;
        Some(Duty::about(index, key, run, links.children.get(self.near)?))
    }
}

/// Which duties to list; the default is all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DutyFilter {
    /// Only those of these kinds; empty for all kinds.
    pub kinds: Vec<DutyKind>,
    /// Only those that come from this run; see [`Duty::run`].
    pub run: Option<RunId>,
    /// Only those that were opened by the commit at this position or a later one.
    pub since: Position,
    /// Only those that were opened by the commit at this position.
    pub opened_by: Option<Position>,
}

impl DutyFilter {
    /// All duties.
    #[must_use]
    pub fn all() -> Self {
        DutyFilter::default()
    }

    /// Also those of this kind. The first call restricts the filter to it.
    #[must_use]
    pub fn kind(mut self, kind: DutyKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Only those that come from this run: a parent, or a run that signals or cancels.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Only those that were opened by the commit at this position or a later one.
    #[must_use]
    pub fn since(mut self, commit: Position) -> Self {
        self.since = commit;
        self
    }

    /// Only those that were opened by the commit at this position.
    #[must_use]
    pub fn opened_by(mut self, commit: Position) -> Self {
        self.opened_by = Some(commit);
        self
    }
}

impl Store {
    /// The duties that `filter` admits, the oldest first. If it has a run, only that run's duties are
    /// visited.
    ///
    /// The list is not of a snapshot: each page is as of when it is read. A duty is listed once the commit that
    /// opened it is published, and until a commit that settles it is in flight.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{DutyFilter, DutyKind};
    ///
    /// for duty in store.duties(DutyFilter::all().kind(DutyKind::StartChild)) {
    ///     let duty = duty?;
    ///     println!("{} {} {}", duty.kind(), duty.run(), duty.initiated_event_id());
    /// }
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    #[must_use]
    pub fn duties(&self, filter: DutyFilter) -> DutyList<'_> {
        DutyList::new(&self.shared, filter)
    }

    /// How many duties of a kind are open, including those whose commit is in flight.
    #[must_use]
    pub fn duty_count(&self, kind: DutyKind) -> u64 {
        self.shared.index.read().duties.count(kind) as u64
    }

    /// The Scheduled events of the open activities of a run, in order, as of now; for a closed run, of those that
    /// were open when it closed.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound).
    pub fn open_activities(&self, run: &RunId) -> Result<Vec<u32>> {
        self.shared.here()?;
        let snapshot = self.snapshot();
        let index = snapshot.index();
        let number = snapshot.with_history(&index, run)?;
        let links = index.sure(index.runs.links(number))?;
        Ok(links.map(|links| links.activities.iter().copied().collect()).unwrap_or_default())
    }
}

/// Open duties, the oldest first. [`Error::DamagedIndex`](crate::Error::DamagedIndex) where the index is damaged, and
/// [`Error::Forked`](crate::Error::Forked), end it. See [`Store::duties`].
pub struct DutyList<'s> {
    shared: &'s Shared,
    kinds: Vec<DutyKind>,
    opened_by: Option<Position>,
    /// The duty after which the next page begins; `None` after the last one.
    after: Option<DutyKey>,
    page: VecDeque<Result<Duty>>,
}

impl<'s> DutyList<'s> {
    pub(crate) fn new(shared: &'s Shared, filter: DutyFilter) -> Self {
        let DutyFilter { kinds, run, since, opened_by } = filter;
        let kinds = DutyKind::ALL.into_iter().filter(|k| kinds.is_empty() || kinds.contains(k));
        let since = since.max(opened_by.unwrap_or_default());
        // Sorts before every duty of that commit: no event has the id 0.
        let before = DutyKey { since, kind: DutyKind::ALL[0], run: RunNumber::FIRST, event: 0 };
        let kinds = kinds.collect();
        let page = VecDeque::new();
        let mut list = DutyList { shared, kinds, opened_by, after: Some(before), page };
        if let Some(run) = run {
            list.after = None;
            list.page = match list.of_run(run, before) {
                Ok(duties) => duties.into_iter().map(Ok).collect(),
                Err(error) => VecDeque::from([Err(error)]),
            };
        }
        list
    }

    /// All duties of one run after `after`.
    fn of_run(&self, run: RunId, after: DutyKey) -> Result<Vec<Duty>> {
        self.shared.here()?;
        let index = self.shared.index.read();
        let number = index.runs.number(&run);
        let links = number.and_then(|number| index.runs.links(number));
        let (Some(number), Some(links)) = (number, links) else { return index.sure(vec![]) };
        let wanted =
            |key: &DutyKey| *key > after && self.kinds.contains(&key.kind) && self.admits(key);
        let mut duties = Vec::with_capacity(links.children.len().min(PAGE_DUTIES));
        duties.extend(links.children.iter().filter_map(|relation| {
            let (kind, since) = relation.duty?;
            let key = DutyKey { since, kind, run: number, event: relation.initiated };
            wanted(&key).then(|| Duty::about(&index, key, run, relation))
        }));
        duties.extend(links.outgoing.iter().filter_map(|(initiated, sent)| {
            let (kind, since) = (sent.kind, sent.since?);
            let key = DutyKey { since, kind: kind.into(), run: number, event: *initiated };
            wanted(&key).then_some(Duty { key, run, child: None, close_policy: None })
        }));
        duties.sort_unstable_by_key(|duty| duty.key);
        index.sure(duties)
    }

    /// Whether the duty was opened by the wanted commit, if there is one, and is published.
    fn admits(&self, key: &DutyKey) -> bool {
        let opened = self.opened_by.is_none_or(|commit| commit == key.since);
        opened && key.since < self.shared.published.end()
    }

    /// Reads the next page.
    fn next_page(&mut self, after: DutyKey) -> Result<()> {
        self.shared.here()?;
        let index = self.shared.index.read();
        let mut page = vec![];
        index.duties.page(&self.kinds, Some(after), PAGE_DUTIES, &mut page);
        let admitted = page.iter().take_while(|key| self.admits(key)).count();
        let keys = page.get(..admitted).unwrap_or_default();
        let mut look_up = LookUp::new(&index);
        let duties = keys.iter().filter_map(|key| look_up.find(*key));
        let duties: Vec<_> = index.sure(duties.collect())?;
        self.after = keys.last().copied().filter(|_| admitted == PAGE_DUTIES);
        self.page.extend(duties.into_iter().map(Ok));
        Ok(())
    }
}

impl Iterator for DutyList<'_> {
    type Item = Result<Duty>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() {
            let after = self.after.take()?;
            if let Err(error) = self.next_page(after) {
                return Some(Err(error));
            }
        }
        self.page.pop_front()
    }
}

impl std::fmt::Debug for DutyList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DutyList").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
