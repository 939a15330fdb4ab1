//! The machine's file system with a clock and random numbers that are the same every time, so that
//! a finding can be had again and a corpus keeps its worth.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, FileSystem, OpenMode};

/// Stands in for [`FileSystem`].
pub(crate) struct Repeatable {
    files: FileSystem,
    asked: AtomicU64,
}

impl Repeatable {
    /// Another `seed` gives other random numbers.
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Repeatable { files: FileSystem::new(), asked: AtomicU64::new(seed << 32) })
    }

    fn next(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }
}

impl Disk for Repeatable {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.files.list(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.files.open(path, mode)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        self.files.open_dir(path)
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        self.files.id_at(path)
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
        let micros = i64::try_from(self.next() & 0xffff_ffff).unwrap_or_default();
        Timestamp::from_unix_nanos(1_700_000_000_000_000_000 + micros * 1000)
    }

    fn random(&self) -> u64 {
        // SplitMix64, by its finisher.
        let mut z = self.next().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
