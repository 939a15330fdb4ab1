//! What can be done about an error.

use super::Error;

/// When the work that met an error can succeed if it is done again: the answer of [`Error::retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// At once, the same steps in a new transaction: another commit came first.
    /// [`Store::transact`](crate::Store::transact) does so.
    AtOnce,
    /// Once the caller has read again: what it stated of a run or a row is not so any more.
    AfterReading,
    /// Later, the same call: it depends on something outside the store, such as space on the disk or another process.
    /// Nothing was changed, and an open store need not be opened again.
    Later,
    /// Once the store has been opened again. If the error [is an unknown outcome](Error::is_outcome_unknown), look first whether
    /// the work is done.
    AfterReopening,
    /// Never: the same call gets the same answer.
    Never,
}

impl Error {
    /// When the work that met this error can succeed if it is done again.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use kinlog::{Error, Expect, EventKind, NewEvent, NewRun, Store, error::Retry};
    ///
    /// let store = Store::open(dir.path())?;
    /// let run = store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order")))?.0;
    /// let mut tx = store.begin();
    /// let refused = tx.expect(&run, Expect::NextEvent(7)).unwrap_err();
    /// assert_eq!(refused.retry(), Retry::AfterReading);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Error::Overtaken { .. } => Retry::AtOnce,
            Error::Conflict { .. } | Error::RowConflict { .. } | Error::ConsumerAhead { .. } => {
                Retry::AfterReading
            }
            Error::Io { .. }
            | Error::NotDeletable { .. }
            | Error::SnapshotHeld { .. }
            | Error::Locked { .. }
            | Error::DiskFull { .. }
            | Error::WouldBlock { .. } => Retry::Later,
            Error::Displaced { .. }
            | Error::Forked { .. }
            | Error::NotWritten { .. }
            | Error::OutcomeUnknown { .. }
            | Error::DamagedIndex(_)
            | Error::Internal { .. } => Retry::AfterReopening,
            Error::Corrupt(_)
            | Error::Linked { .. }
            | Error::NotAStore { .. }
            | Error::NotEmpty { .. }
            | Error::Nested { .. }
            | Error::NotABase { .. }
            | Error::UnsupportedFormat { .. }
            | Error::Packed { .. }
            | Error::ReadOnly
            | Error::RunNotFound { .. }
            | Error::RunDeleted { .. }
            | Error::Compacted { .. }
            | Error::RunClosed { .. }
            | Error::RunExists { .. }
            | Error::EventKeyExists { .. }
            | Error::WorkflowExists { .. }
            | Error::IllegalEvent { .. }
            | Error::CrossNamespace { .. }
            | Error::LimitExceeded { .. }
            | Error::WrongCursor { .. }
            | Error::InvalidArgument { .. } => Retry::Never,
        }
    }

    /// Whether the same transaction, begun again at once, can succeed: [`Retry::AtOnce`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retry() == Retry::AtOnce
    }
}
