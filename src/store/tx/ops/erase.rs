//! Erasing deleted runs.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::id::RunNumber;
use crate::index::{ERASED_TABLE, Erasure};
use crate::store::pending::Read;
use crate::store::tx::{Step, Transaction};

impl Transaction<'_> {
    /// Erases deleted runs, if they can be erased together; whether they can.
    pub(crate) fn erase_runs(&mut self, runs: &BTreeSet<RunNumber>) -> Result<bool> {
        self.step(|step| step.erase_runs(runs))
    }
}

impl Step<'_> {
    fn erase_runs(&mut self, runs: &BTreeSet<RunNumber>) -> Result<bool> {
        self.catch_up()?;
        if !self.index.are_erasable(runs) {
            return Ok(false);
        }
        self.work.keep(Read::Erasable(runs.clone()));
        let (key, value) = Erasure::row(runs);
        self.work.put_row(ERASED_TABLE, &key, Some(&value));
        Ok(true)
    }
}
