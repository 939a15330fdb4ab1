//! One relation as a snapshot sees it: what the parent's history says, and what the child came to.

use std::sync::Arc;

use super::chain_runs::ChainRuns;
use super::event_ref::{BatchCursor, EventRef};
use super::parent::parent_of;
use super::run_info::{RunInfo, info};
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::event::{Body, ParentClosePolicy};
use crate::id::RunId;
use crate::index::{Index, Relation, RunStatus, Size, outcome_kind};

/// One child of a run. A child is a chain: it may have continued as new any number of times.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Child {
    /// The event of the parent that began the relation.
    pub initiated_event_id: u32,
    /// The child's workflow id.
    pub workflow_id: Arc<str>,
    /// The name of its workflow type.
    pub workflow_type: Arc<str>,
    /// What happens to it when the parent closes.
    pub policy: ParentClosePolicy,
    /// How it stands.
    pub state: ChildState,
    /// How its chain ended. Known also if the parent was never told.
    pub outcome: Option<RunStatus>,
    /// Whether the parent's history tells the outcome.
    pub reported: bool,
    /// The first run of its chain, once it was started.
    pub first_run: Option<RunId>,
    /// The last run of its chain, as far as it is in the store.
    pub current: Option<RunInfo>,
    /// Whether runs of its chain are in the store.
    pub is_here: bool,
    /// What those runs add up to.
    pub size: Size,
    /// The run that has the child, if it is not this one. After a reset of the parent that is the
    /// new run for a child that was still open, the old run for one that had ended before. For a
    /// imported child it is the run that the child itself names.
    pub held_by: Option<RunId>,
}

/// How a child stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ChildState {
    /// It is to be started, and the parent is open.
    Initiated,
    /// The parent closed before it was started: it never will be.
    NeverStarted,
    /// It could not be started, as this run's history tells.
    StartFailed,
    /// It was started, and nothing in the store says that its chain has ended.
    Running,
    /// Its chain has ended, whether the parent was told or not.
    Closed,
    /// A reset gave it to another run, and this run's own history does not tell how it ended.
    Moved,
}

impl ChildState {
    /// Whether more is to come: it is to be started, or it runs.
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

/// A relation as the index has it, cut back to what a snapshot sees.
pub(crate) struct ChildLink {
    parent: RunId,
    parent_open: bool,
    relation: Relation,
    initiated: EventRef,
    /// The child's chain, if it was started in this store.
    chain: Option<u32>,
    /// Else the event that says which it is, if it was started at all.
    started: Option<EventRef>,
    /// The run that resets have given it to, if the parent's own history does not tell how it ended.
    moved_to: Option<RunId>,
}

/// Where resets have taken a relation, however many of them, as far as the snapshot sees.
fn moved_to(index: &Index, snapshot: &Snapshot, relation: &Relation) -> Option<u32> {
    let (mut relation, mut run) = (relation, None);
    while let Some((_, to)) = relation.moved.filter(|(at, _)| *at < snapshot.end()) {
        run = Some(to);
        let links = index.runs.get(to)?.links.as_deref()?;
        relation = links.children.get(links.find(relation.initiated)?)?;
    }
    run
}

impl ChildLink {
    /// The relation at `place` of the run `parent`; `None` if the snapshot does not see it.
    pub(crate) fn at(
        index: &Index,
        snapshot: &Snapshot,
        parent: u32,
        place: usize,
    ) -> Option<Self> {
        let run = index.runs.get(parent)?;
        let links = run.links.as_deref()?;
        let end = snapshot.end();
        let found = links.children.get(place).filter(|tie| tie.initiated_batch < end)?;
        let mut relation = found.clone();
        if relation.started_batch >= end {
            relation.started = 0;
        }
        if relation.ended_batch >= end {
            relation.ended = 0;
        }
        let child = relation.child.filter(|_| relation.started != 0);
        let moved = moved_to(index, snapshot, found).filter(|_| relation.ended == 0);
        let spot = |batch, event| EventRef::of(index, parent, batch, event);
        let chain = child.and_then(|child| index.runs.get(child)).map(|child| child.chain);
        let elsewhere = chain.is_none() && relation.started != 0;
        Some(ChildLink {
            parent: run.id,
            parent_open: index.runs.state_at(run, end)?.status.is_open(),
            initiated: spot(relation.initiated_batch, relation.initiated),
            chain,
            started: elsewhere.then(|| spot(relation.started_batch, relation.started)),
            moved_to: moved.and_then(|to| index.runs.get(to)).map(|to| to.id),
            relation,
        })
    }

