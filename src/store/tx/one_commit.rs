//! Transactions, and those of one step.

use super::commit::Commit;
use super::ops::{Close, Expect, check_namespace};
use super::retry::retry;
use super::transaction::Transaction;
use crate::error::Result;
use crate::event::NewEvent;
use crate::id::RunId;
use crate::index::{NAMESPACES_TABLE, encode_limits};
use crate::limits::Limits;
use crate::store::shared::Store;

impl Store {
    /// Begins a transaction. What its steps see is compared when it is committed, and
    /// [`Error::Overtaken`](crate::Error::Overtaken) says that another commit changed it: [`Store::transact`] then begins again.
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

    /// Closes a run in a commit of its own. Durable when it returns. Open children are not changed by it: their close
    /// policies become duties ([`Commit::duties`]), which [`Store::settle`] or [`Store::settle_all`] applies.
    ///
    /// # Errors
    /// As [`Transaction::close_run`] and [`Transaction::commit`].
    pub fn close_run(&self, run: &RunId, close: Close<'_>) -> Result<Commit> {
        retry(|| {
            let mut tx = self.begin();
            tx.expect(run, Expect::Any)?;
            tx.close_run(run, close)?;
            tx.commit()
        })
    }

    /// Sets the limits of a namespace, which need not have been used before. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) for a name that is too long, and as [`Transaction::commit`].
    pub fn set_limits(&self, namespace: &str, limits: Limits) -> Result<Commit> {
        let mut tx = self.begin();
        check_namespace(namespace)?;
        tx.put_row(NAMESPACES_TABLE, namespace.as_bytes(), Some(&encode_limits(&limits)))?;
        tx.commit()
    }
}
