//! The index: a fold over commits. Nothing in it is not in the log; [`Index::check`] and
//! [`Index::apply`] are the only ways in, for a replay at opening and for a commit alike.
//!
//! Every entry knows at which position it was made, so that a reader who holds the log still at
//! one position can tell what was there.

mod namespaces;
mod runs;
mod tables;
mod versioned;

use std::collections::{HashSet, VecDeque};

pub(crate) use namespaces::{NAMESPACES_TABLE, Namespace, Workflow, encode_limits};
pub use runs::RunStatus;
pub(crate) use runs::{Extent, Run, Runs};
pub(crate) use tables::{Place, Tables};

use crate::event::{Body, Event, Malformed, RawEvent, Started};
use crate::id::{Position, RunId};
use crate::log::Replay;
use crate::log::batch::{Batch, Part, Parts, is_start};
use crate::log::frame::Frame;
use namespaces::{Namespaces, NewRun};
use versioned::Versioned;

/// What the bytes of the log are, in sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) commits: u64,
    pub(crate) batches: u64,
    pub(crate) events: u64,
    pub(crate) open_runs: u64,
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
    pub(crate) tables: Tables,
    pub(crate) totals: Totals,
    /// Runs whose extents keep what they were before a commit, for readers before it.
    recent: VecDeque<(Position, u32)>,
    /// Where the last commit taken in ends.
    pub(crate) end: Position,
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
    /// Whether the commit can follow what was taken in so far. Changes nothing.
    pub(crate) fn check(&self, payload: Payload<'_>) -> Result<(), Malformed> {
        let mut last_run = None;
        let mut next_new = self.runs.len();
        let mut new_ids = HashSet::new();
        for part in payload.parts() {
            match part?.0 {
                Part::Batch(batch) => {
                    // In order of run number, so that no run comes twice.
                    if last_run.is_some_and(|last| last >= batch.run) {
                        return Err(Malformed);
                    }
                    last_run = Some(batch.run);
                    if batch.first_event == 1 {
                        let started = started(&batch)?;
                        let known = self.runs.number(&started.run_id).is_some();
                        let fresh = !started.run_id.is_nil() && !known;
                        if !fresh || batch.run != next_new || !new_ids.insert(started.run_id) {
                            return Err(Malformed);
                        }
                        next_new += 1;
                    }
                    self.check_batch(&batch)?;
                }
                Part::Put(row) => Namespaces::check(&row)?,
            }
        }
        Ok(())
    }

    fn check_batch(&self, batch: &Batch<'_>) -> Result<(), Malformed> {
        let mut bytes = 0u64;
        if batch.first_event != 1 {
            let run = self.runs.get(batch.run).ok_or(Malformed)?;
            let extent = run.extent.latest();
            let follows = extent.status.is_open()
                && extent.next_event == batch.first_event
                && extent.last_batch == batch.previous;
            if !follows {
                return Err(Malformed);
            }
            bytes = u64::from(extent.bytes);
        }
        for event in batch.raw_events() {
            let (id, raw) = event?;
            let last = id + 1 == batch.next_event();
            if is_start(raw.kind) != (id == 1) || (raw.kind.is_closing() && !last) {
                return Err(Malformed);
            }
            Event::check(id, raw)?;
            bytes += u64::from(raw.size);
        }
        (bytes == u64::from(batch.run_bytes)).then_some(()).ok_or(Malformed)
    }

    /// Takes in a commit that passed [`Index::check`]. `oldest` is the oldest position that a
    /// reader holds.
    pub(crate) fn apply(&mut self, payload: Payload<'_>, oldest: Position) {
        for part in payload.parts().map_while(Result::ok) {
            match part {
                (Part::Batch(batch), _) => self.apply_batch(&batch, payload.commit, oldest),
                (Part::Put(row), size) => {
                    self.totals.rows_written += 1;
                    self.totals.row_bytes += size as u64;
                    self.namespaces.put(&row);
                    self.tables.put(&row, payload.commit);
                }
            }
        }
        self.tables.forget(oldest);
        self.forget(oldest);
        self.totals.commits += 1;
        self.end = payload.end;
    }

    /// Drops what runs were before commits that every reader sees.
    fn forget(&mut self, oldest: Position) {
        while self.recent.front().is_some_and(|(commit, _)| *commit < oldest) {
            let touched = self.recent.pop_front().map(|(_, run)| run);
            if let Some(run) = touched.and_then(|run| self.runs.get_mut(run)) {
                run.extent.forget(oldest);
            }
        }
    }

    fn apply_batch(&mut self, batch: &Batch<'_>, commit: Position, oldest: Position) {
        let mut last: Option<RawEvent<'_>> = None;
        for (_, raw) in batch.raw_events().map_while(Result::ok) {
            self.totals.event_bytes += u64::from(raw.size);
            self.totals.payload_bytes += raw.payload.len() as u64;
            last = Some(raw);
        }
        let Some(last) = last else { return };
        self.totals.batches += 1;
        self.totals.events += u64::from(batch.count);
        self.totals.open_runs += u64::from(batch.first_event == 1);
        self.totals.open_runs -= u64::from(last.kind.is_closing());
        let extent = Extent::after(batch, &last);
        match (batch.first_event == 1).then(|| started(batch).ok()).flatten() {
            Some(started) => self.begin_run(batch, &started, extent, commit, oldest),
            None => {
                if let Some(run) = self.runs.get_mut(batch.run) {
                    run.extent.set(commit, extent, oldest);
                    self.recent.push_back((commit, batch.run));
                }
            }
        }
    }

    fn begin_run(
        &mut self,
        batch: &Batch<'_>,
        started: &Started<'_>,
        extent: Extent,
        commit: Position,
        oldest: Position,
    ) {
        let time = batch.raw_events().find_map(|event| event.ok().map(|(_, raw)| raw.time));
        let started_at = time.unwrap_or_default();
        let recorded = started.recorded != 0;
        // A run recorded from elsewhere never takes the place of one that is open or began later.
        let yields = |current: &Run| {
            !recorded
                || (!current.extent.latest().status.is_open() && current.started_at <= started_at)
        };
        let place = self.namespaces.place(started.namespace, started.workflow_id);
        let displaces = place.current.and_then(|current| self.runs.get(current)).is_none_or(yields);
        let run = NewRun { number: batch.run, commit, oldest, request_id: started.request_id };
        let (workflow, older) = self.namespaces.add_run(place, &run, displaces);
        self.runs.push(Run {
            id: started.run_id,
            workflow,
            older,
            recorded,
            first_batch: batch.position,
            started_at,
            extent: Versioned::new(commit, extent),
        });
    }

    /// The namespace and the workflow of a run.
    pub(crate) fn workflow_of(&self, run: &Run) -> Option<(&Namespace, &Workflow)> {
        self.namespaces.workflow(run.workflow)
    }
}

/// The Started record with which a run's first batch begins.
fn started<'a>(batch: &Batch<'a>) -> Result<Started<'a>, Malformed> {
    match batch.events().next().ok_or(Malformed)??.body() {
        Body::WorkflowExecutionStarted(started) => Ok(*started),
        _ => Err(Malformed),
    }
}

impl Replay for Index {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        self.check(payload)?;
        self.apply(payload, payload.end);
        Ok(())
    }

    fn run_ids(&self, numbers: &[u32]) -> Vec<RunId> {
        numbers.iter().filter_map(|number| Some(self.runs.get(*number)?.id)).collect()
    }
}
