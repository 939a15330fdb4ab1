//! Chains: the runs of one execution, from its first to its last.

use std::sync::Arc;

use crate::hash::Map;

use super::frozen::Retired;
use super::impossible::{Impossible, Must};
use super::layers::{Entry, Layer, Layers};
use super::links::ChildRef;
use super::runs::{Run, Size};
use crate::bytes::wide;
use crate::id::{ChainNumber, Position, RunId, RunNumber};
use crate::index::cold::Cold;
use crate::index::pack::{Pack, Unpack};

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The runs in the store, in the order in which they came.
    pub(super) members: Members,
    /// The relation to the parent.
    pub(crate) parent: Option<ChildRef>,
    /// The run at the root of the tree, for a chain with a parent.
    pub(crate) root: Option<RunNumber>,
    /// If its runs happened elsewhere, and so came in any order: the first one as they name it, which need not be in the
    /// store. The first run of any other chain is the one whose number the chain has, and is there as long as the chain.
    pub(crate) imported: Option<RunId>,
    /// How many of its runs were deleted and nothing kept.
    pub(crate) deleted: u32,
    /// How much its runs were that were erased, if it has a parent.
    pub(crate) erased: Option<Box<Size>>,
}

/// Most chains have one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Members {
    One(RunNumber),
    Many(Vec<RunNumber>),
}

impl Chain {
    /// The runs, in the order in which they came into the store.
    pub(crate) fn runs(&self) -> &[RunNumber] {
        match &self.members {
            Members::One(run) => std::slice::from_ref(run),
            Members::Many(runs) => runs,
        }
    }

    /// The run that came last.
    pub(crate) fn newest(&self) -> RunNumber {
        match &self.members {
            Members::One(run) => *run,
            Members::Many(runs) => {
                debug_assert!(!runs.is_empty(), "a chain without runs");
                runs.last().copied().unwrap_or(RunNumber::NONE)
            }
        }
    }
}

/// All chains.
#[derive(Default)]
pub(crate) struct Chains {
    layers: Layers<Chain>,
    /// Imported chains by their first run.
    imported: Map<RunId, ChainNumber>,
    /// Imported runs that do not name the first of their chain, by the run that they continue.
    followers: Map<RunId, Vec<RunNumber>>,
}

