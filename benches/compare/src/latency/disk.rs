//! The machine's file system, watched: how long the committing thread waits for the device, and how
//! long another thread is at preparing a segment.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, DiskWord, FileId, FileSystem, Map, OpenMode};

use super::span::Span;

/// What was seen, in the order in which it ended.
#[derive(Default)]
pub struct Seen {
    /// Syncs that the committing thread waited for.
    pub syncs: Vec<Span>,
    /// From where another thread made a file until the file's name was on the device.
    pub prepared: Vec<Span>,
    /// When the file was made that has no name yet.
    pub made: Option<u64>,
}

/// Who is watched, and what was seen.
pub struct Watch {
    zero: Instant,
    committer: ThreadId,
    seen: Mutex<Seen>,
}

impl Watch {
    /// Watches the calling thread as the one that commits.
    pub fn new() -> Arc<Self> {
        let committer = thread::current().id();
        Arc::new(Watch { zero: Instant::now(), committer, seen: Mutex::default() })
    }

    /// Nanoseconds from the watch's zero until `moment`.
    pub fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.duration_since(self.zero).as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// What was seen since it was last asked; what is still under way counts from now on.
    pub fn take(&self) -> Seen {
        let mut seen = self.seen();
        let made = seen.made.map(|_| self.now());
        let mut taken = std::mem::replace(&mut *seen, Seen { made, ..Seen::default() });
        taken.prepared.extend(taken.made.map(|from| Span { from, to: self.now() }));
        taken
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_committer(&self) -> bool {
        thread::current().id() == self.committer
    }
}

/// A file system with a watch on it.
pub struct Watched {
    files: FileSystem,
    watch: Arc<Watch>,
}

impl Watched {
    pub fn new(watch: Arc<Watch>) -> Self {
        Watched { files: FileSystem::new(), watch }
    }
}

impl Disk for Watched {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.files.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if mode == OpenMode::Create && !self.watch.is_committer() {
            self.watch.seen().made = Some(self.watch.now());
        }
        let file = self.files.open(path, mode)?;
        Ok(Arc::new(WatchedFile { file, watch: self.watch.clone() }))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        self.files.open_dir(path)
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        self.files.id_at(path)
    }

    fn is_link(&self, path: &Path) -> io::Result<bool> {
        self.files.is_link(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let synced = self.files.sync_dir(path);
        if !self.watch.is_committer() {
            let mut seen = self.watch.seen();
            let made = seen.made.take();
            seen.prepared.extend(made.map(|from| Span { from, to: self.watch.now() }));
        }
        synced
    }

    fn now(&self) -> Timestamp {
        self.files.now()
    }

    fn random(&self) -> u64 {
        self.files.random()
    }
}

struct WatchedFile {
    file: Arc<dyn DiskFile>,
    watch: Arc<Watch>,
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn allocated(&self) -> io::Result<u64> {
        self.file.allocated()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let from = self.watch.now();
        let synced = self.file.sync();
        if self.watch.is_committer() {
            let to = self.watch.now();
            self.watch.seen().syncs.push(Span { from, to });
        }
        synced
    }

    fn id(&self) -> io::Result<FileId> {
        self.file.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        self.file.map(len)
    }

    fn word(&self, offset: u64) -> Option<Box<dyn DiskWord>> {
        self.file.word(offset)
    }
}
