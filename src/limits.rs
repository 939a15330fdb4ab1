//! Every limit of the store, by name.
//!
//! The constants come from the format and are checked on write and on read. [`Limits`] are per namespace
//! and are checked on write. [`Limit`] names each in an error.

use std::fmt;

/// Most bytes of one event: header, typed head and payload.
pub const EVENT_BYTES_MAX: usize = 16 << 20;
/// Most events of one run in one commit.
pub const BATCH_EVENTS_MAX: usize = u16::MAX as usize;
/// Most runs that one commit may touch.
pub const COMMIT_RUNS_MAX: usize = u16::MAX as usize;
/// Most bytes of one run, so that its sizes fit 32 bits.
pub const RUN_BYTES_MAX: u64 = u32::MAX as u64;
/// Most bytes of a table's name.
pub const TABLE_NAME_BYTES_MAX: usize = 255;
/// Most bytes of a key in a table.
pub const KEY_BYTES_MAX: usize = 4096;
/// Most bytes of a value in a table.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Most bytes of a namespace's name.
pub const NAMESPACE_BYTES_MAX: usize = 255;
/// Most bytes of the name of a consumer of the log.
pub const CONSUMER_NAME_BYTES_MAX: usize = 255;
/// Smallest segment, in bytes.
pub const SEGMENT_BYTES_MIN: u32 = 64 << 10;
/// Largest segment, in bytes.
pub const SEGMENT_BYTES_MAX: u32 = 1 << 30;
/// Highest position: the link of a batch has 48 bits for it.
pub const POSITION_MAX: u64 = (1 << 48) - 1;

/// The limits of one namespace. The defaults are Temporal's.
///
/// Crossing a limit is [`Error::LimitExceeded`](crate::Error::LimitExceeded) and writes nothing.
/// However long a run is, it can be closed, continued and asked to cancel; only the limits on payloads and
/// ids apply then. No limit applies to an imported run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Most events in one run (`limit.historyCount.error`).
    pub history_events: u32,
    /// Most bytes in one run (`limit.historySize.error`).
    pub history_bytes: u32,
    /// Most bytes in one payload (`limit.blobSize.error`).
    pub payload_bytes: u32,
    /// Most bytes in a workflow id, type, task queue, signal name and the like
    /// (`limit.maxIDLength`).
    pub id_bytes: u32,
    /// Number of events in one run above which each commit warns (`limit.historyCount.warn`).
    pub warn_events: u32,
    /// Number of bytes in one run above which each commit warns (`limit.historySize.warn`).
    pub warn_bytes: u32,
    /// Number of events in one run from which each commit suggests to continue as new
    /// (`limit.historyCount.suggestContinueAsNew`).
    pub suggest_events: u32,
    /// Number of bytes in one run from which each commit suggests to continue as new
    /// (`limit.historySize.suggestContinueAsNew`).
    pub suggest_bytes: u32,
    /// Most children of one run without an outcome (`limit.numPendingChildExecutions.error`).
    pub open_children: u32,
    /// Most activities of one run without an outcome (`limit.numPendingActivities.error`).
    pub open_activities: u32,
    /// Most signals of one run to others without an answer (`limit.numPendingSignals.error`).
    pub open_signals: u32,
    /// Most cancel requests of one run to others without an answer
    /// (`limit.numPendingCancelRequests.error`).
    pub open_cancels: u32,
}

impl Limits {
    /// No limits but those of the format: what imported runs are held against, and for engines that have limits of
    /// their own.
    pub const UNLIMITED: Limits = Limits {
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
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            history_events: 51_200,
            history_bytes: 50 << 20,
            payload_bytes: 2 << 20,
            id_bytes: 1_000,
            warn_events: 10_240,
            warn_bytes: 10 << 20,
            suggest_events: 4_096,
            suggest_bytes: 4 << 20,
            open_children: 2_000,
            open_activities: 2_000,
            open_signals: 2_000,
            open_cancels: 2_000,
        }
    }
}

/// Which limit would be crossed, in [`Error::LimitExceeded`](crate::Error::LimitExceeded).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::history_events`].
    HistoryEvents,
    /// [`Limits::history_bytes`], or [`RUN_BYTES_MAX`].
    HistoryBytes,
    /// [`Limits::payload_bytes`].
    PayloadBytes,
    /// [`Limits::id_bytes`].
    IdBytes,
    /// [`Limits::open_children`].
    OpenChildren,
    /// [`Limits::open_activities`].
    OpenActivities,
    /// [`Limits::open_signals`].
    OpenSignals,
    /// [`Limits::open_cancels`].
    OpenCancels,
    /// Open activities of a run that is reset: 65,535.
    ResetActivities,
    /// [`EVENT_BYTES_MAX`]; what was asked is at least so much.
    EventBytes,
    /// [`BATCH_EVENTS_MAX`].
    BatchEvents,
    /// [`COMMIT_RUNS_MAX`].
    CommitRuns,
    /// A commit must fit into one segment: [`Transaction::bytes_max`](crate::Transaction::bytes_max).
    CommitBytes,
    /// [`POSITION_MAX`].
    LogBytes,
    /// [`NAMESPACE_BYTES_MAX`].
    NamespaceBytes,
    /// [`TABLE_NAME_BYTES_MAX`].
    TableNameBytes,
    /// [`KEY_BYTES_MAX`].
    KeyBytes,
    /// [`VALUE_BYTES_MAX`].
    ValueBytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::HistoryEvents => "events in one run",
            Limit::HistoryBytes => "bytes in one run",
            Limit::PayloadBytes => "bytes in a payload",
            Limit::IdBytes => "bytes in an id or a name",
            Limit::OpenChildren => "open children of one run",
            Limit::OpenActivities => "open activities of one run",
            Limit::OpenSignals => "signals of one run on their way",
            Limit::OpenCancels => "cancel requests of one run on their way",
            Limit::ResetActivities => "open activities in a reset",
            Limit::EventBytes => "bytes in one event",
            Limit::BatchEvents => "events of one run in one commit",
            Limit::CommitRuns => "runs in one commit",
            Limit::CommitBytes => "bytes in one commit",
            Limit::LogBytes => "bytes in the log",
            Limit::NamespaceBytes => "bytes in the name of a namespace",
            Limit::TableNameBytes => "bytes in the name of a table",
            Limit::KeyBytes => "bytes in a key",
            Limit::ValueBytes => "bytes in a value",
        })
    }
}
