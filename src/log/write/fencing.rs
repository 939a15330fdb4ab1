//! What a writer goes by besides the disk: that its store is where it was, that its record has its name, and
//! that the process is the one that opened it.

use super::writer::Writer;
use crate::error::{Error, Result};
use crate::log::files::{LockFile, check_at, here};

impl Writer {
    /// Takes no more commits, for the reason given. What is being written is written; what has only
    /// gathered never is.
    pub(crate) fn stop(&self, cause: Error) {
        let mut state = self.state.lock();
        state.fail(cause);
        self.wake_waiters(&mut state);
    }

    /// [`Error::Displaced`] if anything that the writer goes by, or has written to, is no longer where
    /// it was.
    pub(crate) fn check_place(&self) -> Result<()> {
        self.place.check(self.disk.as_ref())?;
        let segment = self.state.lock().segment.clone();
        check_at(self.disk.as_ref(), &segment.path, segment.id)
    }

    /// The same, and the end of the writer if it is so.
    pub(crate) fn stay_in_place(&self) -> Result<()> {
        let checked = self.check_place().and_then(|()| self.keep_record());
        if let Err(error @ Error::Displaced { .. }) = &checked {
            self.stop(error.clone());
        }
        checked
    }

    /// Makes the lock record anew if somebody took it for a lock and removed it.
    fn keep_record(&self) -> Result<()> {
        match &mut *self.lock.lock() {
            Some((_, record)) if record.is_lost(self.disk.as_ref())? => {
                let durable = record.durable;
                *record = LockFile::begin(self.disk.as_ref(), &self.paths)?;
                let published = self.published.end();
                record.announce(&self.published.identity.store, self.epoch, published, durable)
            }
            _ => Ok(()),
        }
    }

    /// [`Error::Forked`] in a process that did not open the store.
    pub(crate) fn here(&self) -> Result<()> {
        here(&self.opener, &self.paths)
    }

    /// Closes what this process has inherited of the lock, so that it ends with the process that
    /// took it.
    pub(crate) fn disown_lock(&self) {
        if let Some(mut lock) = self.lock.try_lock() {
            *lock = None;
        }
    }

    /// Lets another writer open the store.
    pub(crate) fn release_lock(&self) {
        if let Some((_lock, record)) = self.lock.lock().take() {
            // Whoever finds the lock held from now on is told of nobody who is gone.
            let _ = record.end();
        }
    }
}
