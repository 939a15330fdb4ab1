//! Frozen layers of one part of the index. All parts are frozen at the same commits.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::Position;

/// A layer that was taken out of the index. To drop it takes a while, for which nobody should hold the index.
pub(crate) type Retired = Arc<dyn Any + Send + Sync>;

/// Frozen layers, each with the position of the commits before which it is, the oldest one first. A layer without
/// content is left out.
pub(crate) struct Frozen<L>(VecDeque<(Position, Arc<L>)>);

impl<L> Default for Frozen<L> {
    fn default() -> Self {
        Frozen(VecDeque::new())
    }
}

impl<L> Frozen<L> {
    pub(crate) fn push(&mut self, upto: Position, layer: L) -> Arc<L> {
        let layer = Arc::new(layer);
        self.0.push_back((upto, layer.clone()));
        layer
    }

    pub(crate) fn oldest(&self) -> Option<&L> {
        self.0.front().map(|(_, layer)| &**layer)
    }

    #[inline]
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &L> {
        self.0.iter().rev().map(|(_, layer)| &**layer)
    }

    /// The layers up to `upto`, the oldest one first.
    pub(crate) fn upto(&self, upto: Position) -> impl Iterator<Item = &Arc<L>> {
        self.0.iter().take_while(move |(of, _)| *of <= upto).map(|(_, layer)| layer)
    }
}

impl<L: Send + Sync + 'static> Frozen<L> {
    /// Takes out the layers up to `upto`.
    pub(crate) fn retire(&mut self, upto: Position, out: &mut Vec<Retired>) {
        while self.0.front().is_some_and(|(of, _)| *of <= upto) {
            out.extend(self.0.pop_front().map(|(_, layer)| layer as Retired));
        }
    }
}
