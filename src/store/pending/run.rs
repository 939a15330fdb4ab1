//! A run that a transaction adds events to, and the limits it is held against.

use crate::bytes::{in_memory, wide};
use crate::error::{Error, Moved, Result};
use crate::event::{Body, EventKind, NewEvent};
use crate::id::{Position, RunId, RunNumber, Timestamp};
use crate::index::{Index, RunState, RunStatus};
use crate::limits::{BATCH_EVENTS_MAX, COMMIT_RUNS_MAX, Limit, Limits};
use crate::retention::Keep;

/// Neighbouring bytes in `events` that belong to one run; linked per run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) next: Option<usize>,
}

/// A run that the transaction adds events to.
pub(crate) struct PendingRun {
    pub(crate) id: RunId,
    /// For a run that is in the store: its number, which stays.
    pub(crate) number: Option<RunNumber>,
    /// The event that the first of the transaction's becomes.
    pub(crate) first_event: u32,
    pub(crate) precondition: Precondition,
    /// It must be where it was found: answers or bytes of this transaction depend on it, whatever the
    /// caller said.
    pub(crate) held: bool,
    /// It gets events here that rules speak of.
    pub(crate) ruled: bool,
    pub(crate) bytes_before: u64,
    pub(crate) limits: Limits,
    pub(crate) imported: bool,
    /// What was kept of it, if it was deleted.
    pub(crate) deleted: Option<Keep>,
    /// For a run that begins here.
    pub(crate) begins: Option<Box<NewRunState>>,
    pub(crate) progress: Progress,
}

/// Where a run must be when the transaction is committed, as far as the caller knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Precondition {
    /// Where the transaction found it, if it adds events to it.
    Found,
    /// There in any case: the caller said so.
    Expected,
    /// Anywhere: the caller said so. What is appended then is a blind append.
    Anywhere,
    /// Anywhere so far: only duties were settled, whose events say the same in any place.
    Loose,
}

/// What the transaction has added to a run so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) count: u32,
    pub(crate) bytes: u64,
    /// How the run stands after the transaction's events.
    pub(crate) status: RunStatus,
    /// Events and bytes up to the last one that is held against the limits.
    pub(crate) measured: (u32, u64),
    pub(crate) chunks: Option<(usize, usize)>,
    /// Where in `events` its last event begins.
    pub(crate) last: usize,
}

impl Progress {
    pub(crate) fn none(status: RunStatus) -> Self {
        Progress { count: 0, bytes: 0, status, measured: (0, 0), chunks: None, last: 0 }
    }
}

/// What is known of a run that begins in the transaction.
pub(crate) struct NewRunState {
    pub(crate) identity: RunIdentity,
    /// Of its start; empty for none.
    pub(crate) request_id: Box<str>,
    pub(crate) started_at: Timestamp,
    /// For a reset: the batch that the first one of its own follows.
    pub(crate) previous: Option<Position>,
}

/// How far runs have moved that get blind appends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Recheck {
    #[default]
    None,
    /// Their limits must be asked again.
    Moved,
    /// And the rules, too: rules speak of what they get.
    Ruled,
}

/// Who says what an event holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventSource {
    /// The caller: it is held against the limits on names and payloads.
    Caller,
    /// The store: it was accepted before, whatever the limits are now.
    Store,
}

/// Who a run is to others.
#[derive(Clone, Debug)]
pub(crate) struct RunIdentity {
    pub(crate) namespace: Box<str>,
    pub(crate) workflow_id: Box<str>,
    /// The first run of its chain.
    pub(crate) first: RunId,
    pub(crate) parent: Option<ParentIdentity>,
    /// For a run with a parent.
    pub(crate) root: Option<RootIdentity>,
}

/// The parent of a run.
#[derive(Clone, Debug)]
pub(crate) struct ParentIdentity {
    pub(crate) workflow_id: Box<str>,
    pub(crate) run: RunId,
    /// Its Initiated event.
    pub(crate) initiated: u32,
}

/// The run at the root of a tree.
#[derive(Clone, Debug)]
pub(crate) struct RootIdentity {
    pub(crate) workflow_id: Box<str>,
    pub(crate) run: RunId,
}

impl PendingRun {
    /// The number of a run that is in the store, and how far it has come by now.
    pub(crate) fn known(&self, index: &Index) -> Result<(RunNumber, RunState)> {
        let found = self.number.and_then(|number| Some((number, index.runs.state(number)?)));
        found.ok_or(Error::RunNotFound { run: self.id })
    }

