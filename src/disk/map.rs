//! Memory maps: reading a file through one, storing a word of a file in one, and detecting a fork by one. The only
//! user of memmap2, and the only `unsafe` of the crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::slice;
use std::sync::Arc;
// Not `crate::sync`'s, which are not in the memory of a file.
use std::sync::atomic::AtomicU64;

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use super::{DiskFile, DiskWord};
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// A file that is mapped for reading. Gives no access to its bytes by itself.
#[derive(Debug)]
pub struct Map(MmapRaw);

impl Map {
    /// Maps the first `len` bytes of `file`, which must be at least that long and must not become
    /// shorter while the map lives.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] for a file that is shorter; else whatever the system says.
    pub fn of_file(file: &File, len: usize) -> io::Result<Self> {
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        MmapOptions::new().len(len).map_raw_read_only(file).map(Map)
    }
}

/// A new, empty file without a name, which ends with its last descriptor and map: in memory on Linux, in the directory
/// for temporary files elsewhere. For implementations of [`Disk`](super::Disk), whose files must be mapped.
///
/// # Errors
/// Whatever the system says.
#[cfg(target_os = "linux")]
pub fn unnamed_file() -> io::Result<File> {
    // SAFETY: the name is a constant string that ends with a zero byte, and the call reads nothing else.
    let descriptor = unsafe { libc::memfd_create(c"kinlog".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened by the call above, and nothing else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// A new, empty file without a name, which ends with its last descriptor and map: in memory on Linux, in the directory
/// for temporary files elsewhere. For implementations of [`Disk`](super::Disk), whose files must be mapped.
///
/// # Errors
/// Whatever the system says.
#[cfg(not(target_os = "linux"))]
pub fn unnamed_file() -> io::Result<File> {
    use std::hash::{BuildHasher, RandomState};
    let number = RandomState::new().hash_one(std::process::id());
    let path = std::env::temp_dir().join(format!("kinlog-{number:016x}"));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// A file that is written by `pwrite` and read through a map, divided by a mark that only rises. Bytes below
/// it are readable and never change again; bytes above it are writable.
pub(crate) struct MappedFile {
    /// The descriptor for writing; `None` if the file is only read. A map needs no descriptor, and a store may
    /// have more segments than a process may have descriptors.
    file: RwLock<Option<Arc<dyn DiskFile>>>,
    map: Map,
    mark: AtomicUsize,
}

impl MappedFile {
    /// A file that is fully mapped as `map` and readable up to `mark`. It is not writable yet.
    pub(crate) fn new(map: Map, mark: usize) -> Self {
        let mark = AtomicUsize::new(mark.min(map.0.len()));
        MappedFile { file: RwLock::new(None), map, mark }
    }

    /// Makes it writable through `file`, which must be the mapped one.
    pub(crate) fn begin_writing(&self, file: Arc<dyn DiskFile>) {
        *self.file.write() = Some(file);
    }

    /// Closes the descriptor for writing.
    pub(crate) fn end_writing(&self) {
        *self.file.write() = None;
    }

    /// The readable bytes in `range`; `None` if they are not all below the mark.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        let readable = range.start <= range.end && range.end <= self.mark();
        if !readable {
            return None;
        }
        // SAFETY: `range` lies within the map, as the mark never exceeds its length.
        let start = unsafe { self.map.0.as_ptr().add(range.start) };
        // SAFETY: the bytes are mapped for as long as `self` is borrowed, they are initialised
        // (they are a file's), and they do not change: `write_at` refuses offsets below the mark,
        // which never falls, and the store's lock keeps other writers out. A process that writes
        // to the file in spite of the lock breaks this; docs/safety.md says so.
        Some(unsafe { slice::from_raw_parts(start, range.len()) })
    }

    /// The mark: the file is readable up to here.
    pub(crate) fn mark(&self) -> usize {
        self.mark.load(Ordering::Acquire)
    }

    /// Whether the mark is at the end of the file.
    pub(crate) fn is_published_whole(&self) -> bool {
        self.mark() == self.map.0.len()
    }

    /// Raises the mark: everything below it is readable and final. A lower mark is ignored.
    pub(crate) fn publish(&self, mark: usize) {
        self.mark.fetch_max(mark.min(self.map.0.len()), Ordering::Release);
    }

    /// Writes above the mark.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: usize) -> io::Result<()> {
        let end = offset.checked_add(bytes.len());
        if offset < self.mark() || end.is_none_or(|end| end > self.map.0.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.writable()?.write_at(bytes, offset as u64)
    }

    fn writable(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.file.read().clone().ok_or(io::ErrorKind::InvalidInput.into())
    }

    /// Returns when everything written is on the device (`fdatasync`).
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.writable()?.sync()
    }
}

/// A word of a file, in a shared map of the file's first page.
pub(crate) struct MappedWord {
    page: MmapRaw,
    /// A multiple of 8 below [`WORDS_BYTES`].
    offset: usize,
}

/// How much of a file can have words: the smallest page.
const WORDS_BYTES: usize = 4096;
const WORD_BYTES: usize = size_of::<u64>();

impl MappedWord {
    /// The word at `offset` of `file`, which must have it and keep it.
    ///
    /// Only on file systems that overwrite in place and whose maps show what is written at once: ext2 to ext4, xfs and
    /// tmpfs. One that writes elsewhere (btrfs, zfs) needs space at the first store after each write-back, and a store
    /// that finds none ends the process; a network file system has other caches; what is below an overlay is unknown.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if the file has no such word, [`io::ErrorKind::Unsupported`] on another file
    /// system; else whatever the system says.
    pub(crate) fn of_file(file: &File, offset: u64) -> io::Result<Self> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = offset.saturating_add(WORD_BYTES);
        let is_within = end <= WORDS_BYTES && end as u64 <= file.metadata()?.len();
        if !is_within || !offset.is_multiple_of(WORD_BYTES) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !overwrites_in_place(file)? {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let page = MmapOptions::new().len(WORDS_BYTES).map_raw(file)?;
        Ok(MappedWord { page, offset })
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: `of_file` made sure that the map has 8 bytes from `offset` on.
        let start = unsafe { self.page.as_mut_ptr().add(self.offset) };
        // SAFETY: the bytes are mapped for reading and writing for as long as `self` is borrowed, and aligned, as the
        // map begins with a page and `offset` is a multiple of 8. This program refers to them only here, as an atomic.
        // The system and other processes are outside of it. Should the file become shorter, a store ends the process;
        // docs/safety.md says so.
        unsafe { AtomicU64::from_ptr(start.cast()) }
    }
}

impl DiskWord for MappedWord {
    fn store(&self, number: u64) {
        // Released, so that what this thread wrote before is found by whoever finds this.
        self.word().store(number.to_le(), Ordering::Release);
    }
}

/// Whether the file's system is one of those that [`MappedWord::of_file`] names.
#[cfg(target_os = "linux")]
fn overwrites_in_place(file: &File) -> io::Result<bool> {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const TMPFS: u64 = 0x0102_1994;
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the call writes to nothing but `found`, which is as large as it has to be.
    let called = unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) };
    if called != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled `found`.
    let found = unsafe { found.assume_init() };
    // Its type depends on the machine. None of the three is negative in any.
    let kind = u64::try_from(found.f_type).unwrap_or_default();
    Ok(matches!(kind, EXT | XFS | TMPFS))
}

