//! The commit point, under one lock: the read set is validated (optimistic concurrency control), the payload is
//! encoded into the log's next group, and the index takes it in.

use super::commit::{Enqueued, Notice};
use super::transaction::Transaction;
use crate::bytes::wide;
use crate::error::{Error, Moved, Result};
use crate::event::Buffer;
use crate::id::{Position, RunNumber};
use crate::index::{Index, Payload, Refusal};
use crate::log::format::{BATCH_HEADER_BYTES, HEADER_BYTES, TRAILER_BYTES, write_batch_header};
use crate::log::write::{Durability, Lead, Manner, Span};
use crate::store::pending::{IdleDeletes, Recheck, too_many_runs};

impl Transaction<'_> {
    /// Compares what the transaction has seen with what there is now and appends it to the log.
    pub(crate) fn enqueue(
        mut self,
        durability: Durability,
        lead: Lead,
        waits: bool,
    ) -> Result<Enqueued> {
        self.shared.writer()?;
        if let Some(overtaken) = &self.overtaken {
            return Err(overtaken.clone());
        }
        let changed = self.work.runs.iter().filter(|run| run.progress.count > 0).count();
        let manner = Manner { durability, lead, waits, reserve: self.reserve() };
        loop {
            let looks = self.work.deletes || changed == 0;
            let index = looks.then(|| self.shared.index.read());
            let looked_at = index.as_deref().filter(|_| self.work.deletes);
            let idle = looked_at.map(|index| self.work.idle_deletes(index)).unwrap_or_default();
            if let Some(index) = index.as_deref()
                && changed == 0
                && idle.bytes() == self.work.rows.len()
            {
                let deletes = !idle.places.is_empty();
                // A row that somebody else deletes, and that a power loss would bring back, is not deleted yet.
                let least = if deletes { durability } else { Durability::Buffered };
                return Ok(Enqueued::Nothing(self.conclude(index, deletes)?, least));
            }
            drop(index);
            if let Some((notices, span)) = self.append_to_log(manner, changed, &idle)? {
                return Ok(Enqueued::Commit(span, notices));
            }
        }
    }

    /// Ends a transaction that holds nothing, and returns before which position it saw what it has seen.
    fn conclude(&self, index: &Index, deletes: bool) -> Result<Position> {
        if deletes {
            // It is now that the rows are not there.
            self.work.validate(index)?;
            return Ok(index.end);
        }
        // What it has read was so at one position, and it does nothing at any other.
        self.work.check_stated(index)?;
        Ok(self.stands_at())
    }

    /// Appends the transaction to the log without the rows in `idle`; `None` if by now others are idle.
    fn append_to_log(
        &mut self,
        manner: Manner,
        changed: usize,
        idle: &IdleDeletes,
    ) -> Result<Option<(Vec<Notice>, Span)>> {
        let writer = self.shared.writer()?;
        let batches = u16::try_from(changed).map_err(|_| too_many_runs(changed))?;
        let mut order = std::mem::take(&mut self.work.order);
        order.clear();
        let events = self.work.events.len() + changed * BATCH_HEADER_BYTES;
        let bytes = events + self.work.rows.len() - idle.bytes();
        let mut others_are_idle = false;
        let appended = writer.append(bytes, batches, manner, |position, buffer| {
            for consumer in &self.work.new_consumers {
                let view = self.shared.published.view();
                self.shared.new_consumers.note(&view, commit_of(position), *consumer)?;
            }
            let mut index = self.shared.index.write();
            // Nobody came in between: what the last step saw is what there is.
            let mut recheck = self.work.recheck;
            if index.end > self.work.at || recheck > Recheck::None {
                recheck = recheck.max(self.work.validate(&index)?);
            }
            if !self.work.are_idle(idle, &index) {
                others_are_idle = true;
                // Nobody is told: the commit is put together once more.
                return Err(Error::overtaken(Moved::Limits));
            }
            let unsure = recheck == Recheck::Ruled;
            self.put_in_order(&index, &mut order)?;
            let start = buffer.len();
            self.assemble(&index, &order, idle, buffer)?;
            // Before the index takes the commit in: afterwards it cannot be refused any more.
            if buffer.len() - start != bytes {
                return Err(Error::internal("a commit has another size than its parts"));
            }
            let payload = Payload {
                bytes: buffer.get(start..).ok_or_else(no_events)?,
                position,
                batches,
                commit: commit_of(position),
                end: end_of(position, bytes),
                cut: false,
            };
            if unsure || self.shared.recheck_commits {
                index.check(payload).map_err(|refusal| self.refused(&index, refusal, unsure))?;
            }
            self.shared.check_cold(&index)?;
            self.shared.freezer.freeze_before_commit(&mut index);
            let oldest = self.shared.pins.oldest(|| self.shared.published.end());
            let applied = index.apply(payload, oldest);
            // What it has taken in after damage cannot be relied on, and nothing is decided by it any more.
            index.check_cold()?;
            applied?;
            let extents = order.iter().filter_map(|(number, i)| {
                Some((self.work.runs.get(*i)?, index.runs.state(*number)?))
            });
            Ok(extents.filter_map(|(pending, state)| Notice::of(pending, &state)).collect())
        });
        self.work.order = order;
        if appended.is_err() {
            // What was not found in a damaged index is no reason to refuse anything.
            self.shared.index.read().check_cold()?;
        }
        if others_are_idle { Ok(None) } else { appended.map(Some) }
    }

    /// The error for bytes that break a rule: a blind append did, by what came in between.
    fn refused(&self, index: &Index, refusal: Refusal, unsure: bool) -> Error {
        match refusal {
            Refusal::Illegal(illegal) if unsure => {
                let (run, found) = (illegal.run, index.next_event(&illegal.run));
                let pending = self.work.run_by_id(&run);
                let expected = pending.map_or(0, |pending| pending.first_event);
                Error::overtaken(Moved::Run { run, expected, found })
            }
            Refusal::Illegal(illegal) => illegal.into(),
            Refusal::Malformed => Error::invalid("a commit contradicts itself"),
        }
    }

    /// Puts the runs that get events in the order of their numbers, which is the order in the frame.
    fn put_in_order(&self, index: &Index, order: &mut Vec<(RunNumber, usize)>) -> Result<()> {
        let mut next_new = index.runs.next();
        for (i, pending) in self.work.runs.iter().enumerate() {
            match pending.number {
                _ if pending.progress.count == 0 => {}
                Some(number) => order.push((number, i)),
                None => {
                    let number = next_new.ok_or_else(|| too_many_runs(usize::MAX))?;
                    order.push((number, i));
                    next_new = number.next();
                }
            }
        }
        order.sort_unstable();
        Ok(())
    }

    /// Writes the payload of the commit, run after run.
    fn assemble(
        &self,
        index: &Index,
        order: &[(RunNumber, usize)],
        idle: &IdleDeletes,
        buffer: &mut Buffer,
    ) -> Result<()> {
        for (number, i) in order {
            let pending = self.work.pending(*i)?;
            let state = index.runs.state(*number);
            let previous = pending.begins.as_ref().and_then(|begins| begins.previous);
            let begins = || {
                let previous = previous.unwrap_or(Position::START);
                (pending.first_event, previous, pending.bytes_before)
            };
            let (first_event, previous, before) = state.map_or_else(begins, |state| {
                (state.next_event, state.last_batch, u64::from(state.bytes))
            });
            let (count, run_bytes) = (pending.progress.count, before + pending.progress.bytes);
            let (Ok(count), Ok(run_bytes)) = (u16::try_from(count), u32::try_from(run_bytes))
            else {
                return Err(Error::internal("a run is larger than its limits"));
            };
            write_batch_header(buffer, *number, first_event, count, previous, run_bytes);
            let mut chunk = pending.progress.chunks.map(|(first, _)| first);
            while let Some(link) = chunk.and_then(|chunk| self.work.chunks.get(chunk)) {
                let events = self.work.events.get(link.start..link.end);
                buffer.extend_from_slice(events.ok_or_else(no_events)?);
                chunk = link.next;
            }
        }
        let mut from = 0;
        for skipped in &idle.places {
            buffer.extend_from_slice(self.work.rows.get(from..skipped.start).unwrap_or_default());
            from = skipped.end;
        }
        buffer.extend_from_slice(self.work.rows.get(from..).unwrap_or_default());
        Ok(())
    }
}

