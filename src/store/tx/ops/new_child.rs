//! What a caller says of a child that is to begin.

use crate::event::{
    Body, ChildInitiated, IdConflictPolicy, IdReusePolicy, NewEvent, ParentClosePolicy,
};
use crate::id::{RunId, Timestamp};

/// A child to start. Borrowed; nothing is copied before the event is written.
///
/// It has its parent's namespace, and its input is the payload of the Initiated event in the
/// parent as well as of its own Started event.
#[derive(Clone, Copy, Debug)]
pub struct NewChild<'a> {
    pub(crate) initiated: ChildInitiated<'a>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) payload: &'a [u8],
    pub(crate) time: Option<Timestamp>,
    pub(crate) id: Option<RunId>,
}

/// A child that was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SpawnedChild {
    /// The child's run, the first one of its chain.
    pub run: RunId,
    /// The Initiated event of the parent, which names the relation.
    pub initiated_event_id: u32,
}

impl<'a> NewChild<'a> {
    /// A child with the workflow id `workflow_id`, of the type `workflow_type`, which is terminated
    /// when its parent closes.
    #[must_use]
    pub fn new(workflow_id: &'a str, workflow_type: &'a str) -> Self {
        let initiated = ChildInitiated {
            workflow_id,
            workflow_type,
            close_policy: ParentClosePolicy::Terminate,
            reuse_policy: IdReusePolicy::AllowDuplicate,
            conflict_policy: IdConflictPolicy::Fail,
            ..Default::default()
        };
        NewChild { initiated, namespace: None, payload: &[], time: None, id: None }
    }

    /// The namespace, which must be that of the parent; any other is refused.
    #[must_use]
    pub fn namespace(mut self, namespace: &'a str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// The child's input, in the engine's own encoding.
    #[must_use]
    pub fn input(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// The task queue.
    #[must_use]
    pub fn task_queue(mut self, task_queue: &'a str) -> Self {
        self.initiated.task_queue = task_queue;
        self
    }

    /// What happens to the child when its parent closes, in any way, also by continuing as new;
    /// by default it is terminated.
    #[must_use]
    pub fn on_parent_close(mut self, policy: ParentClosePolicy) -> Self {
        self.initiated.close_policy = policy;
        self
    }

    /// Whether the workflow id may have been used before; by default it may.
    #[must_use]
    pub fn on_reuse(mut self, policy: IdReusePolicy) -> Self {
        self.initiated.reuse_policy = policy;
        self
    }

    /// What to do if the workflow has an open run; by default the start is refused.
    #[must_use]
    pub fn on_conflict(mut self, policy: IdConflictPolicy) -> Self {
        self.initiated.conflict_policy = policy;
        self
    }

    /// The workflow task of the parent that decided it.
    #[must_use]
    pub fn decided_by(mut self, workflow_task_completed_event_id: u32) -> Self {
        self.initiated.workflow_task_completed_event_id = workflow_task_completed_event_id;
        self
    }

    /// The id of the child's run; by default a fresh one. Only for [`Transaction::spawn_child`](crate::Transaction::spawn_child).
    #[must_use]
    pub fn id(mut self, id: RunId) -> Self {
        self.id = Some(id);
        self
    }

    /// When it is initiated and starts; by default now.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// The Initiated event.
    pub(crate) fn event(&self) -> NewEvent<'a> {
        let body = Body::StartChildWorkflowExecutionInitiated(self.initiated);
        NewEvent { body, payload: self.payload, time: self.time, key: None }
    }
}
