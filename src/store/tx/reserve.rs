//! Which transactions go on when the disk is full.

use super::transaction::Transaction;
use crate::log::write::Reserve;
use crate::store::pending::PendingRun;

impl Transaction<'_> {
    /// Whether the transaction, as it is now, goes on when the disk is full: whether it may use the reserve, a sixteenth
    /// of a segment that other commits leave as long as the next segment could not be prepared.
    ///
    /// - One that only closes runs or asks them to cancel, and writes any rows with it, may use all of the reserve.
    /// - One that only closes runs and continues them as new, or only deletes rows and runs, may use half of it, as one may
    ///   for which [`Transaction::use_reserve`] says so: so the other half is left for closing.
    ///
    /// A run that begins here is new work, even if it closes here, and may not, unless it continues another one.
    #[must_use]
    pub fn may_use_reserve(&self) -> bool {
        self.reserve() != Reserve::Keep
    }

    /// Says whether the transaction may use the reserve, whatever it holds; by default, what it holds decides.
    ///
    /// `true` is for one without which an engine cannot get as far as closing runs, such as one that takes work
    /// out of a queue and reports it done. It may use half of the reserve.
    /// `false` is for one that can wait until there is space.
    pub fn use_reserve(&mut self, uses: bool) {
        self.uses_reserve = Some(uses);
    }

    pub(crate) fn reserve(&self) -> Reserve {
        let changed = || self.work.runs.iter().filter(|run| run.progress.count > 0);
        let closes = |run: &PendingRun| run.begins.is_none() && run.is_exempt();
        let goes_on = |run: &PendingRun| closes(run) || run.continues();
        let nothing = changed().next().is_none();
        match self.uses_reserve {
            Some(false) => Reserve::Keep,
            _ if !nothing && changed().all(closes) => Reserve::All,
            Some(true) => Reserve::Half,
            None if nothing && self.work.puts => Reserve::Keep,
            None if changed().all(goes_on) => Reserve::Half,
            None => Reserve::Keep,
        }
    }
}
