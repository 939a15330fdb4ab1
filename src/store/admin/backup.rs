//! Backup: a copy of the store as of now, while writers go on.

use std::path::Path;

use crate::error::Result;
use crate::id::Position;
use crate::log::backup::{Copied, copy};
use crate::log::format::Paths;
use crate::store::shared::Store;

/// Progress of a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Bytes of segments that were copied or linked.
    pub bytes: u64,
    /// Bytes of all segments.
    pub total: u64,
}

/// The result of a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BackupReport {
    /// The end of the copy: it holds every commit before this position, and none from there on.
    pub end: Position,
    /// Commits in the copy, each of which was verified.
    pub commits: u64,
    /// Segments that were written.
    pub copied: u32,
    /// Segments that are shared with the base, by hard links.
    pub linked: u32,
    /// Bytes that were written to segments.
    pub bytes: u64,
}

impl Store {
    /// Copies the store as of now, up to [`Store::end`], into the directory `to`, which must be
    /// empty or not exist; commits go on meanwhile. A store that is open for reading only is
    /// copied as far as it was read, whether another process writes it or not.
    ///
    /// The copy is a store that was shut down. To restore, open it or any plain copy of it. It is on the device
    /// when this returns. Its manifest is renamed to its final name last, so an unfinished backup is not a store;
    /// the next one into the same directory starts over. The checksums of every frame are verified.
    ///
    /// With `base`, a former backup of the same store or a copy of one, segments that are full
    /// there already are compared byte by byte and linked (hard links) instead of copied.
    /// The commits of a full segment never change, so each backup can be opened, written to and deleted
    /// independently. But there is only one copy of a shared segment, and damage to it affects all backups that
    /// share it: make a full backup from time to time. Where the disk cannot link, as across file systems,
    /// segments are copied.
    ///
    /// A backup has the identity of its store. Write to one of them only: after that, backups of one cannot be
    /// bases of backups of the other.
    ///
    /// # Errors
    /// [`Error::NotEmpty`](crate::Error::NotEmpty) if `to` is not empty;
    /// [`Error::Nested`](crate::Error::Nested) if it is within the store or `base`, or they in it;
    /// [`Error::Displaced`](crate::Error::Displaced) if it was moved or replaced meanwhile;
    /// [`Error::Locked`](crate::Error::Locked) if another backup is being made there;
    /// [`Error::NotAStore`](crate::Error::NotAStore) if there is nothing in `base`, and
    /// [`Error::NotABase`](crate::Error::NotABase) if it is of another store, has commits that
    /// this one does not have, is the store itself or shares its files, or a process writes it;
    /// [`Error::Corrupt`](crate::Error::Corrupt) for damage, to the store or to the base;
    /// [`Error::Io`](crate::Error::Io). The store is not changed, nor is the base.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (data, monday, tuesday) =
    /// #     (dir.path().join("data"), dir.path().join("monday"), dir.path().join("tuesday"));
    /// use kinlog::{NewRun, Options, Store, Verdict};
    ///
    /// let store = Options::new().segment_bytes(1 << 20).open(&data)?;
    /// store.backup(&monday, None, |_| {})?;
    ///
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// tx.commit()?;
    /// let report = store.backup(&tuesday, Some(&monday), |progress| {
    ///     println!("{} of {} bytes", progress.bytes, progress.total);
    /// })?;
    /// assert_eq!((report.commits, report.end), (1, store.end()));
    ///
    /// let restored = Store::open(&tuesday)?;
    /// assert_eq!(restored.report().verdict, Verdict::Clean);
    /// assert_eq!(restored.history(&order)?.len(), 1);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn backup(
        &self,
        to: impl AsRef<Path>,
        base: Option<&Path>,
        mut progress: impl FnMut(BackupProgress),
    ) -> Result<BackupReport> {
        let shared = &self.shared;
        shared.here()?;
        let view = shared.published.view();
        let paths = |path: &Path| Paths { root: path.to_owned() };
        let (to, base) = (paths(to.as_ref()), base.map(paths));
        let (last, _) = view.identity.locate(view.end);
        let total = view.file_bytes_before(last.saturating_add(1));
        let mut bytes = 0;
        let mut done = |more| {
            bytes += more;
            progress(BackupProgress { bytes, total });
        };
        let disk = shared.disk.as_ref();
        let copied = copy(disk, &shared.paths, &view, &to, base.as_ref(), &mut done)?;
        let Copied { commits, copied, linked, bytes } = copied;
        Ok(BackupReport { end: view.end, commits, copied, linked, bytes })
    }
}
