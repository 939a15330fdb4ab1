//! Why a command ends without having done its work, and its exit code.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use console::style;
use kinlog::Error;
use kinlog_temporal::{ExportError, ImportError};
use serde::Serialize;

use crate::ui::{Output, plain};

/// Exit code: the command line makes no sense.
const USAGE: u8 = 2;
/// Exit code: the store is corrupt.
pub(crate) const CORRUPT: u8 = 3;
/// Exit code: some files could not be imported.
pub(crate) const PARTIAL: u8 = 4;
/// Exit code: no such store or run, or more than one.
pub(crate) const NOT_FOUND: u8 = 5;
/// Exit code: another process uses the store.
const IN_USE: u8 = 6;
/// Exit code: the store is of another version.
const UNSUPPORTED: u8 = 7;
/// Exit code: the system refused to read or write a file.
const IO: u8 = 8;
/// Exit code: the last bytes of the store are in doubt.
pub(crate) const IN_DOUBT: u8 = 9;
/// Exit code: no backup can be made there, or not from that former one.
const NO_BACKUP: u8 = 10;
/// Exit code: what is whole was salvaged, and something is lost.
pub(crate) const LOSSES: u8 = 11;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The store failed.
    Store(Error),
    /// No run, or more than one, is meant; the text says which there are.
    NotFound(String),
    /// The result could not be written.
    Output(io::Error),
    /// Nor to a file of its own.
    File { path: PathBuf, error: io::Error },
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Says it on standard error; returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_broken_pipe() {
            // Whoever reads has enough, as in `kinlog ls | head`.
            return ExitCode::SUCCESS;
        }
        let text = self.to_string();
        let text = match self {
            // Lines of its own, of what is plain already.
            Failure::NotFound(_) => text.into(),
            _ => plain(&text),
        };
        eprintln!("{} {text}", style("error:").for_stderr().red().bold());
        if let Failure::Store(Error::NotAStore { unfinished: false, .. }) = self {
            eprintln!("`kinlog demo` makes one to look at, `kinlog import` one of histories");
        }
        ExitCode::from(self.code())
    }

    /// For a command with `--json`, whose result it is: says it there; the exit code is the same.
    pub(crate) fn in_json(self, out: &mut Output) -> Result<ExitCode, Failure> {
        if let Failure::Output(_) = self {
            return Err(self);
        }
        out.json(&Told::of(&self))?;
        Ok(ExitCode::from(self.code()))
    }

    fn code(&self) -> u8 {
        self.kind_and_code().1
    }

    /// A word for scripts, and the exit code.
    fn kind_and_code(&self) -> (&'static str, u8) {
        let error = match self {
            Failure::Store(error) => error,
            Failure::NotFound(_) => return ("not_found", NOT_FOUND),
            Failure::Output(_) | Failure::File { .. } => return ("io", IO),
            Failure::Other(_) => return ("error", 1),
        };
        match root(error) {
            Error::Corrupt(_) => ("corrupt", CORRUPT),
            Error::DamagedIndex(_) => ("damaged_index", CORRUPT),
            Error::NotAStore { .. } => ("not_a_store", NOT_FOUND),
            Error::Locked { .. } => ("in_use", IN_USE),
            Error::UnsupportedFormat { .. } | Error::Packed { .. } => {
                ("unsupported_format", UNSUPPORTED)
            }
            Error::Io { .. } => ("io", IO),
            Error::DiskFull { .. } => ("disk_full", IO),
            Error::NotEmpty { .. } => ("not_empty", NO_BACKUP),
            Error::Nested { .. } => ("nested", NO_BACKUP),
            Error::Displaced { .. } => ("displaced", IO),
            Error::Linked { .. } => ("linked", IN_USE),
            Error::NotABase { .. } => ("not_a_base", NO_BACKUP),
            Error::RunDeleted { .. } => ("run_deleted", NOT_FOUND),
            Error::Compacted { .. } => ("compacted", 1),
            Error::ConsumerAhead { .. } => ("consumer_ahead", 1),
            Error::NotDeletable { .. } => ("not_deletable", 1),
            Error::WrongCursor { .. } => ("wrong_cursor", USAGE),
            _ => ("error", 1),
        }
    }

    fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A failure, for scripts.
