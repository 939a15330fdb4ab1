//! A disk whose work can be counted: the machine's files, with a clock and random numbers that are
//! the same in every run, and syncs that are counted and not done.

use std::cell::Cell;
use std::io;
use std::ops::{AddAssign, Sub};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, DiskWord, FileId, FileSystem, Map, OpenMode};

/// What a thread has asked of the disk.
#[derive(Clone, Copy, Default)]
pub(crate) struct Calls {
    pub(crate) writes: u64,
    pub(crate) syncs: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Calls {
    fn add_assign(&mut self, more: Calls) {
        self.writes += more.writes;
        self.syncs += more.syncs;
        self.bytes += more.bytes;
    }
}

impl Sub for Calls {
    type Output = Calls;

    fn sub(self, before: Calls) -> Calls {
        Calls {
            writes: self.writes - before.writes,
            syncs: self.syncs - before.syncs,
            bytes: self.bytes - before.bytes,
        }
    }
}

thread_local! {
    static CALLS: Cell<Calls> = const { Cell::new(Calls { writes: 0, syncs: 0, bytes: 0 }) };
}

/// What this thread has asked of the disk so far.
pub(crate) fn calls() -> Calls {
    CALLS.get()
}

fn count(more: Calls) {
    let mut calls = CALLS.get();
    calls += more;
    CALLS.set(calls);
}

/// The disk; clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct CountingDisk(Arc<Inner>);

struct Inner {
    files: FileSystem,
    drawn: AtomicU64,
    now: AtomicI64,
    gate: Gate,
    /// Written to the log by any thread, zeros too.
    log_bytes: AtomicU64,
}

/// Holds up the store's own thread before it writes. The thread for segments goes on: a commit may wait for it.
struct Gate {
    /// Whether it is closed, and how many wait before it.
    state: Mutex<(bool, usize)>,
    moved: Condvar,
}

impl CountingDisk {
    /// The disk for this thread to work on.
    pub(crate) fn new() -> Self {
        CountingDisk(Arc::new(Inner {
            files: FileSystem::new(),
            drawn: AtomicU64::new(0),
            now: AtomicI64::new(1_800_000_000_000_000_000),
            gate: Gate { state: Mutex::default(), moved: Condvar::new() },
            log_bytes: AtomicU64::new(0),
        }))
    }

    /// Runs `work` while the store's own thread cannot write.
    pub(crate) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let gate = &self.0.gate;
        gate.state.lock().unwrap().0 = true;
        let done = work();
        gate.state.lock().unwrap().0 = false;
        gate.moved.notify_all();
        done
    }

    /// Runs `work` while another thread, which `begin` brings to write, is held up doing so: what
    /// is submitted meanwhile gathers, whatever the machine's scheduler does.
    pub(crate) fn while_busy(&self, begin: impl FnOnce(), work: impl FnOnce()) {
        self.alone(|| {
            begin();
            self.0.gate.await_another();
            work();
        });
    }

    /// The bytes written to the log by all threads so far, those that prepare segments among them.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.0.log_bytes.load(Ordering::Relaxed)
    }
}

impl Gate {
    fn await_another(&self) {
        let (state, patience) = (self.state.lock().unwrap(), Duration::from_secs(60));
        let waited = self.moved.wait_timeout_while(state, patience, |(_, waiting)| *waiting == 0);
        assert!(!waited.unwrap().1.timed_out(), "no other thread writes");
    }

    fn pass(&self) {
        if thread::current().name() != Some("kinlog") {
            return;
        }
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.moved.notify_all();
        let mut state = self.moved.wait_while(state, |(closed, _)| *closed).unwrap();
        state.1 -= 1;
    }
}

struct CountingFile {
    file: Arc<dyn DiskFile>,
    disk: CountingDisk,
    is_log: bool,
}

impl Disk for CountingDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.files.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.files.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.0.files.open(path, mode)?;
        let is_log = path.parent().is_some_and(|dir| dir.ends_with("log"));
        Ok(Arc::new(CountingFile { file, disk: self.clone(), is_log }))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        self.0.files.open_dir(path)
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        self.0.files.id_at(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.files.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        count(Calls { syncs: 1, ..Calls::default() });
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.0.now.fetch_add(1_000_000, Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        // splitmix64
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.drawn.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl DiskFile for CountingFile {
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
        self.disk.0.gate.pass();
        let len = bytes.len() as u64;
        count(Calls { writes: 1, syncs: 0, bytes: len });
        if self.is_log {
            self.disk.0.log_bytes.fetch_add(len, Ordering::Relaxed);
        }
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        count(Calls { syncs: 1, ..Calls::default() });
        Ok(())
    }

    fn id(&self) -> io::Result<FileId> {
        self.file.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        self.file.map(len)
    }

    /// A store to it is no call, and not counted.
    fn word(&self, offset: u64) -> Option<Box<dyn DiskWord>> {
        self.file.word(offset)
    }
}
