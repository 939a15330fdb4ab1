//! Erasing: what is left of deleted runs is forgotten, once nothing refers to it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::bytes::wide;
use crate::error::Result;
use crate::id::RunNumber;
use crate::index::{
    ERASED_SIZES_TABLE, ERASED_TABLE, ErasedSize, Erasing, Erasure, Index, Place, RunList,
};
use crate::log::write::Durability;
use crate::retention::Erased;
use crate::store::pending::Read;
use crate::store::shared::Store;
use crate::store::tx::{Step, Transaction, retry};

/// How many runs are looked at while the index is held, and erased in one commit if they are not linked with more.
const PAGE_RUNS: usize = 128;

impl Store {
    /// Erases deleted runs of which nothing was kept, once nothing refers to them: the store then knows nothing of them, not
    /// even that they were deleted, and the next [compaction](Store::compact) drops what the log still has of them. Durable
    /// when it returns. For the engine to call now and then, between [`Store::expire`] and [`Store::compact`]. It looks at all
    /// deleted runs of which nothing was kept, and at no others.
    ///
    /// A run is left for a later call as long as a snapshot from before its deletion is held; as its parent, or a
    /// child of it, is not erased in the same call; if it is the first or the last run of its chain, or of a chain with a
    /// reset, or of a child's that was asked to cancel while its parent's close policy asks that, and other runs of the
    /// chain are left; if it is the first or the last run of its workflow id, and
    /// others are left; and if it is the first one of its workflow type. Runs of an imported chain are erased together, each
    /// parent and child of them by itself, and none while an imported run continues one without naming the first of its chain.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{Close, Error, NewRun, retention::Keep};
    ///
    /// let start = |id: &str| store.transact(|tx| tx.start(NewRun::new("shop", id, "Order")));
    /// start("order-1")?;
    /// let (order, _) = start("order-2")?;
    /// store.close_run(&order, Close::completed(b"ok"))?;
    /// store.transact(|tx| tx.delete_run(&order, Keep::Nothing))?;
    /// assert_eq!(store.erase()?.runs, 1);
    /// assert!(matches!(store.run(&order), Err(Error::RunNotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::commit`](crate::Transaction::commit).
    pub fn erase(&self) -> Result<Erased> {
        self.erase_while(&|| true)
    }

    /// The same, up to a commit before which `goes_on` says no.
    pub(crate) fn erase_while(&self, goes_on: &dyn Fn() -> bool) -> Result<Erased> {
        self.shared.here()?;
        self.shared.writer()?;
        // A compaction takes what the index does not know for erased by its snapshot.
        let _alone = self.shared.compacting.lock();
        let deleted = self.deleted_runs()?;
        let erasable = self.erasable(deleted.clone())?;
        let mut erased = Erased { left: wide(deleted.len()), ..Erased::default() };
        let mut page = BTreeSet::new();
        for group in self.groups(&erasable)? {
            if !goes_on() {
                break;
            }
            page.extend(group);
            if page.len() >= PAGE_RUNS {
                self.erase_page(std::mem::take(&mut page), &mut erased)?;
            }
        }
        self.erase_page(page, &mut erased)?;
        if erased.commits > 0 {
            self.sync()?;
        }
        Ok(erased)
    }

    /// The deleted runs of which nothing was kept and that no reader sees undeleted.
    fn deleted_runs(&self) -> Result<BTreeSet<RunNumber>> {
        let (mut found, mut rest) = (BTreeSet::new(), Place::ALL);
        loop {
            let index = self.shared.index.read();
            let oldest = self.shared.pins.oldest(|| self.shared.published.end());
            let page: Vec<_> = gone(&index, rest.clone()).take(PAGE_RUNS).collect();
            let runs = page.iter().map(|place| place.run());
            let changed = |run: &RunNumber| index.runs.look(*run, |run| run.state.changed());
            found.extend(runs.filter(|run| changed(run).is_some_and(|changed| changed < oldest)));
            index.check_cold()?;
            match page.last() {
                Some(last) => rest.start = last.next(),
                None => return Ok(found),
            }
        }
    }

