//! Workflow types, each name once in a namespace, with the open runs of each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::impossible::{Impossible, Must};
use crate::bytes::wide;
use crate::hash::Map;
use crate::id::{RunNumber, TypeNumber};
use crate::index::pack::{Pack, Unpack};

/// Up to how many closed runs of a type are left in its list, be it as short as it may.
const CLOSED_MIN: usize = 32;

/// One workflow type of a namespace.
#[derive(Debug)]
pub(crate) struct WorkflowType {
    pub(crate) name: Arc<str>,
    /// Its first run.
    first: RunNumber,
    /// Its runs in order: those that are open, those that some reader may see open, and some that have closed since
    /// the last time that these were dropped.
    runs: Vec<RunNumber>,
    /// How many of them have closed, and how many may.
    closed: usize,
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
        let (runs, closed, closed_max) = (vec![], 0, CLOSED_MIN);
        self.list.push(WorkflowType { name, first: run, runs, closed, closed_max });
        Ok(number)
    }

    /// Appends all types and their open runs.
    pub(super) fn encode(&self, is_open: impl Fn(RunNumber) -> bool, to: &mut Vec<u8>) {
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
            let open: Vec<_> = of.runs.iter().filter(|run| is_open(**run)).collect();
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

    /// A run that was open closes.
    pub(crate) fn close(&mut self, number: TypeNumber) {
        if let Some(of) = self.list.get_mut(number.as_index()) {
            of.closed += 1;
            if of.closed == of.closed_max {
                self.crowded.push(number);
            }
        }
    }

    /// A type of which too many runs have closed: [`WorkflowTypes::drop_closed`] is to be called.
    pub(crate) fn crowded(&mut self) -> Option<TypeNumber> {
        self.crowded.pop()
    }

    /// Drops the runs of a type that every reader sees closed. `sees` says for a run whether it is open, and
    /// whether some reader may see it open.
    pub(crate) fn drop_closed(
        &mut self,
        number: TypeNumber,
        mut sees: impl FnMut(RunNumber) -> (bool, bool),
    ) {
        let Some(of) = self.list.get_mut(number.as_index()) else { return };
        let mut closed = 0;
        of.runs.retain(|run| {
            let (open, seen_open) = sees(*run);
            closed += usize::from(!open && seen_open);
            open || seen_open
        });
        of.closed = closed;
        of.closed_max = CLOSED_MIN.max(of.runs.len() / 2).max(2 * closed);
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

    /// All runs that are listed, those of each type in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = RunNumber> {
        self.list.iter().flat_map(|of| &of.runs).copied()
    }
}

impl WorkflowType {
    fn from(&self, from: RunNumber) -> &[RunNumber] {
        let place = self.runs.partition_point(|run| *run < from);
        self.runs.get(place..).unwrap_or_default()
    }
}
