//! The store: the log, the index over it, and the transactions that go into both.

mod append;
mod backup;
mod begin;
mod bookmark;
mod chain;
mod child;
mod children;
mod commit;
mod deliver;
mod duties;
mod enqueue;
mod history;
mod intake;
mod kin;
mod lineage;
mod links;
mod next;
mod parent;
mod past;
mod pins;
mod reads;
mod relation;
mod report;
mod request;
mod reset;
mod retry;
mod rows;
mod run;
mod scan;
mod seen;
mod sequence;
mod settle;
mod size;
mod snapshot;
mod spawn;
mod start;
mod stats;
mod step;
mod steps;
mod tail;
mod touched;
mod transaction;
mod tree;
mod verify;
mod way;
mod workspace;

use std::path::Path;
use std::sync::Arc;

pub use backup::{BackupProgress, BackupReport};
pub use chain::{Chain, ChainEvents, Link};
pub use child::{Child, ChildState};
pub use children::Children;
pub use commit::{Commit, CommitHandle, Notice};
pub use duties::{Duty, DutyFilter, DutyList};
pub use history::{Events, History};
pub(crate) use intake::Intake;
pub use next::NextRun;
pub use parent::{Parent, Root};
pub use request::{CancelRequest, Target};
pub use reset::NewReset;
pub use rows::RowIs;
pub use run::{RunFilter, RunInfo, Runs};
pub use scan::{OwnedRow, RowScan};
pub use settle::Settled;
pub use snapshot::{Row, Rows, Snapshot};
pub use spawn::{NewChild, StartChildFailedCause};
pub use start::{Close, NewRun, StartOutcome};
pub use stats::Stats;
pub use tail::{BatchView, CommitView, RowChange, Tail};
pub use transaction::{Expect, Transaction};
pub use tree::{Tree, TreeNode};
pub use verify::{VerifyProgress, VerifyReport};

use crate::disk::{Disk, Opener};
use crate::error::{Error, Result};
use crate::event::NewEvent;
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Index, IndexLock, NAMESPACES_TABLE, encode_limits};
use crate::limits::Limits;
use crate::log::{self, OpenReport, Opening, Paths, Place, Published, Replay, Verdict, Writer};
use crate::options::{Clock, Options};
use crate::sync::Mutex;
use pins::Pins;
use retry::retry;
use seen::Seen;
use workspace::Workspaces;

/// A store of histories: one directory, one process that writes it, any number that read it.
///
/// All methods take `&self` and may be called from any number of threads. Dropping the store
/// closes it in order; [`Store::shut_down`] does the same and reports errors.
///
/// A store belongs to the process that opened it. In a process that is forked from that one, calls
/// get [`Error::Forked`], those that return no error find nothing, and dropping the store does nothing to the
/// other process's. A fork that goes on to another program need not care.
pub struct Store {
    shared: Arc<Shared>,
    background: Mutex<Option<log::Background>>,
    report: OpenReport,
}

/// What transactions, snapshots and tails need of their store.
pub(crate) struct Shared {
    disk: Arc<dyn Disk>,
    clock: Option<Clock>,
    paths: Paths,
    place: Arc<Place>,
    published: Arc<Published>,
    writer: Option<Arc<Writer>>,
    /// The epoch from which on a writer's word is news to a store open for reading only.
    since: u32,
    index: IndexLock,
    /// The process in which the store can be used.
    opener: Arc<Opener>,
    pins: Arc<Pins>,
    workspaces: Workspaces,
    /// The bytes of each commit are checked against all rules before they are written.
    recheck_commits: bool,
}

