//! Deleting what has been kept for long enough.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bytes::{in_memory, wide};
use crate::error::{Error, Result};
use crate::id::{RunId, RunNumber, Timestamp};
use crate::index::{Index, Place, Run, RunList};
use crate::log::write::Durability;
use crate::retention::{Expired, Keep, Retention};
use crate::store::shared::Store;
use crate::store::tx::retry;

/// How many runs are deleted in one commit.
const PAGE_RUNS: usize = 256;
/// How many runs a call looks at for chains that have too many.
const SWEPT_RUNS: usize = 1000;

impl Store {
    /// Deletes what namespaces do not keep any more, by their [retention](Store::set_retention) as of `now`: at most `most`
    /// runs, the one that closed first first, 256 in a commit. Durable when it returns. It is for the engine to call it,
    /// now and then, and again while there is [more](Expired::more); a call that finds nothing costs a look at each namespace.
    ///
    /// Runs beyond the number that is kept of a chain are found in turn: a call looks at a thousand runs for them, and goes on
    /// from there the next time.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use std::time::Duration;
    /// use kinlog::{Close, Error, NewRun, retention::Retention};
    ///
    /// store.set_retention("shop", Retention::new().outcome(Duration::ZERO))?;
    /// let (order, _) = store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order")))?;
    /// store.close_run(&order, Close::completed(b"ok"))?;
    /// let now = store.run(&order)?.closed_at.unwrap();
    /// assert_eq!(store.expire(now, 1000)?.runs, 1);
    /// assert!(matches!(store.run(&order), Err(Error::RunDeleted { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::commit`](crate::Transaction::commit).
    pub fn expire(&self, now: Timestamp, most: usize) -> Result<Expired> {
        self.expire_while(now, most, &|| true)
    }

    /// [`Store::expire`], which asks before each page whether it goes on.
    pub(crate) fn expire_while(
        &self,
        now: Timestamp,
        most: usize,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Expired> {
        self.shared.here()?;
        self.shared.writer()?;
        let (refused, done) = (BTreeSet::new(), Expired::default());
        let mut expiry = Expiry { store: self, now, left: most, goes_on, refused, done };
        for (namespace, retention) in self.retentions() {
            expiry.expire(namespace, retention)?;
        }
        if expiry.done.commits > 0 {
            self.sync()?;
        }
        Ok(Expired { refused: wide(expiry.refused.len()), ..expiry.done })
    }

    /// The namespaces that do not keep everything, by number.
    fn retentions(&self) -> Vec<(u32, Retention)> {
        let index = self.shared.index.read();
        let namespaces = (0..).zip(index.namespaces.iter());
        let retentions = namespaces.map(|(number, found)| (number, found.settings.retention));
        retentions.filter(|(_, retention)| *retention != Retention::default()).collect()
    }
}

/// An expiry under way.
struct Expiry<'s> {
    store: &'s Store,
    now: Timestamp,
    /// How many runs it may still delete.
    left: usize,
    goes_on: &'s dyn Fn() -> bool,
    /// Those that cannot be deleted yet: a run may be met for its history and for its outcome.
    refused: BTreeSet<RunId>,
    done: Expired,
}

