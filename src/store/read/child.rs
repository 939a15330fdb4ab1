//! One relation as a snapshot sees it: the parent's record of the child, and the state of the child's chain.

use std::sync::Arc;

use super::chain_runs::ChainRuns;
use super::child_chain::{ChildChain, Held};
use super::event_ref::{BatchCursor, EventRef};
use super::run_info::RunInfo;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::event::{Body, ParentClosePolicy};
use crate::id::{ChainNumber, ChildSlot, RunId, RunNumber};
use crate::index::{ChildRef, Index, Relation, Run, RunStatus, Size, outcome_kind};

/// One child of a run. A child is a chain: it may have continued as new any number of times.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Child {
    /// The Initiated event of the parent.
    pub initiated_event_id: u32,
    /// The child's workflow id.
    pub workflow_id: Arc<str>,
    /// The name of its workflow type.
    pub workflow_type: Arc<str>,
    /// What happens to it when the parent closes.
    pub policy: ParentClosePolicy,
    /// Its state.
    pub state: ChildState,
    /// How its chain ended, whether the parent's history says so or not.
    pub outcome: Option<RunStatus>,
    /// Whether the outcome is in the parent's history.
    pub reported: bool,
    /// The first run of its chain, once it was started.
    pub first_run: Option<RunId>,
    /// The last run of its chain, as far as it is in the store.
    pub current: Option<RunInfo>,
    /// Whether runs of its chain are in the store.
    pub is_here: bool,
    /// Whether all of them were deleted.
    pub is_deleted: bool,
    /// The total size of the runs of its chain, of deleted and erased ones as it was. Of an imported child that was erased it
    /// is as if that had not been imported.
    pub size: Size,
    /// The run that has the child, if it is not this one. After a reset of the parent, the new run has the
    /// children that were still open, and the old run has those that had ended before. For an imported child, it
    /// is the run that the child's Started event names.
    pub held_by: Option<RunId>,
}

/// The state of a child.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChildState {
    /// It was initiated and not started yet, and the parent is open.
    Initiated,
    /// It was not started before the parent closed, and will not be.
    NeverStarted,
    /// Its start failed, as recorded in this run's history.
    StartFailed,
    /// It was started, and its chain has not ended as far as the store knows.
    Running,
    /// Its chain has ended, whether the parent's history says so or not.
    Closed,
    /// A reset moved it to another run, and its outcome is not in this run's history.
    Moved,
}

impl ChildState {
    /// Whether it can still change: it is initiated or running.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, ChildState::Initiated | ChildState::Running)
    }

    /// The name, in camel case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ChildState::Initiated => "Initiated",
            ChildState::NeverStarted => "NeverStarted",
            ChildState::StartFailed => "StartFailed",
            ChildState::Running => "Running",
            ChildState::Closed => "Closed",
            ChildState::Moved => "Moved",
        }
    }
}

impl std::fmt::Display for ChildState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A relation of the index, restricted to what a snapshot sees.
pub(crate) struct ChildLink {
    /// The parent's number, and the slot there.
    held: ChildRef,
    parent: RunId,
    parent_open: bool,
    relation: Relation,
    initiated: EventRef,
    /// The first run of the child's chain, if it was started in this store.
    child: Option<RunNumber>,
    /// Otherwise the event that names the child's run, if it was started.
    started: Option<EventRef>,
    /// The run that resets moved it to, unless the outcome is in the parent's own history.
    moved_to: Option<RunId>,
}

/// The run that resets have moved a relation to, as far as the snapshot sees; follows any number of resets.
fn moved_to(index: &Index, snapshot: &Snapshot, relation: &Relation) -> Option<RunNumber> {
    let (mut moved, mut run) = (relation.moved, None);
    while let Some((_, to)) = moved.filter(|(at, _)| *at < snapshot.end()) {
        run = Some(to);
        moved = index.runs.relation_of(to, relation.initiated)?.1.moved;
    }
    run
}

impl ChildLink {
    /// The relation in a slot of the run `parent`; `None` if the snapshot does not see it.
    pub(crate) fn at(
        index: &Index,
        snapshot: &Snapshot,
        parent: RunNumber,
        slot: ChildSlot,
    ) -> Option<Self> {
        let held = ChildRef { parent, slot };
        let relation = index.runs.relation(held)?;
        ChildLink::of(index, snapshot, held, &*index.runs.get(parent)?, &relation)
    }

    /// The same of a run and a relation that are known.
    pub(super) fn of(
        index: &Index,
        snapshot: &Snapshot,
        held: ChildRef,
        run: &Run,
        relation: &Relation,
    ) -> Option<Self> {
        let end = snapshot.end();
        let mut relation = Some(relation).filter(|found| found.initiated_batch < end)?.clone();
        let moved = moved_to(index, snapshot, &relation);
        if relation.started_batch >= end {
            relation.started = 0;
        }
        if relation.ended_batch >= end {
            relation.ended = 0;
        }
        let child = relation.child.filter(|_| relation.started != 0);
        let moved = moved.filter(|_| relation.ended == 0);
        let event_ref = |batch, event| EventRef::of_run(index, (held.parent, run), batch, event);
        let elsewhere = child.is_none() && relation.started != 0;
        Some(ChildLink {
            held,
            parent: run.id,
            parent_open: index.runs.state_at(run, end)?.status.is_open(),
            initiated: event_ref(relation.initiated_batch, relation.initiated),
            child,
            started: elsewhere.then(|| event_ref(relation.started_batch, relation.started)),
            moved_to: moved.and_then(|to| index.runs.get(to)).map(|to| to.id),
            relation,
        })
    }

