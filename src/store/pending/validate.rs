//! The read set, asked again: whether all that a transaction has seen and stated still holds.

use super::read_set::Read;
use super::row_writes::Written;
use super::run::{Drift, Place, Touched, check_max_of};
use super::workspace::Workspace;
use crate::error::{Error, Moved, Result};
use crate::index::Index;

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
    pub(crate) fn validate(&self, index: &Index) -> Result<Drift> {
        let looked_at_runs = !self.runs.is_empty() || !self.reads.is_empty();
        if looked_at_runs && index.limits_changed >= self.at {
            return Err(Error::overtaken(Moved::Limits));
        }
        if let Some(moved) = self.reads.iter().find_map(|read| read.moved(index, self.at)) {
            return Err(Error::overtaken(moved));
        }
        self.check_stated_rows(index)?;
        let mut drift = Drift::None;
        for touched in &self.runs {
            drift = drift.max(self.validate_run(index, touched)?);
        }
        Ok(drift)
    }

    /// Whether a run is where the transaction needs it, and how far it has moved where it may.
    pub(crate) fn validate_run(&self, index: &Index, touched: &Touched) -> Result<Drift> {
        if touched.begins.is_some() {
            return match index.runs.number(&touched.id) {
                Some(_) => Err(Error::RunExists { run: touched.id }),
                None => Ok(Drift::None),
            };
        }
        let extent = touched.known(index)?.1;
        if extent.next_event == touched.first_event {
            return Ok(Drift::None);
        }
        if touched.must_stay() {
            return Err(touched.moved(extent));
        }
        if touched.progress.count == 0 {
            return Ok(Drift::None);
        }
        let fits = match extent.status.is_open() {
            false => Err(Error::RunClosed { run: touched.id }),
            true => touched.check_growth(extent).and_then(|()| self.check_waiting(index, touched)),
        };
        // Settling once more finds an answer; whoever appends blindly has got it.
        let fits = fits.map_err(|answer| match touched.place {
            Place::Loose => touched.moved(extent),
            _ => answer,
        });
        fits.map(|()| if touched.ruled { Drift::Ruled } else { Drift::Moved })
    }

    /// Whether the runs and rows are as the caller stated.
    pub(crate) fn check_stated(&self, index: &Index) -> Result<()> {
        let expected = self.runs.iter().filter(|touched| touched.place == Place::Expected);
        expected
            .map(|touched| self.validate_run(index, touched))
            .try_for_each(|run| run.map(|_| ()))?;
        self.check_stated_rows(index)
    }

    /// Checks once more how much a run waits for.
    fn check_waiting(&self, index: &Index, touched: &Touched) -> Result<()> {
        if touched.recorded || !touched.progress.status.is_open() {
            return Ok(());
        }
        // A limit that was lowered stands against what is added, not against what is there.
        let added = self.draft.added(touched.id);
        let mut kinds = [10, 22, 29, 37].into_iter().filter(|kind| added.of(*kind) > 0);
        kinds.try_for_each(|kind| self.check_open(index, touched, kind, 0))
    }

    /// Checks the limits on what a run waits for, with `more` of a kind to come.
    pub(crate) fn check_open(
        &self,
        index: &Index,
        touched: &Touched,
        kind: u16,
        more: u64,
    ) -> Result<()> {
        let limits = &touched.limits;
        let (limit, max) = match kind {
            10 => ("open activities of one run", limits.open_activities),
            22 => ("cancel requests of one run on their way", limits.open_cancels),
            29 => ("open children of one run", limits.open_children),
            37 => ("signals of one run on their way", limits.open_signals),
            _ => return Ok(()),
        };
        let now = self.draft.waiting(index, touched.id).of(kind);
        let now = u64::try_from(now).unwrap_or_default();
        check_max_of(limit, Some(touched.id), now, now + more, max.into())
    }

    /// The rows written so far.
    pub(crate) fn written(&mut self) -> &Written {
        self.written.get_or_insert_with(|| {
            let mut written = Written::default();
            written.add(self.rows.as_slice(), 0);
            written
        })
    }

    /// Whether the rows are as the caller stated.
    pub(crate) fn check_stated_rows(&self, index: &Index) -> Result<()> {
        self.stated.iter().try_for_each(|row| row.check(index))
    }
}
