//! The typed bodies: which record an event of a kind and a version has.
//!
//! A body holds what kinlog indexes or an engine looks up: relations, start and end of runs, ids that
//! refer to other events. Everything else about an event is in its payload.

use super::codec::{Buffer, Malformed};
use super::field::FieldValue;
use super::kind::EventKind;
use super::record::{
    ActivityScheduled, ActivityTask, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, Decode, ExternalInitiated,
    ExternalResolved, Reset, Signaled, Started, Terminated, TimerEnded, TimerStarted, WorkflowTask,
};

macro_rules! record_version {
    () => {
        1
    };
    ($version:literal) => {
        $version
    };
}

/// Declares [`Body`]: which record the body of each typed kind is.
macro_rules! bodies {
    ($($number:literal $(@ $version:literal)? $variant:ident($record:ident $(<$lt:lifetime>)?),)*) => {
        /// The typed record of an event, by kind; [`Body::Opaque`] for kinds whose content is the payload alone.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum Body<'a> {
            $(
                #[doc = concat!("Kind ", stringify!($number), $(", version ", stringify!($version),)? ".")]
                $variant($record $(<$lt>)?),
            )*
            /// A kind without typed record, a kind of the engine's own, or a version of a record
            /// that this build does not know.
            Opaque(EventKind),
        }

        impl<'a> Body<'a> {
            /// The kind.
            #[must_use]
            pub const fn kind(&self) -> EventKind {
                match self {
                    $(Body::$variant(_) => EventKind::from_number($number),)*
                    Body::Opaque(kind) => *kind,
                }
            }

            /// All fields of the record in their order, by name; none where the payload says everything. To show an event of any
            /// kind.
            #[must_use]
            pub fn fields(&self) -> Vec<(&'static str, FieldValue<'a>)> {
                match self {
                    $(Body::$variant(record) => record.fields(),)*
                    Body::Opaque(_) => vec![],
                }
            }

            /// The version of the record; 0 where there is none.
            pub(super) const fn version(&self) -> u8 {
                match self {
                    $(Body::$variant(_) => record_version!($($version)?),)*
                    Body::Opaque(_) => 0,
                }
            }

            /// Appends the record's archive.
            pub(super) fn encode(&self, buffer: &mut Buffer) -> Result<(), Malformed> {
                match self {
                    $(Body::$variant(record) => record.encode(buffer),)*
                    Body::Opaque(_) => Ok(()),
                }
            }

        }

        /// The typed record of an event as it lies in the log, validated. Much smaller than a [`Body`].
        #[derive(Clone, Copy)]
        pub(super) enum Record<'a> {
            $($variant(&'a <$record $(<$lt>)? as Decode<'a>>::Archived),)*
            Opaque,
        }

        impl<'a> Record<'a> {
            /// The record in `head`; opaque if kind or version are not known.
            pub(super) fn check(
                kind: EventKind,
                version: u8,
                head: &'a [u8],
            ) -> Result<Self, Malformed> {
                match (kind.number(), version) {
                    $(($number, record_version!($($version)?)) => {
                        <$record $(<$lt>)?>::access(head).map(Record::$variant)
                    })*
                    _ => Ok(Record::Opaque),
                }
            }

            /// The body of an event of this kind.
            pub(super) fn body(self, kind: EventKind) -> Body<'a> {
                match self {
                    $(Record::$variant(archived) => Body::$variant(Decode::view(archived)),)*
                    Record::Opaque => Body::Opaque(kind),
                }
            }
        }
    };
}

