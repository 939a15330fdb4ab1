//! Counting what a piece of work costs this thread.

use super::allocator::allocations;
use super::disk::{Calls, calls};

/// What a hot path came to.
#[derive(Default)]
pub(crate) struct Meter {
    /// How many units of work were done: events, commits, children.
    pub(crate) units: u64,
    /// The engine's own bytes in them.
    pub(crate) payload: u64,
    pub(crate) allocations: u64,
    pub(crate) calls: Calls,
}

impl Meter {
    /// Does `units` of work and counts it. Everything outside is preparation.
    pub(crate) fn count(&mut self, units: usize, mut work: impl FnMut()) {
        self.units += units as u64;
        self.counted(&mut work);
    }

    /// The one function that callgrind is told to look into: it is found by its name.
    #[inline(never)]
    fn counted(&mut self, work: &mut dyn FnMut()) {
        let (allocated, called) = (allocations(), calls());
        work();
        self.allocations += allocations() - allocated;
        self.calls += calls() - called;
    }
}