impl Store {
    /// Opens the store in the directory `path`, and makes it if it is not there.
    ///
    /// # Errors
    /// As [`Options::open`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use kinlog::{Close, NewRun, Store};
    ///
    /// let store = Store::open(dir.path())?;
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order").input(b"{}"))?;
    /// tx.commit()?;
    /// store.close(&order, Close::completed(b"ok"))?;
    ///
    /// for event in &store.history(&order)? {
    ///     let event = event?;
    ///     println!("{:>5} {} {} B", event.id(), event.kind(), event.size());
    /// }
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(path)
    }

    pub(crate) fn open_with(
        opening: Opening,
        clock: Option<Clock>,
        recheck_commits: bool,
    ) -> Result<Self> {
        let mut index = Index::default();
        let sighted = log::sighted(&opening);
        let mut opened = log::open(&opening, &mut index);
        let overtaken = log::overtaken(&opening, sighted, &opened)?;
        let full = opened.as_ref().is_err_and(|error| log::make_space(&opening, error));
        if overtaken || full {
            index = Index::default();
            opened = log::open(&opening, &mut index);
        }
        let opened = opened?;
        index.end = opened.published.end();
        let (writer, background) = opened.writing.unzip();
        let (report, opener) = (opened.report, opened.opener);
        let shared = Shared {
            disk: opening.disk,
            clock,
            paths: opening.paths,
            place: opened.place,
            published: opened.published,
            writer,
            since: report.epoch.saturating_add(u32::from(report.verdict != Verdict::Live)),
            index: IndexLock::new(index, opener.clone()),
            pins: Arc::new(Pins::new(opener.clone())),
            opener,
            workspaces: Workspaces::default(),
            recheck_commits,
        };
        let background = Mutex::new(background);
        Ok(Store { shared: Arc::new(shared), background, report })
    }

    /// What opening found and did.
    #[must_use]
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.paths.root
    }

    /// Where the published log ends: the position of the next commit, or before it.
    #[must_use]
    pub fn end(&self) -> Position {
        self.shared.published.end()
    }

    /// Begins a transaction. What its steps see is compared when it is committed, and
    /// [`Error::Overtaken`] says that another commit changed it: [`Store::transact`] then begins again.
    /// Dropping it changes nothing.
    #[must_use]
    pub fn begin(&self) -> Transaction<'_> {
        Transaction::new(&self.shared)
    }

    /// Appends one event in a commit of its own; returns the commit. Durable when it returns.
    ///
    /// # Errors
    /// As [`Transaction::append`] and [`Transaction::commit`].
    pub fn append(&self, run: &RunId, event: NewEvent<'_>) -> Result<Commit> {
        retry(|| {
            let mut tx = self.begin();
            tx.expect(run, Expect::Any)?;
            tx.append(run, event)?;
            tx.commit()
        })
    }

    /// Closes a run in a commit of its own. Durable when it returns.
    ///
    /// # Errors
    /// As [`Transaction::close`] and [`Transaction::commit`].
    pub fn close(&self, run: &RunId, close: Close<'_>) -> Result<Commit> {
        retry(|| {
            let mut tx = self.begin();
            tx.expect(run, Expect::Any)?;
            tx.close(run, close)?;
            tx.commit()
        })
    }

    /// Sets the limits of a namespace, which need not have been used before. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for a name that is too long, and as [`Transaction::commit`].
    pub fn set_limits(&self, namespace: &str, limits: Limits) -> Result<Commit> {
        let mut tx = self.begin();
        start::check_namespace(namespace)?;
        tx.put_row(NAMESPACES_TABLE, namespace.as_bytes(), Some(&encode_limits(&limits)))?;
        tx.commit()
    }

    /// The limits of a namespace: the defaults if none were set.
    #[must_use]
    pub fn limits(&self, namespace: &str) -> Limits {
        let index = self.shared.index.read();
        index.namespaces.get(namespace).map(|found| found.limits).unwrap_or_default()
    }

    /// The names of the namespaces, in order.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let index = self.shared.index.read();
        let mut names: Vec<_> = index.namespaces.iter().map(|n| n.name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// Holds the store still at the last published commit, for any number of reads. Writers go on
    /// beside it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.shared)
    }

    /// The history of a run, as of now.
    ///
    /// # Errors
    /// [`Error::RunNotFound`].
    pub fn history(&self, run: &RunId) -> Result<History> {
        self.shared.here()?;
        // Under the lock, nothing that the view sees is forgotten.
        let index = self.shared.index.read();
        let view = self.shared.published.view();
        let lineage = Seen { index: &index, end: view.end }.lineage(run)?;
        drop(index);
        Ok(History::new(view, lineage))
    }

    /// What is known about a run, as of now.
    ///
    /// # Errors
    /// [`Error::RunNotFound`].
    pub fn run(&self, run: &RunId) -> Result<RunInfo> {
        self.shared.here()?;
        self.shared.seen(&self.shared.index.read()).run(run)
    }

    /// The run that a workflow id stands for, as of now; `None` if there was never one.
    #[must_use]
    pub fn current_run(&self, namespace: &str, workflow_id: &str) -> Option<RunId> {
        self.shared.seen(&self.shared.index.read()).current_run(namespace, workflow_id)
    }

    /// A row of a table, as of now.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the row cannot be read.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.snapshot().get(table, key)?.map(<[u8]>::to_vec))
    }

    /// Every commit from `from` on, then those to come. [`Position::START`] for all.
    #[must_use]
    pub fn tail(&self, from: Position) -> Tail {
        Tail::new(self.shared.clone(), from)
    }

    /// Returns when everything committed so far, buffered or not, is on the device.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or [`Error::OutcomeUnknown`] if a sync fails, after which the store
    /// takes no more commits.
    pub fn sync(&self) -> Result<()> {
        self.shared.writer()?.sync()
    }

    /// Says that no commit will come for a while. What the store does by itself when none has come
    /// for 50 ms is done when this returns: the manifest says how far the log is on the device, so
    /// that damage to what was synced is told from a commit in flight even after a power loss.
    /// Nothing of the log is written or synced for that; buffered commits stay buffered. For an
    /// engine that is about to be suspended, and for tests, which need not wait then.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::NotWritten`] once the store takes no more commits,
    /// [`Error::Displaced`] if it is no longer where it was, or [`Error::Io`] if the manifest cannot be written.
    /// Nothing is lost by any of them.
    pub fn rest(&self) -> Result<()> {
        self.shared.writer()?.rest()
    }

    /// For a store that is open for reading only: reads on to what the writer has published since;
    /// whether there was anything. For any other store there is nothing to do.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Io`], or [`Error::Displaced`] if the store is no longer where it was. Commits
    /// before the one that could not be read are taken in, and a later call goes on behind them.
    pub fn refresh(&self) -> Result<bool> {
        self.shared.refresh()
    }

    /// Writes and syncs what is on its way, marks the log as closed, and gives back the lock.
    /// Commits after this are refused.
    ///
    /// # Errors
    /// What writing and syncing met, [`Error::Displaced`] if the store is no longer where it was; the next
    /// opening then finds the log unclosed. [`Error::Forked`], and nothing was closed.
    pub fn shut_down(self) -> Result<()> {
        match self.background.lock().take() {
            Some(mut background) => background.shut_down(),
            None => Ok(()),
        }
    }
}

