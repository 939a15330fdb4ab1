//! Where the events of a run lie: in its own batches and, for a run made by a reset, before them
//! in those of the runs it goes back to.

use super::backward_walk::BackwardWalk;
use crate::error::{Corruption, Error, Result};
use crate::event::{Body, Event, Malformed, Started};
use crate::id::{Position, RunId};
use crate::index::{Index, RunState, Waypoint};
use crate::log::files::View;
use crate::log::format::{Batch, RawEvents};

/// One run as a reader sees it. Knows where to read, and borrows nothing.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub(crate) id: RunId,
    pub(crate) run_state: RunState,
    /// The batch of the Started event.
    first_batch: Position,
    /// Whose batches hold which events, the run itself first; never empty.
    stretches: Vec<EventRange>,
    /// Batches of the run itself, and how far apart they are at most.
    waypoints: Vec<Waypoint>,
    stride: u32,
}

/// Events that lie in one run's batches, from `from` on.
#[derive(Clone, Copy, Debug)]
struct EventRange {
    run: u32,
    from: u32,
}

impl Lineage {
    /// The run `number` as a reader at `end` sees it; `None` if it began later.
    pub(crate) fn of(index: &Index, number: u32, end: Position) -> Option<Self> {
        let mut number = number;
        let mut run = index.runs.get(number)?;
        let (id, run_state) = (run.id, *index.runs.state_at(run, end)?);
        let stride = run.waypoints.stride();
        let waypoints = run.waypoints.points();
        let seen = waypoints.partition_point(|point| point.batch < run_state.last_batch);
        let waypoints = waypoints.get(..seen).unwrap_or_default().to_vec();
        let mut stretches = vec![];
        let mut next = run_state.next_event;
        loop {
            let from = run.fork.as_ref().map_or(1, |fork| fork.shared + 1);
            // A base run may itself have been made by a reset at or beyond the event where it is
            // left: then it has no part in this history.
            if from < next {
                stretches.push(EventRange { run: number, from });
                next = from;
            }
            let Some(fork) = run.fork.as_ref() else { break };
            number = fork.base;
            run = index.runs.get(number)?;
        }
        let first_batch = run.first_batch;
        Some(Lineage { id, run_state, first_batch, stretches, waypoints, stride })
    }

    /// What the first event says: for a run made by a reset, that of the run it goes back to.
    pub(crate) fn started<'v>(&self, view: &'v View) -> Result<Started<'v>> {
        let (run, _) = self.stretch(1);
        started(view, run, self.first_batch).map_err(|error| self.with_run(error))
    }

    /// The batch that holds the event `id`, which must be one of the run, and the bytes of the
    /// events up to it.
    pub(crate) fn locate(&self, view: &View, id: u32) -> Result<(Position, u64)> {
        let mut back = self.back();
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

    /// Where each batch begins that holds an event from `from` on, the last one first.
    fn batches_from(&self, view: &View, from: u32) -> Result<Vec<Position>> {
        if from >= self.run_state.next_event {
            return Ok(vec![]);
        }
        let beyond = self.waypoints.partition_point(|point| point.event <= from);
        let points = self.waypoints.get(beyond..).unwrap_or_default();
        let mut way = BackwardWalk::new(self.run_state.last_batch, points, self.stride);
        way.walk(view, from).map_err(|error| self.with_run(error))
    }

    /// The batches from the last one back to the first.
    pub(crate) fn back(&self) -> BackwardReader {
        BackwardReader { at: self.run_state.last_batch, end: self.run_state.next_event }
    }

    /// The run whose batches hold the event `id`, and the event that ends this stretch.
    fn stretch(&self, id: u32) -> (u32, u32) {
        let place = self.stretches.partition_point(|stretch| stretch.from > id);
        let run = self.stretches.get(place).map_or(u32::MAX, |stretch| stretch.run);
        let later = place.checked_sub(1).and_then(|later| self.stretches.get(later));
        (run, later.map_or(self.run_state.next_event, |later| later.from))
    }

    fn batch<'v>(&self, view: &'v View, at: Position, run: u32) -> Result<Batch<'v>> {
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

/// Goes from batch to batch, backwards along their links.
pub(crate) struct BackwardReader {
    at: Position,
    /// The next batch holds the event before this one.
    end: u32,
}

impl BackwardReader {
    /// The next batch, and the event before which it belongs to the history: the batch that a
    /// reset went back to may hold later ones.
    pub(crate) fn step<'v>(
        &mut self,
        lineage: &Lineage,
        view: &'v View,
    ) -> Result<Option<(Batch<'v>, u32)>> {
        // Nothing follows an error.
        let (at, end) = (self.at, std::mem::take(&mut self.end));
        if end <= 1 {
            return Ok(None);
        }
        let (run, stretch_end) = lineage.stretch(end - 1);
        let batch = lineage.batch(view, at, run)?;
        let next = batch.next_event();
        let cut = end == stretch_end && end < lineage.run_state.next_event;
        let joins = batch.first_event < end && (next == end || (cut && next > end));
        if !joins {
            return Err(lineage.corrupt(view, at, "a batch does not join the one after it"));
        }
        // `Batch::parse` has seen to it that the link leads further back.
        (self.at, self.end) = (batch.previous, batch.first_event);
        Ok(Some((batch, end)))
    }
}

/// Reads events in order. Holds neither the lineage nor the view, which are given at each step.
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
    /// Batches to come, the next one last.
    rest: Vec<Position>,
    at: Position,
    /// The event before which this batch's part ends.
    end: u32,
    events: RawEvents<'v>,
}

impl<'v> Cursor<'v> {
    /// Reads from the event `id` on.
    pub(crate) fn from(id: u32) -> Self {
        Cursor { next: id.max(1), state: State::Unread }
    }

    /// The next event. After an error there are no more.
    pub(crate) fn next(&mut self, lineage: &Lineage, view: &'v View) -> Option<Result<Event<'v>>> {
        let step = self.step(lineage, view);
        if step.is_err() {
            self.state = State::Ended;
        }
        step.transpose()
    }

    fn step(&mut self, lineage: &Lineage, view: &'v View) -> Result<Option<Event<'v>>> {
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
                        let at = reading.at;
                        let event = Event::check(id, raw);
                        return event.map(Some).map_err(|Malformed| lineage.malformed(view, at));
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

    /// Goes on with the last of `batches`, which must hold the next event.
    fn enter(&mut self, lineage: &Lineage, view: &'v View, batches: Vec<Position>) -> Result<()> {
        let mut rest = batches;
        self.state = match rest.pop() {
            Some(at) => {
                let (run, end) = lineage.stretch(self.next);
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

/// What the Started event says that begins the batch at `at`.
pub(crate) fn started(view: &View, run: u32, at: Position) -> Result<Started<'_>> {
    match view.batch(at, run)?.events().next() {
        Some(Ok(event)) => match event.body() {
            Body::WorkflowExecutionStarted(started) => Ok(*started),
            _ => Err(view.corrupt(at, "a run does not begin with Started", 0, 0)),
        },
        _ => Err(view.corrupt(at, "an event is malformed", 0, 0)),
    }
}

/// The run whose batch holds an event of the run `number`: itself, or one that it goes back to.
pub(crate) fn holder(index: &Index, number: u32, event: u32) -> u32 {
    let mut number = number;
    while let Some(fork) = index.runs.get(number).and_then(|run| run.fork.as_ref())
        && event <= fork.shared
    {
        number = fork.base;
    }
    number
}
