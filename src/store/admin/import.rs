//! Imports commits of another store, one by one. Each is checked as any commit is, and written with the same
//! events, but other run numbers and positions.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::Buffer;
use crate::id::{Position, RunId};
use crate::index::{ErasedSize, IndexReadGuard, Payload, Refusal};
use crate::log::format::HEADER_BYTES;
use crate::log::write::{Durability, Lead, Manner, Span};
use crate::retention::Keep;
use crate::store::read::Snapshot;
use crate::store::shared::{Shared, Store};
use crate::store::tx::{Close, commit_of, end_of};

/// Rows per page.
const PAGE_ROWS: usize = 256;

/// Imports commits. There must be no other writer of the store meanwhile.
pub(crate) struct CommitImport<'s> {
    store: &'s Store,
    shared: &'s Arc<Shared>,
    /// The last commit, until it was waited for; readers see it after that.
    last: Option<Span>,
}

impl Store {
    pub(crate) fn import(&self) -> CommitImport<'_> {
        CommitImport { store: self, shared: &self.shared, last: None }
    }
}

impl CommitImport<'_> {
    /// The index over the commits so far.
    pub(crate) fn index(&self) -> IndexReadGuard<'_> {
        self.shared.index.read()
    }

    /// Most bytes of a payload.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        self.shared.published.identity.payload_bytes_max()
    }

    /// Whether `payload` could be the next commit. Changes nothing.
    pub(crate) fn check(&self, payload: &[u8], batches: u16) -> Result<(), Refusal> {
        let index = self.index();
        let position = index.end.plus(wide(HEADER_BYTES));
        index.check(payload_at(payload, position, batches))
    }

    /// Appends a commit, buffered, if it can follow those before it.
    pub(crate) fn append(&mut self, payload: &Buffer, batches: u16) -> Result<Result<(), Refusal>> {
        let shared = self.shared;
        let mut refusal = None;
        let fill = |position, buffer: &mut Buffer| {
            let start = buffer.len();
            buffer.extend_from_slice(payload);
            let bytes = buffer.get(start..).unwrap_or_default();
            let payload = payload_at(bytes, position, batches);
            let mut index = shared.index.write();
            index.check(payload).map_err(|found| {
                refusal = Some(found);
                Error::invalid("a commit does not follow from those before it")
            })?;
            shared.check_cold(&index)?;
            let applied = index.apply(payload, shared.pins.oldest(|| shared.published.end()));
            // What it has taken in after damage cannot be relied on, and nothing is decided by it any more.
            index.check_cold()?;
            applied?;
            Ok(())
        };
        let writer = shared.writer()?;
        let manner = Manner::ordinary(Durability::Buffered, Lead::Caller);
        let appended = writer.append(payload.len(), batches, manner, fill);
        if appended.is_err() {
            // What was not found in a damaged index is no reason to refuse anything.
            shared.check_cold(&self.index())?;
        }
        match (appended, refusal) {
            (_, Some(refusal)) => Ok(Err(refusal)),
            (Ok(((), span)), None) => {
                self.last = Some(span);
                Ok(Ok(()))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The position of the batch that holds the event `id` of a run, and the bytes of the run's events up to it.
    pub(crate) fn locate(&mut self, run: &RunId, id: u32) -> Result<(Position, u64)> {
        self.wait()?;
        Snapshot::new(self.shared).history(run)?.locate(id)
    }

    /// Whether a run is there and open.
    pub(crate) fn is_open(&self, run: &RunId) -> bool {
        let index = self.index();
        let state = index.runs.number(run).and_then(|run| index.runs.state(run));
        state.is_some_and(|state| state.status.is_open())
    }

    /// Terminates an open run.
    pub(crate) fn terminate(&mut self, run: &RunId, reason: &str) -> Result<()> {
        self.wait()?;
        let mut tx = self.store.begin();
        tx.close_run(run, Close::terminated(reason))?;
        tx.commit_with(Durability::Buffered).map(|_| ())
    }

    /// Deletes a closed run, if it can be deleted.
    pub(crate) fn delete(&mut self, run: &RunId, keep: Keep) -> Result<()> {
        self.wait()?;
        let mut tx = self.store.begin();
        match tx.delete_run(run, keep) {
            Err(Error::NotDeletable { .. }) => Ok(()),
            deleted => deleted.and_then(|()| tx.commit_with(Durability::Buffered)).map(|_| ()),
        }
    }

    /// Erases deleted runs, if they can be erased together.
    pub(crate) fn erase(&mut self, runs: &[RunId]) -> Result<()> {
        self.wait()?;
        let numbers: BTreeSet<_> = {
            let index = self.index();
            runs.iter().filter_map(|run| index.runs.number(run)).collect()
        };
        let mut tx = self.store.begin();
        if !numbers.is_empty() && tx.erase_runs(&numbers)? {
            tx.commit_with(Durability::Buffered)?;
        }
        Ok(())
    }

    /// Says how much of a chain was erased, and no less than was, if it is the chain of a child.
    pub(crate) fn say_erased(&mut self, erased: &ErasedSize) -> Result<()> {
        self.wait()?;
        let mut tx = self.store.begin();
        if tx.say_erased(erased)? {
            tx.commit_with(Durability::Buffered)?;
        }
        Ok(())
    }

    /// Waits until readers see all commits so far.
    fn wait(&mut self) -> Result<()> {
        match self.last.take() {
            Some(last) => self.shared.writer()?.wait(last, Durability::Buffered).map(|_| ()),
            None => Ok(()),
        }
    }

    /// For each table with rows that were last set before `mark`, how many these are.
    pub(crate) fn rows_before(&self, mark: Position) -> Vec<(String, u64)> {
        let index = self.index();
        let end = index.end;
        let names = index.tables.names(end).cloned();
        let counted = names.map(|name| {
            let (mut count, mut from) = (0, None);
            loop {
                let bound = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let range = (bound, Bound::Unbounded);
                let (rows, last) = index.tables.page(&name, range, end, PAGE_ROWS, false);
                count += wide(rows.iter().filter(|row| row.value < mark).count());
                match last {
                    Some(last) => from = Some(last),
                    None => return (name.to_string(), count),
                }
            }
        });
        let mut tables: Vec<_> = counted.filter(|(_, rows)| *rows > 0).collect();
        tables.sort_unstable();
        tables
    }
}

fn payload_at(bytes: &[u8], position: Position, batches: u16) -> Payload<'_> {
    let (commit, end) = (commit_of(position), end_of(position, bytes.len()));
    Payload { bytes, position, batches, commit, end, cut: false }
}

#[cfg(test)]
mod tests {
    use kinlog_testing::files::{copy_files, directory};

    use crate::error::Error;
    use crate::event::Buffer;
    use crate::id::Position;
    use crate::index::Payload;
    use crate::index::cold::Family;
    use crate::store::tx::NewRun;
    use crate::store::{Options, Store};

    fn start(store: &Store, workflow_id: &str) {
        store.transact(|tx| tx.start(NewRun::new("shop", workflow_id, "Order"))).unwrap();
    }

    /// The content of the first commit, and of the last one.
    fn first_and_last(store: &Store) -> [(Buffer, u16); 2] {
        let view = store.shared.published.view();
        let frames = view.frames(Position::START).map(Result::unwrap);
        let commits = frames.map(|frame| {
            let payload = Payload::of(&frame);
            let mut bytes = Buffer::new();
            bytes.extend_from_slice(payload.bytes);
            (bytes, payload.batches)
        });
        let mut commits: Vec<_> = commits.collect();
        let last = commits.pop().unwrap();
        [commits.remove(0), last]
    }

    #[test]
    fn beside_a_damaged_index_nothing_is_taken_in_and_nothing_refused() {
        let options = Options::new().memory_bytes(0);
        let (dir, other) = (directory(), directory());
        let store = options.open(dir.path()).unwrap();
        (0..6).for_each(|number| start(&store, &format!("order-{number}")));
        store.shut_down().unwrap();
        copy_files(dir.path(), other.path());
        let other = options.open(other.path()).unwrap();
        start(&other, "next");
        let [known, next] = first_and_last(&other);
        let store = options.open(dir.path()).unwrap();
        let mut import = store.import();
        assert!(import.append(&known.0, known.1).unwrap().is_err(), "it is there");
        store.shared.index.read().runs.cold().note_malformed(Family::Runs, 0);
        let end = store.shared.index.read().end;
        for (bytes, batches) in [known, next] {
            let appended = import.append(&bytes, batches).map(|_| ());
            assert!(matches!(appended, Err(Error::DamagedIndex(_))), "{appended:?}");
            assert_eq!(store.shared.index.read().end, end);
        }
    }
}
