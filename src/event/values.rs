//! Values in event bodies: enumerations, with the numbers of Temporal's `temporal.api.enums.v1`, and lists of
//! event ids.

macro_rules! value {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        #[non_exhaustive]
        pub enum $name {
            /// Not given.
            #[default]
            Unspecified,
            $($(#[$vdoc])* $variant,)*
            /// A number that this version of kinlog does not know.
            Unknown(u8),
        }

        impl $name {
            /// The value with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Self {
                match number {
                    0 => $name::Unspecified,
                    $($number => $name::$variant,)*
                    other => $name::Unknown(other),
                }
            }

            /// The number, as the log stores it.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $name::Unspecified => 0,
                    $($name::$variant => $number,)*
                    $name::Unknown(other) => other,
                }
            }

            /// The name, in camel case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $name::Unspecified => "Unspecified",
                    $($name::$variant => stringify!($variant),)*
                    $name::Unknown(_) => "Unknown",
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

value! {
    /// What happens to an open child when its parent closes (`ParentClosePolicy`).
    ParentClosePolicy {
        /// The child is terminated.
        Terminate = 1,
        /// The child goes on by itself.
        Abandon = 2,
        /// The child is asked to cancel.
        RequestCancel = 3,
    }
}

value! {
    /// Whether a workflow id may be used again once its last run has closed
    /// (`WorkflowIdReusePolicy`).
    IdReusePolicy {
        /// Always.
        AllowDuplicate = 1,
        /// Only if the last run failed, was canceled or terminated, or timed out.
        AllowDuplicateFailedOnly = 2,
        /// Never, as long as the last run is in the store.
        RejectDuplicate = 3,
        /// Always, and an open run is terminated first. Temporal deprecates this value in favour
        /// of [`IdConflictPolicy::TerminateExisting`].
        TerminateIfRunning = 4,
    }
}

value! {
    /// What a start does while the workflow has an open run (`WorkflowIdConflictPolicy`).
    IdConflictPolicy {
        /// The start is refused.
        Fail = 1,
        /// The start returns the open run and changes nothing.
        UseExisting = 2,
        /// The open run is terminated and the new one started, in one commit.
        TerminateExisting = 3,
    }
}

value! {
    /// What caused a run to continue another one of its chain (`ContinueAsNewInitiator`).
    Initiator {
        /// The workflow itself continued as new.
        Workflow = 1,
        /// A retry policy.
        Retry = 2,
        /// A cron schedule.
        CronSchedule = 3,
    }
}

value! {
    /// The state of the retries of something that failed or timed out (`RetryState`).
    RetryState {
        /// Another attempt follows.
        InProgress = 1,
        /// The failure is not retryable.
        NonRetryableFailure = 2,
        /// The time for retries is over.
        Timeout = 3,
        /// The maximum number of attempts was reached.
        MaximumAttemptsReached = 4,
        /// There is no retry policy.
        RetryPolicyNotSet = 5,
        /// The server failed.
        InternalServerError = 6,
        /// It was asked to cancel.
        CancelRequested = 7,
    }
}

value! {
    /// Why a child was not started (`StartChildWorkflowExecutionFailedCause`).
    StartChildFailedCause {
        /// Its workflow id is taken, and the policies do not allow another run.
        WorkflowAlreadyExists = 1,
        /// Its namespace does not exist.
        NamespaceNotFound = 2,
    }
}

value! {
    /// Why a signal or a cancel request was not delivered (`SignalExternalWorkflowExecutionFailedCause`,
    /// `CancelExternalWorkflowExecutionFailedCause`).
    ExternalFailedCause {
        /// There is no such run, or it may not be reached.
        ExternalWorkflowExecutionNotFound = 1,
        /// Its namespace does not exist.
        NamespaceNotFound = 2,
        /// It takes no more signals.
        SignalCountLimitExceeded = 3,
    }
}

/// Event ids, packed: four bytes each, little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct EventIds<'a>(&'a [u8]);

impl<'a> EventIds<'a> {
    /// The ids in these bytes; up to three bytes that are left over mean nothing.
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Self {
        EventIds(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id))
    }
}

impl std::fmt::Debug for EventIds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
