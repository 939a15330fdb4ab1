//! Reading a chain: the runs of one execution, and their events.

use super::chain_runs::ChainRuns;
use super::lineage::{Cursor, Lineage};
use super::run_info::{RunInfo, info};
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::id::RunId;
use crate::index::Size;

/// The runs of one execution that are in the store, from its first to its last: a run, those that
/// continue it, and those that resets created from them. Holds the snapshot that it was read from.
///
/// Runs that were started in this store are all present, in the order in which they started. Imported runs are
/// in the order in which they continue each other, regardless of the order of the imports; some may be missing,
/// which [`Chain::links`] and [`Chain::next_not_here`] show. A chain is all runs that name the same first run,
/// and those that are linked with them: earlier Temporal servers did not name the first run.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = kinlog::Store::open(dir.path())?;
/// # let mut tx = store.begin();
/// # let run = tx.start(kinlog::NewRun::new("shop", "order-42", "Order"))?;
/// # tx.commit()?;
/// let chain = store.chain(&run)?;
/// assert_eq!((chain.first_run_id(), chain.current().id), (run, run));
/// for event in chain.events() {
///     let (run, event) = event?;
///     println!("{run} {:>5} {}", event.id(), event.kind());
/// }
/// # Ok::<(), kinlog::Error>(())
/// ```
#[derive(Debug)]
pub struct Chain {
    snapshot: Snapshot,
    first: RunId,
    first_is_here: bool,
    current: RunInfo,
    runs: ChainRuns,
}

impl Snapshot {
    /// The chain that a run belongs to.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`]; for imported runs, [`Error::Corrupt`] if the Started events, which give their
    /// order, cannot be read.
    pub fn chain(&self, run: &RunId) -> Result<Chain> {
        self.here()?;
        let not_found = Error::RunNotFound { run: *run };
        let number = {
            let index = self.index();
            let found = index.runs.get(self.number(&index, run)?);
            index.sure(found.map(|found| found.chain))?.ok_or_else(|| not_found.clone())?
        };
        let all = ChainRuns::of(self, number)?;
        let runs = all.clone().kept(self)?;
        let index = self.index();
        // Of linked chains, the first one gives its name to all, also if its runs were deleted.
        let first_run = all.get(0).and_then(|run| index.runs.get(run));
        let number = index.sure(first_run.map(|run| run.chain))?;
        let number = number.ok_or_else(|| not_found.clone())?;
        let first = index.chains.get(number).and_then(|chain| index.first_run(number, &chain));
        let first = index.sure(first)?.unwrap_or_default();
        let named = self.number(&index, &first).ok().and_then(|named| index.runs.get(named));
        let first_is_here = named.is_some_and(|named| named.chain == number);
        let current = runs.last().and_then(|last| info(&index, last, self.end()));
        let current = index.sure(current)?.ok_or(not_found)?;
        Ok(Chain { snapshot: self.clone(), first, first_is_here, current, runs })
    }
}

impl Chain {
    /// The first run, which names the chain.
    #[must_use]
    pub fn first_run_id(&self) -> RunId {
        self.first
    }

    /// Whether that run is in the store.
    #[must_use]
    pub fn first_is_here(&self) -> bool {
        self.first_is_here
    }

    /// How many of its runs are in the store; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// The last run.
    #[must_use]
    pub fn current(&self) -> &RunInfo {
        &self.current
    }

    /// The runs, in order.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] for a run that the index, which is damaged, does not find.
    pub fn runs(&self) -> impl Iterator<Item = Result<RunInfo>> {
        let end = self.snapshot.end();
        let run =
            move |at| self.snapshot.look(|index| info(index, self.runs.get(at)?, end)).transpose();
        (0..self.len()).filter_map(run)
    }

    /// The runs, in order, each with the one before it. Reads the first event of each run.
    pub fn links(&self) -> impl Iterator<Item = Result<Link>> {
        self.runs().map(|run| self.link(run?))
    }

    /// The lineage of the run at `at`.
    fn lineage(&self, at: usize) -> Result<Option<Lineage>> {
        let index = self.snapshot.index();
        let number = self.runs.get(at);
        let run = number.and_then(|number| index.runs.look(number, |run| run.id));
        run.map(|run| self.snapshot.at(&index).lineage(&run)).transpose()
    }

    fn link(&self, run: RunInfo) -> Result<Link> {
        let before = match run.base {
            Some((base, _)) => Some(base),
            None => self.snapshot.started(&run.id)?.continued_run_id,
        };
        let is_here = before.map(|before| self.snapshot.holds(&before)).transpose()?;
        let is_here = is_here.unwrap_or(false);
        Ok(Link { run, before, before_is_here: is_here })
    }

    /// The run that continues the current one according to its closing event, if that run is not in the store.
    /// Only possible for imported runs.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::Corrupt`] if the current run's last event cannot be read.
    pub fn next_not_here(&self) -> Result<Option<RunId>> {
        let closing = self.snapshot.closing_event(&self.current.id)?;
        let next = closing.and_then(|event| event.body().next_run());
        let is_here = next.map(|next| self.snapshot.holds(&next)).transpose()?;
        Ok(next.filter(|_| is_here == Some(false)))
    }

    /// The total size of its runs in the store; one whose history was deleted counts as a run without events.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if the index is damaged.
    pub fn size(&self) -> Result<Size> {
        self.runs.kept_size(&self.snapshot)
    }

    /// The whole history of each run, run after run. Events that two runs share by a reset are returned for
    /// both, as they are part of both histories.
    #[must_use]
    pub fn events(&self) -> ChainEvents<'_> {
        ChainEvents { chain: self, next: 0, reading: None }
    }
}

/// A run of a chain and the one before it. See [`Chain::links`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Link {
    /// The run.
    pub run: RunInfo,
    /// The run that it continues or was reset from; `None` for the first of the chain.
    pub before: Option<RunId>,
    /// Whether that run is in the store.
    pub before_is_here: bool,
}

/// The events of all runs of a chain, each with its run. Ends after an error. See
/// [`Chain::events`].
pub struct ChainEvents<'c> {
    chain: &'c Chain,
    /// The index of the next run in the chain.
    next: usize,
    reading: Option<(Lineage, Cursor<'c>)>,
}

impl<'c> Iterator for ChainEvents<'c> {
    type Item = Result<(RunId, Event<'c>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let chain = self.chain;
        let snapshot = &chain.snapshot;
        loop {
            if let Some((lineage, cursor)) = &mut self.reading {
                match cursor.next(lineage, snapshot.view()) {
                    Some(Ok(event)) => return Some(Ok((lineage.id, event))),
                    Some(Err(error)) => {
                        (self.reading, self.next) = (None, chain.len());
                        return Some(Err(error));
                    }
                    None => self.reading = None,
                }
            }
            if self.next >= chain.len() {
                return None;
            }
            match chain.lineage(self.next) {
                Ok(lineage) => self.reading = Some((lineage?, Cursor::from(1))),
                Err(damage) => {
                    self.next = chain.len();
                    return Some(Err(damage));
                }
            }
            self.next += 1;
        }
    }
}