impl Expiry<'_> {
    fn expire(&mut self, namespace: u32, retention: Retention) -> Result<()> {
        if let Some(last) = self.closed_until(retention.outcome) {
            for list in [RunList::Outcomes, RunList::Closed] {
                self.expire_list(list, namespace, last, Keep::Nothing)?;
            }
        }
        if let Some(last) = self.closed_until(retention.history) {
            self.expire_list(RunList::Closed, namespace, last, Keep::Outcome)?;
        }
        match retention.chain_runs {
            Some(runs) => self.expire_chains(namespace, in_memory(runs.get())),
            None => Ok(()),
        }
    }

    /// The time at which runs have closed whose age is what is kept.
    fn closed_until(&self, kept: Option<Duration>) -> Option<Timestamp> {
        let age = i64::try_from(kept?.as_nanos()).ok()?;
        Some(Timestamp::from_unix_nanos(self.now.unix_nanos().checked_sub(age)?))
    }

    /// Deletes the runs of a list that have closed at `last` or before.
    fn expire_list(
        &mut self,
        list: RunList,
        namespace: u32,
        last: Timestamp,
        keep: Keep,
    ) -> Result<()> {
        let mut rest = Place::all_of(namespace);
        rest.end = Place::new(namespace, last, RunNumber::NONE);
        while (self.goes_on)() {
            let page = PAGE_RUNS.min(self.left);
            // One more, to know whether there is more.
            let found = self.look(|index| {
                let places = index.in_list(list, rest.clone(), index.end).take(page + 1);
                places.filter_map(|place| Some((place, id_of(index, place.run())?))).collect()
            })?;
            let found: Vec<(Place, RunId)> = found;
            let runs: Vec<_> = found.iter().take(page).map(|(_, run)| *run).collect();
            self.delete(&runs, keep)?;
            self.done.more |= found.len() > page && self.left == 0;
            let Some((last, _)) = found.get(page.wrapping_sub(1)) else { break };
            rest.start = last.next();
        }
        Ok(())
    }

    /// Deletes runs of chains that have more than `kept`, among the next of those that are to be looked at.
    fn expire_chains(&mut self, namespace: u32, kept: usize) -> Result<()> {
        let mut rest = Place::all_of(namespace);
        let swept = self.store.shared.swept.lock().get(&namespace).copied();
        rest.start = swept.unwrap_or(rest.start);
        let (runs, next) = self.look(|index| {
            let mut chains = BTreeSet::new();
            let mut places = index.in_list(RunList::Started, rest, index.end);
            let (mut runs, mut last) = (vec![], None);
            for place in places.by_ref().take(SWEPT_RUNS) {
                last = Some(place.next());
                let chain = index.runs.look(place.run(), |run| run.chain);
                if let Some(chain) = chain.filter(|chain| chains.insert(chain.as_u32())) {
                    runs.extend(beyond(index, chain, kept));
                }
            }
            (runs, last.filter(|_| places.next().is_some()))
        })?;
        let mut swept = self.store.shared.swept.lock();
        match next {
            Some(next) => swept.insert(namespace, next),
            // Everything was looked at: from the start again.
            None => swept.remove(&namespace),
        };
        drop(swept);
        let goes_on = self.goes_on;
        for runs in runs.chunks(PAGE_RUNS).take_while(|_| goes_on()) {
            let these = runs.get(..self.left).unwrap_or(runs);
            self.delete(these, Keep::Nothing)?;
            self.done.more |= these.len() < runs.len();
        }
        Ok(())
    }

    /// Deletes those of some runs that can be, in one commit.
    fn delete(&mut self, runs: &[RunId], keep: Keep) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let (deleted, refused) = retry(|| {
            let mut tx = self.store.begin();
            let mut refused = vec![];
            for run in runs {
                match tx.delete_run(run, keep) {
                    Err(Error::NotDeletable { .. }) => refused.push(*run),
                    deleted => deleted?,
                }
            }
            let deleted = tx.work.deletions.len();
            if deleted > 0 {
                tx.commit_with(Durability::Buffered)?;
            }
            Ok((deleted, refused))
        })?;
        self.left -= deleted.min(self.left);
        self.refused.extend(refused);
        self.done.commits += u64::from(deleted > 0);
        match keep {
            Keep::Outcome => self.done.outcomes += wide(deleted),
            Keep::Nothing => self.done.runs += wide(deleted),
        }
        Ok(())
    }

    fn look<T>(&self, look: impl FnOnce(&Index) -> T) -> Result<T> {
        let index = self.store.shared.index.read();
        index.sure(look(&index))
    }
}

fn id_of(index: &Index, run: RunNumber) -> Option<RunId> {
    index.runs.look(run, |run| run.id)
}

/// The runs of a chain before its last `kept` ones of which something is kept, but for the one that came last: without that,
/// which of imported ones may be any, no other can be left.
fn beyond(index: &Index, chain: crate::id::ChainNumber, kept: usize) -> Vec<RunId> {
    let Some(chain) = index.chains.get(chain) else { return vec![] };
    let is_kept = |run: &RunNumber| {
        index.runs.look(*run, |run| run.state.latest().deleted != Some(Keep::Nothing)) == Some(true)
    };
    if chain.runs().len() - in_memory(chain.deleted) <= kept {
        return vec![];
    }
    let mut runs: Vec<_> = chain.runs().iter().copied().filter(is_kept).collect();
    if chain.imported.is_some() {
        // They came in any order.
        runs.sort_by_cached_key(|run| index.runs.look(*run, times));
    }
    runs.truncate(runs.len().saturating_sub(kept));
    runs.retain(|run| *run != chain.newest());
    runs.into_iter().filter_map(|run| id_of(index, run)).collect()
}

/// When a run started, and when it closed if it has: by that it is before or behind another one of its chain. One that a reset
/// made elsewhere starts when the run did whose place it took.
fn times(run: &Run) -> (Timestamp, bool, Option<Timestamp>) {
    let closed_at = run.state.latest().closed_at;
    (run.started_at, closed_at.is_none(), closed_at)
}
