//! A disk that knows what a power loss would leave, and on which every call is a turn for others.
//!
//! Content is lost until its file is synced; names are kept at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskFile, FileId, OpenMode};
use kinlog_testing::Rng;
use kinlog_testing::disk::{Fate, HookedDisk, HookedWord, Hooks, Op};
use kinlog_testing::files::directory;
use tempfile::TempDir;

/// Lets any other thread go on first.
pub(crate) fn turn() {
    shuttle::thread::sleep(Duration::ZERO);
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
    names: BTreeMap<PathBuf, FileId>,
    files: HashMap<FileId, Arc<Mutex<Content>>>,
    /// Segments of which a write or a sync failed: nothing may be written to them any more.
    failed: BTreeSet<PathBuf>,
    /// Everything that was ever to be written to the log.
    tried: Vec<Vec<u8>>,
    drawn: u64,
}

struct Shared {
    dir: TempDir,
    rule: Rule,
    /// Never held while others have a turn.
    state: Mutex<State>,
}

/// What becomes of the files of a store.
#[derive(Clone)]
pub(crate) struct Device(Arc<Shared>);

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
        let (rule, state) = (Box::new(rule) as Rule, Mutex::default());
        Device(Arc::new(Shared { dir: directory(), rule, state }))
    }

    /// The disk, to be given to a store.
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        HookedDisk::new(self.clone())
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
        let state = self.state();
        state.names.values().any(|file| holds(&state.files[file].lock().unwrap()))
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
        !self.state().failed.is_empty()
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
        let state = self.state();
        for (path, file) in &state.names {
            let path = copy.path().join(path.strip_prefix(self.path()).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes(&state.files[file].lock().unwrap())).unwrap();
        }
        copy
    }

    fn content(&self, file: &dyn DiskFile) -> Arc<Mutex<Content>> {
        self.state().files[&file.id().unwrap()].clone()
    }

    fn overwrite(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_at(bytes, offset)?;
        self.content(file).lock().unwrap().write(bytes, offset);
        Ok(())
    }

    fn ask(&self, op: Op, path: &Path) -> io::Result<()> {
        turn();
        let armed = self.state().armed;
        let result = if armed && (self.0.rule)(op, path) {
            Err(io::Error::other("by rule"))
        } else {
            Ok(())
        };
        let of_log = is_log(path) && matches!(op, Op::Write | Op::Sync);
        if of_log && result.is_err() {
            self.state().failed.insert(path.to_owned());
        }
        result
    }
}

impl Hooks for Device {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        match op {
            Op::Create | Op::Rename | Op::Map if self.ask(op, path).is_err() => {
                Fate::Fails(io::ErrorKind::Other)
            }
            Op::SyncDir => {
                turn();
                Fate::Skipped
            }
            _ => Fate::Done,
        }
    }

    fn opened(&self, path: &Path, mode: OpenMode, file: &dyn DiskFile) {
        let (mut state, id) = (self.state(), file.id().unwrap());
        if mode == OpenMode::Create {
            state.files.remove(&id);
        }
        state.files.entry(id).or_default();
        state.names.insert(path.to_owned(), id);
    }

    /// In two steps; a write that fails has done the first.
    fn write(&self, path: &Path, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        if is_log(path) {
            let mut state = self.state();
            assert!(!state.failed.contains(path), "written to a segment after a failure");
            state.tried.push(bytes.to_vec());
        }
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.overwrite(file, first, offset)?;
        self.ask(Op::Write, path)?;
        self.overwrite(file, second, offset + first.len() as u64)
    }

    /// Covers what was written before it began.
    fn sync(&self, path: &Path, file: &dyn DiskFile) -> io::Result<()> {
        let content = self.content(file);
        let writes = content.lock().unwrap().writes;
        let result = self.ask(Op::Sync, path);
        content.lock().unwrap().synced(writes, result.is_ok());
        result
    }

    /// At once, so others have a turn before and afterwards.
    fn store(&self, _: &Path, word: &HookedWord, number: u64) {
        turn();
        word.store(number);
        self.content(&*word.file).lock().unwrap().write(&number.to_le_bytes(), word.offset);
        turn();
    }

    fn renamed(&self, from: &Path, to: &Path) {
        let mut state = self.state();
        let file = state.names.remove(from).unwrap();
        state.names.insert(to.to_owned(), file);
    }

    fn removed(&self, path: &Path) {
        self.state().names.remove(path);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0)
    }

    fn random(&self) -> u64 {
        let mut state = self.state();
        state.drawn += 1;
        Rng::new(state.drawn).draw()
    }
}
