//! Why a command ends without having done its work, and its exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use console::style;
use kinlog_temporal::{ExportError, ImportError};

/// Exit code: the store is corrupt.
pub(crate) const CORRUPT: u8 = 3;
/// Exit code: some files could not be imported.
pub(crate) const PARTIAL: u8 = 4;
/// Exit code: no such store or run, or more than one.
pub(crate) const NOT_FOUND: u8 = 5;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The store failed.
    Store(kinlog::Error),
    /// No run, or more than one, is meant; the text says which there are.
    NotFound(String),
    /// The result could not be written.
    Output(io::Error),
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
        eprintln!("{} {self}", style("error:").for_stderr().red().bold());
        if let Failure::Store(kinlog::Error::NotAStore { .. }) = self {
            eprintln!("`kinlog demo` makes one to look at, `kinlog import` one of histories");
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Store(kinlog::Error::Corrupt(_)) => CORRUPT,
            Failure::Store(kinlog::Error::NotAStore { .. }) | Failure::NotFound(_) => NOT_FOUND,
            _ => 1,
        }
    }

    fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Output(error) => write!(f, "cannot write the result: {error}"),
            Failure::NotFound(text) | Failure::Other(text) => f.write_str(text),
        }
    }
}

impl From<kinlog::Error> for Failure {
    fn from(error: kinlog::Error) -> Self {
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
            ImportError::Store(error) | ImportError::Refused { source: error, .. } => {
                Failure::Store(error)
            }
            other => Failure::Other(other.to_string()),
        }
    }
}
