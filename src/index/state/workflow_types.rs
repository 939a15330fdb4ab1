//! Workflow types, each name once in a namespace, with the open runs of each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::impossible::{Impossible, Must};
use crate::bytes::wide;
use crate::hash::Map;
use crate::id::{Position, RunNumber, TypeNumber};
use crate::index::pack::{Pack, Unpack};

/// Up to how many closed runs of a type are left in its list, be it as short as it may.
const CLOSED_MIN: usize = 32;

/// One workflow type of a namespace.
#[derive(Debug)]
pub(crate) struct WorkflowType {
    pub(crate) name: Arc<str>,
    /// Its first run.
    first: RunNumber,
    /// Its runs in order: those that are open, and those in `closed`.
    runs: Vec<RunNumber>,
    /// Those of its runs that have closed, with the commits that closed them: some reader may see them open, or they
    /// were not dropped yet.
    closed: Vec<(RunNumber, Position)>,
    /// With so many they are dropped that no reader sees open.
    closed_max: usize,
}

/// All workflow types.
#[derive(Default, Debug)]
pub(crate) struct WorkflowTypes {
    list: Vec<WorkflowType>,
    /// By namespace.
    by_name: Vec<Map<Arc<str>, TypeNumber>>,
    /// Those of which too many runs have closed.
    crowded: Vec<TypeNumber>,
}

impl WorkflowTypes {
    pub(crate) fn get(&self, number: TypeNumber) -> Option<&WorkflowType> {
        self.list.get(number.as_index())
    }

    /// The first run of a type.
    pub(crate) fn first(&self, number: TypeNumber) -> Option<RunNumber> {
        self.get(number).map(|of| of.first)
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
        run: RunNumber,
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
        let (runs, closed, closed_max) = (vec![], vec![], CLOSED_MIN);
        self.list.push(WorkflowType { name, first: run, runs, closed, closed_max });
        Ok(number)
    }

    /// Appends all types and their open runs.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        let mut namespaces = vec![0; self.list.len()];
        for (namespace, types) in self.by_name.iter().enumerate() {
            for number in types.values() {
                if let Some(of) = namespaces.get_mut(number.as_index()) {
                    *of = namespace;
                }
            }
        }
        to.number(wide(self.list.len()));
        for (of, namespace) in self.list.iter().zip(namespaces) {
            to.number(wide(namespace));
            to.text(&of.name);
            to.number(of.first.as_u32().into());
            let open = of.open();
            to.number(wide(open.len()));
            let mut before = 0;
            for run in open {
                to.near(run.as_u32(), before);
                before = run.as_u32();
            }
        }
    }

    /// The types that [`WorkflowTypes::encode`] has appended.
    pub(super) fn decode(from: &mut Unpack<'_>) -> Option<Self> {
        let mut types = WorkflowTypes::default();
        for _ in 0..from.count()? {
            let namespace = usize::try_from(from.number()?).ok()?;
            // No namespace has a number that the list of all, which was read before, does not have.
            let (name, first) = (from.text()?, RunNumber::from_u32(from.narrow()?));
            let number = types.number(namespace, name, first).ok()?;
            let of = types.list.get_mut(number.as_index())?;
            let mut before = 0;
            for _ in 0..from.count()? {
                before = from.near(before)?;
                of.runs.push(RunNumber::from_u32(before));
            }
        }
        Some(types)
    }

    /// A run begins, which is the last one so far, and stays open.
    pub(crate) fn open(&mut self, number: TypeNumber, run: RunNumber) {
        if let Some(of) = self.list.get_mut(number.as_index()) {
            of.runs.push(run);
        }
    }

    /// A commit closes a run that was open.
    pub(crate) fn close(&mut self, number: TypeNumber, run: RunNumber, commit: Position) {
        if let Some(of) = self.list.get_mut(number.as_index()) {
            of.closed.push((run, commit));
            if of.closed.len() == of.closed_max {
                self.crowded.push(number);
            }
        }
    }

    /// Drops the runs that every reader sees closed, of types of which too many have. `oldest` is the oldest position
    /// that a reader holds.
    pub(crate) fn forget(&mut self, oldest: Position) {
        for number in self.crowded.drain(..) {
            if let Some(of) = self.list.get_mut(number.as_index()) {
                of.forget(oldest);
            }
        }
    }

    /// Up to `count` runs of these types from `from` on, in the order of their numbers: all that some reader may
    /// see open, and a few more.
    pub(crate) fn page(
        &self,
        types: &[TypeNumber],
        from: RunNumber,
        count: usize,
    ) -> Vec<RunNumber> {
        let types = types.iter().filter_map(|number| self.get(*number));
        let mut rest: Vec<_> = types.map(|of| of.from(from).iter()).collect();
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

    /// The runs that are open, those of each type in order.
    pub(crate) fn open_runs(&self) -> impl Iterator<Item = RunNumber> {
        self.list.iter().flat_map(WorkflowType::open)
    }

    /// Takes a run off the list, for tests of those who must notice.
    #[cfg(test)]
    pub(crate) fn lose(&mut self, lost: RunNumber) {
        self.list.iter_mut().for_each(|of| of.runs.retain(|run| *run != lost));
    }
}

impl WorkflowType {
    /// Its open runs, in order.
    fn open(&self) -> Vec<RunNumber> {
        let mut closed: Vec<_> = self.closed.iter().map(|(run, _)| *run).collect();
        closed.sort_unstable();
        let is_open = |run: &RunNumber| closed.binary_search(run).is_err();
        self.runs.iter().copied().filter(is_open).collect()
    }

    /// Drops its runs that have closed before `oldest`.
    fn forget(&mut self, oldest: Position) {
        let is_gone = |(_, commit): &mut (RunNumber, Position)| *commit < oldest;
        let mut dropped: Vec<_> = self.closed.extract_if(.., is_gone).map(|(run, _)| run).collect();
        dropped.sort_unstable();
        self.runs.retain(|run| dropped.binary_search(run).is_err());
        self.closed_max = CLOSED_MIN.max(self.runs.len() / 2).max(2 * self.closed.len());
    }

    fn from(&self, from: RunNumber) -> &[RunNumber] {
        let place = self.runs.partition_point(|run| *run < from);
        self.runs.get(place..).unwrap_or_default()
    }
}
