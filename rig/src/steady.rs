//! The machine's own file system, with a clock and random numbers that can be set.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, FileSystem, OpenMode};

use crate::disk::SimulatedDisk;
use crate::random::Random;

/// A disk whose clock and random numbers are told what to say, so that what happens on it can
/// happen again in the same way.
pub trait Steady {
    /// Sets the clock; time stands still in between.
    fn set_now(&self, unix_nanos: i64);

    /// Begins the random numbers anew.
    fn set_random(&self, seed: u64);
}

impl Steady for SimulatedDisk {
    fn set_now(&self, unix_nanos: i64) {
        SimulatedDisk::set_now(self, unix_nanos);
    }

    fn set_random(&self, seed: u64) {
        SimulatedDisk::set_random(self, seed);
    }
}

/// [`FileSystem`], but for time and chance.
#[derive(Debug)]
pub struct SteadyDisk {
    files: FileSystem,
    now: AtomicI64,
    random: Mutex<Random>,
}

impl SteadyDisk {
    /// The machine's file system at the beginning of time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = Mutex::new(Random::new(seed));
        SteadyDisk { files: FileSystem::new(), now: AtomicI64::new(0), random }
    }
}

impl Steady for SteadyDisk {
    fn set_now(&self, unix_nanos: i64) {
        self.now.store(unix_nanos, Ordering::Relaxed);
    }

    fn set_random(&self, seed: u64) {
        *self.random.lock().unwrap_or_else(PoisonError::into_inner) = Random::new(seed);
    }
}

impl Disk for SteadyDisk {
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
        Timestamp::from_unix_nanos(self.now.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).draw()
    }
}
