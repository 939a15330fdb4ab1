//! Beginning and ending a run: what the caller says, and the rules on workflow ids.

use crate::error::{Error, Result};
use crate::event::{
    Body, Canceled, Closed, IdConflictPolicy, IdReusePolicy, NewEvent, RetryState, Started,
    Terminated,
};
use crate::id::{RunId, Timestamp};
use crate::index::RunStatus;
use crate::limits::{Limit, NAMESPACE_BYTES_MAX};

/// A run to start. Borrowed; nothing is copied before the event is written.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    pub(crate) started: Started<'a>,
    pub(crate) payload: &'a [u8],
    pub(crate) time: Option<Timestamp>,
    pub(crate) id: Option<RunId>,
    pub(crate) reuse: IdReusePolicy,
    pub(crate) conflict: IdConflictPolicy,
}

impl<'a> NewRun<'a> {
    /// A run of the workflow `workflow_id` in `namespace`, of the type `workflow_type`.
    #[must_use]
    pub fn new(namespace: &'a str, workflow_id: &'a str, workflow_type: &'a str) -> Self {
        let started = Started { namespace, workflow_id, workflow_type, ..Default::default() };
        NewRun {
            started,
            payload: &[],
            time: None,
            id: None,
            reuse: IdReusePolicy::AllowDuplicate,
            conflict: IdConflictPolicy::Fail,
        }
    }

    /// A run that happened elsewhere and is imported, begun by `started`.
    ///
    /// No rule about workflow ids and no limit of the namespace applies to it. It becomes the
    /// workflow's current run unless that one is open or began later.
    #[must_use]
    pub fn imported(started: Started<'a>) -> Self {
        let (id, started) = (Some(started.run_id), Started { imported: true, ..started });
        NewRun {
            started,
            payload: &[],
            time: None,
            id,
            reuse: IdReusePolicy::AllowDuplicate,
            conflict: IdConflictPolicy::Fail,
        }
    }

    /// The payload of the Started event: the workflow's input, in the engine's own encoding.
    #[must_use]
    pub fn input(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// The task queue.
    #[must_use]
    pub fn task_queue(mut self, task_queue: &'a str) -> Self {
        self.started.task_queue = task_queue;
        self
    }

    /// An id that makes a repeated start return the run of the first one, for as long as that run
    /// is its workflow's current one.
    #[must_use]
    pub fn request_id(mut self, request_id: &'a str) -> Self {
        self.started.request_id = request_id;
        self
    }

    /// Whether the workflow id may have been used before; by default it may.
    #[must_use]
    pub fn on_reuse(mut self, policy: IdReusePolicy) -> Self {
        self.reuse = policy;
        self
    }

    /// What to do if the workflow has an open run; by default the start is refused.
    #[must_use]
    pub fn on_conflict(mut self, policy: IdConflictPolicy) -> Self {
        self.conflict = policy;
        self
    }

    /// The run's id; by default a fresh one.
    #[must_use]
    pub fn id(mut self, id: RunId) -> Self {
        self.id = Some(id);
        self
    }

    /// When it starts; by default now.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Whether the run is imported rather than started.
    pub(crate) fn is_imported(&self) -> bool {
        self.started.imported
    }

    /// What a start of this run comes to, given the workflow's current run. Idempotent: a request id that is
    /// repeated finds the run that it started.
    pub(crate) fn resolve(&self, current: &CurrentRun) -> Resolution {
        if current.repeats {
            return Resolution::Repeated;
        }
        if !current.status.is_open() {
            let allowed = match self.reuse {
                IdReusePolicy::RejectDuplicate => false,
                IdReusePolicy::AllowDuplicateFailedOnly => matches!(
                    current.status,
                    RunStatus::Failed
                        | RunStatus::Canceled
                        | RunStatus::Terminated
                        | RunStatus::TimedOut
                ),
                _ => true,
            };
            return if allowed { Resolution::Start } else { Resolution::Refuse };
        }
        match (self.conflict, self.reuse) {
            // Temporal migrates the deprecated reuse policy to this conflict policy.
            (IdConflictPolicy::TerminateExisting, _) | (_, IdReusePolicy::TerminateIfRunning) => {
                Resolution::TerminateAndStart
            }
            (IdConflictPolicy::UseExisting, _) => Resolution::Existing,
            _ => Resolution::Refuse,
        }
    }
}

/// A workflow's current run, as far as a start asks about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurrentRun {
    pub(crate) run: RunId,
    pub(crate) status: RunStatus,
    pub(crate) started_at: Timestamp,
    /// It was started, or made by a reset, with the request id that is asked about.
    pub(crate) repeats: bool,
}

