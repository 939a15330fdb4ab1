//! The store's lock: on its directory, which cannot be made anew under the same name without the store
//! being gone from there. A file of the store's own could be removed and made again, and then two
//! processes would each hold a lock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::location::check_at;
use super::lock_record::LockRecord;
use crate::disk::{Disk, DiskDir};
use crate::error::{Error, Result};
use crate::holder::{Holder, Whereabouts};
use crate::log::format::Paths;

/// A reader that asks whether a writer lives holds the lock for an instant; a writer outwaits it.
const ATTEMPTS: u32 = 25;
const PAUSE: Duration = Duration::from_millis(2);

/// The lock of a store, which lasts as long as the value.
pub(crate) struct Lock {
    dir: Arc<dyn DiskDir>,
}

impl Lock {
    /// Takes the lock of the store for a writer.
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
        // Between the opening and the locking another one may have come in its place.
        lock.check_place(disk, paths)?;
        Ok(lock)
    }

    /// [`Error::Displaced`] if the path leads to another directory than the one that is locked.
    pub(crate) fn check_place(&self, disk: &dyn Disk, paths: &Paths) -> Result<()> {
        let id = self.dir.id().map_err(|e| Error::io("look at", &paths.root, e))?;
        check_at(disk, &paths.root, id)
    }

    /// Keeps writers out, for a reader to whom they would be in the way.
    pub(crate) fn share(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let lock = Lock { dir: open(disk, paths)? };
        let shared = lock.dir.try_lock_shared().map_err(|e| Error::io("lock", &paths.root, e))?;
        if shared { Ok(lock) } else { Err(lock.locked(disk, paths)) }
    }

    /// The error for a lock that another one holds.
    fn locked(&self, disk: &dyn Disk, paths: &Paths) -> Error {
        let held_by_readers = self.dir.try_lock_shared().is_ok_and(|shared| shared);
        let holder = match held_by_readers {
            true => Holder { whereabouts: Whereabouts::Reader, ..Holder::default() },
            // What cannot be read says nothing.
            false => {
                let word = LockRecord::read(disk, paths).unwrap_or_default();
                Holder::find(word.process, word.host)
            }
        };
        Error::Locked { path: paths.root.clone(), holder }
    }

    /// Whether a process has the store open for writing.
    pub(crate) fn is_held(disk: &dyn Disk, paths: &Paths) -> Result<bool> {
        // Shared, so that two readers do not take each other for a writer. Dropping it gives the
        // lock back.
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
