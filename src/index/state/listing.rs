//! Runs by the times when they started and when they closed, in layers as the rows of tables.
//!
//! Both times of a run stay as they are: an entry is made once, and is taken out when the run is deleted. What was
//! taken out says by which commit, for readers of former positions. What they do not see yet, they find too, and ask the
//! run.

use std::collections::{BTreeMap, btree_map};
use std::ops::Range;
use std::sync::Arc;

use super::frozen::{Frozen, Retired};
use super::merged::Merged;
use super::runs::Run;
use crate::id::{Position, RunNumber, Timestamp};
use crate::index::cold::{Cold, ColdPlaces, Family};
use crate::retention::Keep;

/// The time by which runs are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ListTime {
    Started,
    Closed,
}

/// The place of a run in a list. Places order by namespace, by time, then in the order in which runs came: a `u128` is
/// compared at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place(u128);

/// How many lists there are.
pub(super) const LISTS: usize = 4;

/// A list. No run is in two lists of one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RunList {
    /// Runs by when they started.
    Started,
    /// Closed runs with their histories, by when they closed.
    Closed,
    /// Closed runs of which the outcome alone was kept, likewise.
    Outcomes,
    /// Deleted runs of which nothing was kept and that were not erased, likewise.
    Gone,
}

/// What a layer has: runs that are in the list, and those that some commit has taken out of it.
pub(crate) type ListLayer = BTreeMap<Place, Option<Position>>;

/// One list.
#[derive(Default)]
pub(crate) struct List {
    hot: ListLayer,
    frozen: Frozen<ListLayer>,
}

/// The lists of all runs.
#[derive(Default)]
pub(crate) struct Listing {
    started: List,
    closed: List,
    outcomes: List,
    gone: List,
}

/// The lists as they were frozen.
#[derive(Clone)]
pub(crate) struct FrozenListing {
    pub(crate) started: Arc<ListLayer>,
    pub(crate) closed: Arc<ListLayer>,
    pub(crate) outcomes: Arc<ListLayer>,
    pub(crate) gone: Arc<ListLayer>,
}

impl ListTime {
    /// Its lists, but for that of runs which nothing is left to say of.
    pub(super) const fn lists(self) -> &'static [RunList] {
        match self {
            ListTime::Started => &[RunList::Started],
            ListTime::Closed => &[RunList::Closed, RunList::Outcomes],
        }
    }

    /// Where a run is in a list by this time as of its latest commit, if it has the time.
    pub(crate) fn place(self, number: RunNumber, run: &Run) -> Option<Place> {
        let time = match self {
            ListTime::Started => Some(run.started_at),
            ListTime::Closed => run.state.latest().closed_at,
        };
        time.map(|time| Place::new(run.namespace, time, number))
    }
}

impl RunList {
    pub(crate) const ALL: [RunList; LISTS] =
        [RunList::Started, RunList::Closed, RunList::Outcomes, RunList::Gone];

    const fn family(self) -> Family {
        match self {
            RunList::Started => Family::Started,
            RunList::Closed => Family::Closed,
            RunList::Outcomes => Family::Outcomes,
            RunList::Gone => Family::Gone,
        }
    }

    /// Where a run is in the list as of its latest commit, if it is.
    pub(crate) fn place(self, number: RunNumber, run: &Run) -> Option<Place> {
        let deleted = run.state.latest().deleted;
        let (time, is_in) = match self {
            RunList::Started => (ListTime::Started, deleted != Some(Keep::Nothing)),
            RunList::Closed => (ListTime::Closed, deleted.is_none()),
            RunList::Outcomes => (ListTime::Closed, deleted == Some(Keep::Outcome)),
            RunList::Gone => (ListTime::Closed, deleted == Some(Keep::Nothing)),
        };
        time.place(number, run).filter(|_| is_in)
    }
}

/// The lower bits of a place: those of the run, and above them those of the time.
const RUN_BITS: u32 = 32;
const TIME_BITS: u32 = 64;
/// Turned over, times order as unsigned numbers do.
const SIGN: u64 = 1 << 63;

impl Place {
    /// The range of all.
    pub(crate) const ALL: Range<Place> = Place(0)..Place(u128::MAX);

    pub(crate) fn new(namespace: u32, time: Timestamp, run: RunNumber) -> Self {
        let time = time.unix_nanos().cast_unsigned() ^ SIGN;
        let upper = u128::from(namespace) << TIME_BITS | u128::from(time);
        Place(upper << RUN_BITS | u128::from(run.as_u32()))
    }

    /// The range of all in a namespace.
    pub(crate) fn all_of(namespace: u32) -> Range<Place> {
        let first = |time| Place::new(namespace, time, RunNumber::FIRST);
        let (earliest, latest) = (i64::MIN, i64::MAX);
        let last = Timestamp::from_unix_nanos(latest);
        first(Timestamp::from_unix_nanos(earliest))..Place::new(namespace, last, RunNumber::NONE)
    }

    /// The place that comes next, if a run has it.
    pub(crate) fn next(self) -> Self {
        Place(self.0.saturating_add(1))
    }

