//! What a transaction has read: its read set.
//!
//! Transactions run under optimistic concurrency control. A step reads the index as it is, takes no lock
//! beyond its own look, and keeps each question it asked together with the answer. When the transaction is
//! committed, under the lock that orders commits, the questions are asked once more: if every answer is the
//! same, the steps would have come to the same at that position with nobody else there.
//!
//! Between steps the same is done where it is needed: whoever reads something that changed after the
//! position at which the transaction stands moves it to the present first, and everything read before must
//! still hold there. So all that a transaction has seen was true at one position, at any time (a "lazy
//! snapshot": Riegel, Felber and Fetzer, 2006), and no reader holds old versions for it.
//!
//! Where the runs end that the transaction adds events to is not kept here but with them
//! (`store/pending/run.rs`).

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::error::Moved;
use crate::id::{ChainNumber, Position, RunId, RunNumber, WorkflowNumber};
use crate::index::{Chain, ChildRef, Deletability, DutyKey, ErasedSize, Index, ValueRef};
use crate::retention::Keep;

/// A question to the index and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// No run has this id.
    NoRun(RunId),
    /// The next event of a run.
    Run { number: RunNumber, next_event: u32 },
    /// There was never a run of this workflow.
    NoWorkflow { namespace: Box<str>, workflow_id: Box<str> },
    /// The current run of a workflow, and whether it is open.
    Workflow { number: WorkflowNumber, current: RunNumber, open: bool },
    /// The last run of a chain, and whether it is open.
    Chain { number: ChainNumber, newest: RunNumber, open: bool },
    /// The relation that a chain stands in.
    Parent { chain: ChainNumber, parent: Option<ChildRef> },
    /// What decides whether a run can be deleted.
    Deletable { number: RunNumber, found: Deletability },
    /// What was kept of a run, if it was deleted.
    Deleted { number: RunNumber, deleted: Option<Keep> },
    /// Runs can be erased together, and how much has been of the chains of children then.
    Erasable { runs: BTreeSet<RunNumber>, sizes: Vec<ErasedSize> },
    /// Nothing is missing of the children that a reset takes on.
    NoChildGone { base: RunNumber, last: u32 },
    /// Whether a duty is open.
    Duty { key: DutyKey, due: bool },
    /// A run has no signal with this request id.
    NoSignal { run: RunNumber, request_id: Box<str> },
    /// A row, or that there is none.
    Row { table: Box<str>, key: Box<[u8]>, value_ref: Option<ValueRef> },
    /// All rows of a range.
    Rows(Box<RowsRead>),
}

/// The rows of a key range, in order; from the back where the scan went backwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RowsRead {
    pub(crate) table: Box<str>,
    pub(crate) from: Bound<Box<[u8]>>,
    pub(crate) to: Bound<Box<[u8]>>,
    pub(crate) backwards: bool,
    pub(crate) value_refs: Vec<ValueRef>,
}

impl Read {
    /// What has moved, if the answer is another one by now. `at`: where the transaction stands.
    pub(crate) fn moved(&self, index: &Index, at: Position) -> Option<Moved> {
        match self {
            Read::NoRun(run) => index.runs.number(run).map(|_| {
                let found = index.next_event(run);
                Moved::Run { run: *run, expected: 0, found }
            }),
            Read::Run { number, next_event } => {
                let Some(run) = index.runs.get(*number) else { return Some(Moved::Erasure) };
                let (expected, found) = (*next_event, run.state.latest().next_event);
                (found != expected).then_some(Moved::Run { run: run.id, expected, found })
            }
            Read::NoWorkflow { namespace, workflow_id } => {
                let known = index.namespaces.find(namespace, workflow_id).is_some();
                known.then(|| Moved::Workflow {
                    namespace: namespace.to_string(),
                    workflow_id: workflow_id.to_string(),
                })
            }
            Read::Workflow { number, current, open } => {
                let Some((namespace, workflow)) = index.namespaces.workflow(*number) else {
                    return Some(Moved::Erasure);
                };
                let found = *workflow.current.latest();
                let same = found == *current && index.is_open(found) == *open;
                (!same).then(|| Moved::Workflow {
                    namespace: namespace.name.to_string(),
                    workflow_id: workflow.id.to_string(),
                })
            }
            Read::Chain { number, newest, open } => {
                let Some(chain) = index.chains.get(*number) else { return Some(Moved::Erasure) };
                let same = chain.newest() == *newest && index.is_open(*newest) == *open;
                (!same).then(|| moved_chain(index, *number, &chain))
            }
            Read::Parent { chain: number, parent } => {
                let Some(chain) = index.chains.get(*number) else { return Some(Moved::Erasure) };
                (chain.parent != *parent).then(|| moved_chain(index, *number, &chain))
            }
            Read::Deletable { number, found } => {
                let Some(now) = index.deletability(*number) else { return Some(Moved::Erasure) };
                let same = now == *found;
                (!same).then(|| moved_run(index, *number))
            }
            Read::Deleted { number, deleted } => {
                let Some(state) = index.runs.state(*number) else { return Some(Moved::Erasure) };
                let same = state.deleted == *deleted;
                (!same).then(|| moved_run(index, *number))
            }
            Read::Erasable { runs, sizes } => {
                let same = index.are_erasable(runs) && index.erased_sizes(runs) == *sizes;
                (!same).then_some(Moved::Erasure)
            }
            Read::NoChildGone { base, last } => {
                let gone = index.child_gone_at_reset(*base, *last);
                gone.map(|child| moved_run(index, child))
            }
            Read::Duty { key, due } => (index.is_due(key) != *due).then(|| Moved::Duty {
                run: index.runs.look(key.run, |run| run.id).unwrap_or(RunId::NIL),
                initiated_event_id: key.event,
            }),
            Read::NoSignal { run, request_id } => {
                let signaled = index.runs.links(*run)?.signal_requests.contains_key(request_id);
                let run = index.runs.get(*run)?;
                let found = run.state.latest().next_event;
                signaled.then_some(Moved::Run { run: run.id, expected: 0, found })
            }
            Read::Row { table, key, value_ref } => {
                let same = index.tables.latest(table, key).0 == *value_ref;
                (!same).then(|| Moved::Row { table: table.to_string(), key: key.to_vec() })
            }
            Read::Rows(read) => {
                let same = index.tables.changed(&read.table) < at || read.holds(index);
                (!same).then(|| Moved::Rows { table: read.table.to_string() })
            }
        }
    }
}

/// A run that was deleted, or of which other things are due.
fn moved_run(index: &Index, number: RunNumber) -> Moved {
    let run = index.runs.look(number, |run| run.id).unwrap_or(RunId::NIL);
    Moved::Deletion { run }
}

/// A chain that goes on, or that has another parent now.
fn moved_chain(index: &Index, number: ChainNumber, chain: &Chain) -> Moved {
    Moved::Chain { first: index.first_run(number, chain).unwrap_or(RunId::NIL) }
}

impl RowsRead {
    fn holds(&self, index: &Index) -> bool {
        let range = (self.from.as_ref().map(|key| &**key), self.to.as_ref().map(|key| &**key));
        let value_refs =
            index.tables.latest_rows(&self.table, range).map(|(_, value_ref)| value_ref);
        let read = self.value_refs.iter().copied();
        if self.backwards { value_refs.rev().eq(read) } else { value_refs.eq(read) }
    }
}
