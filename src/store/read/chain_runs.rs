//! The runs of a chain in their order, as far as a snapshot sees them.

use std::collections::{HashMap, HashSet, VecDeque};

use super::lineage::started;
use super::recorded_links::Linked;
use super::snapshot::Snapshot;
use crate::bytes::wide;
use crate::error::Result;
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Index, Size};

/// How many runs are looked at while the index is held.
const PAGE_RUNS: usize = 256;

/// Runs in order.
#[derive(Clone, Debug)]
pub(crate) enum Sequence {
    /// One run by itself.
    One(u32),
    /// The first runs of a chain, which came in their order.
    First { chain: u32, len: usize },
    /// Runs that may have come in another order than that of their chain.
    Sorted(Box<[u32]>),
}

impl Sequence {
    /// The runs of a chain in the order in which they came.
    pub(crate) fn arrived(snapshot: &Snapshot, chain: u32) -> Self {
        let index = snapshot.index();
        let runs = index.chains.get(chain).map(|found| found.runs()).unwrap_or_default();
        // Later runs have higher numbers and lie further on in the log.
        let len = runs.partition_point(|run| snapshot.sees(&index, *run));
        Sequence::First { chain, len }
    }

    /// The runs of a chain. Those of a recorded one are put together, and in order, by what they say
    /// themselves.
    pub(crate) fn of(snapshot: &Snapshot, chain: u32) -> Result<Self> {
        let arrived = Self::arrived(snapshot, chain);
        let recorded = snapshot.index().chains.get(chain).is_some_and(|chain| chain.recorded);
        if !recorded || arrived.len() == 0 {
            return Ok(arrived);
        }
        let linked = Linked::with(snapshot, chain)?;
        let mut runs = Vec::with_capacity(arrived.len());
        for chain in linked.chains {
            runs.extend(Self::arrived(snapshot, chain).read_starts(snapshot)?);
        }
        if runs.len() < 2 {
            return Ok(arrived);
        }
        for run in &mut runs {
            run.continues = run.continues.or(linked.followed.get(&run.id).copied());
        }
        Ok(Sequence::Sorted(in_order(runs).into()))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Sequence::One(_) => 1,
            Sequence::First { len, .. } => *len,
            Sequence::Sorted(runs) => runs.len(),
        }
    }

    /// The number of the run at `place`.
    pub(crate) fn get(&self, index: &Index, place: usize) -> Option<u32> {
        match self {
            Sequence::One(run) => (place == 0).then_some(*run),
            Sequence::First { chain, len } => {
                let runs = index.chains.get(*chain)?.runs();
                runs.get(place).copied().filter(|_| place < *len)
            }
            Sequence::Sorted(runs) => runs.get(place).copied(),
        }
    }

    /// The number of the last run.
    pub(crate) fn last(&self, index: &Index) -> Option<u32> {
        self.get(index, self.len().checked_sub(1)?)
    }

    /// What the runs add up to.
    pub(crate) fn size(&self, snapshot: &Snapshot) -> Size {
        let mut size = Size::default();
        self.each(snapshot, |index, run| {
            if let Some(extent) =
                index.runs.get(run).and_then(|run| index.runs.extent_at(run, snapshot.end()))
            {
                let events = u64::from(extent.next_event - 1);
                size += Size { runs: 1, events, bytes: extent.bytes.into() };
            }
        });
        size
    }

    /// How many children the runs have.
    pub(crate) fn count_children(&self, snapshot: &Snapshot) -> u64 {
        let mut count = 0;
        self.each(snapshot, |index, run| {
            let ties = index.runs.get(run).and_then(|run| run.ties.as_deref());
            count += ties.map_or(0, |ties| wide(snapshot.children_of(ties)));
        });
        count
    }

    /// Looks at each run, and lets go of the index now and then.
    pub(crate) fn each(&self, snapshot: &Snapshot, mut look: impl FnMut(&Index, u32)) {
        for page in (0..self.len()).step_by(PAGE_RUNS) {
            let index = snapshot.index();
            let places = page..self.len().min(page + PAGE_RUNS);
            places.filter_map(|place| self.get(&index, place)).for_each(|run| look(&index, run));
        }
    }

    fn read_starts(&self, snapshot: &Snapshot) -> Result<Vec<Recorded>> {
        let mut runs = Vec::with_capacity(self.len());
        self.each(snapshot, |index, number| {
            runs.extend(index.runs.get(number).map(|run| Recorded {
                number,
                id: run.id,
                first_batch: run.first_batch,
                started_at: run.started_at,
                continues: None,
                is_first: index.chains.get(run.chain).is_some_and(|chain| chain.first == run.id),
            }));
        });
        for run in &mut runs {
            run.continues = started(snapshot.view(), run.number, run.first_batch)?.continued_run_id;
        }
        Ok(runs)
    }
}

/// A recorded run and the one that it says it continues.
struct Recorded {
    number: u32,
    id: RunId,
    first_batch: Position,
    started_at: Timestamp,
    continues: Option<RunId>,
    /// It is the run that names the chain.
    is_first: bool,
}

/// Runs follow those that they continue. Those that continue none that is here follow in the order
/// in which they started, the first of the chain before all. Copies of a run stand beside it, before
/// what follows, so that the last run is the one that came furthest.
fn in_order(mut runs: Vec<Recorded>) -> Vec<u32> {
    runs.sort_unstable_by_key(|run| (!run.is_first, run.started_at, run.number));
    let here: HashSet<RunId> = runs.iter().map(|run| run.id).collect();
    // By the run that they continue, be it here or not.
    let mut followers: HashMap<Option<RunId>, Vec<&Recorded>> = HashMap::new();
    for run in &runs {
        followers.entry(run.continues).or_default().push(run);
    }
    let is_head = |run: &&Recorded| run.continues.is_none_or(|before| !here.contains(&before));
    let mut order = Vec::with_capacity(runs.len());
    let mut ordered = HashSet::new();
    // Last, runs that say that they continue each other: whatever they are, they are listed once.
    for head in runs.iter().filter(is_head).chain(&runs) {
        if ordered.contains(&head.number) {
            continue;
        }
        let mut next: VecDeque<_> = followers.get(&head.continues).into_iter().flatten().collect();
        while let Some(run) = next.pop_front() {
            if ordered.insert(run.number) {
                order.push(run.number);
                next.extend(followers.get(&Some(run.id)).into_iter().flatten());
            }
        }
    }
    order
}