    /// Checks the limits that can be told before the event is encoded.
    pub(crate) fn check_event(&self, event: &NewEvent<'_>, source: EventSource) -> Result<()> {
        if source == EventSource::Caller {
            self.check_content(event)?;
        }
        let run = Some(self.id);
        let limits = if self.imported { &Limits::UNLIMITED } else { &self.limits };
        let count = self.progress.count + 1;
        check_max(Limit::BatchEvents, in_memory(count), BATCH_EVENTS_MAX)?;
        let now = u64::from(self.next_event()) - 1;
        if !is_exempt(event.kind()) {
            let max = limits.history_events.into();
            check_max_of(Limit::HistoryEvents, run, now, now + 1, max)?;
        }
        check_max_of(Limit::HistoryEvents, run, now, now + 1, u64::from(u32::MAX) - 1)
    }

    /// Checks the limits on names and payloads.
    pub(crate) fn check_content(&self, event: &NewEvent<'_>) -> Result<()> {
        let run = Some(self.id);
        let limits = if self.imported { &Limits::UNLIMITED } else { &self.limits };
        let payload = wide(event.payload.len());
        check_max_of(Limit::PayloadBytes, run, 0, payload, limits.payload_bytes.into())?;
        if !matches!(event.body, Body::Opaque(_)) {
            let max = limits.id_bytes.into();
            event.body.texts().try_for_each(|(_, text)| {
                check_max_of(Limit::IdBytes, run, 0, wide(text.len()), max)
            })?;
        }
        Ok(())
    }

    /// Checks the run's limits once more, from where it is now.
    pub(crate) fn check_growth(&self, state: &RunState) -> Result<()> {
        let (events, bytes) = (self.progress.count, self.progress.bytes);
        self.check_grown(state, &Limits::UNLIMITED, events, bytes)?;
        let (events, bytes) = self.progress.measured;
        let exempt = self.imported || events == 0;
        if exempt { Ok(()) } else { self.check_grown(state, &self.limits, events, bytes) }
    }

    /// Whether the transaction closes the run, or does nothing but ask it to cancel.
    pub(crate) fn is_exempt(&self) -> bool {
        self.progress.measured.0 == 0 || !self.progress.status.is_open()
    }

    /// Whether the run begins here as the next one of a chain that goes on.
    pub(crate) fn continues(&self) -> bool {
        let continues =
            |begins: &NewRunState| begins.identity.first != self.id && begins.previous.is_none();
        self.begins.as_deref().is_some_and(continues)
    }

    /// Whether the run must not have moved since it was found.
    pub(crate) fn must_stay(&self) -> bool {
        let found = self.precondition == Precondition::Found && self.progress.count > 0;
        self.held || found || self.precondition == Precondition::Expected
    }

    /// The error that says that the run has moved.
    pub(crate) fn moved(&self, state: &RunState) -> Error {
        let (run, expected, found) = (self.id, self.first_event, state.next_event);
        match self.precondition {
            Precondition::Expected => Error::Conflict { run, expected, found },
            _ => Error::overtaken(Moved::Run { run, expected, found }),
        }
    }

    fn check_grown(&self, state: &RunState, most: &Limits, events: u32, bytes: u64) -> Result<()> {
        let (run, now) = (Some(self.id), u64::from(state.bytes));
        check_max_of(Limit::HistoryBytes, run, now, now + bytes, most.history_bytes.into())?;
        let now = u64::from(state.next_event) - 1;
        check_max_of(
            Limit::HistoryEvents,
            run,
            now,
            now + u64::from(events),
            most.history_events.into(),
        )
    }

    pub(crate) fn next_event(&self) -> u32 {
        // `check_event` keeps the sum within its field.
        self.first_event + self.progress.count
    }
}

/// Whether an event may be added however long its run has grown.
pub(crate) fn is_exempt(kind: EventKind) -> bool {
    kind.is_closing() || kind == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED
}

pub(crate) fn too_many_runs(asked: usize) -> Error {
    let (asked, max) = (wide(asked), wide(COMMIT_RUNS_MAX));
    Error::LimitExceeded { limit: Limit::CommitRuns, run: None, now: 0, asked, max }
}

pub(crate) fn check_max(limit: Limit, asked: usize, max: usize) -> Result<()> {
    check_max_of(limit, None, 0, wide(asked), wide(max))
}

pub(crate) fn check_max_of(
    limit: Limit,
    run: Option<RunId>,
    now: u64,
    asked: u64,
    max: u64,
) -> Result<()> {
    if asked > max { Err(Error::LimitExceeded { limit, run, now, asked, max }) } else { Ok(()) }
}
