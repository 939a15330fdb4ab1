//! Proving an index from its own parts: what is kept beside the runs is computed from them again.

use std::collections::BTreeSet;

use super::Index;
use crate::bytes::{in_memory, wide};
use crate::hash::Map;
use crate::id::{ChainNumber, ChildSlot, RunId, RunNumber};
use crate::index::state::{
    Chain, ChildRef, Duties, DutyKey, ERASED_SIZES_TABLE, ParentState, Place, Run, RunList, Size,
};
use crate::retention::Keep;

/// What does not add up, and the run where it shows.
pub(crate) struct Contradiction {
    pub(crate) run: RunId,
    pub(crate) what: &'static str,
    pub(crate) expected: u64,
    pub(crate) found: u64,
}

impl Index {
    /// Whether relations, chains, duties and sums say the same as the runs: each child has one
    /// parent, no run is below itself, what waits is counted right, and the duties are those that
    /// the histories leave open.
    pub(crate) fn prove(&self) -> Result<(), Contradiction> {
        let mut duties = Duties::default();
        let mut sizes = vec![Size::default(); self.namespaces.iter().count()];
        for (number, run) in self.runs.iter() {
            self.prove_relations(number, &run, &mut duties)?;
            if let Some(size) = sizes.get_mut(in_memory(run.namespace)) {
                *size += run.state.latest().kept_size();
            }
        }
        self.prove_ancestors()?;
        self.prove_open()?;
        RunList::ALL.into_iter().try_for_each(|list| self.prove_list(list))?;
        self.prove_deletions()?;
        for (namespace, size) in self.namespaces.iter().zip(sizes) {
            let found = *namespace.size.latest();
            if found != size {
                let what = "a namespace does not add up to its size";
                let (expected, found) = (size.bytes, found.bytes);
                return Err(Contradiction { run: RunId::NIL, what, expected, found });
            }
        }
        if duties != self.duties {
            let what = "the open duties are not those that the histories leave open";
            let (expected, found) = (wide(duties.len()), wide(self.duties.len()));
            return Err(Contradiction { run: RunId::NIL, what, expected, found });
        }
        Ok(())
    }

    /// Proves what a run says of its children, and collects the duties that it has.
    fn prove_relations(
        &self,
        number: RunNumber,
        run: &Run,
        duties: &mut Duties,
    ) -> Result<(), Contradiction> {
        let wrong = |what, expected: usize, found: u32| {
            let (expected, found) = (wide(expected), found.into());
            Err(Contradiction { run: run.id, what, expected, found })
        };
        let Some(links) = self.runs.links(number) else { return Ok(()) };
        let open = links.children.iter().filter(|relation| relation.is_open()).count();
        if wide(open) != u64::from(links.open_children) {
            return wrong("a run does not add up to its open children", open, links.open_children);
        }
        let requests = links.open_signals + links.open_cancels;
        if wide(links.outgoing.len()) != u64::from(requests) {
            let what = "a run does not add up to its requests";
            return wrong(what, links.outgoing.len(), requests);
        }
        let parent = self.parent(number);
        for (place, relation) in links.children.iter().enumerate() {
            let child = relation.child.and_then(|child| self.runs.get(child));
            let chain = child.and_then(|child| self.chains.get(child.chain));
            let slot = ChildSlot::from_index(place);
            let held = slot.map(|slot| ChildRef { parent: number, slot });
            if chain.as_ref().is_some_and(|chain| relation.is_open() && chain.parent != held) {
                return wrong("a child has another parent than this", place, relation.initiated);
            }
            let ended = chain.is_some_and(|chain| self.has_ended(&chain));
            if relation.is_open() && ended != relation.child_ended {
                let what = "a relation does not know whether the child's chain has ended";
                return wrong(what, usize::from(ended), relation.child_ended.into());
            }
            if relation.due(parent) != relation.duty.map(|(kind, _)| kind) {
                return wrong(
                    "a relation has another duty than follows",
                    place,
                    relation.initiated,
                );
            }
            let event = relation.initiated;
            duties.extend(relation.duty.map(|(kind, since)| DutyKey {
                since,
                kind,
                run: number,
                event,
            }));
        }
        for (initiated, sent) in &links.outgoing {
            // A reset may have taken it from a run whose own end is lost.
            if sent.since.is_some() != (parent == ParentState::Open && sent.moved.is_none()) {
                return wrong("a request has another duty than follows", 0, *initiated);
            }
            duties.extend(sent.key(number, *initiated));
        }
        Ok(())
    }

    /// Proves that the runs that are listed as open are those that are.
    fn prove_open(&self) -> Result<(), Contradiction> {
        let open = self.runs.iter().filter(|(_, run)| run.state.latest().status.is_open());
        let open: BTreeSet<_> = open.map(|(number, _)| number).collect();
        let listed = self.open_runs();
        let Some(wrong) = open.symmetric_difference(&listed).next() else { return Ok(()) };
        let run = self.runs.get(*wrong).map_or(RunId::NIL, |run| run.id);
        let what = "the runs listed as open are not those that are";
        Err(Contradiction { run, what, expected: wide(open.len()), found: wide(listed.len()) })
    }

    /// Proves that a list by time has the runs, each once and where it belongs.
    fn prove_list(&self, list: RunList) -> Result<(), Contradiction> {
        let places = self.runs.iter().filter_map(|(number, run)| list.place(number, &run));
        let places: BTreeSet<_> = places.collect();
        if places.iter().copied().eq(self.in_list(list, Place::ALL, self.end)) {
            return Ok(());
        }
        let listed: BTreeSet<_> = self.in_list(list, Place::ALL, self.end).collect();
        let wrong = places.symmetric_difference(&listed).next();
        let run =
            wrong.and_then(|place| self.runs.get(place.run())).map_or(RunId::NIL, |run| run.id);
        let what = "the runs listed by a time are not those that have it";
        Err(Contradiction { run, what, expected: wide(places.len()), found: wide(listed.len()) })
    }

