//! Everything the store asks of the world: files, directories, locks, a clock, random numbers.
//!
//! The store reaches all of it through [`Disk`], so that a test can put a disk that fails, tears
//! and forgets in its place.

mod file;
mod map;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use file::FileSystem;
pub use map::Map;
pub(crate) use map::{MappedFile, Opener};

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

/// What tells a file or a directory from every other one that exists, whatever its name is by now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId {
    /// The file system it is in.
    pub device: u64,
    /// Its number there, which is not given to another one as long as it is open or mapped.
    pub number: u64,
}

/// A file system, a clock and a source of random numbers.
pub trait Disk: Send + Sync + 'static {
    /// Makes a directory and its parents; succeeds if it is there.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the entries of a directory, in no order.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::NotFound`] if it must exist and does not.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a directory, or the one that a symbolic link leads to.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::NotFound`] if it is not there.
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>>;

    /// The file or directory that a path leads to now.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::NotFound`] if there is none.
    fn id_at(&self, path: &Path) -> io::Result<FileId>;

    /// Whether the path is a symbolic link. The store follows none of those inside its directory.
    ///
    /// # Errors
    /// Whatever the file system says; a disk without links needs no more than this default.
    fn is_link(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(false)
    }

    /// Renames a file; lasts through a power loss after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; lasts through a power loss after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file a second name, `to`, which must not exist; lasts through a power loss after
    /// [`Disk::sync_dir`]. Where this fails for whatever reason, the file is copied instead, so
    /// that a disk without links needs no more than this default.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::Unsupported`] by default.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The time of day.
    fn now(&self) -> Timestamp;

    /// A number that nobody can foresee and that does not repeat.
    fn random(&self) -> u64;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn size(&self) -> io::Result<u64>;

    /// How many bytes of the device are set aside for it: fewer than it is long if it has holes. A disk
    /// without holes needs no more than this default, its length.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn allocated(&self) -> io::Result<u64> {
        self.size()
    }

    /// How many names it has. A disk without links needs no more than this default, one.
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

    /// Writes all of `bytes` at `offset`, beyond the end too.
    ///
    /// # Errors
    /// Whatever the file system says; some of the bytes may then have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when the content and the length are on the device.
    ///
    /// # Errors
    /// Whatever the file system says; what was written since the last success is then in doubt.
    fn sync(&self) -> io::Result<()>;

    /// Which file it is.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn id(&self) -> io::Result<FileId>;

    /// Maps the first `len` bytes for reading. The file must be that long and stay that long.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn map(&self, len: usize) -> io::Result<Map>;
}

/// An open directory: what a store locks, since it cannot be made anew without the store being gone.
pub trait DiskDir: Send + Sync {
    /// Which directory it is.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn id(&self) -> io::Result<FileId>;

    /// Takes the directory's exclusive lock until this is dropped, or says that another holds one. A
    /// process that was forked from this one neither holds the lock nor gives it back.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn try_lock(&self) -> io::Result<bool>;

    /// Takes the directory's shared lock until this is dropped, or says that another holds the
    /// exclusive one.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn try_lock_shared(&self) -> io::Result<bool>;
}

/// Sixteen bytes that nobody can foresee.
pub(crate) fn random_bytes(disk: &dyn Disk) -> [u8; 16] {
    let bytes = (u128::from(disk.random()) << 64) | u128::from(disk.random());
    bytes.to_le_bytes()
}

/// Makes a file under a temporary name, which an attempt that was cut short may have left behind.
pub(crate) fn create_anew(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.open(path, OpenMode::Create),
    }
}
