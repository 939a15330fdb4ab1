//! Errors: what failed, where, and what to do about it.

mod display;
mod retry;
mod undeletable;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::EventKind;
pub use crate::holder::{Holder, Whereabouts};
pub use crate::id::ParseRunIdError;
use crate::id::{Position, RunId};
use crate::limits::Limit;
use crate::retention::Keep;
pub use retry::Retry;
pub use undeletable::Undeletable;

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was refused or failed. Unless a variant says otherwise, nothing was changed. [`Error::retry`] says
/// when the same work can succeed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    Io {
        /// What was attempted.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's own error.
        source: Arc<io::Error>,
    },
    /// Acknowledged data is damaged. The operation is refused, and nothing is repaired. Restore the store from a
    /// backup, or copy what is whole with [`salvage`](crate::salvage::salvage).
    Corrupt(Box<Corruption>),
    /// A file of the index is damaged, and nothing else: the log has everything. Reads that need the index and commits fail from
    /// then on. A writer that has met this makes the next opening build the index anew. In any other case, and at any
    /// time when the store is not open, the directory `index` may be deleted.
    DamagedIndex(Box<Corruption>),
    /// Another process has the store open for writing, or this one has already.
    Locked {
        /// The store's directory, which the lock is on.
        path: PathBuf,
        /// The process that holds the lock.
        holder: Holder,
    },
    /// The store's directory, or a file in it, was moved, removed or replaced while the store was open. Nothing more
    /// is written: new files would go into the replacement (fencing). Reading goes on. What was acknowledged is in
    /// the files that were opened, wherever they are now.
    Displaced {
        /// The directory or file.
        path: PathBuf,
        /// Whether something else is there now.
        replaced: bool,
    },
    /// The store's manifest has several hard links: another directory shares the files, as after `cp -al`. Files
    /// are written in place, so writing one store would change the other.
    Linked {
        /// The manifest.
        path: PathBuf,
        /// How many hard links it has.
        names: u64,
    },
    /// The store was opened by another process, from which this one was forked. Threads and locks of a store
    /// stay with the process that opened it. Calls that cannot return an error find nothing.
    Forked {
        /// The store's directory.
        path: PathBuf,
        /// The id of the process that opened it.
        opened_by: u32,
    },
    /// The directory holds no store.
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// Whether it holds an unfinished backup.
        unfinished: bool,
    },
    /// The destination must be a directory that is empty or does not exist.
    NotEmpty {
        /// The file or directory that is in the way.
        path: PathBuf,
    },
    /// The destination is within the source, or the source within the destination.
    Nested {
        /// The directory that is within the other one, or is the same.
        inner: PathBuf,
        /// The other one.
        outer: PathBuf,
    },
    /// The directory does not hold a former backup of this store that can be a base.
    NotABase {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The store was written by another version of kinlog, or by a build with another layout of events.
    UnsupportedFormat {
        /// The file with the unsupported value.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// The value that this build reads and writes.
        supported: u64,
        /// The value in the file.
        found: u64,
    },
    /// A segment of the store is packed, and this build cannot read that: it was made without kinlog's cargo feature `zstd`.
    Packed {
        /// The segment.
        path: PathBuf,
    },
    /// The store was opened for reading only.
    ReadOnly,
    /// The commit is not in the log and will not be: the log takes no commits, for the reason given. Reopen the store, or free
    /// space if the disk is full.
    NotWritten {
        /// Why.
        cause: Arc<Error>,
    },
    /// The commit is not in the log: the disk is full. Closing and cancelling runs still works, and more if it is
    /// declared ([`Transaction::use_reserve`](crate::Transaction::use_reserve)), in the reserve, a sixteenth of a segment. The store need not be reopened: commits succeed again once there is space.
    DiskFull {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: Arc<io::Error>,
    },
    /// The commit is not in the log: it would have had to wait for the disk, and
    /// [`Transaction::try_submit`](crate::Transaction::try_submit) does not. Wait for [`Store::room`](crate::Store::room),
    /// and begin the transaction again.
    WouldBlock {
        /// What it would have had to wait for.
        why: &'static str,
    },
    /// A write or a sync (`fsync`) failed while the commit was in flight: it may be in the log or not.
    /// The store takes no more commits; reopen it to find out.
    OutcomeUnknown {
        /// The position that the commit has if it is in the log.
        position: Position,
        /// The failure.
        cause: Arc<Error>,
    },
    /// The run is not at the event that the caller expected; see [`Expect`](crate::Expect). Read the run again before
    /// retrying.
    Conflict {
        /// The run.
        run: RunId,
        /// The expected next event id.
        expected: u32,
        /// The actual next event id.
        found: u32,
    },
    /// A row is not what the caller required it to be; see [`RowIs`](crate::RowIs).
    RowConflict {
        /// The table.
        table: String,
        /// The key.
        key: Vec<u8>,
        /// What was required.
        required: &'static str,
    },
    /// A serialization failure of optimistic concurrency control: another commit changed something that this
    /// transaction had read, so that its steps might have a different result now. Nothing was written, and the
    /// transaction cannot be committed. Begin it again, as [`Store::transact`](crate::Store::transact) does.
    Overtaken {
        /// What changed.
        moved: Moved,
        /// How often the transaction was begun.
        attempts: u32,
    },
    /// No run has this id.
    RunNotFound {
        /// The id.
        run: RunId,
    },
    /// The run was deleted. Where its outcome was kept, this is said of its history alone.
    RunDeleted {
        /// The run.
        run: RunId,
        /// What was kept of it.
        kept: Keep,
    },
    /// A compaction has dropped what was dead in this part of the log, so that it cannot be read commit by commit any more.
    /// Histories, rows and all else that was not deleted are read as before.
    Compacted {
        /// From where on it was to be read.
        position: Position,
        /// The first position from which on the log has every commit.
        resume: Position,
    },
    /// A store that is open for reading only cannot go on: a commit of the writer erases runs that a snapshot held here still
    /// sees undeleted. Drop snapshots up to that position, and refresh again.
    SnapshotHeld {
        /// Where the oldest snapshot is.
        snapshot: Position,
        /// The commit that erases.
        commit: Position,
    },
    /// The consumer has come further already, and positions only go forward. To begin anew, remove it first
    /// ([`Transaction::remove_consumer`](crate::Transaction::remove_consumer)).
    ConsumerAhead {
        /// The consumer.
        consumer: String,
        /// Where it is.
        position: Position,
        /// Where it was to be moved.
        asked: Position,
    },
    /// The run cannot be deleted now.
    NotDeletable {
        /// The run.
        run: RunId,
        /// Why not.
        why: Undeletable,
    },
    /// The run has closed and takes no more events.
    RunClosed {
        /// The run.
        run: RunId,
    },
    /// A run with this id is already in the store.
    RunExists {
        /// The id.
        run: RunId,
    },
    /// The run has an event with this key already: it was appended before. See [`NewEvent::key`](crate::NewEvent::key).
    EventKeyExists {
        /// The run.
        run: RunId,
        /// The key.
        key: u64,
        /// The event that has it.
        event: u32,
    },
    /// The workflow id is in use, and the start's policies do not allow another run.
    WorkflowExists {
        /// The namespace.
        namespace: String,
        /// The workflow id.
        workflow_id: String,
        /// The run that has it.
        run: RunId,
        /// Whether that run is open.
        open: bool,
    },
    /// The event contradicts earlier events of its run or of a related run: every step of a relation happens
    /// once and is recorded in both runs by the same commit; an activity ends once.
    IllegalEvent {
        /// The run.
        run: RunId,
        /// The kind of the event.
        kind: EventKind,
        /// The Initiated event it refers to; 0 for none.
        refers_to: u32,
        /// What does not fit.
        why: &'static str,
    },
    /// A child must be in its parent's namespace.
    CrossNamespace {
        /// The parent's run.
        parent: RunId,
        /// The parent's namespace.
        expected: String,
        /// The namespace that was requested.
        found: String,
    },
    /// A limit would be crossed.
    LimitExceeded {
        /// Which limit.
        limit: Limit,
        /// The run that it applies to, if it is a limit of runs.
        run: Option<RunId>,
        /// The current size.
        now: u64,
        /// The requested size.
        asked: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// The cursor is that of a list in another order or of another namespace. Give it to the list that it comes from, or
    /// begin this one without a cursor. See [`Snapshot::list_runs`](crate::Snapshot::list_runs).
    WrongCursor {
        /// What differs: `order` or `namespace`.
        differs: &'static str,
    },
    /// kinlog has come to a state of its own that cannot be: a fault of the program, neither of the
    /// caller nor of the disk. Nothing of this commit is in the log, and the store takes no more commits.
    /// Open it again, which builds everything from the log, and report what is said here.
    Internal {
        /// What cannot be.
        what: &'static str,
    },
    /// An argument is not valid.
    InvalidArgument {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What another commit changed that a transaction had read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moved {
    /// A run: events were appended.
    Run {
        /// The run.
        run: RunId,
        /// The next event id that the transaction read.
        expected: u32,
        /// The current next event id.
        found: u32,
    },
    /// A workflow: it has another current run, or its current run has closed.
    Workflow {
        /// The namespace.
        namespace: String,
        /// The workflow id.
        workflow_id: String,
    },
    /// A chain: it has another last run, its last run has closed, or a reset moved it to another parent.
    Chain {
        /// The first run of the chain.
        first: RunId,
    },
    /// A run: it was deleted, or what decides whether it can be has changed.
    Deletion {
        /// The run.
        run: RunId,
    },
    /// A run that was looked at was erased, or what decides whether runs can be has changed.
    Erasure,
    /// A duty: it was settled, or a reset moved it.
    Duty {
        /// The run that it comes from.
        run: RunId,
        /// The Initiated event of that run.
        initiated_event_id: u32,
    },
    /// A row of a table.
    Row {
        /// The table.
        table: String,
        /// The key.
        key: Vec<u8>,
    },
    /// A row in a range of a table that was read.
    Rows {
        /// The table.
        table: String,
    },
    /// The limits of some namespace.
    Limits,
}

/// Where a store is damaged, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// The damaged file.
    pub path: PathBuf,
    /// The offset in it, in bytes; for what lies in a frame of a segment that was compacted, the one that it had before.
    pub offset: u64,
    /// What is wrong.
    pub what: &'static str,
    /// The expected value, such as a checksum; 0 where there is none.
    pub expected: u64,
    /// The value found.
    pub found: u64,
    /// The runs known to be affected; empty if they are not known.
    pub runs: Vec<RunId>,
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Error::Io { operation, path: path.into(), source: Arc::new(source) }
    }

    /// The error for damage that was found in a file of the index.
    pub(crate) fn of_index(self) -> Self {
        match self {
            Error::Corrupt(found) => Error::DamagedIndex(found),
            other => other,
        }
    }

    pub(crate) fn invalid(what: &'static str) -> Self {
        Error::InvalidArgument { what }
    }

    /// What cannot be. In debug builds the program stops here.
    #[cold]
    #[track_caller]
    pub(crate) fn internal(what: &'static str) -> Self {
        debug_assert!(false, "{what}");
        Error::Internal { what }
    }

    /// Whether a commit that got this error may nevertheless be in the log.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Error::OutcomeUnknown { .. })
    }

    pub(crate) fn overtaken(moved: Moved) -> Self {
        Error::Overtaken { moved, attempts: 1 }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } | Error::DiskFull { source, .. } => Some(source.as_ref()),
            Error::NotWritten { cause } | Error::OutcomeUnknown { cause, .. } => {
                Some(cause.as_ref())
            }
            _ => None,
        }
    }
}