    /// Those of some runs that can be erased together, as far as it stays so until they are.
    fn erasable(&self, mut runs: BTreeSet<RunNumber>) -> Result<BTreeSet<RunNumber>> {
        loop {
            let mut left = BTreeSet::new();
            self.look_at(&runs, |erasing, number| {
                left.extend(Some(number).filter(|number| erasing.can(*number)));
            })?;
            if left.len() == runs.len() {
                return Ok(runs);
            }
            runs = left;
        }
    }

    /// The runs in groups that must be erased in one commit, that with the latest run first.
    fn groups(&self, runs: &BTreeSet<RunNumber>) -> Result<Vec<BTreeSet<RunNumber>>> {
        let mut sets = Sets::default();
        self.look_at(runs, |erasing, number| {
            sets.join(number, number);
            erasing.linked(number).into_iter().for_each(|other| sets.join(number, other));
        })?;
        let mut groups: BTreeMap<RunNumber, BTreeSet<RunNumber>> = BTreeMap::new();
        for number in runs {
            groups.entry(sets.of(*number)).or_default().insert(*number);
        }
        Ok(groups.into_values().rev().collect())
    }

    /// Looks at each of some runs. The index is let go of in between, so that commits do not wait for it.
    fn look_at(
        &self,
        runs: &BTreeSet<RunNumber>,
        mut look: impl FnMut(&mut Erasing<'_>, RunNumber),
    ) -> Result<()> {
        let mut rest = runs.iter().copied().peekable();
        while rest.peek().is_some() {
            let index = self.shared.index.read();
            let mut erasing = Erasing::new(&index, runs);
            rest.by_ref().take(PAGE_RUNS).for_each(|number| look(&mut erasing, number));
            index.check_cold()?;
        }
        Ok(())
    }

    /// Erases some runs in one commit, if they still can be.
    fn erase_page(&self, runs: BTreeSet<RunNumber>, erased: &mut Erased) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let done = retry(|| {
            let mut tx = self.begin();
            let can = tx.erase_runs(&runs)?;
            if can {
                tx.commit_with(Durability::Buffered)?;
            }
            Ok(can)
        })?;
        if done {
            erased.commits += 1;
            erased.runs += wide(runs.len());
            erased.left -= wide(runs.len());
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Erases deleted runs, if they can be erased together; whether they can.
    pub(crate) fn erase_runs(&mut self, runs: &BTreeSet<RunNumber>) -> Result<bool> {
        self.step(|step| step.erase_runs(runs))
    }

    /// Says how much of a chain was erased, or as much as the store has by now; whether that may be said of it.
    pub(crate) fn say_erased(&mut self, erased: &ErasedSize) -> Result<bool> {
        self.step(|step| step.say_erased(erased))
    }
}

impl Step<'_> {
    fn erase_runs(&mut self, runs: &BTreeSet<RunNumber>) -> Result<bool> {
        self.catch_up()?;
        if !self.index.are_erasable(runs) {
            return Ok(false);
        }
        let sizes = self.index.erased_sizes(runs);
        let (key, value) = Erasure::row(runs);
        self.work.put_row(ERASED_TABLE, &key, Some(&value));
        for erased in &sizes {
            let (key, value) = erased.row();
            self.work.put_row(ERASED_SIZES_TABLE, &key, Some(&value));
        }
        self.work.keep(Read::Erasable { runs: runs.clone(), sizes });
        Ok(true)
    }
}

impl Step<'_> {
    fn say_erased(&mut self, erased: &ErasedSize) -> Result<bool> {
        self.catch_up()?;
        let ErasedSize { first, size } = *erased;
        let known = self.index.erased_of(&first).unwrap_or_default();
        let erased = ErasedSize::new(first, size.most(known));
        let may_say = erased.size != known && self.index.may_say(&erased);
        if may_say {
            let (key, value) = erased.row();
            self.work.put_row(ERASED_SIZES_TABLE, &key, Some(&value));
        }
        Ok(may_say)
    }
}

/// The places of deleted runs of which nothing was kept.
fn gone(index: &Index, range: Range<Place>) -> impl Iterator<Item = Place> {
    index.in_list(RunList::Gone, range, index.end)
}

