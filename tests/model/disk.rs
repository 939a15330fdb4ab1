//! The machine's file system under a clock and random numbers of the test's own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskFile, FileSystem, OpenMode};

#[derive(Default)]
pub(crate) struct TestDisk {
    files: FileSystem,
    clock: AtomicI64,
    drawn: AtomicU64,
}

impl TestDisk {
    pub(crate) fn set_now(&self, now: Timestamp) {
        self.clock.store(now.unix_nanos(), Ordering::Relaxed);
    }
}

impl Disk for TestDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.files.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.files.open(path, mode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.files.sync_dir(path)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.clock.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        crate::draw::Rng::new(drawn).next()
    }
}
