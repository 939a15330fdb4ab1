//! Which deleted runs can be erased: those that nothing in the index refers to any more but what is erased with them, and
//! without which a replay of the log comes to the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::ParentClosePolicy;
use crate::hash::Map;
use crate::id::{ChainNumber, Position, RunId, RunNumber, WorkflowNumber};
use crate::index::payload::Payload;
use crate::index::state::{Chain, ChildRef, ErasedSize, Erasure, Index, Run, Size};
use crate::log::format::Part;
use crate::retention::Keep;

/// Looks at runs that are to be erased together.
pub(crate) struct Erasing<'i> {
    index: &'i Index,
    runs: &'i BTreeSet<RunNumber>,
    workflows: Map<WorkflowNumber, Rest>,
    chains: Map<ChainNumber, OfChain>,
}

/// What is so of a chain, however many of its runs are asked about: each answer looks at all of them.
#[derive(Clone, Copy)]
enum OfChain {
    /// All its runs are among them.
    Whole,
    /// Others are left, and it can do without those in the middle.
    Plain,
    /// Others are left, and it needs all.
    Bound,
}

/// What is left of a workflow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// Some runs; the last one that took the place of the one before as the current run, for certain.
    Runs {
        last: Option<RunNumber>,
    },
}

impl Index {
    /// Whether a commit erases a run that a reader at `oldest` sees undeleted.
    pub(crate) fn erases_seen(&self, payload: Payload<'_>, oldest: Position) -> bool {
        if payload.batches > 0 {
            return false;
        }
        let rows = payload.parts().map_while(Result::ok);
        // A commit that erases says nothing else.
        let mut erasures = rows.map_while(|part| match part.0 {
            Part::Put(row) => Erasure::of(&row).ok().flatten(),
            Part::Batch(_) => None,
        });
        let sees = |number| self.runs.look(number, |run| run.state.changed() >= oldest);
        erasures.any(|erasure| erasure.runs().any(|number| sees(number) == Some(true)))
    }

    /// The chain that a run of this store is the first one of.
    pub(crate) fn chain_of_first(&self, first: &RunId) -> Option<ChainNumber> {
        let number = self.runs.number(first)?;
        let chain = self.runs.look(number, |run| run.chain)?;
        (chain.as_u32() == number.as_u32()).then_some(chain)
    }

    /// How much was erased of the chain that a run is the first one of, if it is known.
    pub(crate) fn erased_of(&self, first: &RunId) -> Option<Size> {
        let chain = self.chains.get(self.chain_of_first(first)?)?;
        chain.erased.as_deref().copied()
    }

    /// Whether a row may say, beside no erasure, how much of a chain was erased: of a child's chain, and no less than before.
    pub(crate) fn may_say(&self, erased: &ErasedSize) -> bool {
        let chain = self.chain_of_first(&erased.first).and_then(|chain| self.chains.get(chain));
        chain.is_some_and(|chain| {
            let before = chain.erased.as_deref().copied().unwrap_or_default();
            chain.parent.is_some() && chain.imported.is_none() && before.is_within(&erased.size)
        })
    }

    /// How much is erased with these runs of the chains of children that other runs are left of: what the size of a child
    /// counts, in the order of the chains.
    pub(crate) fn erased_sizes(&self, runs: &BTreeSet<RunNumber>) -> Vec<ErasedSize> {
        let mut sizes: BTreeMap<ChainNumber, Size> = BTreeMap::new();
        for number in runs {
            let found = self.runs.look(*number, |run| (run.chain, run.state.latest().whole_size()));
            if let Some((chain, size)) = found {
                *sizes.entry(chain).or_default() += size;
            }
        }
        let sum = |(number, size): (ChainNumber, Size)| {
            let chain = self.chains.get(number)?;
            let stays =
                chain.parent.is_some() && !chain.runs().iter().all(|run| runs.contains(run));
            let before = chain.erased.as_deref().copied().unwrap_or_default();
            let first = self.first_run(number, &chain).filter(|_| stays)?;
            Some(ErasedSize::new(first, before.plus(size)))
        };
        sizes.into_iter().filter_map(sum).collect()
    }

    /// Whether these runs can be erased, all of them in one commit.
    pub(crate) fn are_erasable(&self, runs: &BTreeSet<RunNumber>) -> bool {
        let mut erasing = Erasing::new(self, runs);
        runs.iter().all(|number| erasing.can(*number))
    }
}

impl<'i> Erasing<'i> {
    pub(crate) fn new(index: &'i Index, runs: &'i BTreeSet<RunNumber>) -> Self {
        Erasing { index, runs, workflows: Map::default(), chains: Map::default() }
    }

