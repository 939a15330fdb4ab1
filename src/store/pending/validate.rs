//! Validation (optimistic concurrency control): the read set, asked again at the commit; whether all that a
//! transaction has read and stated still holds.

use super::read_set::Read;
use super::run::{PendingRun, Precondition, Recheck, check_max_of};
use super::workspace::Workspace;
use crate::error::{Error, Moved, Result};
use crate::event::Awaited;
use crate::index::Index;
use crate::limits::Limit;

impl Workspace {
    /// Keeps a question and its answer.
    pub(crate) fn keep(&mut self, read: Read) {
        self.reads.push(read);
    }

    /// The same for a question that many steps in a row ask: it is kept once.
    pub(crate) fn keep_once(&mut self, read: Read) {
        if !self.reads.iter().rev().take(4).any(|kept| *kept == read) {
            self.reads.push(read);
        }
    }

    /// Asks again everything that was read. Returns how far runs have moved that may be anywhere.
    pub(crate) fn validate(&self, index: &Index) -> Result<Recheck> {
        let looked_at_runs = !self.runs.is_empty() || !self.reads.is_empty();
        if looked_at_runs && index.limits_changed >= self.at {
            return Err(Error::overtaken(Moved::Limits));
        }
        if let Some(moved) = self.reads.iter().find_map(|read| read.moved(index, self.at)) {
            return Err(Error::overtaken(moved));
        }
        self.check_stated_rows(index)?;
        let mut recheck = Recheck::None;
        for pending in &self.runs {
            recheck = recheck.max(self.validate_run(index, pending)?);
        }
        Ok(recheck)
    }

    /// Whether a run is where the transaction needs it, and how far it has moved where it may.
    pub(crate) fn validate_run(&self, index: &Index, pending: &PendingRun) -> Result<Recheck> {
        if pending.begins.is_some() {
            return match index.runs.number(&pending.id) {
                Some(_) => Err(Error::RunExists { run: pending.id }),
                None => Ok(Recheck::None),
            };
        }
        let state = &pending.known(index)?.1;
        if state.deleted != pending.deleted {
            return Err(Error::overtaken(Moved::Deletion { run: pending.id }));
        }
        if state.next_event == pending.first_event {
            return Ok(Recheck::None);
        }
        if pending.must_stay() {
            return Err(pending.moved(state));
        }
        if pending.progress.count == 0 {
            return Ok(Recheck::None);
        }
        let fits = match state.status.is_open() {
            false => Err(Error::RunClosed { run: pending.id }),
            true => pending.check_growth(state).and_then(|()| self.check_waiting(index, pending)),
        };
        // Settling once more finds an answer; whoever appends blindly has got it.
        let fits = fits.map_err(|answer| match pending.precondition {
            Precondition::Loose => pending.moved(state),
            _ => answer,
        });
        fits.map(|()| if pending.ruled { Recheck::Ruled } else { Recheck::Moved })
    }

    /// Whether the runs and rows are as the caller stated.
    pub(crate) fn check_stated(&self, index: &Index) -> Result<()> {
        let expected =
            self.runs.iter().filter(|pending| pending.precondition == Precondition::Expected);
        expected
            .map(|pending| self.validate_run(index, pending))
            .try_for_each(|run| run.map(|_| ()))?;
        self.check_stated_rows(index)
    }

    /// Checks once more how much a run waits for.
    fn check_waiting(&self, index: &Index, pending: &PendingRun) -> Result<()> {
        if pending.imported || !pending.progress.status.is_open() {
            return Ok(());
        }
        // A limit that was lowered stands against what is added, not against what is there.
        let added = self.draft.added(pending.id);
        let mut more = Awaited::ALL.into_iter().filter(|awaited| added.of(*awaited) > 0);
        more.try_for_each(|awaited| self.check_open(index, pending, awaited, 0))
    }

    /// Checks the limit on something that a run waits for, with `more` of it to come.
    pub(crate) fn check_open(
        &self,
        index: &Index,
        pending: &PendingRun,
        awaited: Awaited,
        more: u64,
    ) -> Result<()> {
        let limits = &pending.limits;
        let (limit, max) = match awaited {
            Awaited::Activity => (Limit::OpenActivities, limits.open_activities),
            Awaited::CancelRequest => (Limit::OpenCancels, limits.open_cancels),
            Awaited::Child => (Limit::OpenChildren, limits.open_children),
            Awaited::Signal => (Limit::OpenSignals, limits.open_signals),
        };
        let now = self.draft.waiting(index, pending.id).of(awaited);
        let negative = |_| Error::internal("a run waits for less than nothing");
        let now = u64::try_from(now).map_err(negative)?;
        check_max_of(limit, Some(pending.id), now, now + more, max.into())
    }

    /// Whether the rows are as the caller stated.
    pub(crate) fn check_stated_rows(&self, index: &Index) -> Result<()> {
        self.stated.iter().try_for_each(|row| row.check(index))
    }
}
