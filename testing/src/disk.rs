//! The machine's file system, on which a test decides what becomes of each operation.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, DiskWord, FileId, FileSystem, Map, OpenMode};

use crate::rng::Rng;

/// What the store asks of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// [`Disk::create_dir`]
    CreateDir,
    /// [`Disk::list`]
    List,
    /// [`Disk::open`] of a new file.
    Create,
    /// [`Disk::open`] of a file that exists, [`Disk::open_dir`], [`Disk::id_at`]
    Open,
    /// [`Disk::rename`], under the new name.
    Rename,
    /// [`Disk::remove`]
    Remove,
    /// [`Disk::link`], under the new name.
    Link,
    /// [`Disk::sync_dir`]
    SyncDir,
    /// [`DiskFile::read_at`]
    Read,
    /// [`DiskFile::write_at`]
    Write,
    /// [`DiskFile::sync`]
    Sync,
    /// [`DiskDir::try_lock`], [`DiskDir::try_lock_shared`]
    Lock,
    /// [`DiskFile::map`]
    Map,
    /// [`DiskFile::word`]
    Word,
}

/// What becomes of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The file system does it.
    Done,
    /// Of a sync: it is said to be done, and is not.
    Skipped,
    /// It is not done.
    Fails(io::ErrorKind),
    /// Of a write: only so many thousandths of it are done before it fails.
    Partly(usize, io::ErrorKind),
}

/// What a test has to say about what a [`HookedDisk`] does.
pub trait Hooks: Send + Sync + 'static {
    /// Asked before each operation. May block.
    fn fate(&self, op: Op, path: &Path) -> Fate;

    /// Told after a file was opened, which may get other names later.
    fn opened(&self, path: &Path, mode: OpenMode, file: &dyn DiskFile) {
        let _ = (path, mode, file);
    }

    /// Writes to the file that was opened under this path; asks for the [`Fate`] by default.
    ///
    /// # Errors
    /// What the store is to see.
    fn write(&self, path: &Path, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.fate(Op::Write, path) {
            Fate::Done => file.write_at(bytes, offset),
            Fate::Skipped => Ok(()),
            Fate::Fails(kind) => Err(kind.into()),
            Fate::Partly(thousandths, kind) => {
                file.write_at(&bytes[..bytes.len() * thousandths / 1000], offset)?;
                Err(kind.into())
            }
        }
    }

    /// Syncs the file that was opened under this path; asks for the [`Fate`] by default.
    ///
    /// # Errors
    /// What the store is to see.
    fn sync(&self, path: &Path, file: &dyn DiskFile) -> io::Result<()> {
        match self.fate(Op::Sync, path) {
            Fate::Done => file.sync(),
            Fate::Skipped => Ok(()),
            Fate::Fails(kind) | Fate::Partly(_, kind) => Err(kind.into()),
        }
    }

    /// Stores to a word of the file that was opened under this path. It cannot fail.
    fn store(&self, path: &Path, word: &HookedWord, number: u64) {
        let _ = path;
        word.store(number);
    }

    /// Told after a file got another name.
    fn renamed(&self, from: &Path, to: &Path) {
        let _ = (from, to);
    }

    /// Told after a file was removed.
    fn removed(&self, path: &Path) {
        let _ = path;
    }

    /// The time of day.
    fn now(&self) -> Timestamp {
        FileSystem::new().now()
    }

    /// See [`Disk::random`].
    fn random(&self) -> u64 {
        FileSystem::new().random()
    }
}

impl<F: Fn(Op, &Path) -> Fate + Send + Sync + 'static> Hooks for F {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        self(op, path)
    }
}

/// A clock that stands where it was set, the same random numbers every time, and no sync: for what does
/// not crash, and would wait for little else.
#[derive(Debug, Default)]
pub struct Steady {
    clock: AtomicI64,
    drawn: AtomicU64,
}

impl Steady {
    /// Sets the clock.
    pub fn set_now(&self, now: Timestamp) {
        self.clock.store(now.unix_nanos(), Ordering::Relaxed);
    }
}

impl Hooks for Steady {
    fn fate(&self, op: Op, _: &Path) -> Fate {
        if matches!(op, Op::Sync | Op::SyncDir) { Fate::Skipped } else { Fate::Done }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.clock.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        Rng::new(self.drawn.fetch_add(1, Ordering::Relaxed)).draw()
    }
}

/// A disk whose every operation is put to a rule first. Rules may block.
pub fn disk_with(rule: impl Fn(Op, &Path) -> Fate + Send + Sync + 'static) -> Arc<dyn Disk> {
    HookedDisk::new(rule)
}

/// A disk, by default [`FileSystem`], with a say for a test.
pub struct HookedDisk<H> {
    files: Arc<dyn Disk>,
    hooks: Arc<H>,
}

