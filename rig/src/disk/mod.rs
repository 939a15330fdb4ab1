//! A disk in memory that fails, tears and forgets as it is told to, and always in the same way.
//!
//! ```
//! use std::sync::Arc;
//! use kinlog::{NewRun, Options};
//! use kinlog_rig::disk::{SimulatedDisk, Survivors};
//!
//! let disk = SimulatedDisk::new(7);
//! let store = Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone())).open("/store")?;
//! let mut tx = store.begin();
//! let run = tx.start(NewRun::new("shop", "order-42", "Order"))?;
//! tx.commit()?;
//!
//! // The power goes, and takes everything with it that was not synced.
//! let content = disk.content().after_power_loss(Survivors::Nothing);
//! drop(store);
//! let disk = SimulatedDisk::with(content, 8);
//! let store = Options::new().disk(Arc::new(disk)).open("/store")?;
//! assert_eq!(store.history(&run)?.len(), 1);
//! # Ok::<(), kinlog::Error>(())
//! ```

mod content;
mod fault;
mod file;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, OpenMode, unnamed_file};

pub use content::{Content, Survivors};
pub use fault::{Errno, Fault, Operation, Wrong};

use crate::random::Random;
use content::Node;
use file::SimulatedFile;

/// How often other threads may go on while a sync is under way.
const TURNS: u32 = 16;
/// The part of a seed that says whether files have words.
const WORDS: u64 = 0x_3077;

/// The disk; clones are handles to the same one.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

struct State {
    content: Content,
    /// What maps read from, of files that are mapped.
    mapped: Vec<Option<Arc<File>>>,
    /// Who holds locks: directory, handle, and whether alone.
    locks: Vec<(u64, u64, bool)>,
    handles: u64,
    faults: Vec<Fault>,
    counts: [u64; Operation::ALL.len()],
    /// The power goes at this operation.
    last: Option<u64>,
    dead: bool,
    hit: bool,
    /// How many bytes fit on it.
    capacity: u64,
    /// Its files have words.
    words: bool,
    random: Random,
    now: i64,
}

/// What becomes of an operation.
enum Fate {
    Done,
    Wrong(Wrong, io::Error),
    /// It is under way when the power goes.
    Cut,
}

