//! What the recorder is told of commits.

use super::commit::{Commit, Enqueued};
use super::transaction::Transaction;
use crate::error::{Error, Result, Retry};
use crate::log::write::{Durability, Lead};
use crate::recorder::{COMMIT_BYTES, COMMIT_SECONDS, COMMITS, Label, REFUSED};

impl Transaction<'_> {
    /// As [`Transaction::commit_unrecorded`], with the time that the caller waits.
    pub(crate) fn commit_recorded(self, durability: Durability) -> Result<Commit> {
        let recording = &self.shared.recording;
        let began = recording.now();
        let outcome = self.commit_unrecorded(durability);
        if outcome.is_ok() {
            recording.observe_since(&COMMIT_SECONDS, &[by_durability(durability)], began);
        }
        outcome
    }

    /// As [`Transaction::enqueue`]; counts what came of it.
    pub(crate) fn enqueue_recorded(
        self,
        durability: Durability,
        lead: Lead,
        waits: bool,
    ) -> Result<Enqueued> {
        let recording = &self.shared.recording;
        let outcome = self.enqueue(durability, lead, waits);
        match &outcome {
            Ok(Enqueued::Commit(span, _)) => {
                let bytes = span.end.as_u64() - span.start.as_u64();
                recording.add(&COMMITS, &[by_durability(durability)], 1);
                recording.observe(&COMMIT_BYTES, &[], bytes);
            }
            Ok(Enqueued::Nothing(..)) => {}
            // A thread of the parent may have held the recorder's locks at the fork.
            Err(Error::Forked { .. }) => {}
            Err(error) => recording.add(&REFUSED, &[by_retry(error)], 1),
        }
        outcome
    }
}

fn by_durability(durability: Durability) -> Label {
    let value = match durability {
        Durability::Buffered => "buffered",
        Durability::Sync => "sync",
    };
    ("durability", value)
}

fn by_retry(error: &Error) -> Label {
    let value = match error.retry() {
        Retry::AtOnce => "at_once",
        Retry::AfterReading => "after_reading",
        Retry::Later => "later",
        Retry::AfterReopening => "after_reopening",
        Retry::Never => "never",
    };
    ("retry", value)
}
