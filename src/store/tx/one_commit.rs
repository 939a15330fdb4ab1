//! Transactions, and those of one step.

use super::commit::Commit;
use super::ops::{Close, Expect, check_namespace};
use super::retry::retry;
use super::transaction::Transaction;
use crate::error::Result;
use crate::event::NewEvent;
use crate::id::RunId;
use crate::index::{NAMESPACES_TABLE, Settings};
use crate::limits::Limits;
use crate::retention::Retention;
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
        self.set(namespace, |settings| settings.limits = limits)
    }

    /// Sets how long a namespace keeps its runs, which need not have been used before; [`Store::expire`] deletes what is
    /// older. Durable when it returns.
    ///
    /// # Errors
    /// As [`Store::set_limits`].
    pub fn set_retention(&self, namespace: &str, retention: Retention) -> Result<Commit> {
        self.set(namespace, |settings| settings.retention = retention)
    }

    /// Changes some settings of a namespace, and leaves the others as they are.
    fn set(&self, namespace: &str, change: impl Fn(&mut Settings)) -> Result<Commit> {
        check_namespace(namespace)?;
        let (table, key) = (NAMESPACES_TABLE, namespace.as_bytes());
        retry(|| {
            let mut tx = self.begin();
            let before = tx.get(table, key)?;
            let mut settings = before.as_deref().and_then(Settings::decode).unwrap_or_default();
            change(&mut settings);
            tx.put_row(table, key, Some(&settings.encode()))?;
            tx.commit()
        })
    }
}