#[cold]
fn no_events() -> Error {
    Error::internal("events of a transaction lie outside its buffer")
}

pub(crate) fn commit_of(payload: Position) -> Position {
    Position::from_u64(payload.as_u64() - wide(HEADER_BYTES))
}

pub(crate) fn end_of(payload: Position, bytes: usize) -> Position {
    payload.plus(wide(bytes + TRAILER_BYTES))
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::log::write::{Durability, Lead, Manner};
    use crate::{NewRun, Store};

    #[test]
    fn after_an_internal_fault_the_store_takes_no_more_commits_and_opens_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let begin = |store: &Store, workflow_id| {
            let mut tx = store.begin();
            let run = tx.start(NewRun::new("shop", workflow_id, "Order"))?;
            tx.commit().map(|_| run)
        };
        let run = begin(&store, "before").unwrap();
        let manner = Manner::ordinary(Durability::Sync, Lead::Caller);
        let what = "two and two are five";
        let faulty = |_, buffer: &mut crate::event::Buffer| {
            buffer.extend_from_slice(&[1; 4]);
            Err::<(), _>(Error::Internal { what })
        };
        let writer = store.shared.writer().unwrap();
        let refused = writer.append(8, 1, manner, faulty).map(|_| ());
        assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
        let Err(Error::NotWritten { cause }) = begin(&store, "after") else {
            panic!("was written")
        };
        assert!(matches!(*cause, Error::Internal { .. }), "{cause}");
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.current_run("shop", "before").unwrap(), Some(run));
        assert_eq!(store.current_run("shop", "after").unwrap(), None);
    }
}
