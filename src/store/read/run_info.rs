//! What is known about a run without reading its history.

use std::sync::Arc;

use super::chain_parent::relation_of_chain;
use crate::id::{Position, RunId, RunNumber, Timestamp};
use crate::index::{Chain, Index, Run, RunStatus};
use crate::retention::Keep;

/// One run, as of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RunInfo {
    /// Its id.
    pub id: RunId,
    /// The first run of its chain, which names the chain. For an imported run it is the one that its Started
    /// event names, which need not be in the store.
    pub first_run_id: RunId,
    /// For a run that a reset created: its base run, and the last event that they share. Shared events count
    /// for both.
    pub base: Option<(RunId, u32)>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its workflow id.
    pub workflow_id: Arc<str>,
    /// The name of its workflow type.
    pub workflow_type: Arc<str>,
    /// The request id of its start, or of the reset that created it.
    pub request_id: Option<Arc<str>>,
    /// How many times its workflow was tried when it began, itself included: 0 and 1 are the first time.
    pub attempt: u32,
    /// The parent's run and its Initiated event: after a reset of the parent, the run that has the child now. `None`
    /// without a parent, and for an imported run, of which [`Snapshot::parent`](crate::Snapshot::parent) reads it.
    pub parent: Option<(RunId, u32)>,
    /// The run at the root of its tree, if it has a parent and was not imported.
    pub root: Option<RunId>,
    /// Its status.
    pub status: RunStatus,
    /// Whether it was asked to cancel.
    pub cancel_requested: bool,
    /// How many events it has; the next one gets the id that follows.
    pub events: u32,
    /// The bytes of its events in the log.
    pub bytes: u64,
    /// When it started: the time of its first event.
    pub started_at: Timestamp,
    /// When it closed: the time of its last event.
    pub closed_at: Option<Timestamp>,
    /// What was kept of it, if its history was deleted.
    pub deleted: Option<Keep>,
    /// Whether it is the current run of its workflow id.
    pub is_current: bool,
    /// Whether it was imported.
    pub is_imported: bool,
}

/// What a reader at `end` sees of a run; `None` if it started later.
pub(crate) fn info(index: &Index, number: RunNumber, end: Position) -> Option<RunInfo> {
    let run = index.runs.get(number)?;
    let chain = index.chains.of(&run)?;
    let parent = relation_of_chain(index, end, run.chain);
    let id = |number| index.runs.look(number, |run| run.id);
    let parent = parent.and_then(|(parent, event)| Some((id(parent)?, event)));
    info_of(index, (number, &run), &chain, parent, end)
}

/// The same of a run of which all of this is known: itself, its chain, and the parent's run with its Initiated event.
pub(crate) fn info_of(
    index: &Index,
    (number, run): (RunNumber, &Run),
    chain: &Chain,
    parent: Option<(RunId, u32)>,
    end: Position,
) -> Option<RunInfo> {
    let state = index.runs.state_at(run, end)?;
    let (namespace, workflow) = index.workflow_of(run)?;
    let base = run
        .fork
        .as_ref()
        .and_then(|fork| Some((index.runs.look(fork.base, |run| run.id)?, fork.shared)));
    let id = |number| index.runs.look(number, |run| run.id);
    Some(RunInfo {
        id: run.id,
        first_run_id: index.first_run(run.chain, chain)?,
        base,
        namespace: namespace.name.clone(),
        workflow_id: workflow.id.clone(),
        workflow_type: index.namespaces.types.get(run.workflow_type)?.name.clone(),
        request_id: run.request_id.clone(),
        attempt: run.attempt,
        parent,
        root: chain.root.and_then(id),
        status: state.status,
        cancel_requested: state.cancel_requested != 0,
        events: state.next_event - 1,
        bytes: state.bytes.into(),
        started_at: run.started_at,
        closed_at: state.closed_at,
        deleted: state.deleted,
        is_current: index.namespaces.current_at(&workflow, end) == Some(number),
        is_imported: run.imported,
    })
}
