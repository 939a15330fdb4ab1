//! Listing runs page by page, by when they started or closed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::candidates::{EXAMINED_MAX, TOGETHER, candidates};
use super::run_filter::RunFilter;
use super::run_info::{RunInfo, info};
use super::run_order::{RunCursor, RunOrder, Spot};
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::id::{Position, RunNumber, Timestamp};
use crate::index::{Index, ListTime, Place};

/// A page of a list of runs. See [`Snapshot::list_runs`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RunPage {
    /// The runs, in order. A page may have none though others follow.
    pub runs: Vec<RunInfo>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<RunCursor>,
}

impl Snapshot {
    /// A page of the runs that `filter` admits: at most `limit`, in `order`, those behind `after`; the first ones without.
    ///
    /// The order is total, and stable: neither time of a run ever changes. The pages of one snapshot together have each
    /// run once. So have those of [`Store::list_runs`](crate::Store::list_runs), which are each as of now, every run that the
    /// filter admits all the while. A cursor goes with its order and its namespace, or with none; all else of the filter, the limit and
    /// the snapshot may be others.
    ///
    /// # Work
    /// It begins where the list goes on, however many runs there are before and behind. One page looks at no more than 10,000
    /// runs: where the filter admits few of those, **a page is shorter than `limit`, or empty, and says that there is more**.
    /// Where [`RunStatus::Running`](crate::RunStatus::Running), a parent, or a workflow id with its namespace leaves at most
    /// 10,000 runs, only these are looked at. Without a namespace, the list of each is begun.
    ///
    /// # Errors
    /// [`Error::WrongCursor`] for a cursor of another order or namespace, [`Error::InvalidArgument`] for a limit of 0,
    /// [`Error::DamagedIndex`], [`Error::Forked`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{RunFilter, RunStatus, read::RunOrder};
    ///
    /// let failed = RunFilter::all().namespace("shop").status(RunStatus::Failed);
    /// let mut after = None;
    /// loop {
    ///     let page = store.list_runs(&failed, RunOrder::NewestClosed, 100, after.as_ref())?;
    ///     for run in &page.runs {
    ///         println!("{} {}", run.id, run.workflow_id);
    ///     }
    ///     let Some(next) = page.next else { break };
    ///     // As text it can be handed to whoever asks for the next page.
    ///     after = Some(next.to_string().parse().unwrap());
    /// }
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn list_runs(
        &self,
        filter: &RunFilter,
        order: RunOrder,
        limit: usize,
        after: Option<&RunCursor>,
    ) -> Result<RunPage> {
        self.here()?;
        let namespace = filter.namespace.as_deref();
        after.map_or(Ok(()), |cursor| cursor.check(order, namespace))?;
        if limit == 0 {
            return Err(Error::invalid("a page of runs has a limit of 0"));
        }
        let mut list = List::new(self, filter, order)?;
        let mut last = after.map(|cursor| cursor.after);
        let (mut runs, mut examined) = (vec![], 0);
        loop {
            let count = TOGETHER.min(EXAMINED_MAX - examined);
            let more = self.look(|index| {
                let spots = list.after(index, self.end(), last, count);
                for spot in &spots {
                    if runs.len() == limit {
                        return true;
                    }
                    last = Some(*spot);
                    runs.extend(self.admitted(index, filter, order, *spot));
                }
                examined += spots.len();
                spots.len() == count
            })?;
            if !more {
                return Ok(RunPage { runs, next: None });
            }
            if runs.len() == limit || examined == EXAMINED_MAX {
                let next = last.map(|last| RunCursor::new(order, namespace, last));
                return Ok(RunPage { runs, next });
            }
        }
    }

    /// The run at a place of the list, if the snapshot sees it there and the filter admits it.
    fn admitted(
        &self,
        index: &Index,
        filter: &RunFilter,
        order: RunOrder,
        Spot { time, run: number }: Spot,
    ) -> Option<RunInfo> {
        let run = index.runs.get(number)?;
        if !filter.may_admit(index, &run, self.end()) {
            return None;
        }
        let info = info(index, number, self.end())?;
        let is_there = match order.time() {
            ListTime::Started => info.started_at == time,
            ListTime::Closed => info.closed_at == Some(time),
        };
        (is_there && filter.admits(&info)).then_some(info)
    }
}

/// The runs among which a filter's are, in order.
struct List {
    order: RunOrder,
    /// The time of the first run, and that before which the last one is.
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    runs: Runs,
}

enum Runs {
    /// All of these namespaces.
    Of(Vec<u32>),
    /// These, in order.
    Known(Vec<Spot>),
}

