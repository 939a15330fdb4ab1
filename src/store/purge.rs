//! Purging: nothing of erased runs is left in any file.

use std::path::Path;

use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::index::cold::remove_index;
use crate::retention::{Compacted, Compaction, Erased};
use crate::store::Options;

/// The table that says when the store was purged last: key empty, value the time.
const PURGED_TABLE: &str = "kinlog.purged";

/// What [`purge`] came to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Purged {
    /// What was erased.
    pub erased: Erased,
    /// What became of the segments.
    pub compacted: Compacted,
}

/// Erases deleted runs, and rewrites the store's files until nothing is left of those that could be erased: no event, no payload, no
/// id. For a person's right to be forgotten; delete the runs first ([`Transaction::delete_chain`](crate::Transaction::delete_chain),
/// [`Store::delete_tree`](crate::Store::delete_tree)), with nothing kept.
///
/// The store must not be open anywhere. It is opened for writing several times, all of its log is read, and rewritten where anything is
/// dead, and the index is built anew: minutes for a large store. Durable when it returns; called again after a crash, it
/// goes on.
///
/// What it cannot reach: segments that a [consumer](crate::Transaction::advance_consumer) still has to read, which
/// [`Compacted::held_back`] tells; rows of an engine's tables, which the engine deletes; backups; what healing has put into the directory `quarantine`; blocks that the
/// file system has freed and not written to again; and runs that [cannot be erased](crate::Store::erase), which it counts.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use kinlog::{Close, NewRun, Options, Store, retention::Keep};
///
/// let store = Store::open(dir.path())?;
/// let start = |id: &str| store.transact(|tx| tx.start(NewRun::new("shop", id, "Order")));
/// start("the first of its type")?;
/// let (order, _) = start("jane@example.org")?;
/// store.close_run(&order, Close::completed(b""))?;
/// store.transact(|tx| tx.delete_run(&order, Keep::Nothing))?;
/// store.shut_down()?;
/// let purged = kinlog::admin::purge(dir.path(), &Options::new())?;
/// assert_eq!((purged.erased.runs, purged.erased.left), (1, 0));
/// # Ok::<(), kinlog::Error>(())
/// ```
///
/// # Errors
/// As [`Options::open`], [`Store::erase`](crate::Store::erase) and [`Store::compact`](crate::Store::compact); the error of the disk, such as [`Error::Io`], if the index
/// cannot be written, and segments had to be left for that, or if its files cannot be removed: free space, or look at the device, and call it again. What was
/// done until then stays done.
pub fn purge(store: impl AsRef<Path>, options: &Options) -> Result<Purged> {
    let (path, options) = (store.as_ref(), options.clone().create(false).read_only(false));
    let store = options.open(path)?;
    let erased = store.erase()?;
    // The segment in which the log ends is rewritten, too: the log goes on in the next one.
    store.shared.writer()?.seal()?;
    let mut tx = store.begin();
    tx.put_row(PURGED_TABLE, b"", Some(&tx.now().unix_nanos().to_le_bytes()))?;
    tx.commit()?;
    let shared = store.shared.clone();
    shared.freezer.freeze(&mut shared.index.write());
    store.shut_down()?;
    // The index that was written then ends behind all that is rewritten.
    let (_, failure) = shared.freezer.waiting();
    drop(shared);
    let store = options.open(path)?;
    let (last, _) = store.shared.published.identity.locate(store.end());
    let compacted = store.compact(&Compaction::new().drops_all())?;
    let are_all = wide(compacted.segments.len()) >= u64::from(last);
    if !are_all && compacted.held_back.is_none() {
        let bug = || Error::internal("a segment was left out, though the index was written");
        return Err(failure.unwrap_or_else(bug));
    }
    let (disk, paths) = (store.shared.disk.clone(), store.shared.paths.clone());
    store.shut_down()?;
    remove_index(disk.as_ref(), &paths)?;
    options.open(path)?.shut_down()?;
    Ok(Purged { erased, compacted })
}
