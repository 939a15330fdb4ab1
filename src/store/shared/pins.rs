//! Pins: the positions that readers hold. The index keeps the versions that these see (MVCC).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::Opener;
use crate::id::Position;
use crate::sync::Mutex;

/// Counts readers by pinned position.
pub(crate) struct Pins {
    held: Mutex<BTreeMap<Position, usize>>,
    opener: Arc<Opener>,
}

impl Pins {
    pub(crate) fn new(opener: Arc<Opener>) -> Self {
        Pins { held: Mutex::default(), opener }
    }

    /// Pins the position that `current` returns. Atomic with [`Pins::oldest`], so no version that it sees is dropped
    /// in between.
    pub(crate) fn pin(self: &Arc<Self>, current: impl FnOnce() -> Position) -> Pin {
        let mut held = self.held.lock();
        let at = current();
        *held.entry(at).or_default() += 1;
        Pin { pins: self.clone(), at }
    }

    /// The oldest position that is pinned, or `current` if that is older. Versions before it can be dropped.
    pub(crate) fn oldest(&self, current: impl FnOnce() -> Position) -> Position {
        let held = self.held.lock();
        let now = current();
        held.keys().next().map_or(now, |oldest| now.min(*oldest))
    }
}

/// A pinned position; released when dropped.
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