impl List {
    fn new(snapshot: &Snapshot, filter: &RunFilter, order: RunOrder) -> Result<Self> {
        let (since, until) = match order.time() {
            ListTime::Started => (filter.started_since, filter.started_until),
            ListTime::Closed => (filter.closed_since, filter.closed_until),
        };
        let mut list = List { order, since, until, runs: Runs::Known(vec![]) };
        list.runs = match candidates(snapshot, filter)? {
            Some(candidates) => Runs::Known(list.sorted(snapshot, &candidates)?),
            None => Runs::Of(namespaces(&snapshot.index(), filter)),
        };
        Ok(list)
    }

    /// Those of some runs that the order has, where they are in it.
    fn sorted(&self, snapshot: &Snapshot, runs: &[RunNumber]) -> Result<Vec<Spot>> {
        let mut spots = vec![];
        for runs in runs.chunks(TOGETHER) {
            let places = |index: &Index| {
                let place = |number: &RunNumber| {
                    index.runs.look(*number, |run| self.order.time().place(*number, run))?
                };
                spots.extend(runs.iter().filter_map(place).map(Spot::from));
            };
            snapshot.look(places)?;
        }
        spots.sort_unstable();
        spots.dedup();
        if self.order.is_newest_first() {
            spots.reverse();
        }
        Ok(spots)
    }

    /// Up to `count` runs behind `last`.
    fn after(
        &mut self,
        index: &Index,
        at: Position,
        last: Option<Spot>,
        count: usize,
    ) -> Vec<Spot> {
        match &self.runs {
            Runs::Known(spots) => {
                let is_before = |spot: &Spot| match last {
                    Some(last) if self.order.is_newest_first() => *spot >= last,
                    Some(last) => *spot <= last,
                    None => false,
                };
                let from = spots.partition_point(is_before);
                spots.iter().skip(from).take(count).copied().collect()
            }
            Runs::Of(namespaces) => self.merged((index, at), namespaces, last, count),
        }
    }

    /// The lists of several namespaces as one.
    fn merged(
        &self,
        (index, at): (&Index, Position),
        namespaces: &[u32],
        last: Option<Spot>,
        count: usize,
    ) -> Vec<Spot> {
        let mut lists: Vec<_> =
            namespaces.iter().map(|namespace| self.of((index, at), *namespace, last)).collect();
        let firsts = lists.iter_mut().enumerate();
        let firsts = firsts.filter_map(|(at, list)| Some((self.rank(list.next()?), at)));
        let mut heads: BinaryHeap<_> = firsts.map(Reverse).collect();
        let mut spots = vec![];
        while spots.len() < count
            && let Some(Reverse(((_, spot), at))) = heads.pop()
        {
            spots.push(spot);
            let next = lists.get_mut(at).and_then(Iterator::next);
            heads.extend(next.map(|spot| Reverse((self.rank(spot), at))));
        }
        spots
    }

    /// Runs that come first have the lower rank.
    fn rank(&self, spot: Spot) -> (i128, Spot) {
        let older = i128::from(spot.time.unix_nanos()) << 32 | i128::from(spot.run.as_u32());
        (if self.order.is_newest_first() { !older } else { older }, spot)
    }

    /// The list of one namespace behind `last`.
    fn of<'i>(
        &self,
        (index, at): (&'i Index, Position),
        namespace: u32,
        last: Option<Spot>,
    ) -> Box<dyn Iterator<Item = Spot> + 'i> {
        let first = |time| Place::new(namespace, time, RunNumber::FIRST);
        let behind = Place::new(namespace, LATEST, RunNumber::NONE);
        let mut range = self.since.map_or(first(EARLIEST), first)..self.until.map_or(behind, first);
        if let Some(Spot { time, run }) = last {
            let place = Place::new(namespace, time, run);
            match self.order.is_newest_first() {
                true => range.end = range.end.min(place),
                false => range.start = range.start.max(place.next()),
            }
        }
        let places = index.listed(self.order.time(), range, at);
        match self.order.is_newest_first() {
            true => Box::new(places.rev().map(Spot::from)),
            false => Box::new(places.map(Spot::from)),
        }
    }
}

const EARLIEST: Timestamp = Timestamp::from_unix_nanos(i64::MIN);
const LATEST: Timestamp = Timestamp::from_unix_nanos(i64::MAX);

/// The numbers of the namespaces that a filter admits.
fn namespaces(index: &Index, filter: &RunFilter) -> Vec<u32> {
    let namespaces = match &filter.namespace {
        Some(name) => index.namespaces.place(name).map_or(0..0, |place| place..place + 1),
        None => 0..index.namespaces.iter().count(),
    };
    namespaces.filter_map(|place| u32::try_from(place).ok()).collect()
}
