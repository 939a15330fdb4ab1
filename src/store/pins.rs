//! Which positions readers hold still, so that the index keeps what they see.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Position;
use crate::sync::Mutex;

/// Counts readers by the position they hold.
#[derive(Default)]
pub(super) struct Pins(Mutex<BTreeMap<Position, usize>>);

impl Pins {
    /// Pins the position that `current` returns; nothing is forgotten in between.
    pub(super) fn pin(self: &Arc<Self>, current: impl FnOnce() -> Position) -> Pin {
        let mut held = self.0.lock();
        let at = current();
        *held.entry(at).or_default() += 1;
        Pin { pins: self.clone(), at }
    }

    /// The oldest position that a reader holds or could take now.
    pub(super) fn oldest(&self, current: impl FnOnce() -> Position) -> Position {
        let held = self.0.lock();
        let now = current();
        held.keys().next().map_or(now, |oldest| now.min(*oldest))
    }
}

/// Holds a position until dropped.
pub(super) struct Pin {
    pins: Arc<Pins>,
    at: Position,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.pins.0.lock();
        if let Some(count) = held.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.at);
            }
        }
    }
}