impl CurrentRun {
    /// The error that says this run is in the way.
    pub(crate) fn conflicting_run(&self, namespace: &str, workflow_id: &str) -> Error {
        Error::WorkflowExists {
            namespace: namespace.to_owned(),
            workflow_id: workflow_id.to_owned(),
            run: self.run,
            open: self.status.is_open(),
        }
    }
}

/// What a start comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resolution {
    /// A new run.
    Start,
    /// The current run, as this start is a repeated one.
    Repeated,
    /// The current run, and nothing changes.
    Existing,
    /// The current run is terminated, and a new one begins.
    TerminateAndStart,
    /// An error.
    Refuse,
}

/// What a start came to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StartOutcome {
    /// This run begins.
    Started(RunId),
    /// A start with the same request id began this run before, and nothing changes.
    Repeated(RunId),
    /// The workflow has this open run, [`IdConflictPolicy::UseExisting`] says to use it, and nothing changes.
    Existing(RunId),
}

impl StartOutcome {
    /// The run that the workflow id stands for now.
    #[must_use]
    pub const fn run(self) -> RunId {
        match self {
            StartOutcome::Started(run)
            | StartOutcome::Repeated(run)
            | StartOutcome::Existing(run) => run,
        }
    }
}

/// Checks policies on workflow ids: each must be known, and they must not contradict each other.
pub(crate) fn check_policies(reuse: IdReusePolicy, conflict: IdConflictPolicy) -> Result<()> {
    let what = match (reuse, conflict) {
        (IdReusePolicy::Unknown(_), _) => "this policy on the reuse of workflow ids is not known",
        (_, IdConflictPolicy::Unknown(_)) => {
            "this policy on conflicts of workflow ids is not known"
        }
        (IdReusePolicy::RejectDuplicate, IdConflictPolicy::TerminateExisting) => {
            "RejectDuplicate and TerminateExisting contradict each other"
        }
        (IdReusePolicy::TerminateIfRunning, IdConflictPolicy::UseExisting) => {
            "TerminateIfRunning and UseExisting contradict each other"
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(what))
}

/// Checks the name of a namespace.
pub(crate) fn check_namespace(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("a namespace needs a name"));
    }
    if name.len() > NAMESPACE_BYTES_MAX {
        return Err(Error::LimitExceeded {
            limit: Limit::NamespaceBytes,
            run: None,
            now: 0,
            asked: name.len() as u64,
            max: NAMESPACE_BYTES_MAX as u64,
        });
    }
    Ok(())
}

/// How a run is closed.
#[derive(Clone, Copy, Debug)]
pub struct Close<'a>(pub(crate) NewEvent<'a>);

impl<'a> Close<'a> {
    /// It completed, with this result.
    #[must_use]
    pub fn completed(result: &'a [u8]) -> Self {
        Self::new(Body::WorkflowExecutionCompleted(Closed::default()), result)
    }

    /// It failed, for this reason in the engine's own encoding.
    #[must_use]
    pub fn failed(failure: &'a [u8]) -> Self {
        Self::new(Body::WorkflowExecutionFailed(Closed::default()), failure)
    }

    /// It ran out of time.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::new(Body::WorkflowExecutionTimedOut(Closed::default()), &[])
    }

    /// It canceled itself, with these details.
    #[must_use]
    pub fn canceled(details: &'a [u8]) -> Self {
        Self::new(Body::WorkflowExecutionCanceled(Canceled::default()), details)
    }

    /// It was terminated, for this reason in words.
    #[must_use]
    pub fn terminated(reason: &'a str) -> Self {
        Self::new(Body::WorkflowExecutionTerminated(Terminated { reason, reset_run_id: None }), &[])
    }

    /// What became of its retries, for a run that failed or timed out.
    #[must_use]
    pub fn retry_state(mut self, retry_state: RetryState) -> Self {
        if let Body::WorkflowExecutionFailed(closed) | Body::WorkflowExecutionTimedOut(closed) =
            &mut self.0.body
        {
            closed.retry_state = retry_state;
        }
        self
    }

    /// The closing event's [key](NewEvent::key).
    #[must_use]
    pub const fn key(self, key: u64) -> Self {
        Close(self.0.key(key))
    }

    /// When it closes; by default now.
    #[must_use]
    pub fn at(self, time: Timestamp) -> Self {
        Close(self.0.at(time))
    }

    fn new(body: Body<'a>, payload: &'a [u8]) -> Self {
        Close(NewEvent::new(body).payload(payload))
    }
}
