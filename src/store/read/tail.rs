//! The tail: every commit in order, then future ones (change data capture), for projections, caches and
//! replicas.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::event::{Event, Malformed};
use crate::id::{Position, RunId};
use crate::log::files::View;
use crate::log::format::{Batch, Frame, Part, Parts};
use crate::store::shared::Shared;

/// How often a store that is open for reading only polls the lock record for new commits.
const POLL: Duration = Duration::from_millis(10);

/// Reads commits in order, from a position on.
pub struct Tail {
    shared: Arc<Shared>,
    position: Position,
}

impl Tail {
    pub(crate) fn new(shared: Arc<Shared>, position: Position) -> Self {
        Tail { shared, position }
    }

    /// The position after the last commit returned. A later tail can continue from it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next commit that is published; `None` if there is none yet.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if it cannot be read, or if the position is not
    /// where a commit begins.
    pub fn try_next(&mut self) -> Result<Option<CommitView>> {
        self.shared.here()?;
        let view = self.shared.published.view();
        let mut frames = view.frames(self.position);
        let Some(frame) = frames.next().transpose()? else { return Ok(None) };
        let end = frames.position();
        let (position, len) = (frame.position, frame.header.frame_bytes());
        let batches = frame.header.batches;
        self.position = end;
        let shared = self.shared.clone();
        Ok(Some(CommitView { shared, view, position, frame_bytes: len, batches }))
    }

    /// The next commit. Waits for it at most for `timeout`; `None` if there is none by then.
    ///
    /// # Errors
    /// As [`Tail::try_next`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<CommitView>> {
        let started = Instant::now();
        loop {
            // Read first: a commit that is published after this ends the wait.
            let seen = self.shared.published.end();
            if let Some(commit) = self.try_next()? {
                return Ok(Some(commit));
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let read_only = self.shared.writer.is_none();
            if !(read_only && self.shared.refresh()?) {
                let pause = if read_only { POLL.min(left) } else { left };
                self.shared.published.wait_beyond(seen, pause);
            }
        }
    }

    /// The next commit, awaited. For a store that is open for reading only it becomes ready when
    /// [`Store::refresh`](crate::Store::refresh) finds one.
    ///
    /// # Errors
    /// As [`Tail::try_next`].
    pub async fn next(&mut self) -> Result<CommitView> {
        let next = std::future::poll_fn(|context| self.poll_next(context));
        pin!(next).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<CommitView>> {
        if let Err(forked) = self.shared.here() {
            return Poll::Ready(Err(forked));
        }
        // Registered first: a commit that is published after this wakes it.
        self.shared.published.register(context.waker());
        match self.try_next().transpose() {
            Some(commit) => Poll::Ready(commit),
            None => Poll::Pending,
        }
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("position", &self.position).finish()
    }
}

/// One commit, borrowed from the log.
pub struct CommitView {
    shared: Arc<Shared>,
    view: View,
    position: Position,
    frame_bytes: usize,
    batches: u16,
}

impl CommitView {
    /// Its position.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The events that it adds, by run, in the order in which the runs were added to the store. Those of runs that have since been
    /// [erased](crate::Store::erase), or are in a commit under way, are left out: nothing tells any more whose they are.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) for a run whose id the index, which is damaged, does not find.
    pub fn batches(&self) -> impl Iterator<Item = Result<BatchView<'_>>> {
        self.parts().filter_map(|part| match part {
            Part::Batch(batch) => self.batch(batch).transpose(),
            Part::Put(_) => None,
        })
    }

    /// `None` for a run that was erased.
    fn batch<'c>(&'c self, batch: Batch<'c>) -> Result<Option<BatchView<'c>>> {
        let index = self.shared.index.read();
        let run = index.sure(index.runs.look(batch.run, |run| run.id))?;
        Ok(run.map(|run| BatchView { run, batch, view: &self.view }))
    }

    /// The rows that it changes, in the order of the changes.
    pub fn rows(&self) -> impl Iterator<Item = RowChange<'_>> {
        self.parts().filter_map(|part| match part {
            Part::Put(row) => {
                let value = row.value.map(|(_, value)| value);
                Some(RowChange { table: row.table, key: row.key, value })
            }
            Part::Batch(_) => None,
        })
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        // The frame was verified when the tail read it.
        let frame = self.view.bytes(self.position, self.frame_bytes).unwrap_or_default();
        let payload = Frame::payload_of(frame);
        let parts = Parts::new(payload, Frame::payload_position_at(self.position), self.batches);
        parts.map_while(|part| part.ok().map(|(part, _)| part))
    }
}

impl std::fmt::Debug for CommitView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitView").field("position", &self.position).finish()
    }
}

/// The events that one commit adds to one run.
pub struct BatchView<'a> {
    run: RunId,
    batch: Batch<'a>,
    view: &'a View,
}

impl<'a> BatchView<'a> {
    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = Result<Event<'a>>> + use<'a> {
        let (view, at) = (self.view, self.batch.position);
        let malformed = move |Malformed| view.corrupt(at, "an event is malformed", 0, 0);
        self.batch.events().map(move |event| event.map_err(malformed))
    }
}

/// A row that a commit sets or deletes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowChange<'a> {
    /// The table.
    pub table: &'a str,
    /// The key.
    pub key: &'a [u8],
    /// The value; `None` if the row is deleted.
    pub value: Option<&'a [u8]>,
}
