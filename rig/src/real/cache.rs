//! A block device with a cache that loses power.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kinlog::Timestamp;
use kinlog::disk::{Disk, DiskDir, DiskFile, FileId, Map, OpenMode};

use crate::random::Random;

/// The unit that the device writes whole or not at all.
const BLOCK_BYTES: usize = 4096;
/// The device's name on its disk, which holds nothing else.
pub(super) const NAME: &str = "device";

const ID: FileId = FileId { device: 0, number: 0 };

/// A device with a volatile cache, as a file. A flush, which is the file's sync, puts on it what
/// was written before. Of anything else a power loss leaves, block by block, what the device held
/// or some state that the block has had since: writes are lost and change order.
#[derive(Clone)]
pub(super) struct CachingDevice(Arc<Mutex<State>>);

struct State {
    bytes: Vec<u8>,
    /// What blocks held before each write since the last flush.
    unflushed: HashMap<usize, Vec<Vec<u8>>>,
    dead: bool,
    /// So many writes and flushes until the power goes.
    left: Option<u64>,
    lost: u64,
}

impl CachingDevice {
    pub(super) fn new(bytes: usize) -> Self {
        let (bytes, unflushed) = (vec![0; bytes], HashMap::new());
        let state = State { bytes, unflushed, dead: false, left: None, lost: 0 };
        CachingDevice(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every operation fails from now on.
    pub(super) fn cut_power(&self) {
        self.state().dead = true;
    }

    /// Lets the power go after so many writes and flushes, of which nobody hears more.
    pub(super) fn cut_power_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The power is back.
    pub(super) fn start(&self, random: &mut Random) {
        let state = &mut *self.state();
        let mut blocks: Vec<_> = state.unflushed.drain().collect();
        blocks.sort_unstable_by_key(|(block, _)| *block);
        for (block, before) in blocks {
            let now = before.len();
            let kept = match random.below(5) {
                0 | 1 => 0,
                2 | 3 => now,
                _ => random.below(now + 1),
            };
            if let Some(bytes) = before.get(kept) {
                state.bytes[block * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(bytes);
                state.lost += 1;
            }
        }
        (state.dead, state.left) = (false, None);
    }

    /// How many blocks lost a write so far.
    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// The device, if it has power.
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dead { Err(gone()) } else { Ok(state) }
    }
}

fn gone() -> io::Error {
    io::Error::other("the power is gone")
}

impl State {
    /// Counts a write or a flush; whether the power lasts to its end.
    fn lasts(&mut self) -> io::Result<()> {
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.dead = self.left == Some(0);
        if self.dead { Err(gone()) } else { Ok(()) }
    }

    fn write(&mut self, bytes: &[u8], offset: usize) -> io::Result<()> {
        let end = offset.checked_add(bytes.len()).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(ErrorKind::StorageFull)?;
        for block in offset / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let before = &self.bytes[block * BLOCK_BYTES..][..BLOCK_BYTES];
            self.unflushed.entry(block).or_default().push(before.to_vec());
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self.lasts()
    }
}

fn refused<T>() -> io::Result<T> {
    Err(ErrorKind::PermissionDenied.into())
}

impl Disk for CachingDevice {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(vec![NAME.into()])
    }

    fn open(&self, path: &Path, _: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        if path.ends_with(NAME) {
            Ok(Arc::new(self.clone()))
        } else {
            Err(ErrorKind::NotFound.into())
        }
    }

    fn open_dir(&self, _: &Path) -> io::Result<Arc<dyn DiskDir>> {
        Err(ErrorKind::Unsupported.into())
    }

    fn id_at(&self, _: &Path) -> io::Result<FileId> {
        Ok(ID)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(0)
    }

    fn random(&self) -> u64 {
        0
    }
}

impl DiskFile for CachingDevice {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.alive()?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = state.bytes.get(start..).and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.alive()?.write(bytes, usize::try_from(offset).unwrap_or(usize::MAX))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        state.lasts()?;
        state.unflushed.clear();
        Ok(())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(ID)
    }

    fn map(&self, _: usize) -> io::Result<Map> {
        Err(ErrorKind::Unsupported.into())
    }
}