impl Chains {
    #[inline]
    pub(crate) fn get(&self, number: ChainNumber) -> Option<Entry<'_, Chain>> {
        self.layers.get(number.as_index())
    }

    /// The chain of a run that is in the index.
    pub(crate) fn of(&self, run: &Run) -> Option<Entry<'_, Chain>> {
        self.layers.get_known(run.chain.as_index())
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ChainNumber, Entry<'_, Chain>)> {
        self.layers.iter().filter_map(|(at, chain)| Some((ChainNumber::from_index(at)?, chain)))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: ChainNumber) -> Option<&mut Chain> {
        self.layers.get_mut(number.as_index())
    }

    /// About how much memory the hot layer takes.
    pub(super) fn hot_bytes(&self) -> usize {
        self.layers.hot_len() * size_of::<Chain>()
    }

    /// Freezes what has changed as of all commits before `upto`, and begins a new one.
    pub(super) fn freeze(&mut self, upto: Position) -> Arc<Layer<Chain>> {
        self.layers.freeze(upto)
    }

    /// Goes on with `cold`.
    pub(super) fn adopt(&mut self, cold: &Arc<Cold>) {
        self.layers.adopt(cold);
    }

    /// The frozen layers up to `upto`.
    pub(super) fn frozen_upto(&self, upto: Position) -> impl Iterator<Item = &Arc<Layer<Chain>>> {
        self.layers.frozen_upto(upto)
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds; see [`Layers::thin`].
    pub(super) fn thin(&mut self, upto: Position, open_max: u64, out: &mut Vec<Retired>) {
        self.layers.thin(upto, open_max, out);
    }

    /// About how much memory those take that are in no layer.
    pub(super) fn open_bytes(&self) -> u64 {
        self.layers.open_bytes()
    }

    /// Appends the imported ones by run.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        let mut imported: Vec<_> = self.imported.iter().collect();
        imported.sort_unstable();
        to.number(wide(imported.len()));
        for (run, chain) in imported {
            to.extend_from_slice(run.as_bytes());
            to.number(chain.as_u32().into());
        }
        let mut followers: Vec<_> = self.followers.iter().collect();
        followers.sort_unstable();
        to.number(wide(followers.len()));
        for (run, numbers) in followers {
            to.extend_from_slice(run.as_bytes());
            to.number(wide(numbers.len()));
            numbers.iter().for_each(|number| to.number(number.as_u32().into()));
        }
    }

    /// What [`Chains::encode`] has appended; the chains, of runs with numbers below `next`, are in `cold`.
    pub(super) fn decode(cold: &Arc<Cold>, next: usize, from: &mut Unpack<'_>) -> Option<Self> {
        let mut chains = Chains { layers: Layers::of_cold(cold, next), ..Chains::default() };
        for _ in 0..from.count()? {
            let run = from.run_id()?;
            chains.imported.insert(run, ChainNumber::from_u32(from.narrow()?));
        }
        for _ in 0..from.count()? {
            let run = from.run_id()?;
            let numbers = 0..from.count()?;
            let numbers = numbers.map(|_| from.narrow().map(RunNumber::from_u32));
            chains.followers.insert(run, numbers.collect::<Option<_>>()?);
        }
        Some(chains)
    }

    /// The chain of imported runs that `first` began.
    pub(crate) fn imported(&self, first: &RunId) -> Option<ChainNumber> {
        self.imported.get(first).copied()
    }

    /// The imported runs that continue `run` and do not name the first of their chain.
    pub(crate) fn followers(&self, run: &RunId) -> &[RunNumber] {
        self.followers.get(run).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether some imported run does not name the first of its chain.
    pub(crate) fn has_followers(&self) -> bool {
        !self.followers.is_empty()
    }

    /// Notes that the imported `run` continues `before`, and does not name the first of its chain.
    pub(crate) fn follow(&mut self, before: RunId, run: RunNumber) {
        self.followers.entry(before).or_default().push(run);
    }

    /// Begins a chain with a run of its own.
    pub(crate) fn begin(
        &mut self,
        run: RunNumber,
        parent: Option<ChildRef>,
        root: Option<RunNumber>,
    ) -> ChainNumber {
        let members = Members::One(run);
        self.put(run, Chain { members, parent, root, imported: None, deleted: 0, erased: None })
    }

    /// Adds a run that happened elsewhere to the chain that `first` began.
    pub(crate) fn record(
        &mut self,
        first: RunId,
        run: RunNumber,
    ) -> Result<ChainNumber, Impossible> {
        if let Some(number) = self.imported.get(&first).copied() {
            self.add(number, run)?;
            return Ok(number);
        }
        let members = Members::One(run);
        let (parent, root) = (None, None);
        let chain =
            Chain { members, parent, root, imported: Some(first), deleted: 0, erased: None };
        let number = self.put(run, chain);
        self.imported.insert(first, number);
        Ok(number)
    }

    /// Adds a run to a chain.
    pub(crate) fn add(&mut self, number: ChainNumber, run: RunNumber) -> Result<(), Impossible> {
        let chain = self.get_mut(number).must("a run goes on with a chain that is not there")?;
        match &mut chain.members {
            Members::One(first) => chain.members = Members::Many(vec![*first, run]),
            Members::Many(runs) => runs.push(run),
        }
        Ok(())
    }

    /// Sets how much of a chain was erased.
    pub(crate) fn set_erased(&mut self, number: ChainNumber, size: Size) -> Result<(), Impossible> {
        let chain = self.get_mut(number).must("runs of a chain were erased that is not there")?;
        chain.erased = Some(Box::new(size));
        Ok(())
    }

    /// Takes a deleted run out of a chain, and out of the index a chain that has no other one.
    pub(crate) fn remove(&mut self, number: ChainNumber, run: RunNumber) -> Result<(), Impossible> {
        let chain = self.get_mut(number).must("a run is of a chain that is not there")?;
        chain.deleted -= 1;
        let mut runs = chain.runs().to_vec();
        runs.retain(|member| *member != run);
        chain.members = match runs.as_slice() {
            [] => {
                if let Some(first) = chain.imported {
                    self.imported.remove(&first);
                }
                self.layers.erase(number.as_index(), None);
                return Ok(());
            }
            [only] => Members::One(*only),
            _ => Members::Many(runs),
        };
        Ok(())
    }

    /// Adds a chain, whose number is that of its first run here.
    fn put(&mut self, first: RunNumber, chain: Chain) -> ChainNumber {
        self.layers.put(first.as_index(), chain);
        ChainNumber::from_u32(first.as_u32())
    }
}
