//! Salvage: what is provably whole in a corrupt store, copied into a new one, and a list of what
//! is lost.
//!
//! The source is only read. Its segments are gone through as recovery does (`walk`); where a frame
//! does not verify, the next one that does is proof that the log goes on there. Commits go into the
//! new store in the order of the source (`rescue`), each whole if what it builds on is there; a run
//! ends before its first batch that is not. The new store is made under another name and gets its own
//! when it is finished.

mod destination;
mod image;
mod losses;
mod piece;
mod reading;
mod report;
mod rescue;
mod runs;
mod source;
mod walk;

use std::path::Path;

pub use report::{
    CutRun, DamagedFile, FileDamage, LostRange, ManifestState, SalvageProgress, SalvageReport,
    Shortfall, StaleTable, Standing, UnknownRun,
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
/// `dst` then is a store like any other: it opens as [`Clean`](crate::Verdict::Clean) and passes
/// [`Store::verify`](crate::Store::verify). Ids, times and the bytes of every event are those of the
/// source; run numbers and positions are its own, and relations, duties and sizes follow from the
/// histories that it has. A run is there up to its first batch that is lost, and open if its close
/// is. Row changes are there from every commit that was found, those of other parts of which could
/// not be kept among them; the report names the tables whose rows may be out of date.
///
/// Nothing is ever written to `src`. `dst` must be empty or not there, and not within `src`. It is
/// made beside its place, as `dst` with `.partial` behind its name, and renamed when everything is
/// on the device; after an error or a crash that directory is left, to be removed by hand. Of
/// `options`, the disk counts. Memory is bounded by one segment and the index of the new store.
///
/// A lost commit is known by the damage where it lay and by what follows it in its runs. If nothing
/// follows, nothing says which run it belonged to, and that run counts as whole.
///
/// # Errors
/// [`Error::Locked`] if a process writes `src`, [`Error::NotAStore`] if there is none,
/// [`Error::UnsupportedFormat`] for one of another version, [`Error::Corrupt`] if nothing in it says
/// which store it is, [`Error::NotEmpty`], [`Error::Nested`] and [`Error::InvalidArgument`] for a `dst` that
/// will not do, [`Error::Io`] and [`Error::NotWritten`] if `dst` cannot be written. What cannot be read of
/// `src` is no error, but damage.
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
