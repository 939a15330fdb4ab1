//! Chains: the runs of one execution, from its first to its last.

use crate::hash::Map;

use crate::id::RunId;

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The first run, which names it; it need not be in the store.
    pub(crate) first: RunId,
    /// The runs in the store, in the order in which they came.
    members: Members,
    /// The parent's run, and the place of the relation among its children.
    pub(crate) parent: Option<(u32, u32)>,
    /// The run at the root of the tree, for a chain with a parent.
    pub(crate) root: Option<u32>,
    /// Its runs happened elsewhere; they come in any order.
    pub(crate) imported: bool,
}

/// Most chains have one run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Members {
    One(u32),
    Many(Vec<u32>),
}

impl Chain {
    /// The runs, in the order in which they came into the store.
    pub(crate) fn runs(&self) -> &[u32] {
        match &self.members {
            Members::One(run) => std::slice::from_ref(run),
            Members::Many(runs) => runs,
        }
    }

    /// The run that came last.
    pub(crate) fn newest(&self) -> u32 {
        self.runs().last().copied().unwrap_or_default()
    }
}

/// All chains.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Chains {
    list: Vec<Chain>,
    /// Imported chains by their first run.
    imported: Map<RunId, u32>,
    /// Imported runs that do not name the first of their chain, by the run that they continue.
    followers: Map<RunId, Vec<u32>>,
}

impl Chains {
    pub(crate) fn get(&self, number: u32) -> Option<&Chain> {
        self.list.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Chain> {
        self.list.get_mut(usize::try_from(number).ok()?)
    }

    /// The chain of imported runs that `first` began.
    pub(crate) fn imported(&self, first: &RunId) -> Option<u32> {
        self.imported.get(first).copied()
    }

    /// The imported runs that continue `run` and do not name the first of their chain.
    pub(crate) fn followers(&self, run: &RunId) -> &[u32] {
        self.followers.get(run).map(Vec::as_slice).unwrap_or_default()
    }

    /// Notes that the imported `run` continues `before`, and does not name the first of its chain.
    pub(crate) fn follow(&mut self, before: RunId, run: u32) {
        self.followers.entry(before).or_default().push(run);
    }

    /// Begins a chain with a run of its own.
    pub(crate) fn begin(
        &mut self,
        first: RunId,
        run: u32,
        parent: Option<(u32, u32)>,
        root: Option<u32>,
    ) -> u32 {
        let members = Members::One(run);
        self.push(Chain { first, members, parent, root, imported: false })
    }

    /// Adds a run that happened elsewhere to the chain that `first` began.
    pub(crate) fn record(&mut self, first: RunId, run: u32) -> u32 {
        if let Some(number) = self.imported.get(&first).copied() {
            self.add(number, run);
            return number;
        }
        let members = Members::One(run);
        let chain = Chain { first, members, parent: None, root: None, imported: true };
        let number = self.push(chain);
        self.imported.insert(first, number);
        number
    }

    /// Adds a run to a chain.
    pub(crate) fn add(&mut self, number: u32, run: u32) {
        let Some(chain) = self.get_mut(number) else { return };
        match &mut chain.members {
            Members::One(first) => chain.members = Members::Many(vec![*first, run]),
            Members::Many(runs) => runs.push(run),
        }
    }

    fn push(&mut self, chain: Chain) -> u32 {
        // There are no more chains than runs, and those are counted in a u32.
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(chain);
        number
    }
}
