//! The lineage of a run: its own batches and, for a run that a reset created, those of its base runs before
//! them.

use super::backward_walk::BackwardWalk;
use crate::error::{Corruption, Error, Result};
use crate::event::{Body, Event, Malformed, RawEvent, Started};
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Fork, Index, RunState, Waypoint};
use crate::log::files::View;
use crate::log::format::{Batch, RawEvents};

/// One run as a reader sees it: where its events are. Borrows nothing.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub(crate) id: RunId,
    pub(crate) run_state: RunState,
    /// The position of the batch with the Started event.
    first_batch: Position,
    /// Which run's batches hold which events, the run itself first; never empty.
    ranges: Vec<EventRange>,
    /// Some batches of the run itself, at most `stride` batches apart.
    waypoints: Vec<Waypoint>,
    stride: u32,
}

/// Events in the batches of `run`, from `from` on, up to the next range.
#[derive(Clone, Copy, Debug)]
struct EventRange {
    run: RunNumber,
    from: u32,
}

impl Lineage {
    /// The run `number` as a reader at `end` sees it; `None` if it started later.
    pub(crate) fn of(index: &Index, number: RunNumber, end: Position) -> Option<Self> {
        let mut number = number;
        let mut run = index.runs.get(number)?;
        let (id, run_state) = (run.id, index.runs.state_at(&run, end)?);
        let stride = run.waypoints.stride();
        let waypoints = run.waypoints.points();
        let seen = waypoints.partition_point(|point| point.batch < run_state.last_batch);
        let waypoints = waypoints.get(..seen).unwrap_or_default().to_vec();
        let mut ranges = vec![];
        let mut next = run_state.next_event;
        loop {
            let from = run.fork.as_ref().map_or(1, |fork| fork.shared + 1);
            // The base run may itself be the result of a reset at or after the fork. Then none of its own events
            // are shared.
            if from < next {
                ranges.push(EventRange { run: number, from });
                next = from;
            }
            let Some(fork) = run.fork.as_ref() else { break };
            number = fork.base;
            run = index.runs.get(number)?;
        }
        let first_batch = run.first_batch;
        Some(Lineage { id, run_state, first_batch, ranges, waypoints, stride })
    }

    /// The Started event; for a run that a reset created, that of its first base run.
    pub(crate) fn started<'v>(&self, view: &'v View) -> Result<Started<'v>> {
        let (run, _) = self.range(1);
        started(view, run, self.first_batch).map_err(|error| self.with_run(error))
    }

    /// The position of the batch that holds the event `id`, which must be one of the run, and the bytes of the
    /// events up to it.
    pub(crate) fn locate(&self, view: &View, id: u32) -> Result<(Position, u64)> {
        let mut back = self.backwards();
        let batch = loop {
            match back.step(self, view)? {
                Some((batch, _)) if batch.first_event <= id => break batch,
                Some(_) => {}
                None => return Ok((Position::START, 0)),
            }
        };
        let mut bytes = u64::from(batch.run_bytes);
        for event in batch.raw_events() {
            let (event, raw) = event.map_err(|Malformed| self.malformed(view, batch.position))?;
            if event > id {
                let what = "a batch holds more bytes than its run";
                let less = bytes.checked_sub(raw.size.into());
                bytes = less.ok_or_else(|| self.corrupt(view, batch.position, what))?;
            }
        }
        Ok((batch.position, bytes))
    }

    /// The position of each batch that holds an event from `from` on, the last one first.
    fn batches_from(&self, view: &View, from: u32) -> Result<Vec<Position>> {
        if from >= self.run_state.next_event {
            return Ok(vec![]);
        }
        let beyond = self.waypoints.partition_point(|point| point.event <= from);
        let points = self.waypoints.get(beyond..).unwrap_or_default();
        let mut walk = BackwardWalk::new(self.run_state.last_batch, points, self.stride);
        walk.walk(view, from).map_err(|error| self.with_run(error))
    }

    /// Reads the batches from the last one back to the first.
    pub(crate) fn backwards(&self) -> BackwardReader {
        BackwardReader { at: self.run_state.last_batch, end: self.run_state.next_event }
    }

    /// The run whose batches hold the event `id`, and the first event after its range.
    fn range(&self, id: u32) -> (RunNumber, u32) {
        let at = self.ranges.partition_point(|range| range.from > id);
        let run = self.ranges.get(at).map_or(RunNumber::NONE, |range| range.run);
        let later = at.checked_sub(1).and_then(|later| self.ranges.get(later));
        (run, later.map_or(self.run_state.next_event, |later| later.from))
    }

    fn batch<'v>(&self, view: &'v View, at: Position, run: RunNumber) -> Result<Batch<'v>> {
        view.batch(at, run).map_err(|error| self.with_run(error))
    }

    pub(crate) fn malformed(&self, view: &View, at: Position) -> Error {
        self.corrupt(view, at, "an event is malformed")
    }

    fn corrupt(&self, view: &View, at: Position, what: &'static str) -> Error {
        self.with_run(view.corrupt(at, what, 0, 0))
    }

    fn with_run(&self, error: Error) -> Error {
        match error {
            Error::Corrupt(corruption) => {
                Error::Corrupt(Box::new(Corruption { runs: vec![self.id], ..*corruption }))
            }
            other => other,
        }
    }
}

/// Reads batches backwards along their links.
pub(crate) struct BackwardReader {
    at: Position,
    /// The next batch to be read holds the event before this one.
    end: u32,
}

