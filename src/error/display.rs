//! What errors say: what happened, where, and what to do.

use std::fmt;

use super::{Corruption, Error, Moved};
use crate::retention::Keep;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { operation, path, source } => {
                write!(f, "cannot {operation} {}: {source}", path.display())
            }
            Error::Corrupt(corruption) => corruption.fmt(f),
            Error::DamagedIndex(found) => write!(
                f,
                "{} is damaged at offset {}: {}{}; it belongs to the index, and the log has \
                 everything: close the store, delete its directory `index`, and open it again",
                found.path.display(),
                found.offset,
                found.what,
                found.values()
            ),
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
                "{} is within {}; give a directory outside of it",
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
            Error::Packed { path } => write!(
                f,
                "{} is packed; build kinlog with its cargo feature `zstd` to open the store",
                path.display()
            ),
            Error::ReadOnly => f.write_str("the store is open for reading only"),
            Error::NotWritten { cause } => write!(f, "the commit was not written: {cause}"),
            Error::DiskFull { operation, path, source } => write!(
                f,
                "the commit was not written, the disk is full: cannot {operation} {}: {source}; \
                 free space, and commits succeed again without reopening; closing and cancelling runs \
                 works even now",
                path.display()
            ),
            Error::WouldBlock { why } => write!(
                f,
                "the commit was not written, as it would have had to wait: {why}; wait for room in the log, \
                 and begin the transaction again"
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
            Error::RunDeleted { run, kept: Keep::Nothing } => write!(f, "run {run} was deleted"),
            Error::RunDeleted { run, kept: Keep::Outcome } => {
                write!(f, "the history of run {run} was deleted; its outcome was kept")
            }
            Error::Compacted { position, resume } => write!(
                f,
                "the log at position {position} was compacted: commits can be read one by one from position {resume} on"
            ),
            Error::SnapshotHeld { snapshot, commit } => write!(
                f,
                "the commit at position {commit} erases runs that a snapshot held at position {snapshot} still sees: drop it, \
                 and refresh again"
            ),
            Error::ConsumerAhead { consumer, position, asked } => write!(
                f,
                "consumer {consumer:?} is at position {position} and cannot go back to {asked}; \
                 to begin anew, remove it first"
            ),
            Error::NotDeletable { run, why } => {
                write!(f, "run {run} cannot be deleted: {}", why.why())
            }
            Error::RunClosed { run } => write!(f, "run {run} has closed and takes no more events"),
            Error::RunExists { run } => write!(f, "run {run} is already in the store"),
            Error::EventKeyExists { run, key, event } => {
                write!(f, "event {event} of run {run} has the key {key} already")
            }
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
            Error::WrongCursor { differs } => write!(
                f,
                "the cursor belongs to a list with another {differs}: go on with that list, or begin this one without \
                 a cursor"
            ),
            Error::LimitExceeded { limit, run, now, asked, max } => {
                write!(f, "{limit}: {asked} asked, {max} allowed, {now} now")?;
                run.map_or(Ok(()), |run| write!(f, " (run {run})"))
            }
            Error::Internal { what } => {
                write!(f, "a fault of kinlog itself: {what}; open the store again, and report this")
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
                "workflow {workflow_id:?} in namespace {namespace:?} has another current run, or its \
                 current run has closed"
            ),
            Moved::Chain { first } => {
                write!(f, "the chain whose first run is {first} was continued, ended or moved")
            }
            Moved::Deletion { run } => {
                write!(f, "run {run} was deleted, or what decides whether it can be has changed")
            }
            Moved::Erasure => f.write_str(
                "a run that was looked at was erased, or what decides whether runs can be has changed",
            ),
            Moved::Duty { run, initiated_event_id } => write!(
                f,
                "the duty of run {run} for its event {initiated_event_id} was settled or moved"
            ),
            Moved::Row { table, key } => {
                write!(f, "the row {:?} of table {table:?} changed", key.escape_ascii().to_string())
            }
            Moved::Rows { table } => write!(f, "rows of table {table:?} changed that were read"),
            Moved::Limits => f.write_str("the limits of a namespace changed"),
        }
    }
}

impl Corruption {
    /// What was expected and found, if either says anything.
    fn values(&self) -> String {
        match (self.expected, self.found) {
            (0, 0) => String::new(),
            (expected, found) => format!(" (expected {expected:#x}, found {found:#x})"),
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is corrupt at offset {}: {}{}; \
             nothing was changed; restore the store from a backup, or copy what is whole into a new one \
             with `kinlog salvage`",
            self.path.display(),
            self.offset,
            self.what,
            self.values()
        )?;
        for (i, run) in self.runs.iter().enumerate() {
            write!(f, "{}{run}", if i == 0 { "; runs touched: " } else { ", " })?;
        }
        Ok(())
    }
}
