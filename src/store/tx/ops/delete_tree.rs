//! Deleting a run with all that is below it.

use super::new_run::Close;
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::index::DutyKind;
use crate::log::write::Durability;
use crate::retention::{DeletedTree, Keep};
use crate::store::read::DutyFilter;
use crate::store::shared::Store;
use crate::store::tx::retry;

/// How many chains are deleted in one commit.
const PAGE_CHAINS: usize = 64;
/// How many close policies are applied in one.
const PAGE_DUTIES: usize = 64;

impl Store {
    /// Deletes the chain of a run and the chains below it ([`Tree`](crate::read::Tree)), in commits of 64 chains, the lowest ones first. What is
    /// open is closed before, by the rules: the run's chain is terminated for this `reason`, and the close policies of all
    /// that closes are applied. A child that these leave open, as it was abandoned or asked to cancel, is left, and so is what is below it
    /// where it has not closed. Durable when it returns. If a crash comes between, the run is still there, and the same call goes on.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{Error, NewChild, NewRun, retention::Keep};
    ///
    /// let (order, _) = store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order")))?;
    /// let (ship, _) = store.transact(|tx| tx.spawn_child(&order, NewChild::new("ship-42", "Ship")))?;
    /// let deleted = store.delete_tree(&order, Keep::Nothing, "asked to be forgotten")?;
    /// assert_eq!((deleted.chains, deleted.left), (2, 0));
    /// assert!(matches!(store.run(&ship.run), Err(Error::RunDeleted { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunDeleted`], [`Error::NotDeletable`] for a run whose end its parent, which is open, was
    /// not told; then others may be deleted. As [`Transaction::commit`](crate::Transaction::commit).
    pub fn delete_tree(&self, run: &RunId, keep: Keep, reason: &str) -> Result<DeletedTree> {
        self.shared.writer()?;
        self.terminate_chain(run, reason)?;
        let mut chains = self.chains_of_tree(run)?;
        // What a policy closes has policies of its own.
        while self.apply_policies(&chains)? > 0 {
            chains = self.chains_of_tree(run)?;
        }
        let mut deleted = DeletedTree::default();
        // The root comes first in a tree, and is deleted last, by itself: what is left below it is known then.
        let below = chains.get(1..).unwrap_or_default();
        for page in below.rchunks(PAGE_CHAINS) {
            self.delete_chains(page, keep, &mut deleted)?;
        }
        retry(|| {
            let mut tx = self.begin();
            tx.delete_chain(run, keep)?;
            tx.commit()
        })?;
        deleted.chains += 1;
        Ok(deleted)
    }

    /// Closes the last run of a chain, if it is open.
    fn terminate_chain(&self, run: &RunId, reason: &str) -> Result<()> {
        retry(|| {
            let last = self.chain(run)?.current().clone();
            if !last.status.is_open() {
                return Ok(());
            }
            let mut tx = self.begin();
            tx.close_run(&last.id, Close::terminated(reason))?;
            tx.commit_with(Durability::Buffered).map(drop)
        })
    }

    /// The run, and the last run of each chain below it.
    fn chains_of_tree(&self, run: &RunId) -> Result<Vec<RunId>> {
        let mut chains = vec![*run];
        // Below each run of its chain.
        let members = self.chain(run)?;
        for member in members.runs() {
            let member = member?;
            if member.deleted.is_none() {
                let nodes = self.tree(&member.id)?.skip(1);
                for node in nodes {
                    chains.extend(node?.run.map(|run| run.id));
                }
            }
        }
        Ok(chains)
    }

    /// Applies the close policies of the runs of some chains; returns how many. What else is due, in runs that stay
    /// open, is the engine's.
    fn apply_policies(&self, chains: &[RunId]) -> Result<u64> {
        let mut applied = 0;
        for chain in chains {
            let runs: Vec<_> = self.chain(chain)?.runs().collect::<Result<_>>()?;
            for run in runs {
                let policies = DutyFilter::all().kind(DutyKind::ApplyClosePolicy).run(run.id);
                let duties: Vec<_> = self.duties(policies).collect::<Result<_>>()?;
                for page in duties.chunks(PAGE_DUTIES) {
                    applied += retry(|| {
                        let mut tx = self.begin();
                        let mut settled = 0;
                        for duty in page {
                            settled += u64::from(tx.settle(duty)?);
                        }
                        tx.commit_with(Durability::Buffered).map(|_| settled)
                    })?;
                }
            }
        }
        Ok(applied)
    }

    /// Deletes those of some chains that can be, the last one first.
    fn delete_chains(&self, runs: &[RunId], keep: Keep, deleted: &mut DeletedTree) -> Result<()> {
        let (chains, left) = retry(|| {
            let (mut chains, mut left) = (0, 0);
            let mut tx = self.begin();
            for run in runs.iter().rev() {
                match tx.delete_chain(run, keep) {
                    Ok(()) => chains += 1,
                    Err(Error::NotDeletable { .. }) => left += 1,
                    Err(error) => return Err(error),
                }
            }
            tx.commit_with(Durability::Buffered).map(|_| (chains, left))
        })?;
        deleted.chains += chains;
        deleted.left += left;
        Ok(())
    }
}