impl BackwardReader {
    /// The next batch, and the event from which on its events are not part of the history: the last shared batch
    /// of a base run may hold later events.
    pub(crate) fn step<'v>(
        &mut self,
        lineage: &Lineage,
        view: &'v View,
    ) -> Result<Option<(Batch<'v>, u32)>> {
        // After an error, `end` is 0 and there are no more batches.
        let (at, end) = (self.at, std::mem::take(&mut self.end));
        if end <= 1 {
            return Ok(None);
        }
        let (run, range_end) = lineage.range(end - 1);
        let batch = lineage.batch(view, at, run)?;
        let next = batch.next_event();
        let cut = end == range_end && end < lineage.run_state.next_event;
        let joins = batch.first_event < end && (next == end || (cut && next > end));
        if !joins {
            return Err(lineage.corrupt(view, at, "a batch does not join the one after it"));
        }
        // `Batch::parse` has checked that the link leads to a lower position.
        (self.at, self.end) = (batch.previous, batch.first_event);
        Ok(Some((batch, end)))
    }
}

/// Reads events in order. Lineage and view are passed in at each step.
pub(crate) struct Cursor<'v> {
    next: u32,
    state: State<'v>,
}

enum State<'v> {
    Unread,
    Reading(Reading<'v>),
    Ended,
}

struct Reading<'v> {
    /// The batches that follow, the next one last.
    rest: Vec<Position>,
    at: Position,
    /// The first event that is no longer in the range of this batch's run.
    end: u32,
    events: RawEvents<'v>,
}

impl<'v> Cursor<'v> {
    /// Reads from the event `id` on.
    pub(crate) fn from(id: u32) -> Self {
        Cursor { next: id.max(1), state: State::Unread }
    }

    /// The next event. Ends after an error.
    pub(crate) fn next(&mut self, lineage: &Lineage, view: &'v View) -> Option<Result<Event<'v>>> {
        let failed = match self.next_raw(lineage, view) {
            Ok(Some((id, raw, at))) => match Event::check(id, raw) {
                Ok(event) => return Some(Ok(event)),
                Err(Malformed) => lineage.malformed(view, at),
            },
            Ok(None) => return None,
            Err(error) => error,
        };
        self.state = State::Ended;
        Some(Err(failed))
    }

    /// The next event, its typed head unchecked, and the batch that holds it.
    fn next_raw(
        &mut self,
        lineage: &Lineage,
        view: &'v View,
    ) -> Result<Option<(u32, RawEvent<'v>, Position)>> {
        loop {
            match &mut self.state {
                State::Unread => {
                    let batches = lineage.batches_from(view, self.next)?;
                    self.enter(lineage, view, batches)?;
                }
                State::Reading(reading) => match reading.events.next() {
                    Some(Ok((id, _))) if id < self.next => {}
                    Some(Ok((id, raw))) if id < reading.end => {
                        self.next = id + 1;
                        return Ok(Some((id, raw, reading.at)));
                    }
                    Some(Err(Malformed)) => return Err(lineage.malformed(view, reading.at)),
                    _ => {
                        let rest = std::mem::take(&mut reading.rest);
                        self.enter(lineage, view, rest)?;
                    }
                },
                State::Ended => return Ok(None),
            }
        }
    }

    /// Continues with the last of `batches`, which must hold the next event.
    fn enter(&mut self, lineage: &Lineage, view: &'v View, batches: Vec<Position>) -> Result<()> {
        let mut rest = batches;
        self.state = match rest.pop() {
            Some(at) => {
                let (run, end) = lineage.range(self.next);
                let batch = lineage.batch(view, at, run)?;
                if !(batch.first_event..batch.next_event()).contains(&self.next) {
                    return Err(lineage.corrupt(
                        view,
                        at,
                        "a batch does not join the one before it",
                    ));
                }
                State::Reading(Reading { rest, at, end, events: batch.raw_events() })
            }
            None if self.next < lineage.run_state.next_event => {
                let at = lineage.run_state.last_batch;
                return Err(lineage.corrupt(view, at, "a run's batches end before the run does"));
            }
            None => State::Ended,
        };
        Ok(())
    }
}

/// The Started event, which must be the first of the batch at `at`.
pub(crate) fn started(view: &View, run: RunNumber, at: Position) -> Result<Started<'_>> {
    match view.batch(at, run)?.events().next() {
        Some(Ok(event)) => match event.body() {
            Body::WorkflowExecutionStarted(started) => Ok(started),
            _ => Err(view.corrupt(at, "a run does not begin with Started", 0, 0)),
        },
        _ => Err(view.corrupt(at, "an event is malformed", 0, 0)),
    }
}

/// The run whose batch holds an event of the run `number`: itself, or one of its base runs.
pub(crate) fn run_of_event(index: &Index, number: RunNumber, event: u32) -> RunNumber {
    let fork = index.runs.look(number, |run| run.fork.as_deref().copied()).flatten();
    run_of_forked_event(index, number, fork, event)
}

/// The same for a run that leaves its base run at `fork`, if it has one.
pub(crate) fn run_of_forked_event(
    index: &Index,
    number: RunNumber,
    fork: Option<Fork>,
    event: u32,
) -> RunNumber {
    match fork {
        Some(fork) if event <= fork.shared => run_of_event(index, fork.base, event),
        _ => number,
    }
}
