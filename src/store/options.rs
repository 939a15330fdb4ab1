//! Options for opening a store, and the opening.

use std::path::Path;
use std::sync::Arc;

use super::shared::{Clock, Store};
use crate::disk::{Disk, FileSystem, Memory};
use crate::error::{Error, Result};
use crate::id::Timestamp;
use crate::log::format::{Paths, is_segment_size};
use crate::log::open::Opening;
use crate::recorder::{Recorder, Recording};
use crate::retention::Maintenance;

/// What to do if the log is [`Ambiguous`](crate::Verdict::Ambiguous).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnAmbiguous {
    /// Move the bytes in question into quarantine, open the store, and report it.
    #[default]
    Heal,
    /// Refuse to open.
    Refuse,
}

/// Options for opening a store.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("store");
/// let store = kinlog::Options::new().segment_bytes(1 << 20).open(&path)?;
/// assert_eq!(store.report().verdict, kinlog::Verdict::Created);
/// # Ok::<(), kinlog::Error>(())
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) disk: Arc<dyn Disk>,
    create: bool,
    read_only: bool,
    segment_bytes: u32,
    on_ambiguous: OnAmbiguous,
    check_log: bool,
    clock: Option<Clock>,
    recheck_commits: bool,
    memory_bytes: u64,
    maintenance: Option<Maintenance>,
    recording: Recording,
}

impl Options {
    /// The defaults: for reading and writing, created if missing, segments of up to 64 MiB.
    #[must_use]
    pub fn new() -> Self {
        Options {
            disk: Arc::new(FileSystem::new()),
            create: true,
            read_only: false,
            segment_bytes: 64 << 20,
            on_ambiguous: OnAmbiguous::default(),
            check_log: false,
            clock: None,
            recheck_commits: cfg!(debug_assertions),
            memory_bytes: 256 << 20,
            maintenance: None,
            recording: Recording::default(),
        }
    }

    /// Whether a missing store is created. The default is `true`.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens for reading only: takes no lock and changes nothing, also while another process has the store open
    /// for writing. [`Store::refresh`] takes in what that writer has published since.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// The size in bytes of the longest segments of a new store: 64 KiB to 1 GiB, a multiple of 4 KiB. The first
    /// segment has 64 KiB, and each next one four times as much as the last until this is reached; one commit must fit
    /// into it. An existing store keeps its size. Each segment is one memory map, and Linux allows
    /// a process 65,530: with 64 KiB, a store is limited to 4 GiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// What to do about a log whose last bytes may or may not be an acknowledged commit.
    #[must_use]
    pub fn on_ambiguous(mut self, action: OnAmbiguous) -> Self {
        self.on_ambiguous = action;
        self
    }

    /// Whether the whole log is read and checked at opening, whatever an index or the manifest vouches for. The default
    /// is `false`: the log may then be read from the last commit that a stored index has taken in; damage before it is
    /// found by [`Store::verify`], or when it is read. And if the store was shut down, most of the free space behind
    /// the log, in which nothing is stored, is not read.
    #[must_use]
    pub fn check_log(mut self, check: bool) -> Self {
        self.check_log = check;
        self
    }

    /// The clock for events that are appended without a time, such as those of a settlement. The default is that
    /// of the disk, which is the system's clock. For engines with a clock of their own, and for tests.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// Whether the bytes of each commit are checked against every rule of the format before they are written,
    /// as in a replay. Transactions validate their read sets, so this can only find bugs of kinlog; it costs up to
    /// a fifth more instructions per commit. The default is `true` in debug builds only.
    #[must_use]
    pub fn recheck_commits(mut self, recheck: bool) -> Self {
        self.recheck_commits = recheck;
        self
    }

