//! The lock file: keeps a second writer out, names the holder, and tells readers in other
//! processes how far the log is published.
//!
//! ```text
//! 0 magic "KINLOGLK" · 8 process id u32 · 12 zero u32 · 16 published position u64
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::layout::Paths;
use crate::bytes::{put, u32_at, u64_at};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result};
use crate::id::Position;

const MAGIC: [u8; 8] = *b"KINLOGLK";
const LOCK_BYTES: usize = 24;
const PUBLISHED_OFFSET: u64 = 16;
/// A reader that asks whether a writer lives holds the lock for an instant; a writer outwaits it.
const LOCK_ATTEMPTS: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// The lock file of an open store.
pub(crate) struct LockFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl LockFile {
    /// Takes the store's lock, which lasts as long as the value.
    pub(crate) fn acquire(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let path = paths.lock();
        let opened = match disk.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match disk.open(&path, OpenMode::Create) {
                    // Another process made it in the meantime.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                        disk.open(&path, OpenMode::Write)
                    }
                    other => other,
                }
            }
            other => other,
        };
        let file = opened.map_err(|e| Error::io("open", &path, e))?;
        let lock = LockFile { file, path };
        let mut attempts = 0;
        while !lock.try_lock()? {
            attempts += 1;
            if attempts == LOCK_ATTEMPTS {
                let holder = lock.read().0;
                return Err(Error::Locked { path: lock.path, holder });
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        let mut bytes = [0; LOCK_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &std::process::id().to_le_bytes());
        lock.file.write_at(&bytes, 0).map_err(|e| Error::io("write", &lock.path, e))?;
        Ok(lock)
    }

    /// Looks at the lock without taking it.
    pub(crate) fn observe(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let path = paths.lock();
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        Ok(LockFile { file, path })
    }

    /// Whether a process has the store open for writing.
    pub(crate) fn is_held(disk: &dyn Disk, paths: &Paths) -> Result<bool> {
        // Shared, so that two readers do not take each other for a writer; dropping this second
        // handle gives the lock back.
        let lock = Self::observe(disk, paths)?;
        let free = lock.file.try_lock_shared().map_err(|e| Error::io("lock", &lock.path, e))?;
        Ok(!free)
    }

    fn try_lock(&self) -> Result<bool> {
        self.file.try_lock().map_err(|e| Error::io("lock", &self.path, e))
    }

    /// Says how far the log is published. The file is not synced: it speaks to living processes.
    pub(crate) fn publish(&self, position: Position) -> Result<()> {
        self.file
            .write_at(&position.as_u64().to_le_bytes(), PUBLISHED_OFFSET)
            .map_err(|e| Error::io("write", &self.path, e))
    }

    /// How far the holder says the log is published; the start if it has not said yet.
    pub(crate) fn published(&self) -> Position {
        self.read().1
    }

    fn read(&self) -> (u32, Position) {
        let mut bytes = [0; LOCK_BYTES];
        let whole = self.file.read_at(&mut bytes, 0).is_ok() && bytes.starts_with(&MAGIC);
        let field = |found: Option<u64>| found.filter(|_| whole).unwrap_or_default();
        let holder = u32::try_from(field(u32_at(&bytes, 8).map(u64::from))).unwrap_or_default();
        (holder, Position::from_u64(field(u64_at(&bytes, 16))))
    }
}
