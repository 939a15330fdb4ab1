//! The lock record, the file `LOCK`: which process holds the store's lock, how far the log is published (for
//! readers in other processes), and how far it is on the device (the durable mark). It is not the lock:
//! removing it loses this information only.
//!
//! ```text
//! 0 magic "KINLOGLK" · 8 process id u32 · 12 epoch u32 · 16 published position u64
//! 24 durable position u64 · 32 its epoch u32 · 36 check u32: CRC-32 of store id and bytes 24..36
//! 40 where the process runs (`host`)
//! ```
//!
//! Most rounds move the published position alone. Where the disk has words ([`DiskWord`]), they store it without a call
//! to the system; the file is then 4096 bytes long.
//!
//! The durable mark is written after the sync that it reports, and is never synced itself. So it may be out of
//! date but never says too much. After a kill it covers every acknowledged commit; after a power loss, those
//! up to the last time the system wrote the page back.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::location::check_at;
use crate::bytes::{put, u32_at, u64_at};
use crate::disk::{Disk, DiskFile, DiskWord, OpenMode};
use crate::error::{Error, Result};
use crate::holder::Host;
use crate::id::Position;
use crate::log::format::Paths;
use crate::sync::atomic::{Ordering, fence};

const MAGIC: [u8; 8] = *b"KINLOGLK";
const LOCK_BYTES: usize = 40;
/// Bytes written when the lock is taken; the durable mark of the last holder, after them, stays.
const HOLDER_BYTES: usize = 24;
const EPOCH_OFFSET: u64 = 12;
const PUBLISHED_OFFSET: u64 = 16;
const MARK_BYTES: usize = 16;
const HOST_END: usize = 136;
/// How long the file is if it has a word. So the page that the word is in has no hole, is not kept in the inode, and a
/// store never needs space.
const PAGE_BYTES: usize = 4096;

/// The lock record of a store that is open for writing.
pub(crate) struct LockFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// The published position, on a disk that has words.
    word: Option<Box<dyn DiskWord>>,
    /// The durable mark that it has. It never falls: of two threads that record one, either may come first.
    pub(crate) durable: Position,
}

impl LockFile {
    /// Records this process, which has just taken the lock, as its holder.
    pub(crate) fn begin(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let path = paths.lock_record();
        let opened = match disk.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.open(&path, OpenMode::Create)
            }
            other => other,
        };
        let file = opened.map_err(|e| Error::io("open", &path, e))?;
        let mut record = LockFile { file, path, word: None, durable: Position::START };
        let host = Host::of_this_process();
        let mut bytes = [0; HOLDER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &std::process::id().to_le_bytes());
        record.write(&bytes, 0)?;
        record.write(&host.encode(std::process::id()), LOCK_BYTES as u64)?;
        record.word = record.find_word();
        Ok(record)
    }

    /// The word of the published position; `None` if the disk has none, or no space for the page that it is in.
    fn find_word(&self) -> Option<Box<dyn DiskWord>> {
        let word = self.file.word(PUBLISHED_OFFSET)?;
        self.write(&[0; PAGE_BYTES - HOST_END], HOST_END as u64).ok()?;
        Some(word)
    }

    /// Removes the holder from the record, before the lock is released.
    pub(crate) fn end(&self) -> Result<()> {
        self.write(&[0; 4], 8)
    }

    /// Whether the file `LOCK` was removed or replaced, for example by a script that removes lock files.
    pub(crate) fn is_lost(&self, disk: &dyn Disk) -> Result<bool> {
        let id = self.file.id().map_err(|e| Error::io("look at", &self.path, e))?;
        match check_at(disk, &self.path, id) {
            Err(Error::Displaced { .. }) => Ok(true),
            checked => checked.map(|()| false),
        }
    }

    /// Records the holder's epoch, how far the log is published, and the durable mark.
    pub(crate) fn announce(
        &mut self,
        store: &[u8; 16],
        epoch: u32,
        published: Position,
        durable: Position,
    ) -> Result<()> {
        self.durable = durable;
        let mut bytes = [0; 12 + MARK_BYTES];
        put(&mut bytes, 0, &epoch.to_le_bytes());
        put(&mut bytes, 4, &published.as_u64().to_le_bytes());
        put(&mut bytes, 12, &mark(store, epoch, durable));
        self.write(&bytes, EPOCH_OFFSET)
    }

    /// Records how far the log is published, and the durable mark, if it is higher than the one there. Not
    /// synced: it is read by other processes, and by the next one after a kill. What is below `published` was written
    /// before: whoever finds the position finds it, too.
    pub(crate) fn publish(
        &mut self,
        store: &[u8; 16],
        epoch: u32,
        published: Position,
        durable: Position,
    ) -> Result<()> {
        if let Some(word) = self.word.as_ref().filter(|_| durable <= self.durable) {
            word.store(published.as_u64());
            return Ok(());
        }
        self.durable = self.durable.max(durable);
        let mut bytes = [0; 8 + MARK_BYTES];
        put(&mut bytes, 0, &published.as_u64().to_le_bytes());
        put(&mut bytes, 8, &mark(store, epoch, self.durable));
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
    let checksum = mark_checksum(store, &bytes);
    put(&mut bytes, 12, &checksum.to_le_bytes());
    bytes
}