    /// Proves that chains and totals count the runs that are deleted, and that no workflow id stands for one.
    fn prove_deletions(&self) -> Result<(), Contradiction> {
        let wrong = |run, what, expected, found| {
            if expected == found {
                return Ok(());
            }
            Err(Contradiction { run, what, expected, found })
        };
        let mut gone: Map<ChainNumber, u32> = Map::default();
        let mut histories = 0;
        for (number, run) in self.runs.iter() {
            let Some(keep) = run.state.latest().deleted else { continue };
            histories += 1;
            if keep == Keep::Nothing {
                *gone.entry(run.chain).or_default() += 1;
                let current = self.workflow_of(&run).map(|found| *found.1.current.latest());
                let what = "a workflow id stands for a run that was deleted";
                wrong(run.id, what, 0, u64::from(current == Some(number)))?;
            }
        }
        for (number, chain) in self.chains.iter() {
            let what = "a chain does not add up to the runs of it that were deleted";
            let gone = gone.get(&number).copied().unwrap_or_default();
            let first = self.first_run(number, &chain).unwrap_or_default();
            wrong(first, what, gone.into(), chain.deleted.into())?;
            let what = "a chain and the rows of what was erased say otherwise";
            let row = self.tables.latest(ERASED_SIZES_TABLE, first.as_bytes()).0;
            wrong(first, what, row.is_some().into(), chain.erased.is_some().into())?;
        }
        let runs: u64 = gone.values().copied().map(u64::from).sum();
        let what = "the totals do not add up to the runs that were deleted";
        wrong(RunId::NIL, what, runs, self.totals.runs_deleted)?;
        let what = "the totals do not add up to the histories that were deleted";
        wrong(RunId::NIL, what, histories, self.totals.histories_deleted)
    }

    /// The runs that are listed as open, as of the last commit.
    pub(crate) fn open_runs(&self) -> BTreeSet<RunNumber> {
        self.namespaces.types.open_runs().collect()
    }

    fn has_ended(&self, chain: &Chain) -> bool {
        let newest = self.runs.get(chain.newest()).map(|run| *run.state.latest());
        newest.is_some_and(|state| !state.status.is_open() && !state.continued)
    }

    /// Proves that the way up from every chain ends.
    fn prove_ancestors(&self) -> Result<(), Contradiction> {
        let mut proven: BTreeSet<ChainNumber> = BTreeSet::new();
        let mut way: BTreeSet<ChainNumber> = BTreeSet::new();
        for (start, _) in self.chains.iter() {
            let mut next = Some(start);
            while let Some(at) = next.filter(|at| !proven.contains(at)) {
                let chain = self.chains.get(at);
                if !way.insert(at) {
                    let run = chain.and_then(|chain| self.first_run(at, &chain));
                    let run = run.unwrap_or_default();
                    let what = "a run is below itself";
                    return Err(Contradiction { run, what, expected: 0, found: wide(way.len()) });
                }
                let parent = chain.and_then(|chain| chain.parent);
                let above = parent.and_then(|held| self.runs.get(held.parent));
                next = above.map(|above| above.chain);
            }
            // Not `append`, which goes through all that are proven.
            proven.extend(std::mem::take(&mut way));
        }
        Ok(())
    }
}

/// A name, and what it does to an index.
#[cfg(test)]
type Damage = (&'static str, fn(&mut Index));

/// Ways to break an index in which run 0 has the open child 1, for tests of those who must notice.
#[cfg(test)]
pub(crate) const DAMAGES: [Damage; 13] = [
    ("duties forgotten", |index| index.duties = Duties::default()),
    ("a duty too many", |index| {
        let (since, kind) = (index.end, crate::index::state::DutyKind::ReportClose);
        index.duties.add(DutyKey { since, kind, run: RunNumber::FIRST, event: 2 });
    }),
    ("an open child not counted", |index| links(index).open_children -= 1),
    ("a child taken for ended", |index| links(index).children[0].child_ended = true),
    ("a child without parent", |index| chain(index, 1).parent = None),
    ("a run below itself", |index| {
        chain(index, 0).parent =
            Some(ChildRef { parent: RunNumber::from_u32(1), slot: ChildSlot::FIRST })
    }),
    ("an open run not listed", |index| index.namespaces.types.lose(RunNumber::FIRST)),
    ("a run not listed by its time", |index| {
        let commit = crate::id::Position::from_u64(index.end.as_u64() - 1);
        let [started, ..] = index.places(RunNumber::FIRST);
        index.listing.remove(RunList::Started, started, commit);
    }),
    ("a deleted run too many in a chain", |index| chain(index, 1).deleted += 1),
    ("a chain of which something was erased", |index| {
        chain(index, 1).erased = Some(Box::default());
    }),
    ("a deleted run too many", |index| index.totals.runs_deleted += 1),
    ("a deleted history too many", |index| index.totals.histories_deleted += 1),
    ("a namespace too large", |index| {
        let size = Size { runs: 1, ..Size::default() };
        let commit = crate::id::Position::from_u64(index.end.as_u64() - 1);
        index.namespaces.resize(0, commit, |now| Some(now.plus(size))).unwrap();
    }),
];

#[cfg(test)]
fn links(index: &mut Index) -> &mut crate::index::state::RunLinks {
    index.runs.get_mut(RunNumber::FIRST).unwrap().links.as_deref_mut().unwrap()
}

#[cfg(test)]
fn chain(index: &mut Index, number: usize) -> &mut Chain {
    index.chains.get_mut(ChainNumber::from_index(number).unwrap()).unwrap()
}
