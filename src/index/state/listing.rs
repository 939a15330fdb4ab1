//! Runs by the times when they started and when they closed, in layers as the rows of tables.
//!
//! Both times of a run stay as they are: an entry is made once, and is taken out only with the run. So a reader of a
//! former position finds all that it may see; what it does not see yet, it finds too, and asks the run.

use std::collections::{BTreeMap, btree_map};
use std::ops::Range;
use std::sync::Arc;

use super::frozen::{Frozen, Retired};
use super::merged::Merged;
use super::runs::Run;
use crate::id::{Position, RunNumber, Timestamp};
use crate::index::cold::{Cold, ColdPlaces, Family};

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

/// What a layer has: whether a run is in the list, or taken out of it.
pub(crate) type ListLayer = BTreeMap<Place, bool>;

/// The list by one time.
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
}

/// The lists as they were frozen.
#[derive(Clone)]
pub(crate) struct FrozenListing {
    pub(crate) started: Arc<ListLayer>,
    pub(crate) closed: Arc<ListLayer>,
}

impl ListTime {
    pub(crate) const ALL: [ListTime; 2] = [ListTime::Started, ListTime::Closed];

    const fn family(self) -> Family {
        match self {
            ListTime::Started => Family::Started,
            ListTime::Closed => Family::Closed,
        }
    }

    /// Where a run is in the list as of its latest commit, if it is.
    pub(crate) fn place(self, number: RunNumber, run: &Run) -> Option<Place> {
        let time = match self {
            ListTime::Started => Some(run.started_at),
            ListTime::Closed => run.state.latest().closed_at,
        };
        time.map(|time| Place::new(run.namespace, time, number))
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
    fn of(&self, time: ListTime) -> &List {
        match time {
            ListTime::Started => &self.started,
            ListTime::Closed => &self.closed,
        }
    }

    fn of_mut(&mut self, time: ListTime) -> &mut List {
        match time {
            ListTime::Started => &mut self.started,
            ListTime::Closed => &mut self.closed,
        }
    }

    /// The places of a list in a range, in order from both ends.
    pub(super) fn range<'t>(
        &'t self,
        cold: &'t Cold,
        time: ListTime,
        Range { start, end }: Range<Place>,
    ) -> impl DoubleEndedIterator<Item = Place> + 't {
        let list = self.of(time);
        let end = end.max(start);
        let layers = std::iter::once(&list.hot).chain(list.frozen.newest_first());
        let here = layers.map(move |layer| Places::Here(layer.range(start..end)));
        let cold = cold.places(time.family(), start.0..end.0);
        let places = Merged::of(here.chain(cold.map(Places::Cold)));
        places.filter_map(|(place, listed)| listed.then_some(place))
    }

    /// A run has begun, or closed.
    pub(crate) fn add(&mut self, time: ListTime, place: Option<Place>) {
        self.of_mut(time).hot.extend(place.map(|place| (place, true)));
    }

    /// A run is no longer there.
    #[cfg(test)]
    pub(super) fn remove(&mut self, time: ListTime, place: Option<Place>) {
        self.of_mut(time).hot.extend(place.map(|place| (place, false)));
    }

    /// About how much memory the hot layer takes.
    pub(super) fn hot_bytes(&self) -> usize {
        (self.started.hot.len() + self.closed.hot.len()) * ENTRY_BYTES
    }

    pub(super) fn freeze(&mut self, upto: Position) -> FrozenListing {
        FrozenListing { started: self.started.freeze(upto), closed: self.closed.freeze(upto) }
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds.
    pub(super) fn thin(&mut self, upto: Position, out: &mut Vec<Retired>) {
        self.started.frozen.retire(upto, out);
        self.closed.frozen.retire(upto, out);
    }
}

/// What an entry takes in a tree whose nodes are half full, as keys that ascend leave them.
pub(super) const ENTRY_BYTES: usize = 2 * size_of::<Place>();

impl List {
    fn freeze(&mut self, upto: Position) -> Arc<ListLayer> {
        let layer = std::mem::take(&mut self.hot);
        if layer.is_empty() { Arc::default() } else { self.frozen.push(upto, layer) }
    }
}

/// The places of one layer.
enum Places<'t> {
    Here(btree_map::Range<'t, Place, bool>),
    Cold(ColdPlaces<'t>),
}

impl Iterator for Places<'_> {
    type Item = (Place, bool);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Places::Here(places) => places.next().map(|(place, listed)| (*place, *listed)),
            Places::Cold(places) => places.next().map(|(place, listed)| (Place(place), listed)),
        }
    }
}

impl DoubleEndedIterator for Places<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Places::Here(places) => places.next_back().map(|(place, listed)| (*place, *listed)),
            Places::Cold(places) => {
                places.next_back().map(|(place, listed)| (Place(place), listed))
            }
        }
    }
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
