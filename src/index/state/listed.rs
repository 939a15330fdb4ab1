//! The lists of the index: runs by a time of theirs.

use std::ops::Range;

use super::index::Index;
use super::listing::{LISTS, ListTime, Place, RunList};
use super::merged::Merged;
use crate::id::{Position, RunNumber};

impl Index {
    /// The places of the lists of a time in a range, for a reader at `at`, in order from both ends.
    pub(crate) fn listed(
        &self,
        time: ListTime,
        range: Range<Place>,
        at: Position,
    ) -> impl DoubleEndedIterator<Item = Place> {
        let lists = time.lists().iter();
        let lists =
            lists.map(move |list| self.in_list(*list, range.clone(), at).map(|place| (place, ())));
        Merged::of(lists).map(|(place, ())| place)
    }

    /// The places of a list in a range, for a reader at `at`, in order from both ends.
    pub(crate) fn in_list(
        &self,
        list: RunList,
        range: Range<Place>,
        at: Position,
    ) -> impl DoubleEndedIterator<Item = Place> {
        self.listing.range(self.runs.cold(), list, range, at)
    }

    /// Where a run is in each list.
    pub(crate) fn places(&self, number: RunNumber) -> [Option<Place>; LISTS] {
        RunList::ALL.map(|list| self.runs.look(number, |run| list.place(number, run)).flatten())
    }

    /// Moves a run from list to list, from where it was before the commit.
    pub(crate) fn relist(
        &mut self,
        number: RunNumber,
        before: [Option<Place>; LISTS],
        commit: Position,
    ) {
        let after = self.places(number);
        for ((list, was), is) in RunList::ALL.into_iter().zip(before).zip(after) {
            if was != is {
                self.listing.remove(list, was, commit);
                self.listing.add(list, is);
            }
        }
    }
}
