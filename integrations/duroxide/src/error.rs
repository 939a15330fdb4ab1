//! Errors, as duroxide wants them.

use duroxide::providers::ProviderError;
use kinlog::Error;
use kinlog::error::Retry;

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    Store(Error),
    Refused(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Store(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::Refused(format!("Failed to encode or decode: {error}"))
    }
}

/// What cannot be done, in words.
pub(crate) fn refused<T>(what: impl Into<String>) -> Result<T> {
    Err(Fault::Refused(what.into()))
}

/// A fault as duroxide gets it: to be tried again where that can help while the store is open. What may have been
/// written is not.
pub(crate) fn at(operation: &'static str) -> impl Fn(Fault) -> ProviderError {
    move |fault| match fault {
        Fault::Store(error) => match error.retry() {
            Retry::AtOnce | Retry::AfterReading | Retry::Later => {
                ProviderError::retryable(operation, error.to_string())
            }
            _ => ProviderError::permanent(operation, error.to_string()),
        },
        Fault::Refused(what) => ProviderError::permanent(operation, what),
    }
}