/// Disjoint sets of runs: each run names another one of its set, or itself (union-find).
#[derive(Default)]
struct Sets(BTreeMap<RunNumber, RunNumber>);

impl Sets {
    /// The run that stands for the set of a run: the latest one.
    fn of(&mut self, run: RunNumber) -> RunNumber {
        let mut top = run;
        while let Some(above) = self.0.get(&top).copied().filter(|above| *above != top) {
            top = above;
        }
        let mut at = run;
        while at != top {
            at = self.0.insert(at, top).unwrap_or(top);
        }
        top
    }

    fn join(&mut self, one: RunNumber, other: RunNumber) {
        let (one, other) = (self.of(one), self.of(other));
        self.0.insert(one.min(other), one.max(other));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kinlog_testing::files::directory;

    use crate::error::{Error, Moved};
    use crate::id::{RunId, RunNumber};
    use crate::index::Place;
    use crate::retention::{Erased, Keep};
    use crate::{Close, NewRun, Store};

    fn start(store: &Store, workflow: &str) -> RunId {
        store.transact(|tx| tx.start(NewRun::new("ns", workflow, "T"))).unwrap().0
    }

    /// A store with a deleted run of number 1 that can be erased.
    fn deleted(store: &Store) -> BTreeSet<RunNumber> {
        start(store, "first");
        let run = start(store, "again");
        store.close_run(&run, Close::completed(b"")).unwrap();
        store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
        BTreeSet::from([RunNumber::from_u32(1)])
    }

    fn is_overtaken(commit: crate::Result<crate::Commit>) -> bool {
        matches!(commit, Err(Error::Overtaken { moved: Moved::Erasure, .. }))
    }

    #[test]
    fn what_can_be_erased_is_compared_at_the_commit() {
        let dir = directory();
        let store = Store::open(dir.path()).unwrap();
        let runs = deleted(&store);
        let mut erasing = store.begin();
        assert!(erasing.erase_runs(&runs).unwrap());
        // The deleted run is the first of a workflow that goes on now.
        start(&store, "again");
        assert!(is_overtaken(erasing.commit()));
        assert!(!store.begin().erase_runs(&runs).unwrap());
        store.verify(|_| ()).unwrap();
    }

    /// Also as files have them, and without those that are erased.
    #[test]
    fn an_erasure_looks_at_runs_of_which_nothing_was_kept_and_at_no_others() {
        let dir = directory();
        let store = Store::open(dir.path()).unwrap();
        start(&store, "first of its type");
        let close = |workflow: &str, keep| {
            let run = start(&store, workflow);
            store.close_run(&run, Close::completed(b"")).unwrap();
            store.transact(|tx| tx.delete_run(&run, keep)).unwrap();
        };
        for number in 0..200 {
            close(&format!("kept-{number}"), Keep::Outcome);
        }
        (0..3).for_each(|number| close(&format!("gone-{number}"), Keep::Nothing));
        let looked_at = |store: &Store| super::gone(&store.shared.index.read(), Place::ALL).count();
        assert_eq!(looked_at(&store), 3);
        // The last one of a workflow that has no other is erased; the first of two is not.
        start(&store, "gone-0");
        assert_eq!(store.erase().unwrap(), Erased { runs: 2, left: 1, commits: 1 });
        assert_eq!(looked_at(&store), 1);
        store.shared.freezer.freeze(&mut store.shared.index.write());
        store.verify(|_| ()).unwrap();
        store.shut_down().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.shared.index.read().has_files());
        assert_eq!(looked_at(&store), 1);
        assert_eq!(store.erase().unwrap(), Erased { left: 1, ..Erased::default() });
    }

    #[test]
    fn a_transaction_that_has_seen_what_is_erased_begins_again() {
        let dir = directory();
        let store = Store::open(dir.path()).unwrap();
        deleted(&store);
        let mut starting = store.begin();
        starting.start(NewRun::new("ns", "again", "T")).unwrap();
        assert_eq!(store.erase().unwrap().runs, 1);
        assert!(is_overtaken(starting.commit()));
        start(&store, "again");
        store.verify(|_| ()).unwrap();
    }
}
