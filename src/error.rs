//! What can go wrong, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::EventKind;
pub use crate::holder::{Holder, Whereabouts};
pub use crate::id::ParseRunIdError;
use crate::id::{Position, RunId};

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation was refused or failed. Unless a variant says otherwise, nothing was changed.
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
    /// Acknowledged data is damaged. The store refuses to open or to read on, and repairs nothing:
    /// restore the store from a backup, or copy what is whole with [`salvage`](crate::salvage::salvage).
    Corrupt(Box<Corruption>),
    /// Another process writes the store, or this one already does.
    Locked {
        /// The store's directory, which the lock is on.
        path: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// Somebody moved, removed or replaced the store's directory, or a file in it, while the store was
    /// open. Nothing more is written: a name that is made there now would go into something else. Reading
    /// goes on. What was acknowledged is in what was opened, wherever that is now.
    Displaced {
        /// The directory or file.
        path: PathBuf,
        /// Something else is there now; if not, nothing is.
        replaced: bool,
    },
    /// The store's manifest has other names: another directory shares the files, as `cp -al` makes it. Files are
    /// written in place, so whoever writes one of the two would write the other one, too.
    Linked {
        /// The manifest.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// The store was opened by another process, which this one was forked from. Threads and locks of a store
    /// stay with the process that opened it. Calls that return no error find nothing here.
    Forked {
        /// The store's directory.
        path: PathBuf,
        /// The process that opened it.
        opened_by: u32,
    },
    /// The directory holds no store.
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// It holds a backup that was not finished.
        unfinished: bool,
    },
    /// What is to be made here needs a directory that is empty or not there yet.
    NotEmpty {
        /// What is in the way.
        path: PathBuf,
    },
    /// What is to be made would lie within what it is made from, or the other way round.
    Nested {
        /// The directory that lies within the other one, or is the same.
        inner: PathBuf,
        /// The other one.
        outer: PathBuf,
    },
    /// The directory holds no former backup that this store has grown from.
    NotABase {
        /// The directory.
        path: PathBuf,
        /// Why it is none.
        why: &'static str,
    },
    /// The store was written by another version of kinlog, or by a build that lays events out
    /// differently.
    UnsupportedFormat {
        /// The file that says so.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// The value this build reads and writes.
        supported: u64,
        /// The value in the file.
        found: u64,
    },
    /// The store was opened for reading only.
    ReadOnly,
    /// The commit is not in the log and will not be: the log cannot take commits, for the reason
    /// given. Reopen the store, or free space if there is none.
    NotWritten {
        /// Why.
        cause: Arc<Error>,
    },
    /// The commit is not in the log, as the disk has no room for more of it. Closing runs and asking
    /// them to cancel still work, on space that is kept for that: a sixteenth of a segment. The
    /// store need not be opened again; commits go on when there is space.
    DiskFull {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: Arc<io::Error>,
    },
    /// A write or a sync failed while the commit was on its way: it may be in the log or not.
    /// The store takes no more commits; reopen it to see.
    OutcomeUnknown {
        /// Where the commit would be.
        position: Position,
        /// The failure.
        cause: Arc<Error>,
    },
    /// The run is not where the caller said that it is expected. Whoever says so must look at the run
    /// again first; see [`Expect`](crate::Expect).
    Conflict {
        /// The run.
        run: RunId,
        /// The next event id that was expected.
        expected: u32,
        /// The next event id of the run.
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
    /// Another commit changed what a step of this transaction had seen, so that the steps would no
    /// longer come to the same: a serialization failure, as databases with optimistic concurrency
    /// control call it. Nothing was written, and the transaction cannot be committed any more. Begin it
    /// again: [`Store::transact`](crate::Store::transact) does.
    Overtaken {
        /// What moved.
        moved: Moved,
        /// How often the transaction was begun before this was given up.
        attempts: u32,
    },
    /// No run has this id.
    RunNotFound {
        /// The id.
        run: RunId,
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
    /// The workflow id is in use, and the start's policies do not allow another run.
    WorkflowExists {
        /// The namespace.
        namespace: String,
        /// The workflow id.
        workflow_id: String,
        /// The run that is in the way.
        run: RunId,
        /// Whether that run is open.
        open: bool,
    },
    /// The event does not fit what its run, or another run, has said before: every step of a
    /// relation happens once, and both runs record it in the same commit; an activity ends once.
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
        /// The namespace that was asked for.
        found: String,
    },
    /// A limit would be crossed.
    LimitExceeded {
        /// Which limit.
        limit: &'static str,
        /// The run it applies to, if it is one.
        run: Option<RunId>,
        /// The size now.
        now: u64,
        /// The size that was asked for.
        asked: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// An argument makes no sense.
    InvalidArgument {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What another commit changed that a transaction had seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moved {
    /// A run: it has other events than it had.
    Run {
        /// The run.
        run: RunId,
        /// The next event id that the transaction found.
        expected: u32,
        /// The next event id by now.
        found: u32,
    },
    /// A workflow: its id stands for another run, or its run was open and has closed.
    Workflow {
        /// The namespace.
        namespace: String,
        /// The workflow id.
        workflow_id: String,
    },
    /// A chain: it has another last run, that run has closed, or a reset gave it another parent.
    Chain {
        /// The first run of the chain.
        first: RunId,
    },
    /// A duty: somebody else settled it, or a reset moved it.
    Duty {
        /// The run that it begins with.
        run: RunId,
        /// The event of that run that it goes back to.
        initiated_event_id: u32,
    },
    /// A row of a table.
    Row {
        /// The table.
        table: String,
        /// The key.
        key: Vec<u8>,
    },
    /// Some row of a range of a table that was read.
    Rows {
        /// The table.
        table: String,
    },
    /// The limits of some namespace.
    Limits,
}

/// Where a store is damaged and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// The damaged file.
    pub path: PathBuf,
    /// The offset in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: &'static str,
    /// What should be there, as far as a number says it.
    pub expected: u64,
    /// What is there.
    pub found: u64,
    /// The runs known to be touched; empty where the damage hides them.
    pub runs: Vec<RunId>,
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Error::Io { operation, path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn invalid(what: &'static str) -> Self {
        Error::InvalidArgument { what }
    }

    /// Whether a commit that got this error may nevertheless be in the log.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Error::OutcomeUnknown { .. })
    }

    /// Whether beginning the same transaction again can succeed: it was overtaken, and says nothing
    /// about the store as it is now. Every other error is an answer: the same steps would meet it again
    /// right away.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Overtaken { .. })
    }

    pub(crate) fn overtaken(moved: Moved) -> Self {
        Error::Overtaken { moved, attempts: 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { operation, path, source } => {
                write!(f, "cannot {operation} {}: {source}", path.display())
            }
            Error::Corrupt(corruption) => corruption.fmt(f),
            Error::Locked { path, holder } => write!(
                f,
                "the store is in use ({}): {holder}, or open it for reading only",
                path.display()
            ),
            Error::Displaced { path, replaced } => write!(
                f,
                "{} was {} while the store was open, and nothing more is written; what was \
                 acknowledged is in what was opened: close this store, put that back in its place, or \
                 open it where it is now",
                path.display(),
                if *replaced { "replaced by another one" } else { "moved or removed" }
            ),
            Error::Linked { path, names } => write!(
                f,
                "{} has {names} names: another directory shares the files of this store (hard links), and \
                 would be written with it; remove that directory, or replace one of the two by a copy",
                path.display()
            ),
            Error::Forked { path, opened_by } => write!(
                f,
                "the store in {} was opened by process {opened_by}, from which this one was forked; \
                 open it in this process: for reading, or for writing once that one has closed it",
                path.display()
            ),
            Error::NotAStore { path, unfinished: false } => {
                write!(f, "there is no kinlog store in {}", path.display())
            }
            Error::NotAStore { path, unfinished: true } => write!(
                f,
                "there is no kinlog store in {}, but a backup that was not finished; make it again",
                path.display()
            ),
            Error::NotEmpty { path } => write!(
                f,
                "{} is in the way; give a directory that is empty or not there yet",
                path.display()
            ),
            Error::Nested { inner, outer } => write!(
                f,
                "{} lies within {}; give a directory apart from it",
                inner.display(),
                outer.display()
            ),
            Error::NotABase { path, why } => write!(
                f,
                "{} is no former backup of this store: {why}; give another one, or none",
                path.display()
            ),
            Error::UnsupportedFormat { path, what, supported, found } => write!(
                f,
                "{}: {what} is {found:#x}, this build reads {supported:#x}; \
                 open the store with the version of kinlog that wrote it",
                path.display()
            ),
            Error::ReadOnly => f.write_str("the store is open for reading only"),
            Error::NotWritten { cause } => write!(f, "the commit was not written: {cause}"),
            Error::DiskFull { operation, path, source } => write!(
                f,
                "the commit was not written, the disk is full: cannot {operation} {}: {source}; \
                 free space, new work goes on by itself then; closing and cancelling go on now",
                path.display()
            ),
            Error::OutcomeUnknown { position, cause } => write!(
                f,
                "the commit at position {position} may or may not be in the log, \
                 reopen the store to see: {cause}"
            ),
            Error::Conflict { run, expected, found } => write!(
                f,
                "run {run}: expected the next event to be {expected}, but it is {found}; \
                 look at the run again"
            ),
            Error::RowConflict { table, key, required } => write!(
                f,
                "the row {:?} of table {table:?} is not {required}",
                key.escape_ascii().to_string()
            ),
            Error::Overtaken { moved, attempts } => {
                write!(f, "another commit came first: {moved}; begin the transaction again")?;
                if *attempts > 1 { write!(f, " (begun {attempts} times)") } else { Ok(()) }
            }
            Error::RunNotFound { run } => write!(f, "there is no run {run}"),
            Error::RunClosed { run } => write!(f, "run {run} has closed and takes no more events"),
            Error::RunExists { run } => write!(f, "run {run} is already in the store"),
            Error::WorkflowExists { namespace, workflow_id, run, open } => write!(
                f,
                "workflow {workflow_id:?} in namespace {namespace:?} is taken by {} run {run}",
                if *open { "the open" } else { "the closed" }
            ),
            Error::IllegalEvent { run, kind, refers_to, why } => {
                write!(f, "{kind} does not fit run {run}")?;
                if *refers_to != 0 {
                    write!(f, " and its event {refers_to}")?;
                }
                write!(f, ": {why}")
            }
            Error::CrossNamespace { parent, expected, found } => write!(
                f,
                "a child of run {parent} must be in namespace {expected:?}, not in {found:?}"
            ),
            Error::LimitExceeded { limit, run, now, asked, max } => {
                write!(f, "{limit}: {asked} asked, {max} allowed, {now} now")?;
                run.map_or(Ok(()), |run| write!(f, " (run {run})"))
            }
            Error::InvalidArgument { what } => f.write_str(what),
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moved::Run { run, expected, found } => {
                write!(f, "the next event of run {run} was {expected} and is {found}")
            }
            Moved::Workflow { namespace, workflow_id } => write!(
                f,
                "workflow {workflow_id:?} in namespace {namespace:?} stands for another run, or its \
                 run has closed"
            ),
            Moved::Chain { first } => {
                write!(f, "the chain that run {first} began has gone on, ended or moved")
            }
            Moved::Duty { run, initiated_event_id } => write!(
                f,
                "the duty of run {run} that goes back to its event {initiated_event_id} was settled \
                 or moved"
            ),
            Moved::Row { table, key } => {
                write!(f, "the row {:?} of table {table:?} changed", key.escape_ascii().to_string())
            }
            Moved::Rows { table } => write!(f, "rows of table {table:?} changed that were read"),
            Moved::Limits => f.write_str("the limits of a namespace changed"),
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is corrupt at offset {}: {} (expected {:#x}, found {:#x}); \
             nothing was changed; restore the store from a backup, or copy what is whole into a new one \
             with `kinlog salvage`",
            self.path.display(),
            self.offset,
            self.what,
            self.expected,
            self.found
        )?;
        for (i, run) in self.runs.iter().enumerate() {
            write!(f, "{}{run}", if i == 0 { "; runs touched: " } else { ", " })?;
        }
        Ok(())
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