    /// Whether the parent's history alone says that nothing more is to come.
    pub(crate) fn is_settled(&self) -> bool {
        self.relation.ended != 0 || self.moved_to.is_some()
    }
}

/// Where the last events were found; see [`BatchCursor`].
#[derive(Default)]
pub(crate) struct BatchCursors {
    initiated: BatchCursor,
    started: BatchCursor,
}

/// A child and what a tree needs to know of it.
pub(crate) struct Found {
    pub(crate) child: Child,
    /// The number of its chain, and its runs, if there are any in the store.
    pub(crate) chain: Option<(u32, ChainRuns)>,
    /// The child stands below this parent, and nowhere else.
    pub(crate) belongs: bool,
}

impl BatchCursors {
    /// Finds out about the child of a relation.
    pub(crate) fn find(&mut self, snapshot: &Snapshot, tie: &ChildLink) -> Result<Found> {
        let relation = &tie.relation;
        let initiated = self.initiated.read(snapshot.view(), tie.initiated)?;
        let Body::StartChildWorkflowExecutionInitiated(told) = initiated.body() else {
            return Err(tie.initiated.unexpected(snapshot.view()));
        };
        let (first_run, number) = self.chain_of(snapshot, tie)?;
        let runs = number.map(|number| ChainRuns::of(snapshot, number)).transpose()?;
        let chain = number.zip(runs.filter(|runs| runs.len() > 0));
        let held = chain.as_ref().map(|(number, _)| parent_of(snapshot, *number)).transpose()?;
        let held = held.flatten();
        let belongs = held == Some((tie.parent, relation.initiated));
        let held_by = held.map(|(run, _)| run).or(tie.moved_to);
        let (current, ended) = match &chain {
            Some((_, runs)) => last_run(snapshot, runs),
            None => (None, None),
        };
        let reported = outcome(relation);
        let outcome = reported.or(ended);
        let child = Child {
            initiated_event_id: relation.initiated,
            workflow_id: told.workflow_id.into(),
            workflow_type: told.workflow_type.into(),
            policy: relation.policy,
            state: tie.state(reported.is_some(), outcome.is_some()),
            outcome,
            reported: reported.is_some(),
            first_run,
            is_here: current.is_some(),
            current,
            size: chain.as_ref().map(|(_, runs)| runs.size(snapshot)).unwrap_or_default(),
            held_by: held_by.filter(|run| *run != tie.parent),
        };
        Ok(Found { child, chain, belongs })
    }

    /// The first run of the child's chain, and the number of the chain if it is known here. A
    /// child that was imported may be here although its first run is not.
    fn chain_of(
        &mut self,
        snapshot: &Snapshot,
        tie: &ChildLink,
    ) -> Result<(Option<RunId>, Option<u32>)> {
        if let Some(number) = tie.chain {
            let first = snapshot.index().chains.get(number).map(|chain| chain.first);
            return Ok((first, Some(number)));
        }
        let Some(spot) = tie.started else { return Ok((None, None)) };
        let started = self.started.read(snapshot.view(), spot)?;
        let Body::ChildWorkflowExecutionStarted(told) = started.body() else {
            return Err(spot.unexpected(snapshot.view()));
        };
        let number = snapshot.index().chains.imported(&told.run_id);
        Ok((Some(told.run_id), number))
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

/// The last of a chain's runs, and how the chain ended if it did.
fn last_run(snapshot: &Snapshot, runs: &ChainRuns) -> (Option<RunInfo>, Option<RunStatus>) {
    let index = snapshot.index();
    let Some(last) = runs.last(&index) else { return (None, None) };
    let run_state = index.runs.get(last).and_then(|run| index.runs.state_at(run, snapshot.end()));
    // An imported run may be followed by one that is not here.
    let ended = run_state.filter(|run_state| !run_state.status.is_open() && !run_state.continued);
    (info(&index, last, snapshot.end()), ended.map(|run_state| run_state.status))
}

/// How the child ended, as the parent's history tells it.
fn outcome(relation: &Relation) -> Option<RunStatus> {
    const OUTCOMES: [RunStatus; 5] = [
        RunStatus::Completed,
        RunStatus::Failed,
        RunStatus::Canceled,
        RunStatus::Terminated,
        RunStatus::TimedOut,
    ];
    let told = Some(relation.ended_kind).filter(|_| relation.ended != 0);
    OUTCOMES.into_iter().find(|status| told.is_some() && outcome_kind(*status) == told)
}
