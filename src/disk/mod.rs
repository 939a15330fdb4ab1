//! The environment of a store: files, directories, locks, `fsync`, a clock, random numbers.
//!
//! The store uses it only through [`Disk`], so that a test can replace it by a simulated disk, with failing
//! operations, torn writes and power losses.

mod file;
mod map;
mod memory;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use file::FileSystem;
pub use map::{Map, unnamed_file};
pub(crate) use map::{MappedFile, MappedWord, Opener};
pub use memory::Memory;

use crate::id::Timestamp;

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; an error if it exists.
    Create,
}

/// The identity of a file or directory, independent of its path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId {
    /// The file system that it is in.
    pub device: u64,
    /// Its inode number, which is not reused as long as it is open or mapped.
    pub number: u64,
}

/// A file system, a clock and a source of random numbers.
pub trait Disk: Send + Sync + 'static {
    /// Creates a directory and its parents; succeeds if it exists.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the entries of a directory, in any order.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::NotFound`] if it must exist and does not.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a directory; follows a symbolic link.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::NotFound`] if it is not there.
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>>;

    /// The identity of the file or directory at a path.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::NotFound`] if there is none.
    fn id_at(&self, path: &Path) -> io::Result<FileId>;

    /// Whether the path is a symbolic link. The store follows none inside its directory. The default, for a
    /// disk without symbolic links, is `false`.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn is_link(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(false)
    }

    /// Renames a file; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a hard link `to` a file, which must not exist; durable after [`Disk::sync_dir`]. If this fails for
    /// any reason, the store copies the file instead. The default, for a disk without hard links, fails.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::Unsupported`] by default.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the entries of a directory durable (`fsync` of the directory).
    ///
    /// # Errors
    /// Whatever the file system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The current time.
    fn now(&self) -> Timestamp;

    /// An unpredictable number that does not repeat.
    fn random(&self) -> u64;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn size(&self) -> io::Result<u64>;

    /// How many bytes are allocated for it: fewer than its length if it has holes. The default, for a disk
    /// without sparse files, is its length.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn allocated(&self) -> io::Result<u64> {
        self.size()
    }

    /// How many hard links it has. The default, for a disk without hard links, is one.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn names(&self) -> io::Result<u64> {
        Ok(1)
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the file ends before; else whatever the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; extends the file if needed.
    ///
    /// # Errors
    /// Whatever the file system says; some of the bytes may then have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when content and length are on the device (`fdatasync`, `F_FULLFSYNC` on macOS).
    ///
    /// # Errors
    /// Whatever the file system says. What was written since the last successful sync may then be lost, even if
    /// a later sync succeeds.
    fn sync(&self) -> io::Result<()>;

    /// The identity of the file.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn id(&self) -> io::Result<FileId>;

    /// Maps the first `len` bytes for reading. The file must be that long and stay that long.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn map(&self, len: usize) -> io::Result<Map>;

    /// The 8 bytes at `offset`, a multiple of 8 within the first 4096 bytes, as a word. The file must be that long, and
    /// must not become shorter while the word lives. `None` where words are not to be had: then the store writes
    /// instead. This is the default.
    fn word(&self, offset: u64) -> Option<Box<dyn DiskWord>> {
        let _ = offset;
        None
    }
}

/// Eight bytes of a file that are stored to at once, without a call to the system. Like anything that is written, what
/// is stored survives the end of the process, and of a power loss only what a sync of the file covered.
pub trait DiskWord: Send + Sync {
    /// Stores a number in little-endian order. Whoever reads the file from then on finds it whole, and once it has been
    /// read, whatever this thread wrote to any file before. Only one thread stores to these bytes or writes them at a time.
    fn store(&self, number: u64);
}

/// An open directory. A store's lock is on its directory, which cannot be replaced without replacing the store.
pub trait DiskDir: Send + Sync {
    /// The identity of the directory.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn id(&self) -> io::Result<FileId>;

    /// Takes the exclusive lock of the directory, until this is dropped; `false` if another lock is held. A
    /// process that was forked from this one neither holds the lock nor releases it.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn try_lock(&self) -> io::Result<bool>;

    /// Takes the shared lock of the directory, until this is dropped; `false` if an exclusive lock is held.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn try_lock_shared(&self) -> io::Result<bool>;
}

/// Sixteen unpredictable bytes.
pub(crate) fn random_bytes(disk: &dyn Disk) -> [u8; 16] {
    let bytes = (u128::from(disk.random()) << 64) | u128::from(disk.random());
    bytes.to_le_bytes()
}

/// Creates a file under a temporary name; replaces what an unfinished attempt left there.
pub(crate) fn create_anew(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.open(path, OpenMode::Create),
    }
}
