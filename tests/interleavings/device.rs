//! A disk that knows what a power loss would leave, and on which every call is a turn for others.
//!
//! Content is lost until its file is synced; names are kept at once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, FileSystem, Map, OpenMode};
use tempfile::TempDir;

/// Lets any other thread go on first.
pub(crate) fn turn() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// A directory that costs no disk access where the machine has one.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// What the store asks of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Create,
    Write,
    Sync,
    Rename,
    Map,
}

/// Whether an operation on a file fails.
type Rule = Box<dyn Fn(Op, &Path) -> bool + Send + Sync>;

#[derive(Default)]
struct Content {
    /// On the device.
    kept: Vec<u8>,
    /// As any process reads it.
    current: Vec<u8>,
    /// Written since the last sync, in order, with the number of the write.
    unsynced: Vec<(usize, u64, Vec<u8>)>,
    writes: usize,
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        overwrite(&mut self.current, offset, bytes);
        self.unsynced.push((self.writes, offset, bytes.to_vec()));
        self.writes += 1;
    }

    /// Ends a sync that began after so many writes: what it covers is kept or, if it failed, never
    /// will be.
    fn synced(&mut self, writes: usize, success: bool) {
        for (_, offset, bytes) in self.unsynced.extract_if(.., |(write, ..)| *write < writes) {
            if success {
                overwrite(&mut self.kept, offset, &bytes);
            }
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
    let offset = usize::try_from(offset).unwrap();
    let end = offset + written.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[offset..end].copy_from_slice(written);
}

#[derive(Default)]
struct State {
    armed: bool,
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// A write or a sync of the log failed: nothing may be written to it any more.
    log_failed: bool,
    /// Everything that was ever to be written to the log.
    tried: Vec<Vec<u8>>,
    drawn: u64,
}

struct Shared {
    real: FileSystem,
    dir: TempDir,
    rule: Rule,
    /// Never held while others have a turn.
    state: Mutex<State>,
}

/// The disk, to be given to a store.
#[derive(Clone)]
pub(crate) struct Device(Arc<Shared>);

struct File {
    device: Device,
    path: PathBuf,
    real: Arc<dyn DiskFile>,
    content: Arc<Mutex<Content>>,
}

fn holds(bytes: &[u8], token: &[u8]) -> bool {
    bytes.windows(token.len()).any(|window| window == token)
}

/// A segment under its own name: one that is being prepared has another.
pub(crate) fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg")
}

impl Device {
    /// A disk on which, once it is armed, the operations fail that `rule` names.
    pub(crate) fn new(rule: impl Fn(Op, &Path) -> bool + Send + Sync + 'static) -> Self {
        let (real, rule, state) = (FileSystem::new(), Box::new(rule) as Rule, Mutex::default());
        Device(Arc::new(Shared { real, dir: directory(), rule, state }))
    }

    /// Applies the rule from now on.
    pub(crate) fn arm(&self) {
        self.state().armed = true;
    }

    /// Where the store is.
    pub(crate) fn path(&self) -> &Path {
        self.0.dir.path()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn any_content(&self, holds: impl Fn(&Content) -> bool) -> bool {
        self.state().files.values().any(|content| holds(&content.lock().unwrap()))
    }

    /// Whether `token` survives a power loss.
    pub(crate) fn keeps(&self, token: &[u8]) -> bool {
        self.any_content(|content| holds(&content.kept, token))
    }

    /// Whether `token` survives a crash of the process.
    pub(crate) fn holds(&self, token: &[u8]) -> bool {
        self.any_content(|content| holds(&content.current, token))
    }

    /// Whether `token` was ever to be written to the log.
    pub(crate) fn tried(&self, token: &[u8]) -> bool {
        self.state().tried.iter().any(|bytes| holds(bytes, token))
    }

    /// Whether a write or a sync of the log failed.
    pub(crate) fn log_failed(&self) -> bool {
        self.state().log_failed
    }

    /// What a power loss would leave now, in a directory of its own.
    pub(crate) fn after_power_loss(&self) -> TempDir {
        self.copy(|content| content.kept.clone())
    }

    /// What the end of the process would leave now, in a directory of its own.
    pub(crate) fn after_crash(&self) -> TempDir {
        self.copy(|content| content.current.clone())
    }

    fn copy(&self, bytes: impl Fn(&Content) -> Vec<u8>) -> TempDir {
        let copy = directory();
        for (path, content) in &self.state().files {
            let path = copy.path().join(path.strip_prefix(self.path()).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes(&content.lock().unwrap())).unwrap();
        }
        copy
    }

    fn ask(&self, op: Op, path: &Path) -> io::Result<()> {
        turn();
        let armed = self.state().armed;
        if armed && (self.0.rule)(op, path) { Err(io::Error::other("by rule")) } else { Ok(()) }
    }
}

impl Disk for Device {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.real.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.real.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if mode == OpenMode::Create {
            self.ask(Op::Create, path)?;
        }
        let real = self.0.real.open(path, mode)?;
        let content = self.state().files.entry(path.to_owned()).or_default().clone();
        Ok(Arc::new(File { device: self.clone(), path: path.to_owned(), real, content }))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        self.0.real.open_dir(path)
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        self.0.real.id_at(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Op::Rename, to)?;
        self.0.real.rename(from, to)?;
        let mut state = self.state();
        let content = state.files.remove(from).unwrap();
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.real.remove(path)?;
        self.state().files.remove(path);
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        turn();
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0)
    }

    fn random(&self) -> u64 {
        let mut state = self.state();
        state.drawn += 1;
        state.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl File {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.real.write_at(bytes, offset)?;
        self.content().write(bytes, offset);
        Ok(())
    }

    fn failed<T>(&self, result: io::Result<T>) -> io::Result<T> {
        self.device.state().log_failed |= is_log(&self.path) && result.is_err();
        result
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        self.real.size()
    }

    fn allocated(&self) -> io::Result<u64> {
        self.real.allocated()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.real.read_at(buffer, offset)
    }

    /// In two steps; a write that fails has done the first.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if is_log(&self.path) {
            let mut state = self.device.state();
            assert!(!state.log_failed, "written to the log after a failure");
            state.tried.push(bytes.to_vec());
        }
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.write(first, offset)?;
        self.failed(self.device.ask(Op::Write, &self.path))?;
        self.write(second, offset + first.len() as u64)
    }

    /// Covers what was written before it began.
    fn sync(&self) -> io::Result<()> {
        let writes = self.content().writes;
        let result = self.device.ask(Op::Sync, &self.path);
        self.content().synced(writes, result.is_ok());
        self.failed(result)
    }

    fn id(&self) -> io::Result<FileId> {
        self.real.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        self.device.ask(Op::Map, &self.path)?;
        self.real.map(len)
    }
}
