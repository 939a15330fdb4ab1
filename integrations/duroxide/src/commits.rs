//! Commits on their way: who waits for which.

use std::sync::atomic::{AtomicU64, Ordering};

use duroxide::providers::ProviderError;
use kinlog::{CommitHandle, Durability, Transaction};

use crate::error::{Result, at};
use crate::provider::KinlogProvider;
use crate::state::State;

/// The number of the last commit that is known to be in the log; commits are counted as they are submitted.
#[derive(Default)]
pub(crate) struct Logged(AtomicU64);

/// A commit that was submitted, and its number.
pub(crate) struct Submitted {
    handle: CommitHandle,
    number: u64,
}

impl KinlogProvider {
    /// Submits what changes the queues, which change under the same lock.
    pub(crate) fn submit(&self, state: &mut State, tx: Transaction<'_>) -> Result<Submitted> {
        let handle = tx.submit(self.options.durability)?;
        state.submitted += 1;
        let number = state.submitted;
        (state.inboxes.commit, state.work.commit) = (number, number);
        Ok(Submitted { handle, number })
    }

    /// What was submitted so far, to be waited for; `None` if the commit with this number is in the log.
    /// `tx` has read something and written nothing but attempts.
    pub(crate) fn submitted(
        &self,
        state: &State,
        tx: Transaction<'_>,
        commit: u64,
    ) -> Result<Option<Submitted>> {
        let is_logged = commit <= self.logged.0.load(Ordering::Relaxed);
        let all = self.wait_for_all(state, tx)?;
        Ok((!is_logged).then_some(all))
    }

    /// All that was submitted so far. `tx` has read something.
    pub(crate) fn wait_for_all(&self, state: &State, tx: Transaction<'_>) -> Result<Submitted> {
        let handle = tx.submit(Durability::Buffered)?;
        Ok(Submitted { handle, number: state.submitted })
    }

    /// Waits until a commit is as durable as was asked.
    pub(crate) async fn done(
        &self,
        operation: &'static str,
        submitted: Result<impl Into<Option<Submitted>>>,
    ) -> Result<(), ProviderError> {
        let Some(Submitted { handle, number }) = submitted.map_err(at(operation))?.into() else {
            return Ok(());
        };
        handle.await.map_err(|error| at(operation)(error.into()))?;
        self.logged.0.fetch_max(number, Ordering::Relaxed);
        Ok(())
    }
}
