//! Salvage: copies what is provably whole in a corrupt store into a new one, and lists what is lost.
//!
//! The source is only read. If one of its segments was compacted, a first pass finds out what was deleted and erased
//! (`survey`): of such runs, parts are missing that others build on (`filled`, `bridges`). Its segments are read frame by frame, as in recovery (`walk`). After a frame that
//! does not verify, the next one that does is proof that the log continues there. Commits are imported into the
//! new store in the order of the source (`rescue`), each whole if what it depends on is there; a run ends before
//! its first batch that cannot be kept. The new store is created under a temporary name and renamed when it is
//! complete.

mod bridges;
mod child_sizes;
mod destination;
mod filled;
mod image;
mod kept_batch;
mod left_out;
mod losses;
mod parts;
mod reading;
mod report;
mod rescue;
mod runs;
mod source;
mod survey;
mod walk;

use std::path::Path;

pub use report::{
    CutRun, DamagedFile, FileDamage, LeftOutRun, LossStatus, LostRange, ManifestState,
    SalvageProgress, SalvageReport, Shortfall, StaleTable, UnknownRun,
};

use crate::error::{Error, Result};
use crate::log::files::Lock;
use crate::log::format::Paths;
use crate::log::open::Verdict;
use crate::store::Options;
use reading::Salvage;
use source::Source;

/// Copies what is provably whole in the store `src` into a new store `dst`, and lists what is lost.
///
/// `dst` is then an ordinary store: it opens as [`Clean`](crate::Verdict::Clean) and passes
/// [`Store::verify`](crate::Store::verify). Ids, times and the bytes of every event are those of the
/// source. Run numbers and positions are new, and relations, duties and sizes are derived from the
/// histories that were kept. A run is kept up to its first lost batch, and is open if its closing event
/// is lost. Row changes are kept from every commit that was found, even if other parts of the commit could
/// not be; the report names the tables whose rows may be out of date. Keys of events are kept with their events.
/// [Consumers](crate::Store::consumers) of the log are not copied: they begin anew.
///
/// Nothing is ever written to `src`. `dst` must be empty or not exist, and must not be within `src`. It is
/// created as `dst` with `.partial` after its name, and renamed when everything is on the device; after an
/// error or a crash that directory is left, to be removed by hand. Of `options`, only the disk is used.
/// Memory is bounded by one segment, the index of the new store, and an entry for each run of the source.
///
/// Of a source that was [compacted](crate::Store::compact), deleted runs are kept with what is left of them. In place of each event that
/// is missing, the new store has a marker of 16 bytes, with the time of the next event that is there: nobody reads such a
/// history, but other runs refer to it. Such a run takes less then, but the [size of a child](crate::Child::size) stays what it was. Deleted runs whose end is lost are
/// left out ([`SalvageReport::runs_left_out`]), and so is what needs them. Runs that were [erased](crate::Store::erase) are unknown
/// to the new store, too; to join a chain over a gap of such runs, its log begins the first one and the last one of them
/// again, without their events, and erases them. A frame of a compacted segment is found by the segment's table alone: if
/// that is damaged, all of the segment is lost.
///
/// A lost commit is noticed by the damage in its place and by later batches of its runs. If there are no
/// later batches, its runs are not known, and count as whole.
///
/// # Errors
/// [`Error::Locked`] if a process has `src` open for writing, [`Error::NotAStore`] if there is none,
/// [`Error::UnsupportedFormat`] for one of another version, [`Error::Corrupt`] if its
/// store id is not known from any file, [`Error::NotEmpty`], [`Error::Nested`] and [`Error::InvalidArgument`]
/// for an unsuitable `dst`, [`Error::Io`] and [`Error::NotWritten`] if `dst` cannot be written. What cannot be
/// read of `src` is no error, but reported as damage.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let (src, dst) = (dir.path().join("a"), dir.path().join("b"));
/// # let store = kinlog::Options::new().segment_bytes(1 << 20).open(&src)?;
/// # let mut tx = store.begin();
/// # let order = tx.start(kinlog::NewRun::new("shop", "order-42", "Order"))?;
/// # tx.commit()?;
/// # drop(store);
/// let report = kinlog::salvage::salvage(&src, &dst, &kinlog::Options::new(), |_| ())?;
/// assert!(report.is_complete());
/// assert_eq!(kinlog::Store::open(&dst)?.history(&order)?.len(), 1);
/// # Ok::<(), kinlog::Error>(())
/// ```
pub fn salvage(
    src: impl AsRef<Path>,
    dst: impl AsRef<Path>,
    options: &Options,
    progress: impl FnMut(SalvageProgress),
) -> Result<SalvageReport> {
    let (src, dst) = (src.as_ref(), dst.as_ref());
    let disk = options.disk.as_ref();
    let partial = destination::prepare_destination(disk, src, dst)?;
    let paths = Paths { root: src.to_owned() };
    let _lock = Lock::share(disk, &paths)?;
    let source = Source::find(disk, &paths)?;
    let segment_bytes = source.identity.segment_bytes;
    let options = options.clone().create(true).read_only(false).segment_bytes(segment_bytes);
    let store = options.open(&partial)?;
    if store.report().verdict != Verdict::Created {
        return Err(Error::NotEmpty { path: partial });
    }
    let mut salvage = Salvage::new(disk, &source, store.import(), progress);
    salvage.read()?;
    let report = salvage.report();
    store.shut_down()?;
    disk.rename(&partial, dst).map_err(|e| Error::io("rename", &partial, e))?;
    let parent = dst.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    disk.sync_dir(parent).map_err(|e| Error::io("sync", parent, e))?;
    Ok(report)
}
