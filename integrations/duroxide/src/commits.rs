//! Commits: prepared under the lock, waited for outside it. Nothing here blocks on the disk: what finds no room is
//! prepared again when there is some.

use duroxide::providers::WorkItem;
use kinlog::{Durability, Error, Position, Transaction};

use crate::error::{Fault, Result};
use crate::item;
use crate::provider::KinlogProvider;
use crate::state::State;
use crate::tables::number_key;

impl KinlogProvider {
    /// A transaction that ends work, or takes it up: it goes on for a while when the disk is full.
    pub(crate) fn begin(&self) -> Transaction<'_> {
        let mut tx = self.store.begin();
        tx.use_reserve(true);
        tx
    }

    /// Submits a transaction with the rows of new messages, which it takes over; if it fails, nothing has changed.
    /// They can be seen from `visible` on.
    pub(crate) fn submit(
        &self,
        state: &mut State,
        mut tx: Transaction<'_>,
        items: &mut Vec<WorkItem>,
        visible: u64,
    ) -> Result<()> {
        for (number, item) in (state.last + 1..).zip(items.iter()) {
            tx.put(item::table(item), &number_key(number), &item::encode(item)?)?;
        }
        state.set_commit(tx.try_submit(self.options.durability)?.position());
        for item in items.drain(..) {
            state.add(item, visible);
        }
        Ok(())
    }

    /// Submits what nobody waits for.
    pub(crate) fn note(&self, state: &mut State, tx: Transaction<'_>) -> Result<()> {
        state.set_commit(tx.try_submit(Durability::Buffered)?.position());
        Ok(())
    }

    /// Does something under the lock; again, once there is room for its commit, if there is none.
    pub(crate) async fn attempt<T>(
        &self,
        mut attempt: impl FnMut(&mut State) -> Result<T>,
    ) -> Result<T> {
        loop {
            let attempted = attempt(&mut self.state.lock());
            match attempted {
                Err(Fault::Store(Error::WouldBlock { .. })) => self.store.room().await?,
                attempted => return attempted,
            }
        }
    }

    /// The same, and waits until all that was submitted by then is as durable as was asked.
    pub(crate) async fn commit<T>(
        &self,
        mut attempt: impl FnMut(&mut State) -> Result<T>,
    ) -> Result<T> {
        let attempt = |state: &mut State| {
            let done = attempt(state)?;
            self.wake(state);
            Ok((done, state.commit()))
        };
        let (done, commit) = self.attempt(attempt).await?;
        self.reached(commit).await?;
        Ok(done)
    }

    /// Waits until a commit, and all before it, is as durable as was asked.
    pub(crate) async fn reached(&self, commit: Position) -> Result<()> {
        let reached = match self.options.durability {
            Durability::Buffered => self.store.logged(commit),
            Durability::Sync => self.store.durable(commit),
        };
        Ok(reached.await?)
    }
}