#[cfg(not(target_os = "linux"))]
fn overwrites_in_place(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// The process that opened a store; detects a process that was forked from it.
///
/// Asking for the process id is a system call. Instead, Linux zeroes a page in every forked process
/// (`MADV_WIPEONFORK`), and a check reads one byte of it.
#[derive(Debug)]
pub(crate) struct Opener {
    process: u32,
    /// `None` where the system does not support this.
    page: Option<MmapMut>,
}

impl Opener {
    /// This process.
    pub(crate) fn new() -> Self {
        Opener { process: std::process::id(), page: page_of_this_process().ok() }
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Whether the calling process is the one that opened the store.
    #[inline]
    pub(crate) fn is_this_process(&self) -> bool {
        match self.page.as_ref().and_then(|page| page.first()) {
            Some(byte) => *byte != 0,
            None => self.process == std::process::id(),
        }
    }
}

/// A page that is not zero in this process, and zero in every process that is forked from it.
#[cfg(target_os = "linux")]
fn page_of_this_process() -> io::Result<MmapMut> {
    let mut page = MmapMut::map_anon(1)?;
    let (start, len) = (page.as_mut_ptr(), page.len());
    // SAFETY: the range is that of a private, anonymous map that `page` owns and that nothing else
    // refers to. The advice changes nothing in this process; in a forked one, no reference to the bytes
    // lasts from before the fork, as `is_this_process` takes a new one each time.
    let advised = unsafe { libc::madvise(start.cast(), len, libc::MADV_WIPEONFORK) };
    if advised != 0 {
        return Err(io::Error::last_os_error());
    }
    page.fill(1);
    Ok(page)
}

#[cfg(not(target_os = "linux"))]
fn page_of_this_process() -> io::Result<MmapMut> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, FileSystem, OpenMode};

    const LEN: usize = 8192;

    /// A file of zeros in a temporary directory, readable up to `mark`.
    fn mapped(mark: usize) -> (MappedFile, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let file = FileSystem::new().open(&dir.path().join("file"), OpenMode::Create).unwrap();
        file.write_at(&[0; LEN], 0).unwrap();
        let mapped = MappedFile::new(file.map(LEN).unwrap(), mark);
        mapped.begin_writing(file);
        (mapped, dir)
    }

    fn content(offset: usize) -> u8 {
        u8::try_from(offset % 251).unwrap()
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn bytes_are_handed_out_below_the_mark_only() {
        let offsets = [0, 1, 4095, 4096, 4097, LEN - 1, LEN, LEN + 1, usize::MAX];
        for mark in offsets {
            let (file, _dir) = mapped(mark);
            for (start, end) in offsets.iter().flat_map(|a| offsets.iter().map(|b| (*a, *b))) {
                let readable = start <= end && end <= mark.min(LEN);
                let found = file.bytes(start..end).map(<[u8]>::to_vec);
                assert_eq!(found, readable.then(|| vec![0; end.wrapping_sub(start)]));
            }
        }
    }

    #[test]
    fn a_mark_never_falls_and_stays_within_the_file() {
        let (file, _dir) = mapped(100);
        for (mark, then) in [(50, 100), (101, 101), (0, 101), (usize::MAX, LEN), (1, LEN)] {
            file.publish(mark);
            assert_eq!((file.mark(), file.is_published_whole()), (then, then == LEN));
        }
    }

    #[test]
    fn only_bytes_above_the_mark_are_written() {
        let (file, _dir) = mapped(100);
        let held = file.bytes(0..100).unwrap();
        for offset in [0, 99, LEN - 3, LEN, usize::MAX] {
            assert!(file.write_at(&[1; 4], offset).is_err(), "{offset}");
        }
        file.write_at(&[1; 4], 100).unwrap();
        assert!(file.bytes(100..104).is_none());
        assert_eq!(held, [0; 100]);
        file.publish(104);
        assert_eq!(file.bytes(100..104).unwrap(), [1; 4]);
        assert!(file.write_at(&[2; 4], 100).is_err());
        file.end_writing();
        assert!(file.write_at(&[2; 4], 104).is_err() && file.sync().is_err());
        assert_eq!(file.bytes(100..104).unwrap(), [1; 4]);
    }

    #[test]
    fn what_is_published_is_read_beside_the_writer() {
        let (file, _dir) = mapped(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for start in (0..LEN).step_by(64) {
                    let bytes: Vec<u8> = (start..start + 64).map(content).collect();
                    file.write_at(&bytes, start).unwrap();
                    file.publish(start + 64);
                }
            });
            while !file.is_published_whole() {
                let bytes = file.bytes(0..file.mark()).unwrap();
                assert!(bytes.iter().enumerate().all(|(offset, byte)| *byte == content(offset)));
            }
        });
    }

    #[test]
    fn a_file_shorter_than_its_map_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LEN as u64).unwrap();
        assert!(Map::of_file(&file, LEN).is_ok());
        let refused = Map::of_file(&file, LEN + 1).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::UnexpectedEof);
    }
}