fn mark_checksum(store: &[u8; 16], mark: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(store);
    crc.update(mark.get(..12).unwrap_or_default());
    crc.finalize()
}

/// The durable mark of the log of `store`, as the writer of `epoch` recorded it; [`Position::START`] if the
/// lock record is missing, damaged, or of another epoch.
pub(crate) fn durable_hint(
    disk: &dyn Disk,
    paths: &Paths,
    store: &[u8; 16],
    epoch: u32,
) -> Result<Position> {
    let Some(file) = open_for_reading(disk, paths)? else { return Ok(Position::START) };
    let size = file.size().map_err(|e| Error::io("measure", paths.lock_record(), e))?;
    if size < LOCK_BYTES as u64 {
        return Ok(Position::START);
    }
    let mut bytes = [0; MARK_BYTES];
    file.read_at(&mut bytes, HOLDER_BYTES as u64)
        .map_err(|e| Error::io("read", paths.lock_record(), e))?;
    let valid = u32_at(&bytes, 12) == Some(mark_checksum(store, &bytes));
    let current = valid && u32_at(&bytes, 8) == Some(epoch);
    Ok(current.then(|| u64_at(&bytes, 0)).flatten().map_or(Position::START, Position::from_u64))
}

/// The content of a lock record, but for the durable mark.
#[derive(Clone, Default)]
pub(crate) struct LockRecord {
    /// The process that holds the lock; 0 if it has shut the store down.
    pub(crate) process: u32,
    /// Where that process runs, if known.
    pub(crate) host: Option<Host>,
    /// Its epoch; 0 while it is opening the store.
    pub(crate) epoch: u32,
    /// How far the log is published; [`Position::START`] while it is opening the store.
    pub(crate) published: Position,
}

impl LockRecord {
    /// Reads the lock record of a store; the default if it is missing or not valid.
    pub(crate) fn read(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        Ok(open_for_reading(disk, paths)?.map(|file| Self::of(file.as_ref())).unwrap_or_default())
    }

    fn of(file: &dyn DiskFile) -> Self {
        let mut bytes = [0; HOLDER_BYTES];
        let valid = file.read_at(&mut bytes, 0).is_ok() && bytes.starts_with(&MAGIC);
        if !valid {
            return LockRecord::default();
        }
        // What is published was written before the position: not to be read before it.
        fence(Ordering::Acquire);
        let process = u32_at(&bytes, 8).unwrap_or_default();
        LockRecord {
            process,
            host: Host::read(file, LOCK_BYTES as u64, process),
            epoch: u32_at(&bytes, 12).unwrap_or_default(),
            published: Position::from_u64(u64_at(&bytes, 16).unwrap_or_default()),
        }
    }
}

/// Opens the lock record without taking the lock; `None` if it is not there, as in a copy of a store
/// that was made without it.
fn open_for_reading(disk: &dyn Disk, paths: &Paths) -> Result<Option<Arc<dyn DiskFile>>> {
    match disk.open(&paths.lock_record(), OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|e| Error::io("open", paths.lock_record(), e)),
    }
}
