//! The lists of the index: runs by a time of theirs.

use std::ops::Range;

use super::index::Index;
use super::listing::{ListTime, Place};
#[cfg(test)]
use crate::id::RunNumber;

impl Index {
    /// The places of a list in a range, in order from both ends.
    pub(crate) fn listed(
        &self,
        time: ListTime,
        range: Range<Place>,
    ) -> impl DoubleEndedIterator<Item = Place> {
        self.listing.range(self.runs.cold(), time, range)
    }

    /// Takes a run out of all lists.
    #[cfg(test)]
    pub(crate) fn unlist_run(&mut self, number: RunNumber) {
        for time in ListTime::ALL {
            let place = self.runs.look(number, |run| time.place(number, run)).flatten();
            self.listing.remove(time, place);
        }
    }
}
