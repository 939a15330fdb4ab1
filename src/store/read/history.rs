//! Reading the events of a run, borrowed from the map.

use super::lineage::{BackwardReader, Cursor, Lineage};
use crate::error::{Error, Result};
use crate::event::{Event, Malformed, RawEvent, Started};
use crate::id::{Position, RunId};
use crate::index::RunStatus;
use crate::log::files::View;

/// The history of a run as of one position. Events are borrowed from it.
///
/// The history of a run that a reset created begins with the events that it shares with its base run; they count
/// as its own.
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
    lineage: Lineage,
}

impl History {
    pub(crate) fn new(view: View, lineage: Lineage) -> Self {
        History { view, lineage }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.lineage.id
    }

    /// How many events there are; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        self.lineage.run_state.next_event - 1
    }

    /// The bytes of the events in the log: the sum of [`Event::size`].
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lineage.run_state.bytes.into()
    }

    /// The bytes of the events up to and including `id` in the log; 0 for 0. Reads the events of one batch, and
    /// the headers of all later ones.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an id beyond the last event, [`Error::Corrupt`] if the
    /// batch cannot be read.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// # let mut tx = store.begin();
    /// # let run = tx.start(kinlog::NewRun::new("shop", "order-42", "Order"))?;
    /// # tx.commit()?;
    /// # store.close_run(&run, kinlog::Close::completed(b"ok"))?;
    /// let history = store.history(&run)?;
    /// let last = history.rev().next().unwrap()?;
    /// assert_eq!(history.size_at(1)? + u64::from(last.size()), history.bytes());
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn size_at(&self, id: u32) -> Result<u64> {
        if id > self.len() {
            return Err(Error::invalid("the history ends before this event"));
        }
        Ok(self.locate(id)?.1)
    }

    /// The batch that holds the event `id`, and the bytes of the events up to it.
    pub(crate) fn locate(&self, id: u32) -> Result<(Position, u64)> {
        self.lineage.locate(&self.view, id)
    }

    /// The status of the run.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.lineage.run_state.status
    }

    /// The Started event. For a run that a reset created, it is that of its first base run, and names that run.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub fn started(&self) -> Result<Started<'_>> {
        self.lineage.started(&self.view)
    }

    /// The events in order.
    #[must_use]
    pub fn iter(&self) -> Events<'_> {
        self.from(1)
    }

    /// The event `id`; `None` if the history has no such event.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be read.
    pub fn event(&self, id: u32) -> Result<Option<Event<'_>>> {
        if id == 0 { Ok(None) } else { self.from(id).next().transpose() }
    }

    /// The events from `id` on, in order.
    #[must_use]
    pub fn from(&self, id: u32) -> Events<'_> {
        Events { history: self, cursor: Cursor::from(id) }
    }

    /// The events from the last one back to the first, read batch by batch.
    pub fn rev(&self) -> impl Iterator<Item = Result<Event<'_>>> {
        let mut back = self.lineage.backwards();
        let mut events: Vec<(u32, RawEvent<'_>)> = vec![];
        std::iter::from_fn(move || {
            if events.is_empty()
                && let Err(error) = self.read_previous(&mut back, &mut events)
            {
                events.clear();
                return Some(Err(error));
            }
            let (id, raw) = events.pop()?;
            let at = self.lineage.run_state.last_batch;
            let event = Event::check(id, raw);
            Some(event.map_err(|Malformed| self.lineage.malformed(&self.view, at)))
        })
    }

    /// Reads the batch before the last one read, if there is one.
    fn read_previous<'h>(
        &'h self,
        back: &mut BackwardReader,
        events: &mut Vec<(u32, RawEvent<'h>)>,
    ) -> Result<()> {
        let Some((batch, end)) = back.step(&self.lineage, &self.view)? else { return Ok(()) };
        for event in batch.raw_events() {
            let malformed = |Malformed| self.lineage.malformed(&self.view, batch.position);
            events.push(event.map_err(malformed)?);
        }
        events.retain(|(id, _)| *id < end);
        Ok(())
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
        f.debug_struct("History").field("run", &self.run()).field("events", &self.len()).finish()
    }
}

/// The events of a history in order. Ends after an error.
pub struct Events<'h> {
    history: &'h History,
    cursor: Cursor<'h>,
}

impl<'h> Iterator for Events<'h> {
    type Item = Result<Event<'h>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.next(&self.history.lineage, &self.history.view)
    }
}
