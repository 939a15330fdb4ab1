//! Comparing two indexes of the same commits, entry by entry, wherever these lie.

use super::index::Index;
use super::layers::{Layers, Record};

impl Index {
    /// What differs from another index of the same commits, to the byte as files have it.
    pub(crate) fn differs_from(&self, other: &Index) -> Option<&'static str> {
        // First what is found by id: a run has its number from there.
        if !self.finds_all_of(other) {
            return Some("a run or a workflow is not found by its id");
        }
        if !self.runs.layers().is_same(other.runs.layers()) {
            return Some("a run differs from the log");
        }
        if !self.namespaces.layers().is_same(other.namespaces.layers()) {
            return Some("a workflow differs from the log");
        }
        if !self.chains.layers().is_same(other.chains.layers()) {
            return Some("a chain differs from the log");
        }
        if !self.tables.is_same(&other.tables) {
            return Some("a row differs from the log");
        }
        if self.encode() != other.encode() {
            return Some("namespaces, types, duties or sums differ from the log");
        }
        None
    }

    fn finds_all_of(&self, other: &Index) -> bool {
        let runs =
            || other.runs.iter().all(|(number, run)| self.runs.number(&run.id) == Some(number));
        let workflows = other.namespaces.layers().iter();
        runs()
            && workflows.into_iter().all(|(number, workflow)| {
                let found = self.namespaces.number_in(workflow.namespace, &workflow.id);
                found.is_some_and(|found| found.as_index() == number)
            })
    }
}

impl<V: Record> Layers<V> {
    fn is_same(&self, other: &Self) -> bool {
        let same = |number| self.bytes(number) == other.bytes(number);
        self.len() == other.len() && (0..self.len()).all(same)
    }
}
