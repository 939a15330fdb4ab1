//! What a store says, as of now, about how runs are related. A [`Snapshot`] says the same of one
//! moment.
//!
//! [`Snapshot`]: super::Snapshot

use super::{Chain, Children, Parent, Root, Store, Tree};
use crate::error::Result;
use crate::id::RunId;
use crate::index::Size;

impl Store {
    /// The chain that a run belongs to, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::chain`](crate::Snapshot::chain).
    pub fn chain(&self, run: &RunId) -> Result<Chain> {
        self.snapshot().chain(run)
    }

    /// The children of a run, as of now: those that have ended too.
    ///
    /// # Errors
    /// As [`Snapshot::children`](crate::Snapshot::children).
    pub fn children(&self, run: &RunId) -> Result<Children> {
        self.snapshot().children(run)
    }

    /// The parent of a run, as of now; `None` for one that has none.
    ///
    /// # Errors
    /// As [`Snapshot::parent`](crate::Snapshot::parent).
    pub fn parent(&self, run: &RunId) -> Result<Option<Parent>> {
        self.snapshot().parent(run)
    }

    /// The run at the root of the tree that a run stands in.
    ///
    /// # Errors
    /// As [`Snapshot::root`](crate::Snapshot::root).
    pub fn root(&self, run: &RunId) -> Result<Root> {
        self.snapshot().root(run)
    }

    /// The tree below a run, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::tree`](crate::Snapshot::tree).
    pub fn tree(&self, run: &RunId) -> Result<Tree> {
        self.snapshot().tree(run)
    }

    /// What the runs of a run's chain add up to, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::chain_size`](crate::Snapshot::chain_size).
    pub fn chain_size(&self, run: &RunId) -> Result<Size> {
        self.snapshot().chain_size(run)
    }

    /// What the tree below a run adds up to, with the run itself, as of now.
    ///
    /// # Errors
    /// As [`Snapshot::tree_size`](crate::Snapshot::tree_size).
    pub fn tree_size(&self, run: &RunId) -> Result<Size> {
        self.snapshot().tree_size(run)
    }

    /// What all runs of a namespace add up to, as of now; nothing for one that is not known.
    #[must_use]
    pub fn namespace_size(&self, namespace: &str) -> Size {
        self.snapshot().namespace_size(namespace)
    }
}
