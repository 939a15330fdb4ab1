//! The lineage of a run: its own batches and, for a run that a reset created, those of its base runs before
//! them.

use super::backward_walk::{BackwardWalk, Walked};
use crate::bytes::in_memory;
use crate::error::{Corruption, Error, Result};
use crate::event::{Body, Event, Malformed, Started};
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Fork, Index, RunState, Waypoint};
use crate::log::files::View;
use crate::log::format::{Batch, RawEvents};

/// How many batches a reader looks for before it reads the first of them; more only for the sake of [`POINTS_AT_ONCE_MIN`].
const BATCHES_AT_ONCE: u32 = 16 << 10;
/// The fewest waypoints that it passes at once, if there are as many: the memory of fewer legs comes slower.
const POINTS_AT_ONCE_MIN: usize = 2;

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

    /// The batches that hold the events from `from` on, or the first of them.
    fn batches_from<'v>(&self, view: &'v View, from: u32) -> Result<Walked<'v>> {
        let beyond = self.waypoints.partition_point(|point| point.event <= from);
        let ahead = self.waypoints.get(beyond..).unwrap_or_default();
        let at_once = in_memory(BATCHES_AT_ONCE / self.stride).max(POINTS_AT_ONCE_MIN);
        let (points, last) = match ahead.split_at_checked(at_once) {
            Some((points, [last, ..])) => (points, last.batch),
            _ => (ahead, self.run_state.last_batch),
        };
        let walk = BackwardWalk::new(last, points, self.stride);
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
    /// The event after those of the current batch.
    next: u32,
    /// The batches that follow, as far as they were looked for.
    rest: Walked<'v>,
    /// The current batch.
    at: Position,
    /// What is left of it.
    events: RawEvents<'v>,
}

impl<'v> Cursor<'v> {
    /// Reads from the event `id` on.
    pub(crate) fn from(id: u32) -> Self {
        let (rest, at, events) = (Walked::default(), Position::START, RawEvents::default());
        Cursor { next: id.max(1), rest, at, events }
    }

    /// The next event. Ends after an error.
    pub(crate) fn next(&mut self, lineage: &Lineage, view: &'v View) -> Option<Result<Event<'v>>> {
        loop {
            match self.events.next() {
                Some(Ok((id, raw))) => match Event::check(id, raw) {
                    Ok(event) => return Some(Ok(event)),
                    Err(Malformed) => return Some(Err(self.malformed(lineage, view))),
                },
                Some(Err(Malformed)) => return Some(Err(self.malformed(lineage, view))),
                None => match self.enter(lineage, view) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => {
                        *self = Cursor::from(u32::MAX);
                        return Some(Err(error));
                    }
                },
            }
        }
    }

    #[cold]
    fn malformed(&mut self, lineage: &Lineage, view: &View) -> Error {
        let error = lineage.malformed(view, self.at);
        *self = Cursor::from(u32::MAX);
        error
    }

    /// Continues with the batch that holds the next event; whether there is one.
    #[inline(never)]
    fn enter(&mut self, lineage: &Lineage, view: &'v View) -> Result<bool> {
        let mut found = self.rest.next();
        if found.is_none() {
            if self.next >= lineage.run_state.next_event {
                return Ok(false);
            }
            self.rest = lineage.batches_from(view, self.next)?;
            found = self.rest.next();
        }
        let Some(batch) = found else {
            let at = lineage.run_state.last_batch;
            return Err(lineage.corrupt(view, at, "a run's batches end before the run does"));
        };
        let (run, end) = lineage.range(self.next);
        view.check_run(&batch, run).map_err(|error| lineage.with_run(error))?;
        if !(batch.first_event..batch.next_event()).contains(&self.next) {
            let what = "a batch does not join the one before it";
            return Err(lineage.corrupt(view, batch.position, what));
        }
        let events = batch.raw_events_in(self.next, end);
        self.events = events.map_err(|Malformed| lineage.malformed(view, batch.position))?;
        (self.at, self.next) = (batch.position, batch.next_event().min(end));
        Ok(true)
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
