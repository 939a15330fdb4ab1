//! Events: their kinds, typed bodies and payloads, and their encoding.

mod body;
mod codec;
mod effect;
mod field;
#[cfg(test)]
mod golden;
mod kind;
mod raw;
mod record;
mod refers;
mod values;

pub use body::Body;
use body::Record;
pub(crate) use codec::{Buffer, Malformed};
pub(crate) use effect::{Awaited, Effect, RequestKind};
pub use field::FieldValue;
pub use kind::EventKind;
pub(crate) use raw::{Left, RawEvent, encode, encode_left};
pub(crate) use record::LAYOUT_FINGERPRINT;
pub use record::{
    ActivityScheduled, ActivityTask, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, ExternalInitiated, ExternalResolved,
    Reset, Signaled, Started, Terminated, TimerEnded, TimerStarted, WorkflowTask,
};
pub use values::{
    EventIds, ExternalFailedCause, IdConflictPolicy, IdReusePolicy, Initiator, ParentClosePolicy,
    RetryState, StartChildFailedCause,
};

use crate::id::Timestamp;

/// An event to append. Borrows its content, which is copied once, into the commit.
///
/// ```
/// use kinlog::{Body, EventKind, NewEvent};
/// use kinlog::event::TimerStarted;
///
/// let timer = NewEvent::new(Body::TimerStarted(TimerStarted {
///     timer_id: "reminder",
///     ..Default::default()
/// }));
/// let own = NewEvent::opaque(EventKind::from_number(1024), b"anything");
/// assert_eq!(own.kind(), EventKind::from_number(1024));
/// # let _ = timer;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    pub(crate) body: Body<'a>,
    pub(crate) payload: &'a [u8],
    pub(crate) time: Option<Timestamp>,
    pub(crate) key: Option<u64>,
}

impl<'a> NewEvent<'a> {
    /// An event with this body, no payload, and the time at which its transaction began.
    #[must_use]
    pub const fn new(body: Body<'a>) -> Self {
        NewEvent { body, payload: &[], time: None, key: None }
    }

    /// An event without a typed body: its content is its payload.
    #[must_use]
    pub const fn opaque(kind: EventKind, payload: &'a [u8]) -> Self {
        NewEvent { body: Body::Opaque(kind), payload, time: None, key: None }
    }

    /// An activity is scheduled. It is identified by the id of this event; an engine's own id goes into
    /// [`ActivityScheduled::activity_id`].
    #[must_use]
    pub fn activity_scheduled(activity_type: &'a str) -> Self {
        let scheduled = ActivityScheduled { activity_type, ..Default::default() };
        NewEvent::new(Body::ActivityTaskScheduled(scheduled))
    }

    /// The activity of this Scheduled event completed. The payload is its result.
    #[must_use]
    pub const fn activity_completed(scheduled_event_id: u32) -> Self {
        let task = ActivityTask { scheduled_event_id, started_event_id: 0 };
        NewEvent::new(Body::ActivityTaskCompleted(task))
    }

    /// The activity of this Scheduled event failed. The payload is its failure.
    #[must_use]
    pub const fn activity_failed(scheduled_event_id: u32) -> Self {
        let task = ActivityTask { scheduled_event_id, started_event_id: 0 };
        NewEvent::new(Body::ActivityTaskFailed(task))
    }

    /// A timer starts. It is identified by the id of this event; an engine's own id goes into
    /// [`TimerStarted::timer_id`].
    #[must_use]
    pub fn timer_started() -> Self {
        NewEvent::new(Body::TimerStarted(TimerStarted::default()))
    }

    /// The timer of this Started event fires.
    #[must_use]
    pub fn timer_fired(started_event_id: u32) -> Self {
        let ended = TimerEnded { started_event_id, ..Default::default() };
        NewEvent::new(Body::TimerFired(ended))
    }

    /// Sets the payload: opaque bytes of the engine, at most the namespace's
    /// [`Limits::payload_bytes`](crate::Limits::payload_bytes).
    #[must_use]
    pub const fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// Gives the event a key: an engine's own number for it, which no other event of the run may have.
    /// [`Store::event_by_key`](crate::Store::event_by_key) finds it. The run must stay where it is until the commit,
    /// also if it [may be anywhere](crate::Expect::Any). A key is a row of the table `kinlog.keys`, 48 bytes in the log.
    #[must_use]
    pub const fn key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the time; the default is the time at which the transaction began.
    #[must_use]
    pub const fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.body.kind()
    }
}

/// An event of a history, borrowed from the log: nothing is copied.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    id: u32,
    size: u32,
    kind: EventKind,
    version: u8,
    time: Timestamp,
    record: Record<'a>,
    payload: &'a [u8],
}

impl<'a> Event<'a> {
    /// Validates the typed head.
    #[inline]
    pub(crate) fn check(id: u32, raw: RawEvent<'a>) -> Result<Self, Malformed> {
        let RawEvent { kind, version, time, head, payload, size } = raw;
        let record = match raw.is_opaque() {
            true => Record::Opaque,
            false => Record::check(kind, version, head)?,
        };
        Ok(Event { id, size, kind, version, time, record, payload })
    }

    /// The event id: its number in its run, from 1.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// The version of the typed record; 0 where the event has none.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// When it happened, as the engine gave it.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The typed body, put together at each call from the record in the log.
    #[must_use]
    pub fn body(&self) -> Body<'a> {
        self.record.body(self.kind)
    }

    /// The payload: opaque bytes of the engine.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Its bytes in the log, header and padding included. A run's size is their sum.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }
}

impl std::fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("time", &self.time)
            .field("body", &self.body())
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}
