//! Which positions readers hold still, so that the index keeps what they see.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::Opener;
use crate::id::Position;
use crate::sync::Mutex;

/// Counts readers by the position they hold.
pub(crate) struct Pins {
    held: Mutex<BTreeMap<Position, usize>>,
    opener: Arc<Opener>,
}

impl Pins {
    pub(crate) fn new(opener: Arc<Opener>) -> Self {
        Pins { held: Mutex::default(), opener }
    }

    /// Pins the position that `current` returns; nothing is forgotten in between.
    pub(crate) fn pin(self: &Arc<Self>, current: impl FnOnce() -> Position) -> Pin {
        let mut held = self.held.lock();
        let at = current();
        *held.entry(at).or_default() += 1;
        Pin { pins: self.clone(), at }
    }

    /// The oldest position that a reader holds or could take now.
    pub(crate) fn oldest(&self, current: impl FnOnce() -> Position) -> Position {
        let held = self.held.lock();
        let now = current();
        held.keys().next().map_or(now, |oldest| now.min(*oldest))
    }
}

/// Holds a position until dropped.
pub(crate) struct Pin {
    pins: Arc<Pins>,
    at: Position,
}

impl Drop for Pin {
    fn drop(&mut self) {
        if !self.pins.opener.is_this_process() {
            return;
        }
        let mut held = self.pins.held.lock();
        if let Some(count) = held.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.at);
            }
        }
    }
}
