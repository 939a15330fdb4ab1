//! How a store is opened.

use std::path::Path;
use std::sync::Arc;

use super::shared::{Clock, Store};
use crate::disk::{Disk, FileSystem};
use crate::error::{Error, Result};
use crate::id::Timestamp;
use crate::log::format::{Paths, is_segment_size};
use crate::log::open::Opening;

/// What to do about an [`Ambiguous`](crate::Verdict::Ambiguous) log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnAmbiguous {
    /// Put the bytes in doubt into quarantine, go on, and say so in the report.
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
    clock: Option<Clock>,
    recheck_commits: bool,
}

impl Options {
    /// The defaults: read and write, make the store if it is not there, segments of 64 MiB.
    #[must_use]
    pub fn new() -> Self {
        Options {
            disk: Arc::new(FileSystem::new()),
            create: true,
            read_only: false,
            segment_bytes: 64 << 20,
            on_ambiguous: OnAmbiguous::default(),
            clock: None,
            recheck_commits: cfg!(debug_assertions),
        }
    }

    /// Whether a store that is not there is made; it is by default.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens for reading only: takes no lock, changes nothing, works beside a writer in another
    /// process. [`Store::refresh`] reads on to what that writer has published since.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// The size of the segments of a new store: 64 KiB to 1 GiB, a multiple of 4 KiB. One commit
    /// must fit into a segment. A store that exists keeps the size it was made with. Each segment is a map of its
    /// own, of which Linux allows a process 65,530: at 64 KiB, a store ends at 4 GiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// What to do about a log whose last bytes may or may not have been acknowledged.
    #[must_use]
    pub fn on_ambiguous(mut self, action: OnAmbiguous) -> Self {
        self.on_ambiguous = action;
        self
    }

    /// Where the time comes from of events that do not say when they happened, those of a
    /// settlement among them; by default from the disk, which is the system's clock. For engines
    /// with a clock of their own, and for tests.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// Whether the bytes of each commit are checked against every rule of the format before they are written,
    /// as they are when the log is replayed. A transaction compares what it has seen, and needs no such
    /// check; it would find a fault of kinlog's own, for up to a fifth more instructions per commit. By
    /// default that is done in debug builds only.
    #[must_use]
    pub fn recheck_commits(mut self, recheck: bool) -> Self {
        self.recheck_commits = recheck;
        self
    }

    /// Puts another disk in the place of the machine's file system.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Opens the store in the directory `path`. A relative path is taken from the current directory of now, wherever
    /// the process goes later.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process writes the store, [`Error::NotAStore`] if there is
    /// none and it may not be made, [`Error::Corrupt`] if acknowledged data is damaged,
    /// [`Error::UnsupportedFormat`] for a store of another version, [`Error::InvalidArgument`]
    /// for an option out of bounds, [`Error::Io`] for what the system refuses.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Store> {
        if !is_segment_size(self.segment_bytes) {
            return Err(Error::invalid(
                "segment_bytes must be a multiple of 4 KiB between 64 KiB and 1 GiB",
            ));
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
        };
        Store::open_with(opening, self.clock.clone(), self.recheck_commits)
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
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in the directory `path`, and makes it if it is not there.
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
}
