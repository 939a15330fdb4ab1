//! The thread that expires runs and compacts the log, round after round.

use crate::error::{Error, Result};
use crate::id::Position;
use crate::recorder::MAINTENANCE_ROUNDS;
use crate::retention::{Maintained, Maintenance};
use crate::store::shared::Store;
use crate::sync::Mutex;
use crate::sync::thread::{self, JoinHandle};

impl Store {
    /// Has the thread for [maintenance](crate::Options::maintenance) do a round now, and returns what it came to when it is
    /// over. For an engine that is about to be idle, and for tests, which need not wait for the time to come.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::InvalidArgument`] if no such thread was asked for, or its clock has panicked;
    /// otherwise those of [`Store::expire`] and [`Store::compact`]: what was done before is done.
    pub fn maintain(&self) -> Result<Maintained> {
        self.shared.writer()?;
        if self.maintaining.lock().is_none() {
            return Err(Error::invalid(
                "the store has no thread for maintenance: open it with Options::maintenance",
            ));
        }
        self.shared.rounds.round()
    }
}

/// Starts the thread of a store that is open for writing.
pub(crate) fn start_maintaining(store: &Store, maintenance: Maintenance) -> Result<JoinHandle<()>> {
    // One that ends no threads when it is dropped.
    let store = Store {
        shared: store.shared.clone(),
        maintaining: Mutex::default(),
        indexing: Mutex::default(),
        background: Mutex::default(),
        report: store.report.clone(),
    };
    let root = store.path().to_owned();
    let mut upkeep = Upkeep { store, maintenance, compacted: None };
    let builder = thread::Builder::new().name("kinlog-upkeep".into());
    let spawned = builder.spawn(move || upkeep.work());
    spawned.map_err(|e| Error::io("start a thread for", root, e))
}

struct Upkeep {
    store: Store,
    maintenance: Maintenance,
    /// Where the log and the index in files ended when it was last compacted: if they still do, there is nothing new.
    compacted: Option<[Option<Position>; 2]>,
}

impl Upkeep {
    fn work(&mut self) {
        while self.store.shared.rounds.next(self.maintenance.every) {
            let mut done = Maintained::default();
            let failure = self.round(&mut done).err();
            let failed = if failure.is_some() { "true" } else { "false" };
            self.store.shared.recording.add(&MAINTENANCE_ROUNDS, &[("failed", failed)], 1);
            self.store.shared.rounds.over(&done, failure);
        }
    }

    fn round(&mut self, done: &mut Maintained) -> Result<()> {
        let now =
            self.maintenance.now.as_ref().map_or_else(|| self.store.shared.now(), |now| now());
        done.expired = self.store.expire_while(now, usize::MAX, &|| !self.is_closing())?;
        if self.is_closing() {
            return Ok(());
        }
        let ends = || {
            let files = self.store.shared.index.read().files_upto();
            Some([Some(self.store.end()), files])
        };
        if self.compacted != ends() {
            done.erased = self.store.erase_while(&|| !self.is_closing())?;
            let ends = ends();
            let mut goes_on = |_: &_| !self.is_closing();
            done.compacted =
                Some(self.store.compact_while(&self.maintenance.compaction, &mut goes_on)?);
            self.compacted = ends;
        }
        Ok(())
    }

    fn is_closing(&self) -> bool {
        self.store.shared.rounds.have_ended()
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        // Also where the caller's clock has panicked: nobody is to wait for another round.
        self.store.shared.rounds.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock, Weak};
    use std::time::Duration;

    use crate::id::Timestamp;
    use crate::retention::{Compaction, Maintenance, Retention};
    use crate::store::Options;
    use crate::store::shared::Shared;
    use crate::store::tx::{Close, NewRun};

    #[test]
    fn a_round_of_a_store_that_is_being_closed_ends_before_the_next_page() {
        let dir = tempfile::tempdir().unwrap();
        let known: Arc<OnceLock<Weak<Shared>>> = Arc::default();
        let now = {
            let known = known.clone();
            move || {
                known.get().and_then(Weak::upgrade).unwrap().rounds.end();
                Timestamp::from_unix_nanos(1)
            }
        };
        let maintenance = Maintenance::every(Duration::MAX).now(now);
        let store = Options::new().maintenance(maintenance).open(dir.path()).unwrap();
        store.set_retention("shop", Retention::new().outcome(Duration::ZERO)).unwrap();
        let at = Timestamp::from_unix_nanos(0);
        let run = store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order").at(at)));
        store.close_run(&run.unwrap().0, Close::completed(b"ok").at(at)).unwrap();
        let shared = store.shared.clone();
        known.set(Arc::downgrade(&shared)).unwrap();
        let _ = store.maintain();
        drop(store);
        let done = shared.rounds.done();
        let last = done.last.unwrap();
        assert_eq!((done.rounds, last.expired.runs, last.compacted), (1, 0, None));
    }

    #[test]
    fn a_pass_ends_after_the_segment_after_which_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let store = Options::new().segment_bytes(64 << 10).open(dir.path()).unwrap();
        for _ in 0..30 {
            store.transact(|tx| tx.put("filling", b"row", &[7; 10_000])).unwrap();
        }
        let done = store.compact_while(&Compaction::new(), &mut |_| false).unwrap();
        assert_eq!((done.rewritten, done.segments.len()), (1, 1));
        assert!(store.compact(&Compaction::new()).unwrap().rewritten > 1);
    }
}
