//! A run that a transaction adds events to, and the limits it is held against.

use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::{Body, EventKind, NewEvent};
use crate::id::{Position, RunId};
use crate::index::{Extent, Index, RunStatus};
use crate::limits::{BATCH_EVENTS_MAX, COMMIT_RUNS_MAX, Limits};

/// Neighbouring bytes in `events` that belong to one run; linked per run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: Option<usize>,
}

/// A run that the transaction adds events to.
pub(super) struct Touched {
    pub(super) id: RunId,
    /// For a run that is in the store: its number, which stays.
    pub(super) number: Option<u32>,
    /// The event that the first of the transaction's becomes.
    pub(super) first_event: u32,
    pub(super) place: Place,
    pub(super) bytes_before: u64,
    pub(super) limits: Limits,
    pub(super) recorded: bool,
    /// For a run that begins here.
    pub(super) begins: Option<Box<Begins>>,
    pub(super) progress: Progress,
}

/// Where a run must be when the transaction is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Where the transaction found it, if it adds events to it.
    Found,
    /// There in any case: the caller said so.
    Expected,
    /// Anywhere: the caller said so.
    Anywhere,
    /// Anywhere so far: only duties were settled, whose events say the same in any place.
    Loose,
}

/// What the transaction has added to a run so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) count: usize,
    pub(super) bytes: u64,
    /// How the run stands after the transaction's events.
    pub(super) status: RunStatus,
    /// Events and bytes up to the last one that is held against the limits.
    pub(super) measured: (usize, u64),
    pub(super) chunks: Option<(usize, usize)>,
    /// Where in `events` its last event begins.
    pub(super) last: usize,
}

impl Progress {
    pub(super) fn none(status: RunStatus) -> Self {
        Progress { count: 0, bytes: 0, status, measured: (0, 0), chunks: None, last: 0 }
    }
}

/// What is known of a run that begins in the transaction.
pub(super) struct Begins {
    pub(super) kin: Kinship,
    /// The workflow's current run, if it had one.
    pub(super) seen: Option<RunId>,
    /// For a reset: the batch that the first one of its own follows.
    pub(super) previous: Option<Position>,
}

/// Who a run is to others.
#[derive(Clone, Debug)]
pub(super) struct Kinship {
    pub(super) namespace: Box<str>,
    pub(super) workflow_id: Box<str>,
    /// The first run of its chain.
    pub(super) first: RunId,
    /// The parent's workflow id and run, and the Initiated event there.
    pub(super) parent: Option<(Box<str>, RunId, u32)>,
    /// The root's workflow id and run, for a run with a parent.
    pub(super) root: Option<(Box<str>, RunId)>,
}

impl Touched {
    /// The number of a run that is in the store, and how far it has come by now.
    pub(super) fn known<'i>(&self, index: &'i Index) -> Result<(u32, &'i Extent)> {
        let found = self.number.and_then(|number| Some((number, index.runs.get(number)?)));
        let (number, run) = found.ok_or(Error::RunNotFound { run: self.id })?;
        Ok((number, run.extent.latest()))
    }

    /// Checks the limits that can be told before the event is encoded.
    pub(super) fn check_event(&self, event: &NewEvent<'_>) -> Result<()> {
        let run = Some(self.id);
        let limits = if self.recorded { &UNLIMITED } else { &self.limits };
        let payload = wide(event.payload.len());
        check_max_of("bytes in a payload", run, 0, payload, limits.payload_bytes.into())?;
        if !matches!(event.body, Body::Opaque(_)) {
            let max = limits.id_bytes.into();
            event.body.texts().try_for_each(|(_, text)| {
                check_max_of("bytes in an id or a name", run, 0, wide(text.len()), max)
            })?;
        }
        let count = self.progress.count + 1;
        check_max("events of one run in one commit", count, BATCH_EVENTS_MAX)?;
        let now = u64::from(self.next_event()) - 1;
        if !is_exempt(event.kind()) {
            let max = limits.history_events.into();
            check_max_of("events in one run", run, now, now + 1, max)?;
        }
        check_max_of("events in one run", run, now, now + 1, u64::from(u32::MAX) - 1)
    }

    /// Checks the run's limits once more, from where it is now.
    pub(super) fn check_growth(&self, extent: &Extent) -> Result<()> {
        let (events, bytes) = (self.progress.count, self.progress.bytes);
        self.check_grown(extent, &UNLIMITED, events, bytes)?;
        let (events, bytes) = self.progress.measured;
        let exempt = self.recorded || self.is_exempt();
        if exempt { Ok(()) } else { self.check_grown(extent, &self.limits, events, bytes) }
    }

    /// Whether the transaction closes the run, or does nothing but ask it to cancel.
    pub(super) fn is_exempt(&self) -> bool {
        self.progress.measured.0 == 0 || !self.progress.status.is_open()
    }

    fn check_grown(&self, extent: &Extent, most: &Limits, events: usize, bytes: u64) -> Result<()> {
        let (run, now) = (Some(self.id), u64::from(extent.bytes));
        check_max_of("bytes in one run", run, now, now + bytes, most.history_bytes.into())?;
        let now = u64::from(extent.next_event) - 1;
        check_max_of("events in one run", run, now, now + wide(events), most.history_events.into())
    }

    pub(super) fn next_event(&self) -> u32 {
        self.first_event.saturating_add(u32::try_from(self.progress.count).unwrap_or(u32::MAX))
    }
}

/// Whether an event may be added however long its run has grown.
pub(super) fn is_exempt(kind: EventKind) -> bool {
    kind.is_closing() || kind == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED
}

/// What a recorded run is measured by: only by what the format can hold.
pub(super) const UNLIMITED: Limits = Limits {
    history_events: u32::MAX - 1,
    history_bytes: u32::MAX,
    payload_bytes: u32::MAX,
    id_bytes: u32::MAX,
    warn_events: u32::MAX,
    warn_bytes: u32::MAX,
    suggest_events: u32::MAX,
    suggest_bytes: u32::MAX,
    open_children: u32::MAX,
    open_activities: u32::MAX,
    open_signals: u32::MAX,
    open_cancels: u32::MAX,
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
