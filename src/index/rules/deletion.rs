//! Which runs can be deleted: closed ones, of which nothing is due and that their chain can do without.

use crate::error::Undeletable;
use crate::hash::Map;
use crate::id::{ChainNumber, RunNumber};
use crate::index::state::{Index, ParentState, RunLinks};
use crate::retention::Keep;

/// What decides whether a run can be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deletability {
    /// It was deleted before, and this was kept.
    pub(crate) deleted: Option<Keep>,
    open: bool,
    chain: ChainNumber,
    /// How many runs of its chain would be left without their last one.
    left: u32,
    unsettled: bool,
    untold: bool,
}

impl Deletability {
    /// Why it cannot be, if it cannot.
    pub(crate) fn refusal(&self, keep: Keep) -> Option<Undeletable> {
        match self {
            _ if self.open => Some(Undeletable::Open),
            _ if self.left > 0 && keep == Keep::Nothing => Some(Undeletable::LastOfChain),
            _ if self.unsettled => Some(Undeletable::Unsettled),
            _ if self.untold => Some(Undeletable::Untold),
            _ => None,
        }
    }

    /// The same once nothing is kept of so many other runs of the chain.
    pub(crate) fn without(self, gone: u32) -> Self {
        Deletability { left: self.left.saturating_sub(gone), ..self }
    }

    /// Whether as much was deleted before.
    pub(crate) fn is_done(&self, keep: Keep) -> bool {
        self.deleted >= Some(keep)
    }
}

/// The deletions of one commit.
#[derive(Default)]
pub(crate) struct Deletions {
    runs: Map<RunNumber, Keep>,
    /// How many runs of a chain nothing is kept of.
    of_chains: Map<ChainNumber, u32>,
}

impl Deletions {
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.of_chains.clear();
    }

    /// What is kept of a run that is deleted here.
    pub(crate) fn of(&self, run: RunNumber) -> Option<Keep> {
        self.runs.get(&run).copied()
    }

    /// What is so after these of what was `found` of a run before the commit.
    pub(crate) fn after(&self, run: RunNumber, found: Deletability) -> Deletability {
        let gone = self.of_chains.get(&found.chain).copied().unwrap_or_default();
        let deleted = found.deleted.max(self.of(run));
        Deletability { deleted, ..found.without(gone) }
    }

    /// Adds one; `found` is what was so before it.
    pub(crate) fn add(&mut self, run: RunNumber, found: &Deletability, keep: Keep) {
        self.runs.insert(run, keep);
        if keep == Keep::Nothing && found.deleted != Some(Keep::Nothing) {
            *self.of_chains.entry(found.chain).or_default() += 1;
        }
    }
}

impl Index {
    /// The last run of a child that a reset of `base` would take on, if the child has ended and nothing was kept of
    /// that run: the new run would wait for an outcome that nobody knows.
    pub(crate) fn child_gone_at_reset(&self, base: RunNumber, shared: u32) -> Option<RunNumber> {
        let links = self.runs.links(base)?;
        let initiated = links.children.iter().map(|relation| relation.initiated);
        let mut ended =
            initiated.take_while(|initiated| *initiated <= shared).filter_map(|initiated| {
                let relation = self.relation_until(base, initiated, shared)?;
                let child =
                    relation.child.filter(|_| relation.is_open() && relation.child_ended)?;
                let chain = self.runs.look(child, |run| run.chain)?;
                Some(self.chains.get(chain)?.newest())
            });
        ended.find(|last| {
            self.runs.state(*last).is_some_and(|state| state.deleted == Some(Keep::Nothing))
        })
    }

    /// Whether a run can be deleted, as of the last commit.
    pub(crate) fn deletability(&self, number: RunNumber) -> Option<Deletability> {
        let run = self.runs.get(number)?;
        let chain = self.chains.get(run.chain)?;
        let state = run.state.latest();
        let is_last = chain.newest() == number;
        let (runs, gone) = (u32::try_from(chain.runs().len()).ok()?, chain.deleted);
        let held = chain.parent.filter(|_| is_last && !state.continued);
        let told = held.is_none_or(|held| {
            let open = self.parent(held.parent) == ParentState::Open;
            !(open && self.runs.relation(held).is_some_and(|relation| relation.is_open()))
        });
        let links = self.runs.links(number);
        let due = |links: &RunLinks| links.children.iter().any(|relation| relation.duty.is_some());
        Some(Deletability {
            deleted: state.deleted,
            chain: run.chain,
            open: state.status.is_open(),
            left: if is_last { runs.saturating_sub(gone + 1) } else { 0 },
            unsettled: links.is_some_and(|links| due(&links)),
            untold: !told,
        })
    }
}
