//! What a commit may say about relations, chains and requests between runs: each step once, and
//! both sides of a step in the same commit.
//!
//! The same rules are asked step by step while a transaction is built, and over the whole commit
//! before it is taken in. Imported runs are exempt: they happened, and are kept as they are.

use super::draft::{Draft, RelationState};
use super::origin::{ForkPoint, ParentEvent, ResetRun};
use crate::event::{
    Body, ChildInitiated, ChildStartFailed, ChildStarted, Effect, EventKind, ParentClosePolicy,
    RequestKind,
};
use crate::id::RunId;
use crate::index::state::{Index, Run, RunStatus};

/// A step that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Illegal {
    pub(crate) run: RunId,
    pub(crate) kind: EventKind,
    /// The Initiated event it goes back to; 0 for none.
    pub(crate) refers_to: u32,
    pub(crate) why: &'static str,
}

const NO_CHILD: &str = "that event initiated no child";

/// A child whose chain has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedChild {
    /// The parent's ChildStarted event.
    pub(crate) started: u32,
    /// The chain's last run.
    pub(crate) last: RunId,
    /// How it closed.
    pub(crate) status: RunStatus,
}

impl Draft {
    /// Whether the next event of `run`, which did not happen elsewhere, may say this.
    pub(crate) fn check(&self, index: &Index, run: RunId, body: &Body<'_>) -> Result<(), Illegal> {
        let (refers_to, verdict) = match body.effect() {
            Effect::ChildInitiated(b) => (0, check_initiated(b)),
            Effect::ChildStartFailed(ChildStartFailed {
                initiated_event_id: initiated, ..
            })
            | Effect::ChildStarted(ChildStarted { initiated_event_id: initiated, .. }) => {
                (*initiated, not_started(self.relation(index, run, *initiated)))
            }
            Effect::ChildClosed(b) => {
                let relation = self.relation(index, run, b.initiated_event_id);
                (b.initiated_event_id, started(relation, b.started_event_id))
            }
            Effect::ActivityEnded(b) => {
                let scheduled = b.scheduled_event_id;
                let open = self.is_open_activity(index, run, scheduled);
                let why = "no activity is open that this event scheduled";
                (scheduled, if open { Ok(()) } else { Err(why) })
            }
            Effect::CancelRequested => {
                let again = self.cancel_requested(index, run);
                (0, if again { Err("the run has been asked to cancel already") } else { Ok(()) })
            }
            Effect::RequestInitiated(_, b) => {
                let named = !b.workflow_id.is_empty();
                (0, if named { Ok(()) } else { Err("a target needs a workflow id") })
            }
            Effect::RequestAnswered(kind, b) => {
                let initiated = b.initiated_event_id;
                (initiated, self.answers(index, run, initiated, kind))
            }
            Effect::ActivityScheduled
            | Effect::SignaledOnce(_)
            | Effect::RunClosed { .. }
            | Effect::Nothing => return Ok(()),
        };
        verdict.map_err(|why| Illegal { run, kind: body.kind(), refers_to, why })
    }

    /// Whether both sides of every step are there.
    pub(crate) fn finish(&self, index: &Index) -> Result<(), Illegal> {
        self.finish_resets(index)?;
        for (run, changes) in &self.runs {
            for (initiated, known) in &changes.relations {
                self.finish_relation(index, *run, *initiated, known)?;
            }
        }
        for (run, closing) in &self.closed {
            let follows = |next: RunId| {
                self.origins.get(&next).is_some_and(|origin| origin.continued == Some(*run))
            };
            let replaces = |next: RunId| {
                let base = self.origins.get(&next).and_then(|origin| origin.base);
                base.is_some_and(|from| from.base == *run)
            };
            let continues = closing.kind == EventKind::WORKFLOW_EXECUTION_CONTINUED_AS_NEW;
            let why = if closing.next.is_none() && continues {
                "a run continues as new without a run that follows"
            } else if closing.next.is_some_and(|next| !follows(next)) {
                "the run that follows does not begin in the same commit"
            } else if closing.replaced_by.is_some_and(|next| !replaces(next)) {
                "the run that the reset makes does not begin in the same commit"
            } else {
                continue;
            };
            return Err(Illegal { run: *run, kind: closing.kind, refers_to: 0, why });
        }
        for (run, origin) in &self.origins {
            let parent = origin.parent.filter(|_| origin.continued.is_none());
            let told = |parent: ParentEvent| {
                let known = self.runs.get(&parent.run)?.relations.get(&parent.initiated)?;
                (known.starts && known.child == Some(*run)).then_some(())
            };
            let left = |before: RunId| {
                let next = self.closed.get(&before)?.next;
                (next == Some(*run)).then_some(())
            };
            let why = if parent.is_some_and(|parent| told(parent).is_none()) {
                "its parent does not record in the same commit that it started"
            } else if origin.continued.is_some_and(|before| left(before).is_none()) {
                "the run that it continues does not close in the same commit"
            } else {
                continue;
            };
            let kind = EventKind::WORKFLOW_EXECUTION_STARTED;
            return Err(Illegal { run: *run, kind, refers_to: 0, why });
        }
        Ok(())
    }

