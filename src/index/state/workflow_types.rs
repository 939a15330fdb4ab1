//! Workflow types, each name once in a namespace, with the open runs of each.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::impossible::{Impossible, Must};
use crate::hash::Map;
use crate::id::{Position, RunNumber, TypeNumber};

/// One workflow type of a namespace.
#[derive(Debug)]
pub(crate) struct WorkflowType {
    pub(crate) name: Arc<str>,
    /// The runs that are open, and those that have closed and that some reader may see open.
    open: BTreeSet<RunNumber>,
}

/// All workflow types.
#[derive(Default, Debug)]
pub(crate) struct WorkflowTypes {
    list: Vec<WorkflowType>,
    /// By namespace.
    by_name: Vec<Map<Arc<str>, TypeNumber>>,
    /// The runs among the open ones that have closed, by the commit that closed them.
    closed: VecDeque<(Position, TypeNumber, RunNumber)>,
}

impl WorkflowTypes {
    pub(crate) fn get(&self, number: TypeNumber) -> Option<&WorkflowType> {
        self.list.get(number.as_index())
    }

    /// The types with this name, in one namespace or in all; all types without a name.
    pub(crate) fn find(&self, namespace: Option<usize>, name: Option<&str>) -> Vec<TypeNumber> {
        let namespaces = match namespace {
            Some(namespace) => self.by_name.get(namespace..=namespace).unwrap_or_default(),
            None => &self.by_name,
        };
        let found = namespaces.iter().flat_map(|types| match name {
            Some(name) => types.get(name).copied().into_iter().collect(),
            None => types.values().copied().collect::<Vec<_>>(),
        });
        found.collect()
    }

    /// The number of a type, which it gets here if it has none.
    pub(crate) fn number(
        &mut self,
        namespace: usize,
        name: &str,
    ) -> Result<TypeNumber, Impossible> {
        if namespace >= self.by_name.len() {
            self.by_name.resize_with(namespace + 1, Map::default);
        }
        let types =
            self.by_name.get_mut(namespace).must("a type is of a namespace without place")?;
        if let Some(number) = types.get(name) {
            return Ok(*number);
        }
        let number =
            TypeNumber::from_index(self.list.len()).must("there are more types than runs")?;
        let name: Arc<str> = name.into();
        types.insert(name.clone(), number);
        self.list.push(WorkflowType { name, open: BTreeSet::new() });
        Ok(number)
    }

    /// A run begins and stays open.
    pub(crate) fn open(&mut self, number: TypeNumber, run: RunNumber) {
        if let Some(of) = self.list.get_mut(number.as_index()) {
            of.open.insert(run);
        }
    }

    /// A run that was open closes.
    pub(crate) fn close(&mut self, number: TypeNumber, run: RunNumber, commit: Position) {
        self.closed.push_back((commit, number, run));
    }

    /// Drops the runs that every reader from `oldest` on sees closed.
    #[inline]
    pub(crate) fn forget(&mut self, oldest: Position) {
        while self.closed.front().is_some_and(|(commit, ..)| *commit < oldest) {
            let Some((_, number, run)) = self.closed.pop_front() else { return };
            if let Some(of) = self.list.get_mut(number.as_index()) {
                of.open.remove(&run);
            }
        }
    }

    /// Up to `count` runs of these types from `from` on, in the order of their numbers: all that some reader may
    /// see open.
    pub(crate) fn page(
        &self,
        types: &[TypeNumber],
        from: RunNumber,
        count: usize,
    ) -> Vec<RunNumber> {
        let open = types.iter().filter_map(|number| self.get(*number));
        let mut rest: Vec<_> = open.map(|of| of.open.range(from..)).collect();
        let firsts = rest.iter_mut().enumerate();
        let firsts = firsts.filter_map(|(at, rest)| Some(Reverse((*rest.next()?, at))));
        let mut next: BinaryHeap<_> = firsts.collect();
        let mut page = vec![];
        while page.len() < count
            && let Some(Reverse((run, at))) = next.pop()
        {
            page.push(run);
            let following = rest.get_mut(at).and_then(Iterator::next);
            next.extend(following.map(|run| Reverse((*run, at))));
        }
        page
    }

    /// The runs that are open as of the last commit, in order.
    pub(crate) fn latest(&self) -> BTreeSet<RunNumber> {
        let mut open: BTreeSet<_> = self.list.iter().flat_map(|of| &of.open).copied().collect();
        for (.., run) in &self.closed {
            open.remove(run);
        }
        open
    }
}