    /// About how much memory the index may take, in bytes. What has not changed for a while lies in files, and is read
    /// through maps; an eighth of the memory is for open runs, which stay in it as long as they fit. More memory saves writing some of it; less than some MiB costs time. Not
    /// counted is what a store needs in any case: namespaces, workflow types, a few bytes for each open run, duties, and
    /// what readers of former positions hold on to. The default is 256 MiB.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Has a thread of the store's expire runs, erase what can be, and compact the log now and then, beside commits and readers. The default is
    /// none: the engine calls [`Store::expire`] and [`Store::compact`] itself. [`Stats::maintenance`](crate::Stats::maintenance)
    /// says what it has done, and what the last round failed with; the next one comes all the same.
    /// Closing the store waits for no more than the segment or the 256 runs that it is at. A store that is open for
    /// reading only has no such thread.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use std::time::Duration;
    /// use kinlog::retention::{Maintenance, Retention};
    ///
    /// let hourly = Maintenance::every(Duration::from_secs(3600));
    /// let store = kinlog::Options::new().maintenance(hourly).open(dir.path())?;
    /// store.set_retention("shop", Retention::new().history(Duration::from_secs(30 * 86_400)))?;
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    #[must_use]
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = Some(maintenance);
        self
    }

    /// Who is told what the store counts and measures. The default is nobody; then nothing is measured.
    #[must_use]
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recording = Recording::to(recorder);
        self
    }

    /// The disk that the store uses. The default is the file system of this machine.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Opens the store in the directory `path`. A relative path is resolved once, against the current directory.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has the store open for writing, [`Error::NotAStore`] if there is
    /// none and it may not be created, [`Error::Corrupt`] if acknowledged data is damaged,
    /// [`Error::UnsupportedFormat`] for a store of another version, [`Error::InvalidArgument`]
    /// for an option out of bounds, [`Error::Io`] if a file operation fails; [`Error::Compacted`] when it is opened for
    /// reading only and a compaction was ahead of each of many attempts: try again.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Store> {
        if !is_segment_size(self.segment_bytes) {
            return Err(Error::invalid(
                "segment_bytes must be a multiple of 4 KiB between 64 KiB and 1 GiB",
            ));
        }
        if self.maintenance.as_ref().is_some_and(|it| it.every.is_zero()) {
            return Err(Error::invalid("there is no time between two rounds of maintenance"));
        }
        let path = path.as_ref();
        let root = std::path::absolute(path).map_err(|e| Error::io("find", path, e))?;
        let opening = Opening {
            disk: self.disk.clone(),
            paths: Paths { root },
            create: self.create && !self.read_only,
            read_only: self.read_only,
            segment_bytes: self.segment_bytes,
            refuse_ambiguous: self.on_ambiguous == OnAmbiguous::Refuse,
            check_log: self.check_log,
            recording: self.recording.clone(),
        };
        let maintenance = self.maintenance.clone();
        let (clock, recheck) = (self.clock.clone(), self.recheck_commits);
        Store::open_with(opening, clock, recheck, self.memory_bytes, maintenance)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("create", &self.create)
            .field("read_only", &self.read_only)
            .field("segment_bytes", &self.segment_bytes)
            .field("on_ambiguous", &self.on_ambiguous)
            .field("check_log", &self.check_log)
            .field("memory_bytes", &self.memory_bytes)
            .field("maintenance", &self.maintenance)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in the directory `path`, and creates it if it is missing.
    ///
    /// # Errors
    /// As [`Options::open`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use kinlog::{Close, NewRun, Store};
    ///
    /// let store = Store::open(dir.path())?;
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order").input(b"{}"))?;
    /// tx.commit()?;
    /// store.close_run(&order, Close::completed(b"ok"))?;
    ///
    /// for event in &store.history(&order)? {
    ///     let event = event?;
    ///     println!("{:>5} {} {} B", event.id(), event.kind(), event.size());
    /// }
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    /// A new store in memory, for an engine's tests: no file of it has a name, so it needs no directory, and
    /// nothing of it is left when the last handle is dropped. It is a store like any other in all that it does, but no
    /// other process sees it, and [`Store::path`] leads nowhere. [`Durability`](crate::Durability) says when commits
    /// return, but nothing survives the process. To open it again, see [`Memory`].
    ///
    /// # Errors
    /// [`Error::Io`] if the system has no memory or file descriptor left.
    ///
    /// ```
    /// use kinlog::{NewRun, Store};
    ///
    /// let store = Store::temporary()?;
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// tx.commit()?;
    /// assert_eq!(store.history(&order)?.len(), 1);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn temporary() -> Result<Self> {
        Options::new().disk(Arc::new(Memory::new())).open("/temporary")
    }
}
