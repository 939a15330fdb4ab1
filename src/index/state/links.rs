//! What a run has to do with others, and what it waits for: its children, its open activities, its
//! signals and cancel requests on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::duties::DutyKind;
use crate::event::{EventKind, ParentClosePolicy, RequestKind};
use crate::id::{ChildSlot, Position, RunNumber};

/// The ties of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunLinks {
    /// In the order of their Initiated events.
    pub(crate) children: Vec<Relation>,
    /// How many of them have no end yet.
    pub(crate) open_children: u32,
    /// The Scheduled events of open activities; once the run has closed, those that were open.
    pub(crate) activities: BTreeSet<u32>,
    /// Signals and cancel requests that have no answer, by Initiated event.
    pub(crate) outgoing: BTreeMap<u32, OutgoingRequest>,
    /// How many of them are signals, and how many cancel requests.
    pub(crate) open_signals: u32,
    pub(crate) open_cancels: u32,
    /// The signals that came with a request id, by that id: a repeated one counts once.
    pub(crate) signal_requests: BTreeMap<Box<str>, u32>,
}

impl RunLinks {
    /// The slot of the relation that this event initiated.
    pub(crate) fn find(&self, initiated: u32) -> Option<ChildSlot> {
        let found = self.children.binary_search_by_key(&initiated, |relation| relation.initiated);
        ChildSlot::from_index(found.ok()?)
    }

    /// The relation in a slot.
    pub(crate) fn child(&self, slot: ChildSlot) -> Option<&Relation> {
        self.children.get(slot.as_index())
    }

    pub(crate) fn child_mut(&mut self, slot: ChildSlot) -> Option<&mut Relation> {
        self.children.get_mut(slot.as_index())
    }

    /// The relation that this event initiated.
    pub(crate) fn relation(&self, initiated: u32) -> Option<&Relation> {
        self.child(self.find(initiated)?)
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        let requests = self.signal_requests.keys().map(|key| key.len() + size_of::<(&str, u32)>());
        size_of::<RunLinks>()
            + size_of_val(self.children.as_slice())
            + self.activities.len() * size_of::<u32>()
            + self.outgoing.len() * size_of::<(u32, OutgoingRequest)>()
            + requests.sum::<usize>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.activities.is_empty()
            && self.outgoing.is_empty()
            && self.signal_requests.is_empty()
    }

    /// Adds a signal or a cancel request.
    pub(crate) fn request(&mut self, initiated: u32, sent: OutgoingRequest) {
        self.outgoing.insert(initiated, sent);
        *self.requests(sent.kind) += 1;
    }

    /// Removes a signal or a cancel request that was answered.
    pub(crate) fn answered(&mut self, initiated: u32) -> Option<OutgoingRequest> {
        let sent = self.outgoing.remove(&initiated)?;
        *self.requests(sent.kind) -= 1;
        Some(sent)
    }

    /// Keeps the relations alone, of a run that was deleted.
    pub(crate) fn forget_events(&mut self) {
        let RunLinks { children, open_children, .. } = std::mem::take(self);
        *self = RunLinks { children, open_children, ..RunLinks::default() };
    }

    fn requests(&mut self, kind: RequestKind) -> &mut u32 {
        match kind {
            RequestKind::Signal => &mut self.open_signals,
            RequestKind::Cancel => &mut self.open_cancels,
        }
    }
}

/// Which relation: the run that has it, and its slot there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChildRef {
    pub(crate) parent: RunNumber,
    pub(crate) slot: ChildSlot,
}

/// A parent run's relation to one child: its Initiated event and what followed from it.
///
/// Each step happens once, so that the place of its batch in the log also says which readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) initiated: u32,
    pub(crate) policy: ParentClosePolicy,
    pub(crate) initiated_batch: Position,
    /// The ChildStarted event; 0 before it.
    pub(crate) started: u32,
    pub(crate) started_batch: Position,
    /// The first run of the child's chain, if it was started in this store.
    pub(crate) child: Option<RunNumber>,
    /// The event that ended the relation, a refusal to start or the outcome; 0 before it.
    pub(crate) ended: u32,
    pub(crate) ended_kind: EventKind,
    pub(crate) ended_batch: Position,
    /// The batch of the reset that gave the relation to another run, and that run.
    pub(crate) moved: Option<(Position, RunNumber)>,
    /// The child's chain has ended.
    pub(crate) child_ended: bool,
    /// The close policy has reached the child, as far as it asks for a cancellation.
    pub(crate) applied: bool,
    pub(crate) duty: Option<(DutyKind, Position)>,
}

impl Relation {
    pub(crate) fn new(initiated: u32, policy: ParentClosePolicy, batch: Position) -> Self {
        Relation {
            initiated,
            policy,
            initiated_batch: batch,
            started: 0,
            started_batch: Position::START,
            child: None,
            ended: 0,
            ended_kind: EventKind::from_number(0),
            ended_batch: Position::START,
            moved: None,
            child_ended: false,
            applied: false,
            duty: None,
        }
    }

    /// The relation as the first `shared` events of its run tell it; `None` if they do not.
    pub(crate) fn until(&self, shared: u32) -> Option<Self> {
        let origin = Relation::new(self.initiated, self.policy, self.initiated_batch);
        let mut then = Relation { child: self.child, child_ended: self.child_ended, ..origin };
        if self.started <= shared {
            (then.started, then.started_batch) = (self.started, self.started_batch);
        }
        if self.ended <= shared {
            (then.ended, then.ended_kind) = (self.ended, self.ended_kind);
            then.ended_batch = self.ended_batch;
        }
        (self.initiated <= shared).then_some(then)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.ended == 0 && self.moved.is_none()
    }

    /// What must still happen for it, given how its parent stands.
    pub(crate) fn due(&self, parent: ParentState) -> Option<DutyKind> {
        let applies =
            matches!(self.policy, ParentClosePolicy::Terminate | ParentClosePolicy::RequestCancel);
        match parent {
            _ if !self.is_open() => None,
            ParentState::Open if self.started == 0 => Some(DutyKind::StartChild),
            ParentState::Open => self.child_ended.then_some(DutyKind::ReportClose),
            ParentState::Closed if self.started == 0 || self.child_ended || self.applied => None,
            ParentState::Closed => applies.then_some(DutyKind::ApplyClosePolicy),
            ParentState::Replaced => None,
        }
    }
}

/// How a parent stands to its children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ParentState {
    Open,
    Closed,
    /// Terminated by a reset, which leaves children alone; or imported.
    Replaced,
}

/// A signal or a cancel request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutgoingRequest {
    pub(crate) kind: RequestKind,
    /// The batch of its Initiated event.
    pub(crate) batch: Position,
    /// The commit from which it is a duty; none for a run that is imported or has closed.
    pub(crate) since: Option<Position>,
    /// The run that a reset gave it to.
    pub(crate) moved: Option<RunNumber>,
}
