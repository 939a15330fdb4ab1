//! Event kinds: numbers and names.

use std::fmt;

macro_rules! kinds {
    ($($number:literal $constant:ident $name:literal,)*) => {
        /// The kind of an event: its number in Temporal's `temporal.api.enums.v1.EventType`, or a
        /// number of the engine's own from [`EventKind::FIRST_CUSTOM`] on.
        ///
        /// A kind that this version does not know is kept and shown by its number; it is never an error.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct EventKind(u16);

        impl EventKind {
            $(
                #[doc = concat!("`", $name, "`, number ", stringify!($number), ".")]
                pub const $constant: EventKind = EventKind($number);
            )*

            /// The published name in camel case, where the kind has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    1 WORKFLOW_EXECUTION_STARTED "WorkflowExecutionStarted",
    2 WORKFLOW_EXECUTION_COMPLETED "WorkflowExecutionCompleted",
    3 WORKFLOW_EXECUTION_FAILED "WorkflowExecutionFailed",
    4 WORKFLOW_EXECUTION_TIMED_OUT "WorkflowExecutionTimedOut",
    5 WORKFLOW_TASK_SCHEDULED "WorkflowTaskScheduled",
    6 WORKFLOW_TASK_STARTED "WorkflowTaskStarted",
    7 WORKFLOW_TASK_COMPLETED "WorkflowTaskCompleted",
    8 WORKFLOW_TASK_TIMED_OUT "WorkflowTaskTimedOut",
    9 WORKFLOW_TASK_FAILED "WorkflowTaskFailed",
    10 ACTIVITY_TASK_SCHEDULED "ActivityTaskScheduled",
    11 ACTIVITY_TASK_STARTED "ActivityTaskStarted",
    12 ACTIVITY_TASK_COMPLETED "ActivityTaskCompleted",
    13 ACTIVITY_TASK_FAILED "ActivityTaskFailed",
    14 ACTIVITY_TASK_TIMED_OUT "ActivityTaskTimedOut",
    15 ACTIVITY_TASK_CANCEL_REQUESTED "ActivityTaskCancelRequested",
    16 ACTIVITY_TASK_CANCELED "ActivityTaskCanceled",
    17 TIMER_STARTED "TimerStarted",
    18 TIMER_FIRED "TimerFired",
    19 TIMER_CANCELED "TimerCanceled",
    20 WORKFLOW_EXECUTION_CANCEL_REQUESTED "WorkflowExecutionCancelRequested",
    21 WORKFLOW_EXECUTION_CANCELED "WorkflowExecutionCanceled",
    22 REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
        "RequestCancelExternalWorkflowExecutionInitiated",
    23 REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED
        "RequestCancelExternalWorkflowExecutionFailed",
    24 EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED "ExternalWorkflowExecutionCancelRequested",
    25 MARKER_RECORDED "MarkerRecorded",
    26 WORKFLOW_EXECUTION_SIGNALED "WorkflowExecutionSignaled",
    27 WORKFLOW_EXECUTION_TERMINATED "WorkflowExecutionTerminated",
    28 WORKFLOW_EXECUTION_CONTINUED_AS_NEW "WorkflowExecutionContinuedAsNew",
    29 START_CHILD_WORKFLOW_EXECUTION_INITIATED "StartChildWorkflowExecutionInitiated",
    30 START_CHILD_WORKFLOW_EXECUTION_FAILED "StartChildWorkflowExecutionFailed",
    31 CHILD_WORKFLOW_EXECUTION_STARTED "ChildWorkflowExecutionStarted",
    32 CHILD_WORKFLOW_EXECUTION_COMPLETED "ChildWorkflowExecutionCompleted",
    33 CHILD_WORKFLOW_EXECUTION_FAILED "ChildWorkflowExecutionFailed",
    34 CHILD_WORKFLOW_EXECUTION_CANCELED "ChildWorkflowExecutionCanceled",
    35 CHILD_WORKFLOW_EXECUTION_TIMED_OUT "ChildWorkflowExecutionTimedOut",
    36 CHILD_WORKFLOW_EXECUTION_TERMINATED "ChildWorkflowExecutionTerminated",
    37 SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED "SignalExternalWorkflowExecutionInitiated",
    38 SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED "SignalExternalWorkflowExecutionFailed",
    39 EXTERNAL_WORKFLOW_EXECUTION_SIGNALED "ExternalWorkflowExecutionSignaled",
    40 UPSERT_WORKFLOW_SEARCH_ATTRIBUTES "UpsertWorkflowSearchAttributes",
    41 WORKFLOW_EXECUTION_UPDATE_ACCEPTED "WorkflowExecutionUpdateAccepted",
    42 WORKFLOW_EXECUTION_UPDATE_REJECTED "WorkflowExecutionUpdateRejected",
    43 WORKFLOW_EXECUTION_UPDATE_COMPLETED "WorkflowExecutionUpdateCompleted",
    44 WORKFLOW_PROPERTIES_MODIFIED_EXTERNALLY "WorkflowPropertiesModifiedExternally",
    45 ACTIVITY_PROPERTIES_MODIFIED_EXTERNALLY "ActivityPropertiesModifiedExternally",
    46 WORKFLOW_PROPERTIES_MODIFIED "WorkflowPropertiesModified",
    47 WORKFLOW_EXECUTION_UPDATE_ADMITTED "WorkflowExecutionUpdateAdmitted",
    48 NEXUS_OPERATION_SCHEDULED "NexusOperationScheduled",
    49 NEXUS_OPERATION_STARTED "NexusOperationStarted",
    50 NEXUS_OPERATION_COMPLETED "NexusOperationCompleted",
    51 NEXUS_OPERATION_FAILED "NexusOperationFailed",
    52 NEXUS_OPERATION_CANCELED "NexusOperationCanceled",
    53 NEXUS_OPERATION_TIMED_OUT "NexusOperationTimedOut",
    54 NEXUS_OPERATION_CANCEL_REQUESTED "NexusOperationCancelRequested",
    55 WORKFLOW_EXECUTION_OPTIONS_UPDATED "WorkflowExecutionOptionsUpdated",
    56 NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED "NexusOperationCancelRequestCompleted",
    57 NEXUS_OPERATION_CANCEL_REQUEST_FAILED "NexusOperationCancelRequestFailed",
    58 WORKFLOW_EXECUTION_PAUSED "WorkflowExecutionPaused",
    59 WORKFLOW_EXECUTION_UNPAUSED "WorkflowExecutionUnpaused",
    60 WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED "WorkflowExecutionTimeSkippingTransitioned",
}

impl EventKind {
    /// Numbers from here on are for the engine; kinlog does not interpret them.
    pub const FIRST_CUSTOM: u16 = 1024;

    /// The kind with this number, known or not.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        EventKind(number)
    }

    /// The number, as the log stores it.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether an event of this kind ends its run.
    #[must_use]
    pub const fn is_closing(self) -> bool {
        matches!(self.0, 2 | 3 | 4 | 21 | 27 | 28)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("Kind{}", self.0)),
        }
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
