//! The index: a fold over commits. Nothing in it is not in the log; [`Index::check`] and
//! [`Index::apply`] are the only ways in, for a replay at opening and for a commit alike.
//!
//! Every entry knows at which position it was made, so that a reader who holds the log still at
//! one position can tell what was there.

mod begin;
mod chains;
mod check;
mod draft;
mod duties;
mod fold;
#[cfg(test)]
mod forged;
mod former;
mod lock;
mod namespaces;
mod prove;
mod rules;
mod runs;
mod tables;
mod ties;
mod versioned;
mod waypoints;

pub(crate) use chains::{Chain, Chains};
pub(crate) use check::Refusal;
pub(crate) use draft::{Begun, Draft};
pub use duties::DutyKind;
pub(crate) use duties::{Duties, DutyKey, is_due, since_due};
pub(crate) use lock::{IndexLock, IndexReadGuard};
pub(crate) use namespaces::{NAMESPACES_TABLE, Namespace, Workflow, encode_limits};
pub(crate) use prove::Contradiction;
#[cfg(test)]
pub(crate) use prove::DAMAGES;
pub(crate) use rules::{Illegal, is_ruled, outcome_kind};
pub(crate) use runs::{Extent, Run, Runs};
pub use runs::{RunStatus, Size};
pub(crate) use tables::{Place, Tables};
pub(crate) use ties::{Relation, Ties};
pub(crate) use waypoints::Waypoint;

use crate::bytes::wide;
use crate::event::{Body, Malformed, Reset, Started};
use crate::id::{Position, RunId};
use crate::log::Replay;
use crate::log::batch::{Batch, Part, Parts};
use crate::log::frame::Frame;
use fold::{Aftermath, Fold};
use namespaces::Namespaces;

/// What the bytes of the log are, in sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) commits: u64,
    pub(crate) batches: u64,
    pub(crate) events: u64,
    pub(crate) open_runs: u64,
    /// Relations to children, in each of the runs that have or share them.
    pub(crate) relations: u64,
    pub(crate) event_bytes: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) rows_written: u64,
    pub(crate) row_bytes: u64,
}

/// Everything known about the commits so far.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) runs: Runs,
    pub(crate) namespaces: Namespaces,
    pub(crate) chains: Chains,
    pub(crate) duties: Duties,
    pub(crate) tables: Tables,
    pub(crate) totals: Totals,
    aftermath: Aftermath,
    /// Where the last commit taken in ends.
    pub(crate) end: Position,
    /// The last commit that set the limits of a namespace.
    pub(crate) limits_changed: Position,
}

/// A commit's payload and its place.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub(crate) bytes: &'a [u8],
    /// Of the first byte.
    pub(crate) position: Position,
    pub(crate) batches: u16,
    /// Where the commit's frame begins.
    pub(crate) commit: Position,
    /// Where it ends.
    pub(crate) end: Position,
}

impl<'a> Payload<'a> {
    pub(crate) fn of(frame: &Frame<'a>) -> Self {
        Payload {
            bytes: frame.payload,
            position: frame.payload_position(),
            batches: frame.header.batches,
            commit: frame.position,
            end: frame.end(),
        }
    }

    fn parts(&self) -> Parts<'a> {
        Parts::new(self.bytes, self.position, self.batches)
    }
}

impl Index {
    /// Takes in a commit that passed [`Index::check`]. `oldest` is the oldest position that a
    /// reader holds.
    pub(crate) fn apply(&mut self, payload: Payload<'_>, oldest: Position) {
        let fold = Fold { commit: payload.commit, oldest };
        let mut parts = payload.parts();
        // Nothing here can fail after `check`.
        while let Ok(Some(batch)) = parts.batch() {
            let bytes = self.apply_batch(&batch, fold);
            if parts.pass(bytes).is_err() {
                break;
            }
        }
        for part in parts.map_while(Result::ok) {
            if let (Part::Put(row), size) = part {
                self.totals.rows_written += 1;
                self.totals.row_bytes += wide(size);
                if self.namespaces.put(&row) {
                    self.limits_changed = payload.commit;
                }
                self.tables.put(&row, payload.commit);
            }
        }
        self.settle_up(payload.commit, oldest);
        self.tables.forget(oldest);
        self.runs.forget(oldest);
        self.totals.commits += 1;
        self.end = payload.end;
    }

    /// The bytes that a run of a workflow of its own takes in memory, and those of a relation to a child:
    /// entries and the slots of maps, without names, waypoints and what the allocator adds.
    pub(crate) const fn entry_bytes() -> (usize, usize) {
        let run = size_of::<Run>() + size_of::<(RunId, u32)>();
        let workflow = size_of::<Workflow>() + size_of::<(std::sync::Arc<str>, u32)>();
        (run + workflow + size_of::<chains::Chain>(), size_of::<Relation>())
    }

    /// Whether a run takes events.
    pub(crate) fn is_open(&self, run: u32) -> bool {
        self.runs.get(run).is_some_and(|run| run.extent.latest().status.is_open())
    }

    /// The next event of a run; 0 if there is no such run.
    pub(crate) fn next_event(&self, run: &RunId) -> u32 {
        let run = self.runs.number(run).and_then(|number| self.runs.get(number));
        run.map_or(0, |run| run.extent.latest().next_event)
    }

    /// The namespace and the workflow of a run.
    pub(crate) fn workflow_of(&self, run: &Run) -> Option<(&Namespace, &Workflow)> {
        self.namespaces.workflow(run.workflow)
    }
}

/// What a run begins with.
#[derive(Clone, Copy)]
enum Beginning<'a> {
    Started(Started<'a>),
    Reset(Reset<'a>),
}

/// What a run's first batch says; `None` for a later batch.
fn beginning<'a>(batch: &Batch<'a>, next_new: u32) -> Result<Option<Beginning<'a>>, Malformed> {
    if batch.first_event != 1 && batch.run != next_new {
        return Ok(None);
    }
    match batch.events().next().ok_or(Malformed)??.body() {
        Body::WorkflowExecutionStarted(started) => Ok(Some(Beginning::Started(*started))),
        Body::WorkflowReset(reset) => Ok(Some(Beginning::Reset(*reset))),
        _ => Err(Malformed),
    }
}

impl Replay for Index {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        self.check(payload).map_err(|_| Malformed)?;
        self.apply(payload, payload.end);
        Ok(())
    }

    fn run_ids(&self, numbers: &[u32]) -> Vec<RunId> {
        numbers.iter().filter_map(|number| Some(self.runs.get(*number)?.id)).collect()
    }
}