impl SimulatedDisk {
    /// An empty disk. `seed` is where its random numbers come from, and whether its files have words.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(Content::default(), seed)
    }

    /// A disk that holds `content`.
    #[must_use]
    pub fn with(content: Content, seed: u64) -> Self {
        let mapped = vec![None; content.inodes.len()];
        let state = State {
            content,
            mapped,
            locks: vec![],
            handles: 0,
            faults: vec![],
            counts: [0; Operation::ALL.len()],
            last: None,
            dead: false,
            hit: false,
            capacity: u64::MAX,
            words: Random::of(seed, WORDS).chance(50),
            random: Random::new(seed),
            now: 0,
        };
        SimulatedDisk(Arc::new(Mutex::new(state)))
    }

    /// Lets operations go wrong.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.state().faults = faults;
    }

    /// Whether its files have words, whatever the seed says; of files that are not open yet.
    pub fn set_words(&self, words: bool) {
        self.state().words = words;
    }

    /// How many bytes fit on the disk; what is beyond that fails for want of space.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// How many bytes its files take.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state().content.used()
    }

    /// Lets the power go at the `nth` operation from the disk's first one on: it may have begun,
    /// nobody hears of its end, and every later one fails.
    pub fn cut_power_at(&self, nth: u64) {
        self.state().last = Some(nth);
    }

    /// Lets the power go now.
    pub fn cut_power(&self) {
        self.state().dead = true;
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Whether any fault was met, or the power is gone.
    #[must_use]
    pub fn was_disturbed(&self) -> bool {
        let state = self.state();
        state.hit || state.dead
    }

    /// How many operations of a kind were asked for.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        self.state().counts[operation as usize]
    }

    /// What it holds now, or held when the power went.
    #[must_use]
    pub fn content(&self) -> Content {
        self.state().content.clone()
    }

    /// Sets the clock; time stands still in between.
    pub fn set_now(&self, unix_nanos: i64) {
        self.state().now = unix_nanos;
    }

    /// Begins the random numbers anew.
    pub fn set_random(&self, seed: u64) {
        self.state().random = Random::new(seed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state once there were so many operations, or nobody else is at work.
    fn state_after(&self, operations: u64) -> MutexGuard<'_, State> {
        for _ in 0..TURNS {
            thread::yield_now();
            let state = self.state();
            if state.counts[Operation::Any as usize] >= operations || state.dead {
                return state;
            }
        }
        self.state()
    }

    /// What tells a node from every other one of any simulated disk. Directories and files are counted
    /// apart.
    fn id(&self, node: Node) -> FileId {
        let disk = Arc::as_ptr(&self.0).addr() as u64;
        match node {
            Node::Dir(number) => FileId { device: disk, number: 2 * number },
            Node::File(number) => FileId { device: disk, number: 2 * number as u64 + 1 },
        }
    }

    /// An operation that either does something at once or does nothing.
    fn at_once<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        match state.fate(operation)? {
            Fate::Done => act(&mut state),
            Fate::Wrong(Wrong::Nothing | Wrong::Half, error) => Err(error),
            Fate::Wrong(Wrong::All, error) => act(&mut state).and(Err(error)),
            Fate::Cut => {
                let _ = act(&mut state);
                Err(gone())
            }
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the power is gone")
}

impl State {
    fn fate(&mut self, operation: Operation) -> io::Result<Fate> {
        if self.dead {
            return Err(gone());
        }
        let mut hit = None;
        let before = self.counts[Operation::Any as usize];
        for kind in [Operation::Any, operation] {
            let nth = self.counts[kind as usize];
            self.counts[kind as usize] += 1;
            hit = hit.or(self.faults.iter().find(|fault| fault.hits(kind, nth)));
        }
        if self.last == Some(before) {
            self.dead = true;
            return Ok(Fate::Cut);
        }
        self.hit |= hit.is_some();
        Ok(hit.map_or(Fate::Done, |fault| Fate::Wrong(fault.wrong, fault.errno.error())))
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.content.node(path) {
            Some(Node::File(number)) => Ok(number),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn dir(&self, path: &Path) -> io::Result<u64> {
        match self.content.node(path) {
            Some(Node::Dir(number)) => Ok(number),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write(&mut self, inode: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
        let len = self.content.inodes[inode].seen.len();
        let growth = (offset + bytes.len()).saturating_sub(len) as u64;
        let lacking = (self.content.used() + growth).saturating_sub(self.capacity).min(growth);
        // Of a write beyond the end more can be lacking than its own bytes: the gap takes space, too.
        let fitting = bytes.len().saturating_sub(usize::try_from(lacking).unwrap_or(usize::MAX));
        let (bytes, full) = (&bytes[..fitting], lacking > 0);
        if !bytes.is_empty() {
            self.content.write(inode, bytes, offset);
        }
        if let Some(file) = &self.mapped[inode] {
            file.write_all_at(bytes, offset as u64)?;
        }
        if full { Err(Errno::Enospc.error()) } else { Ok(()) }
    }

    fn try_lock(&mut self, dir: u64, handle: u64, alone: bool) -> bool {
        let taken = self.locks.iter().any(|(other, holder, other_alone)| {
            *other == dir && *holder != handle && (alone || *other_alone)
        });
        if !taken {
            self.locks.push((dir, handle, alone));
        }
        !taken
    }

    /// A file of the machine's own with the same content, which can be mapped.
    fn mapped(&mut self, inode: usize) -> io::Result<Arc<File>> {
        if let Some(file) = &self.mapped[inode] {
            return Ok(file.clone());
        }
        let file = Arc::new(unnamed_file()?);
        file.write_all_at(&self.content.inodes[inode].seen, 0)?;
        self.mapped[inode] = Some(file.clone());
        Ok(file)
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.at_once(Operation::CreateDir, |state| {
            let ancestors: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
            for dir in ancestors.iter().rev().filter(|dir| dir.parent().is_some()) {
                match state.content.node(dir) {
                    Some(Node::Dir(_)) => {}
                    Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                    None => state.content.create_dir(dir),
                }
            }
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.at_once(Operation::List, |state| match state.content.node(path) {
            Some(Node::Dir(_)) => Ok(state.content.list(path)),
            _ if path.parent().is_none() => Ok(state.content.list(path)),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.at_once(Operation::Open, |state| match mode {
            OpenMode::Read | OpenMode::Write => state.file(path),
            OpenMode::Create if state.content.node(path).is_some() => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            OpenMode::Create => {
                state.mapped.push(None);
                Ok(state.content.create_file(path))
            }
        })?;
        Ok(Arc::new(SimulatedFile { disk: self.clone(), inode }))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        let (dir, handle) = self.at_once(Operation::Open, |state| {
            let dir = state.dir(path)?;
            state.handles += 1;
            Ok((dir, state.handles))
        })?;
        Ok(Arc::new(SimulatedDir { disk: self.clone(), dir, handle }))
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        let state = self.state();
        if state.dead {
            return Err(gone());
        }
        let node = state.content.node(path);
        node.map(|node| self.id(node)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.at_once(Operation::Rename, |state| {
            state.file(from)?;
            state.content.rename(from, to);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.at_once(Operation::Remove, |state| {
            state.file(path)?;
            state.content.remove(path);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.at_once(Operation::Link, |state| {
            let inode = state.file(from)?;
            if state.content.node(to).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.content.link(inode, to);
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        match state.fate(Operation::SyncDir)? {
            Fate::Done => state.content.sync_dir(path),
            Fate::Wrong(wrong, error) => {
                if wrong == Wrong::All {
                    state.content.sync_dir(path);
                }
                return Err(error);
            }
            Fate::Cut => return Err(gone()),
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.state().now)
    }

    fn random(&self) -> u64 {
        self.state().random.draw()
    }
}

/// An open directory.
struct SimulatedDir {
    disk: SimulatedDisk,
    dir: u64,
    handle: u64,
}

impl Drop for SimulatedDir {
    fn drop(&mut self) {
        let handle = self.handle;
        self.disk.state().locks.retain(|(_, holder, _)| *holder != handle);
    }
}

impl SimulatedDir {
    fn lock(&self, alone: bool) -> io::Result<bool> {
        let (dir, handle) = (self.dir, self.handle);
        self.disk.at_once(Operation::Lock, |state| Ok(state.try_lock(dir, handle, alone)))
    }
}

impl DiskDir for SimulatedDir {
    fn id(&self) -> io::Result<FileId> {
        Ok(self.disk.id(Node::Dir(self.dir)))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.lock(true)
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        self.lock(false)
    }
}
