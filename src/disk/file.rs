//! The disk of this machine: `std::fs` on a Unix file system.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Disk, DiskDir, DiskFile, DiskWord, FileId, Map, MappedWord, OpenMode};
use crate::id::Timestamp;

/// The machine's file system, clock and randomness. Files are created readable and writable for
/// their owner only. A symbolic link, a pipe or a device is not opened as a file.
#[derive(Debug)]
pub struct FileSystem {
    /// Keyed from the operating system's randomness, once per store.
    keys: RandomState,
    drawn: AtomicU64,
}

impl FileSystem {
    /// The file system of this machine.
    #[must_use]
    pub fn new() -> Self {
        FileSystem { keys: RandomState::new(), drawn: AtomicU64::new(0) }
    }
}

impl Default for FileSystem {
    fn default() -> Self {
        FileSystem::new()
    }
}

impl Disk for FileSystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        // Non-blocking, because opening a pipe would block.
        options.read(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create_new(true);
            }
        }
        let file = options.open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => io::Error::other("a symbolic link, which is not followed"),
            _ => error,
        })?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Arc::new(file))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
        Ok(Arc::new(Directory {
            file,
            process: std::process::id(),
            locked: AtomicBool::new(false),
        }))
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        Ok(id_of(&fs::metadata(path)?))
    }

    fn is_link(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => found.map(|found| found.is_symlink()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn random(&self) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u64(self.drawn.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

fn id_of(found: &fs::Metadata) -> FileId {
    FileId { device: found.dev(), number: found.ino() }
}

/// An open directory of this machine.
struct Directory {
    file: File,
    /// The process that opened it.
    process: u32,
    locked: AtomicBool,
}

impl Directory {
    fn record(&self, lock: Result<(), TryLockError>) -> io::Result<bool> {
        match lock {
            Ok(()) => self.locked.store(true, Ordering::Relaxed),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }
}

impl DiskDir for Directory {
    fn id(&self) -> io::Result<FileId> {
        Ok(id_of(&self.file.metadata()?))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.record(self.file.try_lock())
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        self.record(self.file.try_lock_shared())
    }
}

impl Drop for Directory {
    /// `flock` is shared with forked processes. Closing the file does not release the lock while a child has the
    /// descriptor, so it is released explicitly; and only by the process that took it, as a child would release
    /// it for its parent.
    fn drop(&mut self) {
        if *self.locked.get_mut() && self.process == std::process::id() {
            // An error is no loss: the lock ends with the last descriptor.
            let _ = self.file.unlock();
        }
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocated(&self) -> io::Result<u64> {
        // `st_blocks` counts units of 512 bytes, whatever the block size.
        Ok(self.metadata()?.blocks().saturating_mul(512))
    }

    fn names(&self) -> io::Result<u64> {
        Ok(self.metadata()?.nlink())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    /// `fdatasync`: content and length, not timestamps.
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(id_of(&self.metadata()?))
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        Map::of_file(self, len)
    }

    /// On ext2 to ext4, xfs and tmpfs.
    fn word(&self, offset: u64) -> Option<Box<dyn DiskWord>> {
        Some(Box::new(MappedWord::of_file(self, offset).ok()?))
    }
}
