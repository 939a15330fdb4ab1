//! Total sizes of chains, trees and namespaces.

use super::chain_runs::ChainRuns;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::index::Size;

impl Snapshot {
    /// The total size of the runs of a run's chain that are in the store.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound); for imported runs,
    /// [`Error::Corrupt`](crate::Error::Corrupt) if their links to each other cannot be read.
    pub fn chain_size(&self, run: &RunId) -> Result<Size> {
        self.here()?;
        let chain = {
            let index = self.index();
            let found = index.runs.get(self.number(&index, run)?);
            let chain = index.sure(found.map(|found| found.chain))?;
            chain.ok_or(Error::RunNotFound { run: *run })?
        };
        ChainRuns::of(self, chain)?.kept_size(self)
    }

    /// The total size of a tree: the run itself, and all runs of the chains below it, each once. See
    /// [`Tree`](crate::read::Tree) for what is below a run. Visits the whole tree.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`] if a file of the index is damaged.
    /// [`Error::RunNotFound`](crate::Error::RunNotFound),
    /// [`Error::Corrupt`](crate::Error::Corrupt) if an event cannot be read.
    pub fn tree_size(&self, run: &RunId) -> Result<Size> {
        self.here()?;
        let mut size = Size::default();
        for node in self.tree(run)? {
            size += node?.size;
        }
        Ok(size)
    }

    /// The total size of all runs of a namespace; zeros if the namespace is not known.
    #[must_use]
    pub fn namespace_size(&self, namespace: &str) -> Size {
        let index = self.index();
        let found = index.namespaces.get(namespace);
        let size = found.and_then(|found| index.namespaces.size_at(found, self.end()));
        size.unwrap_or_default()
    }
}