bodies! {
    1 WorkflowExecutionStarted(Started<'a>),
    2 WorkflowExecutionCompleted(Closed),
    3 WorkflowExecutionFailed(Closed),
    4 WorkflowExecutionTimedOut(Closed),
    6 WorkflowTaskStarted(WorkflowTask),
    7 WorkflowTaskCompleted(WorkflowTask),
    8 WorkflowTaskTimedOut(WorkflowTask),
    9 WorkflowTaskFailed(WorkflowTask),
    9 @2 WorkflowReset(Reset<'a>),
    10 ActivityTaskScheduled(ActivityScheduled<'a>),
    11 ActivityTaskStarted(ActivityTask),
    12 ActivityTaskCompleted(ActivityTask),
    13 ActivityTaskFailed(ActivityTask),
    14 ActivityTaskTimedOut(ActivityTask),
    15 ActivityTaskCancelRequested(ActivityTask),
    16 ActivityTaskCanceled(ActivityTask),
    17 TimerStarted(TimerStarted<'a>),
    18 TimerFired(TimerEnded<'a>),
    19 TimerCanceled(TimerEnded<'a>),
    20 WorkflowExecutionCancelRequested(CancelRequested<'a>),
    21 WorkflowExecutionCanceled(Canceled),
    22 RequestCancelExternalWorkflowExecutionInitiated(ExternalInitiated<'a>),
    23 RequestCancelExternalWorkflowExecutionFailed(ExternalResolved),
    24 ExternalWorkflowExecutionCancelRequested(ExternalResolved),
    26 WorkflowExecutionSignaled(Signaled<'a>),
    27 WorkflowExecutionTerminated(Terminated<'a>),
    28 WorkflowExecutionContinuedAsNew(ContinuedAsNew),
    29 StartChildWorkflowExecutionInitiated(ChildInitiated<'a>),
    30 StartChildWorkflowExecutionFailed(ChildStartFailed),
    31 ChildWorkflowExecutionStarted(ChildStarted),
    32 ChildWorkflowExecutionCompleted(ChildClosed),
    33 ChildWorkflowExecutionFailed(ChildClosed),
    34 ChildWorkflowExecutionCanceled(ChildClosed),
    35 ChildWorkflowExecutionTimedOut(ChildClosed),
    36 ChildWorkflowExecutionTerminated(ChildClosed),
    37 SignalExternalWorkflowExecutionInitiated(ExternalInitiated<'a>),
    38 SignalExternalWorkflowExecutionFailed(ExternalResolved),
    39 ExternalWorkflowExecutionSignaled(ExternalResolved),
}

impl<'a> Body<'a> {
    /// A body without typed record: the event's content is its payload.
    #[must_use]
    pub const fn opaque(kind: EventKind) -> Self {
        Body::Opaque(kind)
    }

    /// The texts and ids that the record holds, each with its name: what the limit on id length
    /// is checked against.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let mut texts = [("", ""); 6];
        match self {
            Body::WorkflowExecutionStarted(b) => {
                texts = [
                    ("workflow id", b.workflow_id),
                    ("workflow type", b.workflow_type),
                    ("task queue", b.task_queue),
                    ("request id", b.request_id),
                    ("parent workflow id", b.parent_workflow_id),
                    ("root workflow id", b.root_workflow_id),
                ];
            }
            Body::StartChildWorkflowExecutionInitiated(b) => {
                texts[0] = ("workflow id", b.workflow_id);
                texts[1] = ("workflow type", b.workflow_type);
                texts[2] = ("task queue", b.task_queue);
            }
            Body::WorkflowExecutionSignaled(b) => {
                texts[0] = ("signal name", b.signal_name);
                texts[1] = ("request id", b.request_id);
            }
            Body::SignalExternalWorkflowExecutionInitiated(b)
            | Body::RequestCancelExternalWorkflowExecutionInitiated(b) => {
                texts[0] = ("workflow id", b.workflow_id);
                texts[1] = ("signal name", b.signal_name);
            }
            Body::WorkflowReset(b) => texts[0] = ("request id", b.request_id),
            Body::ActivityTaskScheduled(b) => {
                texts[0] = ("activity id", b.activity_id);
                texts[1] = ("activity type", b.activity_type);
            }
            Body::TimerStarted(b) => texts[0] = ("timer id", b.timer_id),
            Body::TimerFired(b) | Body::TimerCanceled(b) => texts[0] = ("timer id", b.timer_id),
            Body::WorkflowExecutionCancelRequested(b) => {
                texts[0] = ("workflow id", b.external_workflow_id);
            }
            _ => {}
        }
        texts.into_iter().filter(|(_, text)| !text.is_empty())
    }
}
