//! A store, and which run of it holds each history that was imported.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use kinlog::{Durability, Options, RunId, RunInfo, Size, Store};
use kinlog_temporal::{ImportOptions, import};
use kinlog_testing::Rng;

use super::told::Told;

/// A store, and which run of it holds each history that was imported.
pub(super) struct World<'t> {
    pub(super) store: Store,
    pub(super) imported: Vec<(RunId, &'t Told)>,
    /// The runs that have the id that was recorded; others share it with one of these.
    pub(super) here: HashSet<RunId>,
    /// By run: of files with the same events, the longest.
    pub(super) told: HashMap<RunId, &'t Told>,
}

impl<'t> World<'t> {
    pub(super) fn new(directory: &Path, told: impl Iterator<Item = &'t Told>) -> Self {
        let store = open(directory);
        let options = ImportOptions { namespace: "default", durability: Durability::Buffered };
        let mut imported = vec![];
        let mut here = HashSet::new();
        let mut by_run: HashMap<RunId, &Told> = HashMap::new();
        for it in told {
            let done = import(&store, &it.history, &options).expect("an import");
            imported.push((done.run_id, it));
            let longest = by_run.entry(done.run_id).or_insert(it);
            if longest.history.events().len() < it.history.events().len() {
                *longest = it;
            }
            if !done.under_other_id {
                assert!(it.run.is_none_or(|run| run == done.run_id), "{}", it.file);
                here.insert(done.run_id);
            }
        }
        World { store, imported, here, told: by_run }
    }

    /// The runs of each chain of which something is here, without those under another id, in the
    /// order of `orders`; and how many there are under another id.
    pub(super) fn chains(
        &self,
        orders: &HashMap<RunId, Vec<RunId>>,
    ) -> BTreeMap<RunId, (Vec<RunId>, usize)> {
        let mut chains: BTreeMap<RunId, (BTreeSet<RunId>, BTreeSet<RunId>)> = BTreeMap::new();
        for (run, it) in &self.imported {
            let (own, others) = chains.entry(it.first.unwrap_or(*run)).or_default();
            let set = if self.here.contains(run) { own } else { others };
            set.insert(*run);
        }
        let in_order = |(first, (own, others)): (RunId, (BTreeSet<RunId>, BTreeSet<RunId>))| {
            let order =
                orders.get(&first).cloned().unwrap_or_else(|| own.iter().copied().collect());
            let runs = order.into_iter().filter(|run| own.contains(run)).collect();
            (first, (runs, others.len()))
        };
        chains.into_iter().map(in_order).collect()
    }

    /// The run itself and all that name one of these as their parent, or follow one that does.
    pub(super) fn below(&self, root: RunId) -> BTreeSet<RunId> {
        let mut below = BTreeSet::from([root]);
        let mut left = vec![root];
        while let Some(parent) = left.pop() {
            let told = self.told[&parent].children.iter();
            let firsts: HashSet<_> = told.filter_map(|child| child.first_run).collect();
            let is_child = |it: &Told| {
                it.parent == Some(parent) && it.first.is_some_and(|first| firsts.contains(&first))
            };
            let children = self.told.iter().filter(|(_, it)| is_child(it)).map(|(run, _)| *run);
            left.extend(children.filter(|run| below.insert(*run)));
        }
        below
    }
}

pub(super) fn open(directory: &Path) -> Store {
    Options::new().segment_bytes(64 << 20).open(directory).expect("a store")
}

pub(super) fn sum<'r>(runs: impl IntoIterator<Item = &'r RunInfo>) -> Size {
    let mut size = Size::default();
    for run in runs {
        size.runs += 1;
        size.events += u64::from(run.events);
        size.bytes += run.bytes;
    }
    size
}

/// Things in another order, the same for the same seed.
pub(super) fn shuffled<T>(mut things: Vec<T>, seed: u64) -> Vec<T> {
    Rng::new(seed).shuffle(&mut things);
    things
}