#[derive(Serialize)]
struct Told {
    ok: bool,
    kind: &'static str,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(flatten)]
    damage: Option<Damage>,
}

/// Where a store is damaged.
#[derive(Serialize)]
struct Damage {
    offset: u64,
    what: &'static str,
    expected: u64,
    found: u64,
    runs: Vec<String>,
}

impl Told {
    fn of(failure: &Failure) -> Self {
        let (kind, _) = failure.kind_and_code();
        let (mut path, mut damage) = (None, None);
        if let Failure::Store(error) = failure {
            path = path_of(error).map(|path| path.display().to_string());
            damage = match root(error) {
                Error::Corrupt(found) | Error::DamagedIndex(found) => Some(Damage {
                    offset: found.offset,
                    what: found.what,
                    expected: found.expected,
                    found: found.found,
                    runs: found.runs.iter().map(ToString::to_string).collect(),
                }),
                _ => None,
            };
        }
        Told { ok: false, kind, error: failure.to_string(), path, damage }
    }
}

/// What kept a commit from being written, or else the error itself.
fn root(mut error: &Error) -> &Error {
    while let Error::NotWritten { cause } | Error::OutcomeUnknown { cause, .. } = error {
        error = cause;
    }
    error
}

fn path_of(error: &Error) -> Option<&Path> {
    match root(error) {
        Error::Corrupt(found) | Error::DamagedIndex(found) => Some(&found.path),
        Error::Io { path, .. }
        | Error::DiskFull { path, .. }
        | Error::Locked { path, .. }
        | Error::NotAStore { path, .. }
        | Error::Displaced { path, .. }
        | Error::Linked { path, .. }
        | Error::Nested { inner: path, .. }
        | Error::NotEmpty { path }
        | Error::NotABase { path, .. }
        | Error::UnsupportedFormat { path, .. }
        | Error::Packed { path } => Some(path),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Output(error) => write!(f, "cannot write the result: {error}"),
            Failure::File { path, error } => write!(f, "cannot write {}: {error}", path.display()),
            Failure::NotFound(text) | Failure::Other(text) => f.write_str(text),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::Output(error.into())
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Store(error) => Failure::Store(error),
            other => Failure::Other(other.to_string()),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error)
            | ImportError::Refused { source: error, .. }
            | ImportError::Unfinished { source: error, .. } => Failure::Store(error),
            other => Failure::Other(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kinlog::Position;

    use super::*;

    const PATH: &str = "data/log/00000001.seg";

    fn told(error: Error) -> (&'static str, u8, Option<String>) {
        let told = Told::of(&Failure::Store(error.clone()));
        let (kind, code) = Failure::Store(error).kind_and_code();
        assert_eq!(told.kind, kind);
        (kind, code, told.path)
    }

    #[test]
    fn what_the_system_refused_has_code_8_however_it_is_wrapped() {
        let source = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
        let io = Error::Io { operation: "write", path: PATH.into(), source: source.clone() };
        let full = Error::DiskFull { operation: "allocate", path: PATH.into(), source };
        let path = Some(PATH.to_owned());
        for (error, kind) in [(io, "io"), (full, "disk_full")] {
            assert_eq!(told(error.clone()), (kind, IO, path.clone()));
            let not_written = Error::NotWritten { cause: Arc::new(error.clone()) };
            assert_eq!(told(not_written.clone()), (kind, IO, path.clone()));
            let position = Position::START;
            let unknown = Error::OutcomeUnknown { position, cause: Arc::new(error) };
            assert_eq!(told(unknown.clone()), (kind, IO, path.clone()));
            // A commit that met the end of the log behind one of unknown outcome.
            let behind = Error::NotWritten { cause: Arc::new(unknown) };
            assert_eq!(told(behind), (kind, IO, path.clone()));
        }
        let other = Error::NotWritten { cause: Arc::new(Error::ReadOnly) };
        assert_eq!(told(other), ("error", 1, None));
    }

    #[test]
    fn a_result_that_cannot_be_written_has_code_8() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::Output(full()).code(), IO);
        let file = Failure::File { path: "tree.svg".into(), error: full() };
        assert_eq!(file.code(), IO);
    }
}