    fn finish_relation(
        &self,
        index: &Index,
        run: RunId,
        initiated: u32,
        known: &RelationState,
    ) -> Result<(), Illegal> {
        let illegal = |kind, why| Err(Illegal { run, kind, refers_to: initiated, why });
        if known.starts && !self.starts(index, run, initiated, known.child) {
            let why = "the child does not begin in the same commit, as a child of this run";
            return illegal(EventKind::CHILD_WORKFLOW_EXECUTION_STARTED, why);
        }
        let Some((kind, last)) = known.told else { return Ok(()) };
        match known.child.and_then(|child| self.end_of_chain(index, child)) {
            None => illegal(kind, "the child's chain has not ended"),
            Some((run, _)) if run != last => illegal(kind, "the child's last run is another one"),
            Some((_, status)) if Some(kind) != outcome_kind(status) => {
                illegal(kind, "the child ended otherwise")
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether the child that a ChildStarted event names starts with it, or was started before a
    /// reset that repeats the event.
    fn starts(&self, index: &Index, run: RunId, initiated: u32, child: Option<RunId>) -> bool {
        let Some(child) = child else { return false };
        if let Some(taken) = self.taken_child(index, run, initiated) {
            return taken == child;
        }
        self.origins.get(&child).is_some_and(|origin| {
            origin.parent == Some(ParentEvent { run, initiated }) && origin.continued.is_none()
        })
    }

    /// The child that a run which a reset begins takes over with a relation.
    fn taken_child(&self, index: &Index, run: RunId, initiated: u32) -> Option<RunId> {
        let ForkPoint { base, shared } = self.origins.get(&run)?.base?;
        let relation = index.relation_until(index.runs.number(&base)?, initiated, shared)?;
        index.runs.look(relation.child?, |run| run.id)
    }

    /// Whether the runs that resets begin say of each child that they take over that it has started.
    fn finish_resets(&self, index: &Index) -> Result<(), Illegal> {
        for ResetRun { run, from } in &self.resets {
            let base = index.runs.number(&from.base);
            let Some(links) = base.and_then(|base| index.runs.links(base)) else { continue };
            let initiated = links.children.iter().map(|relation| relation.initiated);
            for initiated in initiated.take_while(|initiated| *initiated <= from.shared) {
                let taken = self.taken_child(index, *run, initiated).is_some();
                let known = self.relation(index, *run, initiated);
                if taken && known.is_some_and(|known| known.started == 0 && !known.ended) {
                    let why = "a reset takes over a child and does not say that it has started";
                    let kind = EventKind::CHILD_WORKFLOW_EXECUTION_STARTED;
                    return Err(Illegal { run: *run, kind, refers_to: initiated, why });
                }
            }
        }
        Ok(())
    }

    /// A started child of `run` whose chain has ended, as the steps so far leave it.
    pub(crate) fn ended_child(
        &self,
        index: &Index,
        run: RunId,
        initiated: u32,
    ) -> Option<EndedChild> {
        let known = self.relation(index, run, initiated).filter(|known| known.started != 0)?;
        let (last, status) = self.end_of_chain(index, known.child?)?;
        Some(EndedChild { started: known.started, last, status })
    }

    /// The last run of the chain that `first` began and how it closed, if the chain has ended.
    fn end_of_chain(&self, index: &Index, first: RunId) -> Option<(RunId, RunStatus)> {
        let (last, status) = self.last_of_chain(index, first)?;
        (!status.is_open()).then_some((last, status))
    }

    /// The last run of the chain that `first` began and how it stands, as the steps so far leave it.
    fn last_of_chain(&self, index: &Index, first: RunId) -> Option<(RunId, RunStatus)> {
        let known = index.runs.number(&first).and_then(|number| index.runs.get(number));
        let chain = known.and_then(|run| index.chains.get(run.chain));
        match chain.and_then(|chain| index.runs.get(chain.newest())) {
            Some(newest) => Some(self.last_after(index, &newest)),
            None => self.last_started(first),
        }
    }

    /// The last run of a chain and how it stands; `newest` was its last one before.
    pub(crate) fn last_after(&self, index: &Index, newest: &Run) -> (RunId, RunStatus) {
        let in_chain = |base: &RunId| {
            let base = index.runs.number(base).and_then(|number| index.runs.get(number));
            base.is_some_and(|base| base.chain == newest.chain)
        };
        // A reset of any of its runs takes the chain on.
        let reset = self.resets.iter().find(|reset| in_chain(&reset.from.base));
        let last = reset.map_or(newest.id, |reset| reset.run);
        self.last_started(last).unwrap_or((newest.id, newest.state.latest().status))
    }

    /// The same for a chain whose last run, before the continuations here, is `last`; `None` if that neither
    /// begins nor closes here.
    fn last_started(&self, last: RunId) -> Option<(RunId, RunStatus)> {
        let mut last = last;
        while let Some(next) = self.closed.get(&last).and_then(|closing| closing.next) {
            last = next;
        }
        match self.closed.get(&last) {
            Some(closing) => Some((last, RunStatus::after(closing.kind))),
            None => self.origins.contains_key(&last).then_some((last, RunStatus::Running)),
        }
    }

    /// Whether the steps so far tell a parent how the chain of the run `of` ended: a reset would make that
    /// untrue.
    pub(crate) fn tells_end_of(&self, index: &Index, of: RunId) -> bool {
        let chain = |run: &RunId| index.runs.get(index.runs.number(run)?).map(|run| run.chain);
        let told = self.runs.values().flat_map(|changes| changes.relations.values());
        let mut told = told.filter(|known| known.told.is_some()).filter_map(|known| known.child);
        told.any(|child| child == of || (chain(&child).is_some() && chain(&child) == chain(&of)))
    }

    /// Whether what an event tells of a child's end is so after the steps so far.
    pub(crate) fn check_told(
        &self,
        index: &Index,
        run: RunId,
        body: &Body<'_>,
    ) -> Result<(), Illegal> {
        let Effect::ChildClosed(b) = body.effect() else { return Ok(()) };
        let initiated = b.initiated_event_id;
        let Some(known) = self.relation(index, run, initiated) else {
            let (kind, why) = (body.kind(), NO_CHILD);
            return Err(Illegal { run, kind, refers_to: initiated, why });
        };
        let told = RelationState { told: Some((body.kind(), b.run_id)), starts: false, ..known };
        self.finish_relation(index, run, initiated, &told)
    }

    fn answers(
        &self,
        index: &Index,
        run: RunId,
        initiated: u32,
        kind: RequestKind,
    ) -> Result<(), &'static str> {
        let here = self.runs.get(&run).and_then(|changes| changes.outgoing.get(&initiated));
        // A reset repeats the answers to what was initiated before it.
        let shared =
            self.origins.get(&run).and_then(|origin| origin.base).map_or(0, |from| from.shared);
        let repeated = here.is_none() && (1..=shared).contains(&initiated);
        match self.waits_for(index, run, initiated) {
            Some(found) if found == kind => Ok(()),
            None if repeated => Ok(()),
            _ => Err("no request of that event waits for this answer"),
        }
    }
}

fn check_initiated(b: &ChildInitiated<'_>) -> Result<(), &'static str> {
    if b.workflow_id.is_empty() {
        return Err("a child needs a workflow id");
    }
    match b.close_policy {
        ParentClosePolicy::Unknown(_) => Err("this close policy is not known"),
        ParentClosePolicy::Unspecified => Err("a child needs a close policy"),
        _ => Ok(()),
    }
}

fn not_started(relation: Option<RelationState>) -> Result<(), &'static str> {
    match relation {
        None => Err(NO_CHILD),
        Some(known) if known.started != 0 => Err("the child has started already"),
        Some(known) if known.ended => Err("the relation has ended already"),
        Some(_) => Ok(()),
    }
}

fn started(relation: Option<RelationState>, event: u32) -> Result<(), &'static str> {
    match relation {
        None => Err(NO_CHILD),
        Some(known) if known.started == 0 => Err("the child has not started"),
        Some(known) if known.started != event => Err("another event says that the child started"),
        Some(known) if known.ended => Err("the relation has ended already"),
        Some(_) => Ok(()),
    }
}

/// The event in a parent that tells how a child ended.
pub(crate) fn outcome_kind(status: RunStatus) -> Option<EventKind> {
    match status {
        RunStatus::Completed => Some(EventKind::CHILD_WORKFLOW_EXECUTION_COMPLETED),
        RunStatus::Failed => Some(EventKind::CHILD_WORKFLOW_EXECUTION_FAILED),
        RunStatus::Canceled => Some(EventKind::CHILD_WORKFLOW_EXECUTION_CANCELED),
        RunStatus::TimedOut => Some(EventKind::CHILD_WORKFLOW_EXECUTION_TIMED_OUT),
        RunStatus::Terminated => Some(EventKind::CHILD_WORKFLOW_EXECUTION_TERMINATED),
        RunStatus::Running | RunStatus::ContinuedAsNew => None,
    }
}
