//! Errors, as duroxide wants them.

use duroxide::providers::ProviderError;
use kinlog::{CommitHandle, Error};

/// Why a store cannot be opened for duroxide.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The store cannot be opened, or read.
    Store(Error),
    /// A row of a queue is not what this crate writes: the store is another engine's, or of a later version.
    Unreadable {
        /// The table.
        table: &'static str,
        /// The number of the message.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        OpenError::Store(error)
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Store(error) => error.fmt(f),
            OpenError::Unreadable { table, number, what } => {
                write!(f, "row {number} of table {table} is not one of this version: {what}")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Store(error) => Some(error),
            OpenError::Unreadable { .. } => None,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, ProviderError>;

/// What the store refused. duroxide tries again where something came between; what may have been written is never
/// tried again.
pub(crate) fn refused(operation: &'static str) -> impl Fn(Error) -> ProviderError {
    move |error| match &error {
        Error::Overtaken { .. } | Error::Conflict { .. } | Error::RunExists { .. } => {
            ProviderError::retryable(operation, error.to_string())
        }
        _ => ProviderError::permanent(operation, error.to_string()),
    }
}

pub(crate) fn invalid(operation: &'static str, what: impl Into<String>) -> ProviderError {
    ProviderError::permanent(operation, what)
}

pub(crate) fn not_found(operation: &'static str, instance: &str) -> ProviderError {
    invalid(operation, format!("Instance {instance} not found"))
}

/// Waits until a commit is as durable as was asked.
pub(crate) async fn durable(operation: &'static str, handle: CommitHandle) -> Result<()> {
    handle.await.map(drop).map_err(refused(operation))
}
