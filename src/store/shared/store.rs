//! A store, and what all parts of it share.

use std::path::Path;
use std::sync::Arc;

use super::pins::Pins;
use crate::disk::{Disk, Opener};
use crate::error::{Error, Result};
use crate::event::Malformed;
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Index, IndexLock, Payload};
use crate::log::files::{Published, StoreLocation, here};
use crate::log::format::{Frame, Paths};
use crate::log::open::{OpenReport, Replay, follow};
use crate::log::write::{Background, Writer};
use crate::store::pending::Workspaces;
use crate::sync::Mutex;

/// Tells the time of events that do not say when they happened.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A store of histories: one directory, one process that writes it, any number that read it.
///
/// All methods take `&self` and may be called from any number of threads. Dropping the store
/// closes it in order; [`Store::shut_down`] does the same and reports errors.
///
/// A store belongs to the process that opened it. In a process that is forked from that one, calls
/// get [`Error::Forked`], those that return no error find nothing, and dropping the store does nothing to the
/// other process's. A fork that goes on to another program need not care.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) background: Mutex<Option<Background>>,
    pub(crate) report: OpenReport,
}

/// What transactions, snapshots and tails need of their store.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Option<Clock>,
    pub(crate) paths: Paths,
    pub(crate) place: Arc<StoreLocation>,
    pub(crate) published: Arc<Published>,
    pub(crate) writer: Option<Arc<Writer>>,
    /// The epoch from which on a writer's word is news to a store open for reading only.
    pub(crate) since: u32,
    pub(crate) index: IndexLock,
    /// The process in which the store can be used.
    pub(crate) opener: Arc<Opener>,
    pub(crate) pins: Arc<Pins>,
    pub(crate) workspaces: Workspaces,
    /// The bytes of each commit are checked against all rules before they are written.
    pub(crate) recheck_commits: bool,
}

impl Store {
    /// What opening found and did.
    #[must_use]
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.paths.root
    }

    /// Where the published log ends: the position of the next commit, or before it.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.published.end()
    }

    /// Returns when everything committed so far, buffered or not, is on the device.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or [`Error::OutcomeUnknown`] if a sync fails, after which the store
    /// takes no more commits.
    pub fn sync(&self) -> Result<()> {
        self.shared.writer()?.sync()
    }

    /// Says that no commit will come for a while. What the store does by itself when none has come
    /// for 50 ms is done when this returns: the manifest says how far the log is on the device, so
    /// that damage to what was synced is told from a commit in flight even after a power loss.
    /// Nothing of the log is written or synced for that; buffered commits stay buffered. For an
    /// engine that is about to be suspended, and for tests, which need not wait then.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::NotWritten`] once the store takes no more commits,
    /// [`Error::Displaced`] if it is no longer where it was, or [`Error::Io`] if the manifest cannot be written.
    /// Nothing is lost by any of them.
    pub fn rest(&self) -> Result<()> {
        self.shared.writer()?.rest()
    }

    /// For a store that is open for reading only: reads on to what the writer has published since;
    /// whether there was anything. For any other store there is nothing to do.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`], or [`Error::Displaced`] if the store is no longer where it was. Commits
    /// before the one that could not be read are taken in, and a later call goes on behind them.
    pub fn refresh(&self) -> Result<bool> {
        self.shared.refresh()
    }

    /// Writes and syncs what is on its way, marks the log as closed, and gives back the lock.
    /// Commits after this are refused.
    ///
    /// # Errors
    /// What writing and syncing met, [`Error::Displaced`] if the store is no longer where it was; the next
    /// opening then finds the log unclosed. [`Error::Forked`], and nothing was closed.
    pub fn shut_down(self) -> Result<()> {
        match self.background.lock().take() {
            Some(mut background) => background.shut_down(),
            None => Ok(()),
        }
    }
}

impl Drop for Store {
    /// In a forked process, what threads of the other one were about to change is half changed, and cannot be
    /// taken apart. It stays, with whatever else holds it.
    fn drop(&mut self) {
        if self.shared.here().is_err() {
            std::mem::forget(self.shared.clone());
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path()).field("end", &self.end()).finish()
    }
}

impl Shared {
    /// The time of now, for events that do not say when they happened.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| self.disk.now(), |clock| clock())
    }

    /// [`Error::Forked`] in a process that did not open the store.
    pub(crate) fn here(&self) -> Result<()> {
        here(&self.opener, &self.paths)
    }

    pub(crate) fn writer(&self) -> Result<&Arc<Writer>> {
        self.here()?;
        self.writer.as_ref().ok_or(Error::ReadOnly)
    }

    pub(crate) fn refresh(&self) -> Result<bool> {
        self.here()?;
        if self.writer.is_some() {
            return Ok(false);
        }
        let mut index = self.index.write();
        let oldest = self.pins.oldest(|| self.published.end());
        let mut following = Following { index: &mut index, oldest };
        let (disk, since) = (self.disk.as_ref(), self.since);
        let store = (self.place.as_ref(), self.published.as_ref());
        follow(disk, &self.paths, store, since, &mut following)
    }
}

/// Takes in commits beside readers that hold earlier positions.
struct Following<'a> {
    index: &'a mut Index,
    oldest: Position,
}

impl Replay for Following<'_> {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        self.index.check(payload).map_err(|_| Malformed)?;
        self.index.apply(payload, self.oldest);
        Ok(())
    }

    fn run_ids(&self, numbers: &[u32]) -> Vec<RunId> {
        self.index.run_ids(numbers)
    }
}
