//! The typed bodies: one immutable record per (kind, version), and the only rkyv derives.
//!
//! A body holds what kinlog indexes or an engine looks up: relations, start and end of runs, ids that
//! refer to other events. Everything else about an event is in its payload.
//! A record is never edited: a change is a new version beside the old one.

use rkyv::rancor::Source;
use rkyv::ser::{Allocator, Writer};
use rkyv::validation::ArchiveContext;
use rkyv::{Archive, Archived, Serialize};

use super::codec::{self, Buffer, Malformed};
use super::field::{Field, FieldValue};
use super::kind::EventKind;
use super::values::{
    EventIds, ExternalFailedCause, IdConflictPolicy, IdReusePolicy, Initiator, ParentClosePolicy,
    RetryState, StartChildFailedCause,
};
use crate::id::RunId;

/// Declares records: the public struct, and the struct that is archived, with the same fields.
macro_rules! records {
    ($($(#[$doc:meta])* $name:ident [$($lt:lifetime)?] as $disk:ident / $archived:ident in $use:lifetime {
        $($(#[$fdoc:meta])* $field:ident: $ty:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
            pub struct $name $(<$lt>)? {
                $($(#[$fdoc])* pub $field: $ty,)*
            }

            #[derive(Archive, Serialize)]
            #[rkyv(
                serialize_bounds(__S: Allocator + Writer, __S::Error: Source),
                bytecheck(bounds(__C: ArchiveContext, __C::Error: Source)),
            )]
            pub(super) struct $disk $(<$lt>)? {
                $(#[rkyv(omit_bounds)] $field: <$ty as Field<$use>>::Disk,)*
            }

            // Event heads are read at 4-byte alignment and measured in 4-byte words.
            const _: () = assert!(align_of::<$archived>() == 4 && size_of::<$archived>() % 4 == 0);

            impl $(<$lt>)? $name $(<$lt>)? {
                fn encode(&self, buffer: &mut Buffer) -> Result<(), Malformed> {
                    codec::encode(&$disk { $($field: Field::disk(&self.$field),)* }, buffer)
                }
            }

            impl<'x> record_type!($name 'x $($lt)?) {
                fn fields(&self) -> Vec<(&'static str, FieldValue<'x>)> {
                    vec![$((stringify!($field), Field::value(&self.$field)),)*]
                }
            }

            impl<'x> Decode<'x> for record_type!($name 'x $($lt)?) {
                type Archived = archived_type!($archived 'x $($lt)?);

                fn access(head: &'x [u8]) -> Result<&'x Self::Archived, Malformed> {
                    codec::access(head)
                }

                fn view(archived: &'x Self::Archived) -> Self {
                    $name { $($field: Field::view(&archived.$field),)* }
                }
            }
        )*

        /// Sizes, alignments and field offsets of every record, folded into one number: two
        /// builds with different numbers lay events out differently.
        const RECORD_LAYOUT: u64 = {
            let mut hash = FNV_OFFSET;
            $(
                hash = fnv(hash, size_of::<$archived>());
                hash = fnv(hash, align_of::<$archived>());
                $(hash = fnv(hash, std::mem::offset_of!($archived, $field));)*
            )*
            hash
        };
    };
}

macro_rules! record_type {
    ($name:ident $x:lifetime $lt:lifetime) => { $name<$x> };
    ($name:ident $x:lifetime) => { $name };
}

macro_rules! archived_type {
    ($name:ident $x:lifetime $lt:lifetime) => { $name<$x> };
    ($name:ident $x:lifetime) => { $name };
}

/// A record read back from its archive.
pub(super) trait Decode<'a>: Sized {
    type Archived;
    /// Validates the archive at the end of `head`.
    fn access(head: &'a [u8]) -> Result<&'a Self::Archived, Malformed>;
    fn view(archived: &'a Self::Archived) -> Self;
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

const fn fnv(hash: u64, value: usize) -> u64 {
    // `usize` to `u64` never loses: no supported target is wider.
    (hash ^ value as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The layout fingerprint that segments and manifest carry; see `docs/format.md`.
pub(crate) const LAYOUT_FINGERPRINT: u64 = RECORD_LAYOUT;

// Byte order, alignment and pointer width of archives, as types: a build in which another crate
// switched an rkyv format feature stops here instead of writing another format.
const _: fn(Archived<u64>) -> rkyv::rend::u64_le = |v| v;
const _: fn(Archived<usize>) -> rkyv::rend::u32_le = |v| v;

records! {
    /// The first event of every run (`WorkflowExecutionStartedEventAttributes`).
    Started ['a] as StartedV1 / ArchivedStartedV1 in 'a {
        /// The run that starts.
        run_id: RunId,
        /// The first run of the chain; the run itself if it is the first.
        first_run_id: RunId,
        /// The run that this one continues.
        continued_run_id: Option<RunId>,
        /// The run's namespace.
        namespace: &'a str,
        /// The workflow id.
        workflow_id: &'a str,
        /// The name of the workflow type.
        workflow_type: &'a str,
        /// The task queue; empty if the engine has none.
        task_queue: &'a str,
        /// Makes the start idempotent: a repeated one returns the same run; empty for none.
        request_id: &'a str,
        /// The parent's workflow id; empty for a run without parent.
        parent_workflow_id: &'a str,
        /// The parent's run.
        parent_run_id: Option<RunId>,
        /// The root workflow's id; empty where the run has no parent.
        root_workflow_id: &'a str,
        /// The root's run.
        root_run_id: Option<RunId>,
        /// The Initiated event in the parent; 0 for a run without parent.
        parent_initiated_event_id: u32,
        /// The attempt of a retry, from 1; 0 if the engine does not count.
        attempt: u32,
        /// Why the run continues another one.
        initiator: Initiator,
        /// The run was imported: rules about starts and limits were not applied to it.
        imported: bool,
    }

    /// A closing event that another run of the chain may follow: kinds 2, 3, 4.
    Closed [] as ClosedV1 / ArchivedClosedV1 in 'static {
        /// The run that continues the chain, by retry or cron.
        new_run_id: Option<RunId>,
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
        /// What became of its retries.
        retry_state: RetryState,
    }

    /// The workflow canceled itself (`WorkflowExecutionCanceledEventAttributes`).
    Canceled [] as CanceledV1 / ArchivedCanceledV1 in 'static {
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
    }

    /// The run was terminated (`WorkflowExecutionTerminatedEventAttributes`).
    Terminated ['a] as TerminatedV1 / ArchivedTerminatedV1 in 'a {
        /// Why, in words.
        reason: &'a str,
        /// The run that a reset created in place of this one, with its children.
        reset_run_id: Option<RunId>,
    }

    /// The first event of its own of a run that a reset created (`WorkflowTaskFailedEventAttributes` with the
    /// cause `RESET_WORKFLOW`). The events before it are those of the base run.
    Reset ['a] as ResetV1 / ArchivedResetV1 in 'a {
        /// The run that the reset creates.
        run_id: RunId,
        /// The base run, whose events it shares up to the one before this.
        base_run_id: RunId,
        /// Why, in words.
        reason: &'a str,
        /// Makes the reset idempotent: a repeated one returns the same run; empty for none.
        request_id: &'a str,
        /// The Scheduled events of the activities that are open at this point.
        open_activities: EventIds<'a>,
    }

    /// The run continued as a new one (`WorkflowExecutionContinuedAsNewEventAttributes`).
    ContinuedAsNew [] as ContinuedAsNewV1 / ArchivedContinuedAsNewV1 in 'static {
        /// The run that follows.
        new_run_id: Option<RunId>,
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
        /// Why it continues.
        initiator: Initiator,
    }

    /// The run was asked to cancel (`WorkflowExecutionCancelRequestedEventAttributes`).
    CancelRequested ['a] as CancelRequestedV1 / ArchivedCancelRequestedV1 in 'a {
        /// The workflow that asks; empty if it is not a workflow.
        external_workflow_id: &'a str,
        /// The run that asks.
        external_run_id: Option<RunId>,
        /// The Initiated event of the asking run; 0 for none.
        external_initiated_event_id: u32,
    }

    /// The run was signaled (`WorkflowExecutionSignaledEventAttributes`).
    Signaled ['a] as SignaledV1 / ArchivedSignaledV1 in 'a {
        /// The signal's name.
        signal_name: &'a str,
        /// Makes the signal idempotent: a repeated one is appended once; empty for none.
        request_id: &'a str,
        /// The run that signals, if it is one.
        external_run_id: Option<RunId>,
        /// The Initiated event of the signaling run; 0 for none.
        external_initiated_event_id: u32,
    }

    /// A signal or a cancel request to another workflow begins: kinds 37 and 22.
    ExternalInitiated ['a] as ExternalInitiatedV1 / ArchivedExternalInitiatedV1 in 'a {
        /// The target's workflow id.
        workflow_id: &'a str,
        /// The target's run; none for its current run.
        run_id: Option<RunId>,
        /// The signal's name; empty for a cancel request.
        signal_name: &'a str,
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
        /// Whether the target must be a child of this workflow.
        child_workflow_only: bool,
    }

    /// A signal or a cancel request to another workflow ends: kinds 38, 39, 23 and 24.
    ExternalResolved [] as ExternalResolvedV1 / ArchivedExternalResolvedV1 in 'static {
        /// The Initiated event it answers.
        initiated_event_id: u32,
        /// Why it failed; unspecified for success.
        cause: ExternalFailedCause,
    }

    /// A child is to be started (`StartChildWorkflowExecutionInitiatedEventAttributes`).
    ChildInitiated ['a] as ChildInitiatedV1 / ArchivedChildInitiatedV1 in 'a {
        /// The child's workflow id.
        workflow_id: &'a str,
        /// The name of its workflow type.
        workflow_type: &'a str,
        /// Its task queue; empty if the engine has none.
        task_queue: &'a str,
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
        /// What happens to the child when this run closes.
        close_policy: ParentClosePolicy,
        /// Whether its workflow id may have been used before.
        reuse_policy: IdReusePolicy,
        /// What a start does if its workflow is running.
        conflict_policy: IdConflictPolicy,
    }

    /// The child was not started (`StartChildWorkflowExecutionFailedEventAttributes`).
    ChildStartFailed [] as ChildStartFailedV1 / ArchivedChildStartFailedV1 in 'static {
        /// The Initiated event it answers.
        initiated_event_id: u32,
        /// Why not.
        cause: StartChildFailedCause,
    }

    /// The child runs (`ChildWorkflowExecutionStartedEventAttributes`).
    ChildStarted [] as ChildStartedV1 / ArchivedChildStartedV1 in 'static {
        /// The first run of the child's chain.
        run_id: RunId,
        /// The Initiated event it answers.
        initiated_event_id: u32,
    }

    /// The child's chain ended: kinds 32 to 36.
    ChildClosed [] as ChildClosedV1 / ArchivedChildClosedV1 in 'static {
        /// The last run of the child's chain.
        run_id: RunId,
        /// The Initiated event it answers.
        initiated_event_id: u32,
        /// The Started event of the child, in this run.
        started_event_id: u32,
        /// What became of its retries.
        retry_state: RetryState,
    }

    /// A workflow task begins, ends, fails or times out: kinds 6 to 9.
    WorkflowTask [] as WorkflowTaskV1 / ArchivedWorkflowTaskV1 in 'static {
        /// The event that scheduled the task.
        scheduled_event_id: u32,
        /// The event that started it; 0 in that event itself.
        started_event_id: u32,
    }

    /// An activity is to be run (`ActivityTaskScheduledEventAttributes`).
    ActivityScheduled ['a] as ActivityScheduledV1 / ArchivedActivityScheduledV1 in 'a {
        /// The activity's id within the run.
        activity_id: &'a str,
        /// The name of its type.
        activity_type: &'a str,
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
    }

    /// What becomes of an activity: kinds 11 to 16.
    ActivityTask [] as ActivityTaskV1 / ArchivedActivityTaskV1 in 'static {
        /// The event that scheduled the activity.
        scheduled_event_id: u32,
        /// The event that started it; 0 for none.
        started_event_id: u32,
    }

    /// A timer starts (`TimerStartedEventAttributes`).
    TimerStarted ['a] as TimerStartedV1 / ArchivedTimerStartedV1 in 'a {
        /// The timer's id within the run.
        timer_id: &'a str,
        /// The workflow task that decided it; 0 for none.
        workflow_task_completed_event_id: u32,
    }

    /// A timer fires or is canceled: kinds 18 and 19.
    TimerEnded ['a] as TimerEndedV1 / ArchivedTimerEndedV1 in 'a {
        /// The timer's id within the run.
        timer_id: &'a str,
        /// The event that started the timer.
        started_event_id: u32,
    }
}

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
