//! The machine's file system under a clock and random numbers of the test's own, and without its
//! syncs: nothing here crashes, and the test would wait for little else.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, FileSystem, Map, OpenMode};

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
        Ok(Arc::new(Unsynced(self.files.open(path, mode)?)))
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

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.clock.load(Ordering::Relaxed))
    }

    fn random(&self) -> u64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        crate::draw::Rng::new(drawn).next()
    }
}

struct Unsynced(Arc<dyn DiskFile>);

impl DiskFile for Unsynced {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn allocated(&self) -> io::Result<u64> {
        self.0.allocated()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn id(&self) -> io::Result<FileId> {
        self.0.id()
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        self.0.map(len)
    }
}
