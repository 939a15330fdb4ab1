//! Comparing an index that was built anew from the log with another one over the same commits.

use std::ops::Bound;

use super::index::Index;
use super::layers::Record;
use super::listing::{Place, RunList};
use super::namespaces::Workflow;
use super::runs::Run;
use crate::id::Position;
use crate::index::cold::{Cold, Family, number_key};

impl Index {
    /// Whether the other index has the same sums, namespaces, types, duties and tables, these without rows.
    /// After a compaction, which drops rows that are dead, when a table was first and last changed may not be known any
    /// more, nor that there was one of which no row is left.
    pub(crate) fn has_same_sums(&self, other: &Index) -> bool {
        if self.cuts.as_of == Position::START {
            return self.encode() == other.encode();
        }
        let sizes = |index: &Index| {
            let sizes = index.tables.sizes().filter(|(_, rows, _)| *rows > 0);
            let mut sizes: Vec<_> =
                sizes.map(|(name, rows, bytes)| (name.clone(), rows, bytes)).collect();
            sizes.sort_unstable();
            sizes
        };
        self.encode_without_tables() == other.encode_without_tables() && sizes(self) == sizes(other)
    }

    /// How `stored`, all of which is in files, differs from this index, all of which is in memory; `None` if it has the
    /// same entries, byte by byte, and each is found by its id.
    pub(crate) fn differs_from_stored(&self, stored: &Index) -> Option<&'static str> {
        if !self.has_same_sums(stored) {
            return Some("sums, namespaces, types, duties or tables differ from the log");
        }
        let cold = stored.runs.cold();
        for (number, run) in self.runs.iter() {
            let number = number.as_u32();
            if !is_stored(cold, number, &*run) {
                return Some("a run differs from the log");
            }
            let mut found = cold.numbers(Family::RunIds, Run::hash(&run.id));
            if !found.any(|other| other == number) {
                return Some("a run is not found by its id");
            }
        }
        for (number, workflow) in self.namespaces.workflows() {
            let number = number.as_u32();
            if !is_stored(cold, number, &*workflow) {
                return Some("a workflow differs from the log");
            }
            let mut found = cold.numbers(Family::WorkflowIds, Workflow::own_hash(&workflow));
            if !found.any(|other| other == number) {
                return Some("a workflow is not found by its id");
            }
        }
        if !self.chains.iter().all(|(number, chain)| is_stored(cold, number.as_u32(), &*chain)) {
            return Some("a chain differs from the log");
        }
        let is_listed = |list| {
            let places = self.in_list(list, Place::ALL, self.end);
            places.eq(stored.in_list(list, Place::ALL, stored.end))
        };
        if !RunList::ALL.into_iter().all(is_listed) {
            return Some("the runs listed by a time differ from the log");
        }
        for (table, ..) in self.tables.sizes() {
            let rows = self.tables.rows_after(table, Bound::Unbounded);
            if !rows.eq(stored.tables.rows_after(table, Bound::Unbounded)) {
                return Some("the rows of a table differ from the log");
            }
        }
        None
    }
}

/// Whether files have the bytes of an entry.
fn is_stored<V: Record>(cold: &Cold, number: u32, entry: &V) -> bool {
    let mut bytes = vec![];
    entry.encode(number, &mut bytes);
    cold.get(V::FAMILY, &number_key(number)) == Some(&bytes)
}
