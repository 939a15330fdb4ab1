//! Reading a run's events from the map.

use crate::error::{Corruption, Error, Result};
use crate::event::{Body, Event, Malformed, RawEvent, Started};
use crate::id::{Position, RunId};
use crate::index::{Extent, RunStatus};
use crate::log::View;
use crate::log::batch::{Batch, RawEvents};

/// A run's history as of one moment. Events are borrowed from it.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = kinlog::Store::open(dir.path())?;
/// # let mut tx = store.begin();
/// # let run = tx.start(kinlog::NewRun::new("shop", "order-42", "Order"))?;
/// # tx.commit()?;
/// let history = store.history(&run)?;
/// for event in &history {
///     println!("{}", event?.kind());
/// }
/// let last = history.rev().next().unwrap()?;
/// assert_eq!(last.id(), history.len());
/// # Ok::<(), kinlog::Error>(())
/// ```
pub struct History {
    view: View,
    id: RunId,
    run: u32,
    first_batch: Position,
    extent: Extent,
}

impl History {
    pub(super) fn new(
        view: View,
        id: RunId,
        run: u32,
        first_batch: Position,
        extent: Extent,
    ) -> Self {
        History { view, id, run, first_batch, extent }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.id
    }

    /// How many events there are; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        self.extent.next_event - 1
    }

    /// The bytes that the events take in the log: the sum of [`Event::size`].
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.extent.bytes.into()
    }

    /// How the run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.extent.status
    }

    /// What the first event says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub fn started(&self) -> Result<Started<'_>> {
        let batch = self.batch(self.first_batch)?;
        match batch.events().next() {
            Some(Ok(event)) => match event.body() {
                Body::WorkflowExecutionStarted(started) => Ok(*started),
                _ => Err(self.corrupt(batch.position, "a run does not begin with Started")),
            },
            _ => Err(self.corrupt(batch.position, "an event is malformed")),
        }
    }

    /// The events in order.
    #[must_use]
    pub fn iter(&self) -> Events<'_> {
        self.from(1)
    }

    /// The events from `id` on, in order.
    #[must_use]
    pub fn from(&self, id: u32) -> Events<'_> {
        Events { history: self, from: id.max(1), state: State::Unread }
    }

    /// The events from the last one back to the first. Reads no more than is asked for.
    pub fn rev(&self) -> impl Iterator<Item = Result<Event<'_>>> {
        let mut next = Some(self.extent.last_batch);
        let mut batch: Vec<(u32, RawEvent<'_>)> = vec![];
        let read_batch = move |batch: &mut Vec<_>, at| {
            let found = self.batch(at)?;
            for event in found.raw_events() {
                batch.push(event.map_err(|Malformed| self.malformed(at))?);
            }
            Ok((found.first_event > 1).then_some(found.previous))
        };
        std::iter::from_fn(move || {
            while batch.is_empty() {
                match read_batch(&mut batch, next.take()?) {
                    Ok(before) => next = before,
                    Err(error) => return Some(Err(error)),
                }
            }
            let (id, raw) = batch.pop()?;
            Some(Event::check(id, raw).map_err(|Malformed| self.malformed(self.extent.last_batch)))
        })
    }

    /// Where each batch begins that holds an event from `from` on, the last one first: the run's
    /// batches point back at each other.
    pub(super) fn batches_from(&self, from: u32) -> Result<Vec<Position>> {
        let mut positions = vec![];
        if from >= self.extent.next_event {
            return Ok(positions);
        }
        let mut at = self.extent.last_batch;
        let mut next_event = self.extent.next_event;
        loop {
            let batch = self.batch(at)?;
            if batch.next_event() != next_event {
                return Err(self.corrupt(at, "a batch does not join the one after it"));
            }
            positions.push(at);
            if batch.first_event <= from {
                return Ok(positions);
            }
            next_event = batch.first_event;
            // `Batch::parse` has seen to it that this is further back.
            at = batch.previous;
        }
    }

    fn batch(&self, at: Position) -> Result<Batch<'_>> {
        self.view.batch(at, self.run).map_err(|error| self.with_run(error))
    }

    fn malformed(&self, at: Position) -> Error {
        self.corrupt(at, "an event is malformed")
    }

    fn corrupt(&self, at: Position, what: &'static str) -> Error {
        self.with_run(self.view.corrupt(at, what, 0, 0))
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

impl<'h> IntoIterator for &'h History {
    type Item = Result<Event<'h>>;
    type IntoIter = Events<'h>;

    fn into_iter(self) -> Events<'h> {
        self.iter()
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("run", &self.id).field("events", &self.len()).finish()
    }
}

/// The events of a history in order. After an error there are no more.
pub struct Events<'h> {
    history: &'h History,
    from: u32,
    state: State<'h>,
}

enum State<'h> {
    Unread,
    /// Batches to come, the next one last; and the one being read.
    Reading(Vec<Position>, Position, RawEvents<'h>),
    Ended,
}

impl<'h> Events<'h> {
    fn step(&mut self) -> Result<Option<Event<'h>>> {
        loop {
            match &mut self.state {
                State::Unread => {
                    let mut batches = self.history.batches_from(self.from)?;
                    self.state = self.enter(batches.pop(), batches)?;
                }
                State::Reading(batches, at, events) => match events.next() {
                    Some(Ok((id, _))) if id < self.from => {}
                    Some(Ok((id, raw))) => {
                        let (history, at) = (self.history, *at);
                        return Event::check(id, raw)
                            .map(Some)
                            .map_err(|Malformed| history.malformed(at));
                    }
                    Some(Err(Malformed)) => return Err(self.history.malformed(*at)),
                    None => {
                        let mut batches = std::mem::take(batches);
                        self.state = self.enter(batches.pop(), batches)?;
                    }
                },
                State::Ended => return Ok(None),
            }
        }
    }

    fn enter(&self, next: Option<Position>, rest: Vec<Position>) -> Result<State<'h>> {
        Ok(match next {
            Some(at) => State::Reading(rest, at, self.history.batch(at)?.raw_events()),
            None => State::Ended,
        })
    }
}

impl<'h> Iterator for Events<'h> {
    type Item = Result<Event<'h>>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.state = State::Ended;
        }
        step.transpose()
    }
}