    pub(crate) fn time(self) -> Timestamp {
        let time = self.0 >> RUN_BITS & u128::from(u64::MAX);
        let time = u64::try_from(time).unwrap_or_default() ^ SIGN;
        Timestamp::from_unix_nanos(time.cast_signed())
    }

    pub(crate) fn run(self) -> RunNumber {
        RunNumber::from_u32(u32::try_from(self.0 & u128::from(u32::MAX)).unwrap_or_default())
    }

    /// As the cold index has it.
    pub(crate) fn as_u128(self) -> u128 {
        self.0
    }
}

impl Listing {
    fn of(&self, list: RunList) -> &List {
        match list {
            RunList::Started => &self.started,
            RunList::Closed => &self.closed,
            RunList::Outcomes => &self.outcomes,
            RunList::Gone => &self.gone,
        }
    }

    fn of_mut(&mut self, list: RunList) -> &mut List {
        match list {
            RunList::Started => &mut self.started,
            RunList::Closed => &mut self.closed,
            RunList::Outcomes => &mut self.outcomes,
            RunList::Gone => &mut self.gone,
        }
    }

    /// The places of a list in a range for a reader at `at`, in order from both ends.
    pub(super) fn range<'t>(
        &'t self,
        cold: &'t Cold,
        list: RunList,
        Range { start, end }: Range<Place>,
        at: Position,
    ) -> impl DoubleEndedIterator<Item = Place> + 't {
        let family = list.family();
        let list = self.of(list);
        let end = end.max(start);
        let layers = std::iter::once(&list.hot).chain(list.frozen.newest_first());
        let here = layers.map(move |layer| Places::Here(layer.range(start..end)));
        let cold = cold.places(family, start.0..end.0);
        let places = Merged::of(here.chain(cold.map(Places::Cold)));
        let is_in = move |taken: Option<Position>| taken.is_none_or(|by| by >= at);
        places.filter_map(move |(place, taken)| is_in(taken).then_some(place))
    }

    /// A run has begun, or closed.
    pub(crate) fn add(&mut self, list: RunList, place: Option<Place>) {
        self.of_mut(list).hot.extend(place.map(|place| (place, None)));
    }

    /// A commit takes a run out.
    pub(crate) fn remove(&mut self, list: RunList, place: Option<Place>, commit: Position) {
        self.of_mut(list).hot.extend(place.map(|place| (place, Some(commit))));
    }

    /// About how much memory the hot layer takes.
    pub(super) fn hot_bytes(&self) -> usize {
        let lists = RunList::ALL.map(|list| self.of(list).hot.len());
        lists.into_iter().sum::<usize>() * ENTRY_BYTES
    }

    pub(super) fn freeze(&mut self, upto: Position) -> FrozenListing {
        FrozenListing {
            started: self.started.freeze(upto),
            closed: self.closed.freeze(upto),
            outcomes: self.outcomes.freeze(upto),
            gone: self.gone.freeze(upto),
        }
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds.
    pub(super) fn thin(&mut self, upto: Position, out: &mut Vec<Retired>) {
        self.started.frozen.retire(upto, out);
        self.closed.frozen.retire(upto, out);
        self.outcomes.frozen.retire(upto, out);
        self.gone.frozen.retire(upto, out);
    }
}

/// What an entry takes in a tree whose nodes are half full, as keys that ascend leave them.
pub(super) const ENTRY_BYTES: usize = 2 * size_of::<(Place, Option<Position>)>();

impl List {
    fn freeze(&mut self, upto: Position) -> Arc<ListLayer> {
        let layer = std::mem::take(&mut self.hot);
        if layer.is_empty() { Arc::default() } else { self.frozen.push(upto, layer) }
    }
}

/// The places of one layer.
enum Places<'t> {
    Here(btree_map::Range<'t, Place, Option<Position>>),
    Cold(ColdPlaces<'t>),
}

impl Iterator for Places<'_> {
    type Item = (Place, Option<Position>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Places::Here(places) => places.next().map(|(place, taken)| (*place, *taken)),
            Places::Cold(places) => places.next().map(cold),
        }
    }
}

impl DoubleEndedIterator for Places<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Places::Here(places) => places.next_back().map(|(place, taken)| (*place, *taken)),
            Places::Cold(places) => places.next_back().map(cold),
        }
    }
}

/// A place in a file. Whoever reads a file is behind all that it was written of.
fn cold((place, listed): (u128, bool)) -> (Place, Option<Position>) {
    (Place(place), (!listed).then_some(Position::START))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_order_by_namespace_time_and_run() {
        let times = [i64::MIN, -1, 0, 1, 1 << 40, i64::MAX].map(Timestamp::from_unix_nanos);
        let runs = [0, 7, u32::MAX].map(RunNumber::from_u32);
        let mut places = vec![];
        for namespace in [0, 1, u32::MAX] {
            for time in times {
                for run in runs {
                    let place = Place::new(namespace, time, run);
                    assert_eq!((place.time(), place.run()), (time, run));
                    places.push(place);
                }
            }
        }
        assert!(places.is_sorted_by(|a, b| a < b));
    }
}
