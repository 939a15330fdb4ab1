//! The records that typed bodies are, and the only rkyv derives.
//!
//! A record is never edited: a change is a new version beside the old one.

use rkyv::rancor::Source;
use rkyv::ser::{Allocator, Writer};
use rkyv::validation::ArchiveContext;
use rkyv::{Archive, Archived, Serialize};

use super::codec::{self, Buffer, Malformed};
use super::field::{Field, FieldValue};
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
                pub(super) fn encode(&self, buffer: &mut Buffer) -> Result<(), Malformed> {
                    codec::encode(&$disk { $($field: Field::disk(&self.$field),)* }, buffer)
                }
            }

            impl<'x> record_type!($name 'x $($lt)?) {
                pub(super) fn fields(&self) -> Vec<(&'static str, FieldValue<'x>)> {
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
