//! The store's lock, which is on its directory. A lock file could be removed and created again, after which
//! two processes would each hold a lock; the directory cannot be replaced without replacing the store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::location::check_at;
use super::lock_record::LockRecord;
use crate::disk::{Disk, DiskDir};
use crate::error::{Error, Result};
use crate::holder::{Holder, Whereabouts};
use crate::log::format::Paths;

/// How often a writer tries. A reader that checks for a writer holds the lock for a moment.
const ATTEMPTS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(2);

/// The lock of a store, released when dropped.
pub(crate) struct Lock {
    dir: Arc<dyn DiskDir>,
}

impl Lock {
    /// Takes the exclusive lock, for a writer.
    pub(crate) fn acquire(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let lock = Lock { dir: open(disk, paths)? };
        let try_lock = || lock.dir.try_lock().map_err(|e| Error::io("lock", &paths.root, e));
        let mut attempts = 0;
        while !try_lock()? {
            attempts += 1;
            if attempts == ATTEMPTS {
                return Err(lock.locked(disk, paths));
            }
            std::thread::sleep(PAUSE);
        }
        // The directory may have been replaced between opening and locking it.
        lock.check_location(disk, paths)?;
        Ok(lock)
    }

    /// [`Error::Displaced`] if the path leads to another directory than the one that is locked.
    pub(crate) fn check_location(&self, disk: &dyn Disk, paths: &Paths) -> Result<()> {
        let id = self.dir.id().map_err(|e| Error::io("look at", &paths.root, e))?;
        check_at(disk, &paths.root, id)
    }

    /// Takes the shared lock, for a reader that must keep writers out.
    pub(crate) fn share(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let lock = Lock { dir: open(disk, paths)? };
        let shared = lock.dir.try_lock_shared().map_err(|e| Error::io("lock", &paths.root, e))?;
        if shared { Ok(lock) } else { Err(lock.locked(disk, paths)) }
    }

    /// The error for a lock that another process holds.
    fn locked(&self, disk: &dyn Disk, paths: &Paths) -> Error {
        let held_by_readers = self.dir.try_lock_shared().is_ok_and(|shared| shared);
        let holder = match held_by_readers {
            true => Holder { whereabouts: Whereabouts::Reader, ..Holder::default() },
            // A record that cannot be read leaves the holder unknown.
            false => {
                let record = LockRecord::read(disk, paths).unwrap_or_default();
                Holder::find(record.process, record.host)
            }
        };
        Error::Locked { path: paths.root.clone(), holder }
    }

    /// Whether a process has the store open for writing.
    pub(crate) fn is_held(disk: &dyn Disk, paths: &Paths) -> Result<bool> {
        // Shared, so that two readers do not take each other for a writer. Dropping it releases the lock.
        match Self::share(disk, paths) {
            Ok(_) => Ok(false),
            Err(Error::Locked { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn open(disk: &dyn Disk, paths: &Paths) -> Result<Arc<dyn DiskDir>> {
    disk.open_dir(&paths.root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotAStore { path: paths.root.clone(), unfinished: false },
        _ => Error::io("open", &paths.root, error),
    })
}