impl<H: Hooks> HookedDisk<H> {
    /// A disk as a store takes it.
    pub fn new(hooks: H) -> Arc<Self> {
        Self::shared(Arc::new(hooks))
    }

    /// A disk with hooks that the test keeps.
    pub fn shared(hooks: Arc<H>) -> Arc<Self> {
        Self::over(Arc::new(FileSystem::new()), hooks)
    }

    /// Hooks before another disk.
    pub fn over(files: Arc<dyn Disk>, hooks: Arc<H>) -> Arc<Self> {
        Arc::new(HookedDisk { files, hooks })
    }

    /// Whether to go on.
    fn ask(&self, op: Op, path: &Path) -> io::Result<()> {
        ask(&*self.hooks, op, path)
    }
}

fn ask(hooks: &impl Hooks, op: Op, path: &Path) -> io::Result<()> {
    match hooks.fate(op, path) {
        Fate::Done | Fate::Skipped => Ok(()),
        Fate::Fails(kind) | Fate::Partly(_, kind) => Err(kind.into()),
    }
}

struct HookedFile<H> {
    hooks: Arc<H>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

/// A word of a file.
pub struct HookedWord {
    /// The file.
    pub file: Arc<dyn DiskFile>,
    /// Where the word is in the file.
    pub offset: u64,
    word: Box<dyn DiskWord>,
}

impl HookedWord {
    /// Stores to it.
    pub fn store(&self, number: u64) {
        self.word.store(number);
    }
}

/// A word whose hooks are asked.
struct AskingWord<H> {
    hooks: Arc<H>,
    path: PathBuf,
    word: HookedWord,
}

impl<H: Hooks> DiskWord for AskingWord<H> {
    fn store(&self, number: u64) {
        self.hooks.store(&self.path, &self.word, number);
    }
}

struct HookedDir<H> {
    hooks: Arc<H>,
    path: PathBuf,
    dir: Arc<dyn DiskDir>,
}

impl<H: Hooks> Disk for HookedDisk<H> {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.ask(Op::CreateDir, path)?;
        self.files.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.ask(Op::List, path)?;
        self.files.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.ask(if mode == OpenMode::Create { Op::Create } else { Op::Open }, path)?;
        let file = self.files.open(path, mode)?;
        self.hooks.opened(path, mode, &*file);
        Ok(Arc::new(HookedFile { hooks: self.hooks.clone(), path: path.to_owned(), file }))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        self.ask(Op::Open, path)?;
        let dir = self.files.open_dir(path)?;
        Ok(Arc::new(HookedDir { hooks: self.hooks.clone(), path: path.to_owned(), dir }))
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        self.ask(Op::Open, path)?;
        self.files.id_at(path)
    }

    fn is_link(&self, path: &Path) -> io::Result<bool> {
        self.files.is_link(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Op::Rename, to)?;
        self.files.rename(from, to)?;
        self.hooks.renamed(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Op::Remove, path)?;
        self.files.remove(path)?;
        self.hooks.removed(path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Op::Link, to)?;
        self.files.link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self.hooks.fate(Op::SyncDir, path) {
            Fate::Done => self.files.sync_dir(path),
            Fate::Skipped => Ok(()),
            Fate::Fails(kind) | Fate::Partly(_, kind) => Err(kind.into()),
        }
    }

    fn now(&self) -> Timestamp {
        self.hooks.now()
    }

    fn random(&self) -> u64 {
        self.hooks.random()
    }
}

impl<H: Hooks> DiskDir for HookedDir<H> {
    fn id(&self) -> io::Result<FileId> {
        self.dir.id()
    }

    fn try_lock(&self) -> io::Result<bool> {
        ask(&*self.hooks, Op::Lock, &self.path)?;
        self.dir.try_lock()
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        ask(&*self.hooks, Op::Lock, &self.path)?;
        self.dir.try_lock_shared()
    }
}

impl<H: Hooks> DiskFile for HookedFile<H> {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn allocated(&self) -> io::Result<u64> {
        self.file.allocated()
    }

    fn names(&self) -> io::Result<u64> {
        self.file.names()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        ask(&*self.hooks, Op::Read, &self.path)?;
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.hooks.write(&self.path, &*self.file, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.hooks.sync(&self.path, &*self.file)
    }

    fn id(&self) -> io::Result<FileId> {
        self.file.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        ask(&*self.hooks, Op::Map, &self.path)?;
        self.file.map(len)
    }

    fn word(&self, offset: u64) -> Option<Box<dyn DiskWord>> {
        ask(&*self.hooks, Op::Word, &self.path).ok()?;
        let word = HookedWord { file: self.file.clone(), offset, word: self.file.word(offset)? };
        Some(Box::new(AskingWord { hooks: self.hooks.clone(), path: self.path.clone(), word }))
    }
}
