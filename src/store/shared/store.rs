//! The struct [`Store`], and the state that its transactions and readers share.

use std::path::Path;
use std::sync::Arc;

use super::consumers::NewConsumers;
use super::pins::Pins;
use super::rounds::Rounds;
use crate::disk::{Disk, Opener};
use crate::error::{Error, Result};
use crate::hash::Map;
use crate::id::{Position, Timestamp};
use crate::index::cold::read_checkpoint;
use crate::index::{FrozenEntries, Index, IndexLock, Place};
use crate::log::files::{Published, StoreLocation, here};
use crate::log::format::Paths;
use crate::log::open::{Covered, OpenReport, catch_up, compacted_as_of};
use crate::log::write::{Background, Writer};
use crate::recorder::Recording;
use crate::store::indexing::{Freezer, FreezingReplay, open_files};
use crate::store::pending::Workspaces;
use crate::sync::Mutex;
use crate::sync::thread::JoinHandle;

/// Returns the time of events that are appended without one.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A store of histories: one directory, one process that writes it, any number that read it.
///
/// All methods take `&self` and may be called from any number of threads. Dropping the store
/// shuts it down; [`Store::shut_down`] does the same and reports errors.
///
/// A store belongs to the process that opened it. In a process that was forked from that one, calls
/// return [`Error::Forked`]; those that return no error tell what is in memory, or nothing. Dropping the store does
/// not affect the other process. A fork that is followed by `exec` is no problem.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    /// Ends before the others do.
    pub(crate) maintaining: Mutex<Option<JoinHandle<()>>>,
    /// Ends before the writer does.
    pub(crate) indexing: Mutex<Option<JoinHandle<()>>>,
    pub(crate) background: Mutex<Option<Background>>,
    pub(crate) report: OpenReport,
}

/// The state of a store that transactions, snapshots and tails share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Option<Clock>,
    pub(crate) paths: Paths,
    pub(crate) location: Arc<StoreLocation>,
    pub(crate) published: Arc<Published>,
    pub(crate) writer: Option<Arc<Writer>>,
    /// For a store open for reading only: the lowest epoch of a writer whose commits may be new to it.
    pub(crate) writer_epoch_min: u32,
    pub(crate) index: IndexLock,
    /// The process that opened the store.
    pub(crate) opener: Arc<Opener>,
    pub(crate) pins: Arc<Pins>,
    pub(crate) freezer: Freezer,
    pub(crate) workspaces: Workspaces,
    pub(crate) recording: Recording,
    /// Where an expiry goes on to look for chains with too many runs, by namespace.
    pub(crate) swept: Mutex<Map<u32, Place>>,
    /// Held by a compaction.
    pub(crate) compacting: Mutex<()>,
    pub(crate) new_consumers: NewConsumers,
    pub(crate) rounds: Rounds,
    /// Check the bytes of each commit against all rules before they are written; see
    /// [`Options::recheck_commits`](crate::Options::recheck_commits).
    pub(crate) recheck_commits: bool,
}

impl Store {
    /// What the opening found and did.
    #[must_use]
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.paths.root
    }

    /// The end of the published log. No later commit has a lower position.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.published.end()
    }

    /// Returns when everything committed so far, buffered or not, is on the device (`fsync`).
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or [`Error::OutcomeUnknown`] if a sync fails, after which the store
    /// takes no more commits.
    pub fn sync(&self) -> Result<()> {
        self.shared.writer()?.sync()
    }

    /// Writes the durable mark into the manifest, as the store does by itself when it was idle for 50 ms. After
    /// that, damage to synced commits is told from a commit in flight even after a power loss.
    /// Nothing of the log is written or synced; buffered commits stay buffered. For an
    /// engine that is about to be suspended, and for tests, which need not wait for the idle time.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::NotWritten`] once the store takes no more commits,
    /// [`Error::Displaced`] if the store was moved or replaced, or [`Error::Io`] if the manifest cannot be written.
    /// None of them loses anything.
    pub fn rest(&self) -> Result<()> {
        self.shared.writer()?.rest()
    }

    /// For a store that is open for reading only: takes in what the writer has published since; returns
    /// whether there was anything. Does nothing for any other store.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::Corrupt`], [`Error::Io`], or [`Error::Displaced`] if the store was moved or replaced. Commits
    /// before one that cannot be read are taken in, and a later call goes on after them.
    /// [`Error::SnapshotHeld`], likewise; [`Error::Compacted`] if it fell behind a compaction: open it anew.
    pub fn refresh(&self) -> Result<bool> {
        self.shared.refresh()
    }

    /// Writes and syncs all commits in flight, marks the log as closed, and releases the lock.
    /// Later commits are refused.
    ///
    /// # Errors
    /// The error of a write or sync, or [`Error::Displaced`] if the store was moved or replaced; the next
    /// opening then finds the log unclosed. [`Error::Forked`]; nothing was closed.
    pub fn shut_down(mut self) -> Result<()> {
        self.end_maintaining();
        self.end_indexing();
        match self.background.get_mut().take() {
            Some(mut background) => background.shut_down(),
            None => Ok(()),
        }
    }
}

