//! How a run begins, as far as rules ask.

use crate::id::RunId;

/// A run that a reset begins, and where it leaves its base run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ResetRun {
    pub(crate) run: RunId,
    pub(crate) from: ForkPoint,
}

/// A run, and the last event of it that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ForkPoint {
    pub(crate) base: RunId,
    pub(crate) shared: u32,
}

/// A run, and the event by which it initiated a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ParentEvent {
    pub(crate) run: RunId,
    pub(crate) initiated: u32,
}

/// How a run begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunOrigin {
    /// The parent.
    pub(crate) parent: Option<ParentEvent>,
    /// The run before it in its chain.
    pub(crate) continued: Option<RunId>,
    /// For a reset: the base run and the last event that they share.
    pub(crate) base: Option<ForkPoint>,
}
