//! Deleting runs that have closed.

use crate::error::{Error, Result, Undeletable};
use crate::id::{RunId, RunNumber};
use crate::index::{DELETED_TABLE, Deletability};
use crate::retention::Keep;
use crate::store::pending::Read;
use crate::store::tx::{Step, Transaction};

impl Transaction<'_> {
    /// Deletes a run that has closed, all of it or its history. With the commit its workflow id is free, if it was the
    /// current run and nothing is kept; whoever asks for what was deleted gets [`Error::RunDeleted`], and lists of runs
    /// leave it out. A run that was deleted as far before stays as it is.
    ///
    /// What others know of it stays: a parent's [`children`](crate::Store::children) say how the child ended and what
    /// its size was, and a run that a reset made of it goes on to have the events that both shared.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{Close, Error, NewRun, retention::Keep};
    ///
    /// let (order, _) = store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order")))?;
    /// store.close_run(&order, Close::completed(b"ok"))?;
    /// store.transact(|tx| tx.delete_run(&order, Keep::Outcome))?;
    /// assert!(matches!(store.history(&order), Err(Error::RunDeleted { .. })));
    /// assert_eq!(store.outcome(&order)?.unwrap(), b"ok");
    ///
    /// store.transact(|tx| tx.delete_run(&order, Keep::Nothing))?;
    /// assert!(matches!(store.run(&order), Err(Error::RunDeleted { .. })));
    /// assert_eq!(store.current_run("shop", "order-42")?, None);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RunNotFound`]. [`Error::NotDeletable`] for a run that was open before this transaction; that has duties
    /// which were not settled before; whose end its parent, which is open, was not told before; and, if
    /// nothing is to be kept, for the last run of a chain that has others. [`Error::InvalidArgument`] in a
    /// transaction that resets a run. [`Error::Overtaken`].
    pub fn delete_run(&mut self, run: &RunId, keep: Keep) -> Result<()> {
        self.step(|step| step.delete_run(run, keep))
    }

    /// Deletes the runs of the chain that a run is of, from the first to the last; see [`Transaction::delete_run`]. Of
    /// imported runs, that are those which name the same first run, in the order of their imports; others that are
    /// linked with them stay.
    ///
    /// # Errors
    /// As [`Transaction::delete_run`]; then none of them is deleted.
    pub fn delete_chain(&mut self, run: &RunId, keep: Keep) -> Result<()> {
        self.step(|step| step.delete_chain(run, keep))
    }
}

impl Step<'_> {
    fn delete_run(&mut self, run: &RunId, keep: Keep) -> Result<()> {
        let number = self.number_of(run)?;
        self.deletability(*run, number)?.check(*run, keep)?;
        self.delete(*run, number, keep)
    }

    fn delete_chain(&mut self, run: &RunId, keep: Keep) -> Result<()> {
        let number = self.number_of(run)?;
        let chain = self.index.runs.look(number, |run| run.chain);
        let chain = chain.map(|chain| self.read_chain(chain)).transpose()?.flatten();
        let chain = chain.ok_or(Error::RunNotFound { run: *run })?;
        let index = self.index;
        let runs = chain
            .runs()
            .iter()
            .filter_map(|number| index.runs.look(*number, |run| run.id).map(|run| (run, *number)));
        let runs: Vec<_> = runs.collect();
        self.check_in_turn(&runs, keep)?;
        runs.into_iter().try_for_each(|(run, number)| self.delete(run, number, keep))
    }

    /// Checks each of `runs` as if those before it were deleted.
    fn check_in_turn(&mut self, runs: &[(RunId, RunNumber)], keep: Keep) -> Result<()> {
        let mut gone = 0;
        for (run, number) in runs {
            let found = self.deletability(*run, *number)?.without(gone);
            found.check(*run, keep)?;
            gone += u32::from(keep == Keep::Nothing && !found.is_done(keep));
        }
        Ok(())
    }

    /// The number of a run that is in the store.
    fn number_of(&mut self, run: &RunId) -> Result<RunNumber> {
        // All that decides whether it can be deleted is looked at as of now.
        self.catch_up()?;
        if !self.work.draft.resets.is_empty() {
            return Err(Error::invalid("a transaction that resets a run deletes none"));
        }
        let Some(number) = self.index.runs.number(run) else {
            if self.work.run_by_id(run).is_some() {
                return Err(Error::NotDeletable { run: *run, why: Undeletable::Open });
            }
            self.work.keep(Read::NoRun(*run));
            return Err(Error::RunNotFound { run: *run });
        };
        Ok(number)
    }

    /// What decides whether a run can be deleted, after the deletions so far.
    fn deletability(&mut self, run: RunId, number: RunNumber) -> Result<Deletability> {
        let found = self.index.deletability(number).ok_or(Error::RunNotFound { run })?;
        self.work.keep(Read::Deletable { number, found });
        Ok(self.work.deletions.after(number, found))
    }

    /// Deletes a run that can be deleted.
    fn delete(&mut self, run: RunId, number: RunNumber, keep: Keep) -> Result<()> {
        let found = self.index.deletability(number).ok_or(Error::RunNotFound { run })?;
        let found = self.work.deletions.after(number, found);
        if !found.is_done(keep) {
            self.work.put_row(DELETED_TABLE, run.as_bytes(), Some(&[keep.number()]));
            self.work.deletions.add(number, &found, keep);
        }
        Ok(())
    }

    /// What was kept of a run, if it was deleted, be it here.
    pub(crate) fn deletion(&mut self, number: RunNumber) -> Result<Option<Keep>> {
        let Some(state) = self.index.runs.get(number).map(|run| run.state.clone()) else {
            return Ok(None);
        };
        self.see(state.changed())?;
        let deleted = state.latest().deleted;
        if !state.latest().status.is_open() {
            self.work.keep_once(Read::Deleted { number, deleted });
        }
        Ok(deleted.max(self.work.deletions.of(number)))
    }

    /// Refuses a run whose history was deleted.
    pub(crate) fn check_history(&mut self, number: RunNumber) -> Result<()> {
        match self.deletion(number)? {
            None => Ok(()),
            Some(kept) => {
                let run = self.index.runs.look(number, |run| run.id).unwrap_or(RunId::NIL);
                Err(Error::RunDeleted { run, kept })
            }
        }
    }
}

impl Deletability {
    fn check(&self, run: RunId, keep: Keep) -> Result<()> {
        match self.refusal(keep).filter(|_| !self.is_done(keep)) {
            Some(why) => Err(Error::NotDeletable { run, why }),
            None => Ok(()),
        }
    }
}