    /// Whether the relation cannot change any more, by the parent's history alone.
    pub(crate) fn is_settled(&self) -> bool {
        self.relation.ended != 0 || self.moved_to.is_some()
    }
}

/// One cursor per kind of event; see [`BatchCursor`].
#[derive(Default)]
pub(crate) struct BatchCursors {
    initiated: BatchCursor,
    started: BatchCursor,
}

/// A child, with what a tree needs.
pub(crate) struct Found {
    pub(crate) child: Child,
    /// The number of its chain, and its runs, if there are any in the store.
    pub(crate) chain: Option<(ChainNumber, ChainRuns)>,
    /// Whether this parent has the child now.
    pub(crate) belongs: bool,
}

impl BatchCursors {
    /// Reads what is known about the child of a relation.
    pub(crate) fn find(&mut self, snapshot: &Snapshot, link: &ChildLink) -> Result<Found> {
        let relation = &link.relation;
        let initiated = self.initiated.read(snapshot.view(), link.initiated)?;
        let Body::StartChildWorkflowExecutionInitiated(event) = initiated.body() else {
            return Err(link.initiated.unexpected(snapshot.view()));
        };
        let own = (link.parent, relation.initiated);
        let (first_run, mut chain) = match link.child {
            Some(child) => ChildChain::of_child(snapshot, &Held { at: link.held, by: own, child })?,
            None => self.imported_chain(snapshot, link)?,
        };
        let held = chain.as_ref().and_then(|chain| chain.held);
        let held_by = held.map(|(run, _)| run).or(link.moved_to);
        let reported = outcome(relation);
        let outcome = reported.or(chain.as_ref().and_then(|chain| chain.ended));
        let current = chain.as_mut().and_then(|chain| chain.current.take());
        let child = Child {
            initiated_event_id: relation.initiated,
            workflow_id: event.workflow_id.into(),
            workflow_type: event.workflow_type.into(),
            policy: relation.policy,
            state: link.state(reported.is_some(), outcome.is_some()),
            outcome,
            reported: reported.is_some(),
            first_run,
            is_here: current.is_some(),
            is_deleted: chain.as_ref().is_some_and(|chain| chain.kept.is_none()),
            current,
            size: chain.as_ref().map(|chain| chain.size).unwrap_or_default(),
            held_by: held_by.filter(|run| *run != link.parent),
        };
        let chain = chain.and_then(|chain| Some((chain.number, chain.kept?)));
        Ok(Found { child, chain, belongs: held == Some(own) })
    }

    /// The first run of the chain of a child that was not started in this store, and the chain if any run of it is in
    /// the store. The first run may be missing.
    fn imported_chain(
        &mut self,
        snapshot: &Snapshot,
        link: &ChildLink,
    ) -> Result<(Option<RunId>, Option<ChildChain>)> {
        let Some(at) = link.started else { return Ok((None, None)) };
        let started = self.started.read(snapshot.view(), at)?;
        let Body::ChildWorkflowExecutionStarted(event) = started.body() else {
            return Err(at.unexpected(snapshot.view()));
        };
        let number = snapshot.look(|index| index.chains.imported(&event.run_id))?;
        let chain = number.map(|number| ChildChain::of(snapshot, number)).transpose()?;
        Ok((Some(event.run_id), chain.flatten()))
    }
}

impl ChildLink {
    fn state(&self, reported: bool, ended: bool) -> ChildState {
        let relation = &self.relation;
        if self.moved_to.is_some() {
            return ChildState::Moved;
        }
        match (relation.ended != 0, relation.started != 0) {
            (true, _) if !reported => ChildState::StartFailed,
            (true, _) => ChildState::Closed,
            (false, true) if ended => ChildState::Closed,
            (false, true) => ChildState::Running,
            (false, false) if self.parent_open => ChildState::Initiated,
            (false, false) => ChildState::NeverStarted,
        }
    }
}

/// The outcome of the child in the parent's history.
fn outcome(relation: &Relation) -> Option<RunStatus> {
    const OUTCOMES: [RunStatus; 5] = [
        RunStatus::Completed,
        RunStatus::Failed,
        RunStatus::Canceled,
        RunStatus::Terminated,
        RunStatus::TimedOut,
    ];
    let recorded = Some(relation.ended_kind).filter(|_| relation.ended != 0);
    OUTCOMES.into_iter().find(|status| recorded.is_some() && outcome_kind(*status) == recorded)
}
