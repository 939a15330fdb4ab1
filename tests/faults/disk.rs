//! A disk that works until it is told not to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, FileSystem, Map, OpenMode};

/// What the store asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    CreateDir,
    List,
    Open,
    Rename,
    Remove,
    SyncDir,
    Read,
    Write,
    Sync,
    Lock,
    Map,
}

/// What becomes of an operation.
pub(crate) enum Fate {
    Done,
    Fails(io::ErrorKind),
    /// Of a write: only so many thousandths of it are done before it fails.
    Partly(usize, io::ErrorKind),
}

type Rule = Box<dyn Fn(Op, &Path) -> Fate + Send + Sync>;

/// A disk whose every operation is put to a rule first. Rules may block.
pub(crate) struct Faulty {
    inner: FileSystem,
    rule: Rule,
}

impl Faulty {
    /// The disk as a store takes it.
    pub(crate) fn disk(rule: impl Fn(Op, &Path) -> Fate + Send + Sync + 'static) -> Arc<dyn Disk> {
        Arc::new(Handle(Arc::new(Faulty { inner: FileSystem::new(), rule: Box::new(rule) })))
    }

    fn ask(&self, op: Op, path: &Path) -> io::Result<()> {
        match (self.rule)(op, path) {
            Fate::Done => Ok(()),
            Fate::Fails(kind) | Fate::Partly(_, kind) => Err(kind.into()),
        }
    }
}

/// Shared with the files, which outlive no disk.
struct Handle(Arc<Faulty>);

struct FaultyFile {
    disk: Arc<Faulty>,
    path: PathBuf,
    inner: Arc<dyn DiskFile>,
}

struct FaultyDir {
    disk: Arc<Faulty>,
    path: PathBuf,
    inner: Arc<dyn DiskDir>,
}

impl Disk for Handle {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.ask(Op::CreateDir, path)?;
        self.0.inner.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.ask(Op::List, path)?;
        self.0.inner.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.0.ask(Op::Open, path)?;
        let inner = self.0.inner.open(path, mode)?;
        Ok(Arc::new(FaultyFile { disk: self.0.clone(), path: path.to_owned(), inner }))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        self.0.ask(Op::Open, path)?;
        let inner = self.0.inner.open_dir(path)?;
        Ok(Arc::new(FaultyDir { disk: self.0.clone(), path: path.to_owned(), inner }))
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        self.0.ask(Op::Open, path)?;
        self.0.inner.id_at(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.ask(Op::Rename, to)?;
        self.0.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.ask(Op::Remove, path)?;
        self.0.inner.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.ask(Op::SyncDir, path)?;
        self.0.inner.sync_dir(path)
    }

    fn now(&self) -> Timestamp {
        self.0.inner.now()
    }

    fn random(&self) -> u64 {
        self.0.inner.random()
    }
}

impl DiskDir for FaultyDir {
    fn id(&self) -> io::Result<FileId> {
        self.inner.id()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.disk.ask(Op::Lock, &self.path)?;
        self.inner.try_lock()
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        self.disk.ask(Op::Lock, &self.path)?;
        self.inner.try_lock_shared()
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn allocated(&self) -> io::Result<u64> {
        self.inner.allocated()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.ask(Op::Read, &self.path)?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match (self.disk.rule)(Op::Write, &self.path) {
            Fate::Done => self.inner.write_at(bytes, offset),
            Fate::Fails(kind) => Err(kind.into()),
            Fate::Partly(thousandths, kind) => {
                let len = bytes.len() * thousandths / 1000;
                self.inner.write_at(&bytes[..len], offset)?;
                Err(kind.into())
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.ask(Op::Sync, &self.path)?;
        self.inner.sync()
    }

    fn id(&self) -> io::Result<FileId> {
        self.inner.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        self.disk.ask(Op::Map, &self.path)?;
        self.inner.map(len)
    }
}