impl Drop for Store {
    /// In a forked process, what threads of the other one were about to change is half changed, and cannot be
    /// taken apart. It stays, with whatever else holds it.
    fn drop(&mut self) {
        if self.shared.here().is_err() {
            std::mem::forget(self.shared.clone());
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path()).field("end", &self.end()).finish()
    }
}

impl Shared {
    /// The index as of now. Nothing of it is forgotten while its lock is held.
    fn seen<'i>(&self, index: &'i Index) -> Seen<'i> {
        Seen { index, end: self.published.end() }
    }

    /// The time of now, for events that do not say when they happened.
    fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| self.disk.now(), |clock| clock())
    }

    /// [`Error::Forked`] in a process that did not open the store.
    fn here(&self) -> Result<()> {
        log::here(&self.opener, &self.paths)
    }

    fn writer(&self) -> Result<&Arc<Writer>> {
        self.here()?;
        self.writer.as_ref().ok_or(Error::ReadOnly)
    }

    fn refresh(&self) -> Result<bool> {
        self.here()?;
        if self.writer.is_some() {
            return Ok(false);
        }
        let mut index = self.index.write();
        let oldest = self.pins.oldest(|| self.published.end());
        let mut following = Following { index: &mut index, oldest };
        let (disk, since) = (self.disk.as_ref(), self.since);
        let store = (self.place.as_ref(), self.published.as_ref());
        log::follow(disk, &self.paths, store, since, &mut following)
    }
}

/// Takes in commits beside readers that hold earlier positions.
struct Following<'a> {
    index: &'a mut Index,
    oldest: Position,
}

impl Replay for Following<'_> {
    fn commit(&mut self, frame: &log::frame::Frame<'_>) -> Result<(), crate::event::Malformed> {
        let payload = crate::index::Payload::of(frame);
        self.index.check(payload).map_err(|_| crate::event::Malformed)?;
        self.index.apply(payload, self.oldest);
        Ok(())
    }

    fn run_ids(&self, numbers: &[u32]) -> Vec<RunId> {
        self.index.run_ids(numbers)
    }
}
