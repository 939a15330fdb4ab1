//! Frozen layers of one part of the index. All parts are frozen at the same commits, and count these layers alike.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// A layer that was taken out of the index. To drop it takes a while, for which nobody should hold the index.
pub(crate) type Retired = Arc<dyn Any + Send + Sync>;

/// Frozen layers with their numbers, the oldest one first. A layer without content is left out.
pub(crate) struct Frozen<L>(VecDeque<(u64, Arc<L>)>);

impl<L> Default for Frozen<L> {
    fn default() -> Self {
        Frozen(VecDeque::new())
    }
}

impl<L> Frozen<L> {
    pub(crate) fn push(&mut self, number: u64, layer: L) -> Arc<L> {
        let layer = Arc::new(layer);
        self.0.push_back((number, layer.clone()));
        layer
    }

    #[inline]
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &L> {
        self.0.iter().rev().map(|(_, layer)| &**layer)
    }
}

impl<L: Send + Sync + 'static> Frozen<L> {
    /// Takes out the layers before `number`.
    pub(crate) fn retire(&mut self, number: u64, out: &mut Vec<Retired>) {
        while self.0.front().is_some_and(|(of, _)| *of < number) {
            out.extend(self.0.pop_front().map(|(_, layer)| layer as Retired));
        }
    }
}
