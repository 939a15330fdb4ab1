//! Writes the events of a history, checked beforehand.

use std::ops::Range;

use kinlog::limits::Limit;
use kinlog::{Body, Durability, Error, Expect, NewRun, Store, Transaction, limits};

use crate::{History, ImportError, NewRecord, RecordedEvent, Run, batches};

/// One less than a commit may have of one run: the check of a piece begins with the Started event.
const PIECE_EVENTS_MAX: usize = limits::BATCH_EVENTS_MAX - 1;
/// What an event may need in a store beyond its protobuf and the names of its run.
const OVERHEAD_BYTES: usize = 512;

/// So much is checked at once.
const CHECKED_BYTES: usize = 4 << 20;

/// A history on its way into a store.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a> {
    pub(crate) store: &'a Store,
    pub(crate) history: &'a History,
    pub(crate) run: Run<'a>,
    /// How many of its events are there.
    pub(crate) from: usize,
}

impl<'a> Writing<'a> {
    /// Refuses what the store would refuse, and writes nothing.
    pub(crate) fn check(&self) -> Result<(), ImportError> {
        let mut pieces = Vec::new();
        self.cut(self.from..self.history.events().len(), CHECKED_BYTES, &mut pieces)?;
        for piece in pieces {
            let mut tx = self.store.begin();
            if self.from == 0 && piece.start > 0 {
                // The run has to be there.
                self.put(&mut tx, 0..1)?;
            }
            self.put(&mut tx, piece)?;
        }
        Ok(())
    }

    /// Writes what is not there yet; returns the number of commits.
    pub(crate) fn write(&self, durability: Durability) -> Result<usize, ImportError> {
        let (mut commits, mut last) = (0, None);
        for piece in self.pieces()? {
            let events = piece.start - self.from;
            let unfinished = |source| self.unfinished(source, events, commits);
            let mut tx = self.store.begin();
            if let Some(next) = u32::try_from(piece.start + 1).ok().filter(|next| *next > 1) {
                tx.expect(&self.run.run_id, Expect::NextEvent(next)).map_err(unfinished)?;
            }
            self.put(&mut tx, piece)?;
            last = Some(tx.submit(durability).map_err(unfinished)?);
            commits += 1;
        }
        // The log is in order: with the last commit all are there.
        if let Some(last) = last {
            let events = self.history.events().len() - self.from;
            last.wait().map_err(|source| self.unfinished(source, events, commits))?;
        }
        Ok(commits)
    }

    /// Adds events to a transaction.
    fn put(&self, tx: &mut Transaction<'_>, events: Range<usize>) -> Result<(), ImportError> {
        let len = events.len();
        for (id, event) in (1..).zip(self.history.events()).skip(events.start).take(len) {
            // A copy: what is decoded of it goes with it.
            let event = &event.clone();
            let record = NewRecord::new(event, id, self.run)?;
            add(tx, &record, self.run)
                .map_err(|source| ImportError::Refused { id: event.id(), source })?;
        }
        Ok(())
    }

    /// The batches of what is not there yet, in pieces that fit into one commit each.
    fn pieces(&self) -> Result<Vec<Range<usize>>, ImportError> {
        let mut pieces = Vec::new();
        for batch in batches(self.history) {
            // A history that was cut off may end within what has become one batch.
            self.cut(batch.start.max(self.from)..batch.end, usize::MAX, &mut pieces)?;
        }
        Ok(pieces)
    }

    /// Cuts events into pieces that fit into a commit, and have no more bytes than `wanted` if more
    /// than one event.
    fn cut(
        &self,
        events: Range<usize>,
        wanted: usize,
        pieces: &mut Vec<Range<usize>>,
    ) -> Result<(), ImportError> {
        let most = self.store.begin().bytes_max();
        let (mut start, mut bytes) = (events.start, 0);
        let numbered = self.history.events().iter().enumerate();
        for (index, event) in numbered.take(events.end).skip(start) {
            let size = self.size_at_most(event);
            if size > most {
                let (limit, asked, max) = (Limit::CommitBytes, size as u64, most as u64);
                let source = Error::LimitExceeded { limit, run: None, now: 0, asked, max };
                return Err(ImportError::Refused { id: event.id(), source });
            }
            let is_full = bytes + size > most.min(wanted) || index - start == PIECE_EVENTS_MAX;
            if is_full && index > start {
                pieces.push(start..index);
                (start, bytes) = (index, 0);
            }
            bytes += size;
        }
        pieces.extend((start < events.end).then_some(start..events.end));
        Ok(())
    }

    /// No fewer bytes than the event has in a store.
    fn size_at_most(&self, event: &RecordedEvent) -> usize {
        let names = self.run.namespace.len() + self.run.workflow_id.len();
        event.bytes().len() + names + OVERHEAD_BYTES
    }

    /// Says what is there after a failure.
    fn unfinished(&self, source: Error, events: usize, commits: usize) -> ImportError {
        if commits == 0 {
            return source.into();
        }
        ImportError::Unfinished { run: self.run.run_id, events, commits, source }
    }
}

/// Adds an event to a transaction.
fn add(tx: &mut Transaction<'_>, record: &NewRecord<'_>, run: Run<'_>) -> kinlog::Result<()> {
    match record.body() {
        Body::WorkflowExecutionStarted(started) => {
            let new = NewRun::imported(*started).input(record.payload()).at(record.time());
            tx.start(new).map(drop)
        }
        _ => tx.append(&run.run_id, record.event()).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use kinlog::{Options, RunId};

    use super::{PIECE_EVENTS_MAX, Writing};
    use crate::{History, Run};

    #[test]
    fn no_piece_has_more_events_or_bytes_than_a_commit_can_have() {
        let text =
            r#"[{"eventId": 1, "eventType": "TimerFired", "timerFiredEventAttributes": {}}]"#;
        let event = History::from_json(text).unwrap().into_events().remove(0);
        let history: History = std::iter::repeat_n(event, 2 * PIECE_EVENTS_MAX + 5).collect();
        let dir = tempfile::tempdir().unwrap();
        let store = Options::new().segment_bytes(64 << 20).open(dir.path()).unwrap();
        let run =
            Run { namespace: "default", workflow_id: "w", run_id: RunId::from_bytes([1; 16]) };
        let writing = Writing { store: &store, history: &history, run, from: 3 };
        let cut = |wanted| {
            let mut pieces = vec![];
            writing.cut(3..history.events().len(), wanted, &mut pieces).unwrap();
            assert_eq!(pieces.first().unwrap().start, 3);
            assert_eq!(pieces.last().unwrap().end, history.events().len());
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
            pieces.iter().map(std::ops::Range::len).collect::<Vec<_>>()
        };
        assert_eq!(cut(usize::MAX), [PIECE_EVENTS_MAX, PIECE_EVENTS_MAX, 2]);
        let size = writing.size_at_most(&history.events()[0]);
        assert_eq!(cut(10_000 * size)[..3], [10_000; 3]);
        assert_eq!(cut(1)[..3], [1; 3]);
    }
}
