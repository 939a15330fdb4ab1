//! Beginning transactions again that were overtaken.

use super::commit::Commit;
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::log::write::Durability;
use crate::store::shared::Store;
use crate::sync::thread;

/// How often a transaction is begun before it is given up.
const ATTEMPTS_MAX: u32 = 100;
/// How often it is begun again at once; after that, others may run first.
const EAGER_MAX: u32 = 3;

/// Does `attempt` again as long as it is overtaken by other commits, up to a bound.
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempts = 1;
    loop {
        match attempt() {
            Err(Error::Overtaken { .. }) if attempts < ATTEMPTS_MAX => {
                attempts += 1;
                if attempts > EAGER_MAX {
                    thread::yield_now();
                }
            }
            Err(Error::Overtaken { moved, .. }) => {
                return Err(Error::Overtaken { moved, attempts });
            }
            outcome => return outcome,
        }
    }
}

impl Store {
    /// Builds a transaction with `build` and commits it, and does both again where another commit came
    /// first, until it holds or fails for another reason. Returns what `build` returned the last time, and
    /// the commit. Durable when it returns.
    ///
    /// `build` may be called several times, and what it was told in an attempt that was overtaken never
    /// happened: it should keep nothing from one to the next.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// // Any number of threads may take jobs out of a queue: each job is taken once.
    /// let (job, _) = store.transact(|tx| {
    ///     let Some(job) = tx.rows("jobs", ..).next().transpose()? else { return Ok(None) };
    ///     tx.delete("jobs", &job.key)?;
    ///     Ok(Some(job))
    /// })?;
    /// # assert!(job.is_none());
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `build` and as [`Transaction::commit`]. [`Error::Overtaken`] after 100 attempts: it says
    /// what moved the last time.
    pub fn transact<T>(
        &self,
        build: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<(T, Commit)> {
        self.transact_with(Durability::Sync, build)
    }

    /// The same, as durable as asked.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub fn transact_with<T>(
        &self,
        durability: Durability,
        mut build: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<(T, Commit)> {
        retry(|| {
            let mut tx = self.begin();
            let built = build(&mut tx)?;
            Ok((built, tx.commit_with(durability)?))
        })
    }
}
