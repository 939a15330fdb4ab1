//! Finding events by their keys.

use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::index::{EVENT_KEYS_TABLE, event_in_row, event_key_row};

impl Snapshot {
    /// The event of a run that has this [key](crate::NewEvent::key), an engine's own number for it. A run that a
    /// reset made has the keys of the events that it shares.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{Error, EventKind, NewEvent, NewRun};
    ///
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// let event = NewEvent::opaque(EventKind::from_number(1024), b"anything").key(7);
    /// let id = tx.append(&order, event)?;
    /// tx.commit()?;
    /// assert_eq!(store.event_by_key(&order, 7)?, Some(id));
    /// let again = store.begin().append(&order, event);
    /// assert!(matches!(again, Err(Error::EventKeyExists { key: 7, event, .. }) if event == id));
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound), [`Error::Corrupt`](crate::Error::Corrupt) if the row
    /// cannot be read.
    pub fn event_by_key(&self, run: &RunId, key: u64) -> Result<Option<u32>> {
        let info = self.run(run)?;
        if let Some(kept) = info.deleted {
            return Err(Error::RunDeleted { run: info.id, kept });
        }
        let (mut run, mut last) = (info.id, info.events);
        loop {
            let row = self.get(EVENT_KEYS_TABLE, &event_key_row(&run, key))?;
            if let Some(event) = row.and_then(event_in_row).filter(|event| *event <= last) {
                return Ok(Some(event));
            }
            let index = self.index();
            let number = index.runs.number(&run);
            // A base run may have been deleted.
            let fork = number
                .and_then(|number| index.runs.get(number))
                .and_then(|run| run.fork.as_deref().copied());
            let base = fork.and_then(|fork| Some((index.runs.get(fork.base)?.id, fork.shared)));
            let Some((base, shared)) = index.sure(base)? else { return Ok(None) };
            (run, last) = (base, shared.min(last));
        }
    }
}
