//! Keys of events: an engine's own numbers, each once in a run.

use crate::error::{Error, Result};
use crate::id::RunId;
use crate::index::{EVENT_KEYS_TABLE, event_in_row, event_key_row};
use crate::store::tx::{Step, Stepped, Transaction};

impl Transaction<'_> {
    /// The event of `run` that has this [key](crate::NewEvent::key), be it one of this transaction; see
    /// [`Snapshot::event_by_key`](crate::Snapshot::event_by_key). That none has it must hold at the commit.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::Overtaken`], [`Error::Corrupt`] if the row cannot be read.
    pub fn event_by_key(&mut self, run: &RunId, key: u64) -> Result<Option<u32>> {
        self.step(|step| {
            let at = step.find(run)?;
            if let Some(number) = step.work.pending(at)?.number {
                step.check_history(number)?;
            }
            step.event_by_key(at, key)
        })
    }
}

impl Step<'_> {
    /// Appends, as `append` does, an event that may have a key, and takes note of the key. `append` returns the
    /// event's id with what else it comes to.
    pub(crate) fn keyed<T>(
        &mut self,
        at: usize,
        key: Option<u64>,
        append: impl FnOnce(&mut Self) -> Result<(u32, T)>,
    ) -> Stepped<T> {
        let Some(key) = key else { return Ok(append(self)?.1) };
        let run = self.work.pending(at)?.id;
        if let Some(event) = self.event_by_key(at, key)? {
            return Err(Error::EventKeyExists { run, key, event }.into());
        }
        self.atomically(&[run], |step| {
            // The row names the event.
            step.hold(at)?;
            let (event, done) = append(step)?;
            let row = event_key_row(&run, key);
            step.work.put_row(EVENT_KEYS_TABLE, &row, Some(&event.to_le_bytes()));
            Ok(done)
        })
    }

    fn event_by_key(&mut self, at: usize, key: u64) -> Stepped<Option<u32>> {
        let pending = self.work.pending(at)?;
        let (mut run, mut last) = (pending.id, pending.next_event() - 1);
        loop {
            let row = self.row(EVENT_KEYS_TABLE, &event_key_row(&run, key))?;
            let event = row.as_deref().and_then(event_in_row);
            if let Some(event) = event.filter(|event| *event <= last) {
                return Ok(Some(event));
            }
            // What a reset shares keeps its keys.
            let Some((base, shared)) = self.fork_of(&run) else { return Ok(None) };
            (run, last) = (base, shared.min(last));
        }
    }

    /// The base run of a run that a reset made, and the last event that they share.
    fn fork_of(&self, run: &RunId) -> Option<(RunId, u32)> {
        if let Some(origin) = self.work.draft.origins.get(run) {
            return origin.base.map(|from| (from.base, from.shared));
        }
        let found = self.index.runs.get(self.index.runs.number(run)?)?;
        let fork = found.fork.as_deref()?;
        Some((self.index.runs.look(fork.base, |run| run.id)?, fork.shared))
    }
}