impl Store {
    /// Ends the thread for maintenance, after the segment or the page that it is at. Takes it without the lock, which in a
    /// forked process may be held by a thread that is not there.
    fn end_maintaining(&mut self) {
        let Some(thread) = self.maintaining.get_mut().take() else { return };
        if self.shared.here().is_err() {
            // The thread is not in this process, and cannot be let go of either.
            std::mem::forget(thread);
            return;
        }
        self.shared.rounds.end();
        // A panic there is a bug, or the caller's clock; its own message tells.
        let _ = thread.join();
    }

    /// Writes what the cold index lacks, as far as the log is in order, and ends the thread that does so. What is not
    /// written is replayed at the next opening.
    fn end_indexing(&mut self) {
        let Some(thread) = self.indexing.get_mut().take() else { return };
        let Ok(writer) = self.shared.writer() else {
            // The thread is not in this process, and cannot be let go of either.
            std::mem::forget(thread);
            return;
        };
        if writer.sync().is_ok() {
            self.shared.freezer.freeze_last(&mut self.shared.index.write());
        }
        self.shared.freezer.end();
        // A panic there is a bug that its own message tells; the log is closed all the same.
        let _ = thread.join();
    }
}

impl Drop for Store {
    /// In a forked process, threads of the parent may have been in the middle of a change. Dropping such state is
    /// not safe, so it is leaked.
    fn drop(&mut self) {
        self.end_maintaining();
        self.end_indexing();
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
    /// The current time, for events that are appended without one.
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

    /// Fails once a look-up has met damage in a file of the index. The next opening will build the index anew.
    #[inline]
    pub(crate) fn check_cold(&self, index: &Index) -> Result<()> {
        index.check_cold().inspect_err(|_| self.freezer.damaged())
    }

    /// Takes frozen layers out of memory that are in files, those up to `upto`, as far as no reader needs what was
    /// before.
    pub(crate) fn thin(&self, upto: Position) {
        let oldest = self.pins.oldest(|| self.published.end());
        let upto = upto.min(oldest);
        let layers = self.index.read().frozen_upto(upto);
        // Without the lock, and so below.
        layers.iter().for_each(FrozenEntries::leave_open);
        let retired = self.index.write().thin(upto, self.freezer.open_bytes_max);
        drop((layers, retired));
    }

    pub(crate) fn refresh(&self) -> Result<bool> {
        self.here()?;
        if self.writer.is_some() {
            return Ok(false);
        }
        let mut before = None;
        loop {
            let oldest = self.pins.oldest(|| self.published.end());
            let (caught_up, held) = self.catch_up(oldest)?;
            match held {
                // Commits before it are published by now, so that no new snapshot sees what it erases.
                Some(_) if before != Some(oldest) => before = Some(oldest),
                held => return held.map_or(caught_up, Err),
            }
        }
    }

    /// Takes in what the writer has published, where the oldest reader is at `oldest`; also, why a commit was not taken
    /// in that erases what this one sees.
    fn catch_up(&self, oldest: Position) -> Result<(Result<bool>, Option<Error>)> {
        let mut index = self.index.write();
        index.check_cold()?;
        let (freezer, oldest, held) = (&self.freezer, Some(oldest), None);
        let mut incremental = FreezingReplay { index: &mut index, freezer, oldest, held };
        let (disk, epoch_min) = (self.disk.as_ref(), self.writer_epoch_min);
        let store = (self.location.as_ref(), self.published.as_ref());
        let caught_up = catch_up(disk, &self.paths, store, epoch_min, &mut incremental);
        let held = incremental.held.take();
        // What was not found in a damaged index says nothing about the log.
        index.check_cold()?;
        drop(index);
        self.adopt_newer();
        Ok((caught_up, held))
    }

    /// For a store that is open for reading only: takes out of memory what the writer has written into files since.
    fn adopt_newer(&self) {
        let Some(oldest) = self.freezer.oldest() else { return };
        let (disk, paths) = (self.disk.as_ref(), &self.paths);
        let Some(checkpoint) = read_checkpoint(disk, paths) else { return };
        // In a directory that was replaced, it is that of another store.
        if self.location.check(disk).is_err() {
            return;
        }
        let Some(upto) = checkpoint.files.first().map(|newest| newest.upto) else { return };
        // Files that go further than the index would show what it has not taken in, and those that end before a compaction
        // that it has read, what it has not taken in for that.
        let taken_in = |index: &Index| index.cuts.as_of <= upto && upto <= index.end;
        if upto < oldest || !taken_in(&self.index.read()) {
            return;
        }
        // Nor those of another log.
        let covered = Covered::upto(&self.published.view(), checkpoint.covered.last);
        if covered.ok() != Some(checkpoint.covered) {
            return;
        }
        // Nor those of the same log that lack what was dead only later: of one that was compacted before they were made.
        let as_of = compacted_as_of(disk, paths, &self.published.identity, upto);
        if as_of.ok().is_none_or(|as_of| as_of > self.index.read().end) {
            return;
        }
        let Some(cold) = open_files(disk, paths, &checkpoint) else { return };
        let mut index = self.index.write();
        // What was found damaged must not be forgotten; and another refresh may have come further in the meantime, and
        // taken layers out of memory that only newer files have.
        if index.check_cold().is_err() || index.files_upto() >= Some(upto) {
            return;
        }
        index.adopt(&Arc::new(cold));
        drop(index);
        self.freezer.drop_upto(upto);
        self.thin(upto);
    }
}
