//! Freezing the index: all that has changed since the last time becomes a layer that changes no more.

use std::sync::Arc;

use super::chains::{Chain, Chains};
use super::duties::Duties;
use super::frozen::Retired;
use super::index::Index;
use super::layers::Layer;
use super::listing::FrozenListing;
use super::namespaces::{Namespaces, Workflow};
use super::rows::RowLayer;
use super::runs::{Run, Runs};
use super::tables::Tables;
use crate::bytes::wide;
use crate::id::Position;
use crate::index::cold::Cold;
use crate::index::pack::{Pack, Unpack};

/// A frozen layer of the whole index, and what is kept in memory as a whole, as it was then.
#[derive(Clone)]
pub(crate) struct FrozenIndex {
    /// The commits before it are taken in.
    pub(crate) upto: Position,
    /// The last of them.
    pub(crate) last: Position,
    pub(crate) runs: Arc<Layer<Run>>,
    pub(crate) workflows: Arc<Layer<Workflow>>,
    pub(crate) chains: Arc<Layer<Chain>>,
    pub(crate) rows: Vec<(Arc<str>, Arc<RowLayer>)>,
    pub(crate) listing: FrozenListing,
    /// Namespaces, types with their open runs, duties, sums: see [`Index::decode`].
    pub(crate) resident: Vec<u8>,
}

/// The numbered entries of a frozen layer.
pub(crate) struct FrozenEntries {
    runs: Arc<Layer<Run>>,
    chains: Arc<Layer<Chain>>,
    workflows: Arc<Layer<Workflow>>,
}

impl FrozenEntries {
    /// Has open runs stay in memory once the layer is taken out, with their chains and workflows. It takes a while, for
    /// which nobody should hold the index.
    pub(crate) fn leave_open(&self) {
        let open: Vec<_> = self.runs.iter().filter(|(_, run)| run.is_open()).collect();
        self.runs.leave(open.iter().map(|(number, _)| *number));
        self.chains.leave(open.iter().map(|(_, run)| run.chain.as_u32()));
        self.workflows.leave(open.iter().map(|(_, run)| run.workflow.as_u32()));
    }
}

impl Index {
    /// Freezes what has changed, as of all commits taken in so far.
    pub(crate) fn freeze(&mut self) -> FrozenIndex {
        let upto = self.end;
        self.frozen_bytes = self.totals.log_bytes();
        self.frozen_layers.push_back((upto, self.hot_bytes()));
        let resident = self.encode();
        self.resident_bytes = wide(resident.len());
        FrozenIndex {
            upto,
            last: self.last,
            runs: self.runs.freeze(upto),
            workflows: self.namespaces.freeze(upto),
            chains: self.chains.freeze(upto),
            rows: self.tables.freeze(upto),
            listing: self.listing.freeze(upto),
            resident,
        }
    }

    /// Goes on with another cold index, which holds as much as the one before and perhaps more layers.
    pub(crate) fn adopt(&mut self, cold: &Arc<Cold>) {
        self.runs.adopt(cold);
        self.namespaces.adopt(cold);
        self.chains.adopt(cold);
        self.tables.adopt(cold);
    }

    /// The frozen layers up to `upto`, the oldest one first.
    pub(crate) fn frozen_upto(&self, upto: Position) -> Vec<FrozenEntries> {
        let (runs, chains) = (self.runs.frozen_upto(upto), self.chains.frozen_upto(upto));
        let workflows = self.namespaces.frozen_upto(upto);
        let layers = runs.cloned().zip(chains.cloned()).zip(workflows.cloned());
        layers
            .map(|((runs, chains), workflows)| FrozenEntries { runs, chains, workflows })
            .collect()
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds, and of which no reader needs what
    /// was before. Of what [`FrozenEntries::leave_open`] has found, as much stays as about `open_max` bytes hold. What is
    /// returned is to be dropped without the index's lock.
    pub(crate) fn thin(&mut self, upto: Position, open_max: u64) -> Vec<Retired> {
        let mut out = vec![];
        while self.frozen_layers.front().is_some_and(|(of, _)| *of <= upto) {
            self.frozen_layers.pop_front();
        }
        self.runs.thin(upto, open_max / 2, &mut out);
        self.namespaces.thin(upto, open_max / 4, &mut out);
        self.chains.thin(upto, open_max / 4, &mut out);
        self.tables.thin(upto, &mut out);
        self.listing.thin(upto, &mut out);
        out
    }

    /// The bytes of what is kept in memory as a whole.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = self.encode_without_tables();
        self.tables.encode(&mut to);
        to
    }

    pub(super) fn encode_without_tables(&self) -> Vec<u8> {
        let mut to = vec![];
        to.position(self.end);
        to.position(self.last);
        to.position(self.limits_changed);
        let mut totals = self.totals;
        totals.fields().into_iter().for_each(|total| to.number(*total));
        to.number(wide(self.runs.next_index()));
        self.namespaces.encode(&mut to);
        self.chains.encode(&mut to);
        self.duties.encode(&mut to);
        to
    }

    /// The index that a frozen layer with these `resident` bytes was the newest of, all in `cold`; `None` for other
    /// bytes.
    pub(crate) fn decode(cold: &Arc<Cold>, resident: &[u8]) -> Option<Self> {
        let mut from = Unpack(resident);
        let mut index = Index {
            end: from.position()?,
            last: from.position()?,
            limits_changed: from.position()?,
            ..Index::default()
        };
        index.resident_bytes = wide(resident.len());
        for total in index.totals.fields() {
            *total = from.number()?;
        }
        index.frozen_bytes = index.totals.log_bytes();
        // Workflows and chains have numbers of runs.
        let next = usize::try_from(from.number()?).ok()?;
        index.runs = Runs::of_cold(cold, next);
        index.namespaces = Namespaces::decode(cold, next, &mut from)?;
        index.chains = Chains::decode(cold, next, &mut from)?;
        index.duties = Duties::decode(&mut from)?;
        index.tables = Tables::decode(cold, &mut from)?;
        from.finish(index)
    }
}
