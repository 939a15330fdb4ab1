//! A run that a transaction adds events to, and the limits it is held against.

use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::id::RunId;
use crate::index::{Extent, RunStatus};
use crate::limits::{BATCH_EVENTS_MAX, COMMIT_RUNS_MAX, Limits};

/// Neighbouring bytes in `events` that belong to one run; linked per run.
pub(super) struct Chunk {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: Option<usize>,
}

/// A run that the transaction adds events to.
pub(super) struct Touched {
    pub(super) id: RunId,
    /// The event that the first of the transaction's becomes.
    pub(super) first_event: u32,
    /// Any place will do.
    pub(super) any: bool,
    pub(super) count: usize,
    pub(super) bytes_before: u64,
    pub(super) bytes: u64,
    /// How it stands after the transaction's events.
    pub(super) status: RunStatus,
    pub(super) limits: Limits,
    pub(super) recorded: bool,
    pub(super) chunks: Option<(usize, usize)>,
    /// For a run that begins here: where its workflow was seen.
    pub(super) begins: Option<Begins>,
}

pub(super) struct Begins {
    pub(super) namespace: Box<str>,
    pub(super) workflow_id: Box<str>,
    /// The workflow's current run, if it had one.
    pub(super) seen: Option<RunId>,
}

impl Touched {
    /// Checks the limits that can be told before the event is encoded.
    pub(super) fn check_event(&self, event: &NewEvent<'_>) -> Result<()> {
        let run = Some(self.id);
        let limits = if self.recorded { UNLIMITED } else { self.limits };
        let payload = wide(event.payload.len());
        check_max_of("bytes in a payload", run, 0, payload, limits.payload_bytes.into())?;
        for (_, text) in event.body.texts() {
            check_max_of(
                "bytes in an id or a name",
                run,
                0,
                wide(text.len()),
                limits.id_bytes.into(),
            )?;
        }
        let count = self.count + 1;
        check_max("events of one run in one commit", count, BATCH_EVENTS_MAX)?;
        let now = u64::from(self.next_event()) - 1;
        if !event.kind().is_closing() {
            let max = limits.history_events.into();
            check_max_of("events in one run", run, now, now + 1, max)?;
        }
        check_max_of("events in one run", run, now, now + 1, u64::from(u32::MAX) - 1)
    }

    /// Checks the run's limits once more, from where it is now.
    pub(super) fn check_growth(&self, extent: &Extent) -> Result<()> {
        let (run, now) = (Some(self.id), u64::from(extent.bytes));
        let unmeasured = self.recorded || !self.status.is_open();
        let limits = if unmeasured { UNLIMITED } else { self.limits };
        let bytes_max = u64::from(limits.history_bytes);
        check_max_of("bytes in one run", run, now, now + self.bytes, bytes_max)?;
        let now = u64::from(extent.next_event) - 1;
        let asked = now + wide(self.count);
        check_max_of("events in one run", run, now, asked, limits.history_events.into())
    }

    pub(super) fn next_event(&self) -> u32 {
        self.first_event.saturating_add(u32::try_from(self.count).unwrap_or(u32::MAX))
    }
}

/// What a recorded run is measured by: only by what the format can hold.
pub(super) const UNLIMITED: Limits = Limits {
    history_events: u32::MAX - 1,
    history_bytes: u32::MAX,
    payload_bytes: u32::MAX,
    id_bytes: u32::MAX,
};

pub(super) fn too_many_runs(asked: usize) -> Error {
    let (asked, max) = (wide(asked), wide(COMMIT_RUNS_MAX));
    Error::LimitExceeded { limit: "runs in one commit", run: None, now: 0, asked, max }
}

pub(super) fn check_max(limit: &'static str, asked: usize, max: usize) -> Result<()> {
    check_max_of(limit, None, 0, wide(asked), wide(max))
}

pub(super) fn check_max_of(
    limit: &'static str,
    run: Option<RunId>,
    now: u64,
    asked: u64,
    max: u64,
) -> Result<()> {
    if asked > max { Err(Error::LimitExceeded { limit, run, now, asked, max }) } else { Ok(()) }
}