    /// Whether one of the runs can be erased with the others.
    pub(crate) fn can(&mut self, number: RunNumber) -> bool {
        let Some(run) = self.index.runs.get(number) else { return false };
        run.state.latest().deleted == Some(Keep::Nothing)
            && self.index.namespaces.types.first(run.workflow_type) != Some(number)
            && self.workflow_can_do_without(number, &run)
            && self.chain_can_do_without(number, &run)
            && self.children(number).iter().all(|child| self.runs.contains(child))
    }

    /// The runs that must be erased in the same commit as one that can be.
    pub(crate) fn linked(&mut self, number: RunNumber) -> Vec<RunNumber> {
        let mut linked = self.children(number);
        let Some(run) = self.index.runs.get(number) else { return linked };
        // Both have the number of their first run.
        if self.rest_of(run.workflow) == Rest::Nothing {
            linked.push(RunNumber::from_u32(run.workflow.as_u32()));
        }
        if matches!(self.of_chain(run.chain), OfChain::Whole) {
            linked.push(RunNumber::from_u32(run.chain.as_u32()));
        }
        linked
    }

    /// A workflow has the number of its first run; and each run that is not imported becomes the current one, whatever was
    /// before.
    fn workflow_can_do_without(&mut self, number: RunNumber, run: &Run) -> bool {
        match self.rest_of(run.workflow) {
            Rest::Nothing => true,
            Rest::Runs { last } => {
                run.workflow.as_u32() != number.as_u32() && last.is_some_and(|last| last > number)
            }
        }
    }

    /// A chain is erased as a whole, and then with its parent; or keeps its first and its last run, unless it has a reset or
    /// imported runs, or was asked to cancel and its parent asks that when it closes.
    fn chain_can_do_without(&mut self, number: RunNumber, run: &Run) -> bool {
        let of_chain = self.of_chain(run.chain);
        let Some(chain) = self.index.chains.get(run.chain) else { return false };
        match of_chain {
            OfChain::Whole => {
                let follows = chain.imported.is_some() && self.index.chains.has_followers();
                chain.parent.is_none_or(|held| self.runs.contains(&held.parent)) && !follows
            }
            OfChain::Plain => run.chain.as_u32() != number.as_u32() && chain.newest() != number,
            OfChain::Bound => false,
        }
    }

    fn of_chain(&mut self, number: ChainNumber) -> OfChain {
        if let Some(known) = self.chains.get(&number) {
            return *known;
        }
        let found = self.index.chains.get(number).map_or(OfChain::Bound, |chain| {
            if chain.runs().iter().all(|run| self.runs.contains(run)) {
                return OfChain::Whole;
            }
            let asks = self.asks_to_cancel(&chain);
            let is_plain = |run: &Run| {
                run.fork.is_none() && !(asks && run.state.latest().cancel_requested != 0)
            };
            let is_plain = |run: &RunNumber| self.index.runs.look(*run, is_plain) == Some(true);
            match chain.imported.is_none() && chain.runs().iter().all(is_plain) {
                true => OfChain::Plain,
                false => OfChain::Bound,
            }
        });
        self.chains.insert(number, found);
        found
    }

    /// Whether the parent of a chain asks its child to cancel when it closes. That it did, or need not, follows from the runs
    /// of the chain that were asked, and from which was the last when the parent closed.
    fn asks_to_cancel(&self, chain: &Chain) -> bool {
        let asks = |held: ChildRef| {
            let links = self.index.runs.links(held.parent)?;
            Some(links.child(held.slot)?.policy == ParentClosePolicy::RequestCancel)
        };
        chain.parent.and_then(asks) == Some(true)
    }

    fn rest_of(&mut self, number: WorkflowNumber) -> Rest {
        let (index, runs) = (self.index, self.runs);
        *self.workflows.entry(number).or_insert_with(|| {
            let newest = index.namespaces.workflow(number).map(|(_, workflow)| workflow.newest);
            let older = |number: &RunNumber| index.runs.look(*number, |run| run.older).flatten();
            let left = std::iter::successors(newest, older).filter(|run| !runs.contains(run));
            let mut left = left.peekable();
            match left.peek() {
                None => Rest::Nothing,
                Some(_) => Rest::Runs { last: left.find(|run| !index.is_imported(*run)) },
            }
        })
    }

    fn children(&self, number: RunNumber) -> Vec<RunNumber> {
        let links = self.index.runs.links(number);
        let children = links.iter().flat_map(|links| &links.children);
        children.filter_map(|relation| relation.child).collect()
    }
}
