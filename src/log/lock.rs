//! The lock file: keeps a second writer out, names the holder, tells readers in other processes how
//! far the log is published, and remembers how far it was on the device.
//!
//! ```text
//! 0 magic "KINLOGLK" · 8 process id u32 · 12 epoch u32 · 16 published position u64
//! 24 durable position u64 · 32 its epoch u32 · 36 check u32: CRC-32 of store id and bytes 24..36
//! ```
//!
//! The durable mark is written after the sync that it speaks of, and never synced itself. So it may
//! be old, but whatever it says is true: after a kill it vouches for all that was acknowledged, and
//! after a power loss for what was when the system last wrote the page back.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::layout::Paths;
use crate::bytes::{put, u32_at, u64_at};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Error, Result};
use crate::id::Position;

const MAGIC: [u8; 8] = *b"KINLOGLK";
const LOCK_BYTES: usize = 40;
/// What is written when the lock is taken; the durable mark of the last holder stays.
const HOLDER_BYTES: usize = 24;
const EPOCH_OFFSET: u64 = 12;
const PUBLISHED_OFFSET: u64 = 16;
const MARK_BYTES: usize = 16;
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match disk.open(&path, OpenMode::Create) {
                    // Another process made it in the meantime.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
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
                let holder = Word::of(lock.file.as_ref()).holder;
                return Err(Error::Locked { path: lock.path, holder });
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        let mut bytes = [0; HOLDER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &std::process::id().to_le_bytes());
        lock.file.write_at(&bytes, 0).map_err(|e| Error::io("write", &lock.path, e))?;
        Ok(lock)
    }

    /// Whether a process has the store open for writing.
    pub(crate) fn is_held(disk: &dyn Disk, paths: &Paths) -> Result<bool> {
        let Some(file) = open_to_look(disk, paths)? else { return Ok(false) };
        // Shared, so that two readers do not take each other for a writer. Closing the file gives
        // the lock back.
        let free = file.try_lock_shared().map_err(|e| Error::io("lock", paths.lock(), e))?;
        Ok(!free)
    }

    fn try_lock(&self) -> Result<bool> {
        self.file.try_lock().map_err(|e| Error::io("lock", &self.path, e))
    }

    /// Says in which epoch the holder writes, and that the log is published, and on the device, up
    /// to `end`.
    pub(crate) fn announce(&self, store: &[u8; 16], epoch: u32, end: Position) -> Result<()> {
        let mut bytes = [0; 12 + MARK_BYTES];
        put(&mut bytes, 0, &epoch.to_le_bytes());
        put(&mut bytes, 4, &end.as_u64().to_le_bytes());
        put(&mut bytes, 12, &mark(store, epoch, end));
        self.write(&bytes, EPOCH_OFFSET)
    }

    /// Says how far the log is published, and how far it is on the device. The file is not synced:
    /// it speaks to living processes, and to the next one after a kill.
    pub(crate) fn publish(
        &self,
        store: &[u8; 16],
        epoch: u32,
        published: Position,
        durable: Position,
    ) -> Result<()> {
        let mut bytes = [0; 8 + MARK_BYTES];
        put(&mut bytes, 0, &published.as_u64().to_le_bytes());
        put(&mut bytes, 8, &mark(store, epoch, durable));
        self.write(&bytes, PUBLISHED_OFFSET)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_at(bytes, offset).map_err(|e| Error::io("write", &self.path, e))
    }
}

fn mark(store: &[u8; 16], epoch: u32, durable: Position) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    put(&mut bytes, 0, &durable.as_u64().to_le_bytes());
    put(&mut bytes, 8, &epoch.to_le_bytes());
    let check = mark_check(store, &bytes);
    put(&mut bytes, 12, &check.to_le_bytes());
    bytes
}

fn mark_check(store: &[u8; 16], mark: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(store);
    crc.update(mark.get(..12).unwrap_or_default());
    crc.finalize()
}

/// How far the last writer knew the log of `store` to be on the device, if that writer's epoch was
/// `epoch`. A missing, an older or a damaged lock file vouches for nothing.
pub(crate) fn vouched(
    disk: &dyn Disk,
    paths: &Paths,
    store: &[u8; 16],
    epoch: u32,
) -> Result<Position> {
    let Some(file) = open_to_look(disk, paths)? else { return Ok(Position::START) };
    let size = file.size().map_err(|e| Error::io("measure", paths.lock(), e))?;
    if size < LOCK_BYTES as u64 {
        return Ok(Position::START);
    }
    let mut bytes = [0; MARK_BYTES];
    file.read_at(&mut bytes, HOLDER_BYTES as u64)
        .map_err(|e| Error::io("read", paths.lock(), e))?;
    let whole = u32_at(&bytes, 12) == Some(mark_check(store, &bytes));
    let current = whole && u32_at(&bytes, 8) == Some(epoch);
    Ok(current.then(|| u64_at(&bytes, 0)).flatten().map_or(Position::START, Position::from_u64))
}

/// What the lock file says of its holder.
#[derive(Clone, Copy, Default)]
pub(crate) struct Word {
    /// The process that wrote it.
    holder: u32,
    /// The epoch in which it writes; 0 if it is still opening the store.
    pub(crate) epoch: u32,
    /// How far the log is published; the start if it is still opening the store.
    pub(crate) published: Position,
}

impl Word {
    /// Reads the lock file of a store; a missing one says nothing.
    pub(crate) fn read(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        Ok(open_to_look(disk, paths)?.map(|file| Self::of(file.as_ref())).unwrap_or_default())
    }

    fn of(file: &dyn DiskFile) -> Self {
        let mut bytes = [0; HOLDER_BYTES];
        let whole = file.read_at(&mut bytes, 0).is_ok() && bytes.starts_with(&MAGIC);
        if !whole {
            return Word::default();
        }
        Word {
            holder: u32_at(&bytes, 8).unwrap_or_default(),
            epoch: u32_at(&bytes, 12).unwrap_or_default(),
            published: Position::from_u64(u64_at(&bytes, 16).unwrap_or_default()),
        }
    }
}

/// Opens the lock file without taking the lock; `None` if it is not there, as in a copy of a store
/// that was made without it.
fn open_to_look(disk: &dyn Disk, paths: &Paths) -> Result<Option<Arc<dyn DiskFile>>> {
    match disk.open(&paths.lock(), OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|e| Error::io("open", paths.lock(), e)),
    }
}
