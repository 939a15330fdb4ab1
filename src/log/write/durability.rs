//! What a committer asks of the log for its commit.

use crate::id::Position;

/// How long a commit waits before it returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Durability {
    /// Until the operating system has it: survives a crash of the process, not of the machine.
    Buffered,
    /// Until it is on the device.
    #[default]
    Sync,
}

/// Who sees to it that an appended commit is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lead {
    /// The caller, who will wait for it.
    Caller,
    /// The store's own thread.
    Thread,
}

/// How much a commit may take of the room that is kept while there is no next segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserve {
    /// Nothing.
    Keep,
    /// The first half: it goes on with what there is, and could be repeated without end.
    Half,
    /// All: it closes runs, each of which closes once.
    All,
}

/// How a commit is to be appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Manner {
    pub(crate) durability: Durability,
    pub(crate) lead: Lead,
    /// Whether it waits where there is no room, or is refused.
    pub(crate) waits: bool,
    pub(crate) reserve: Reserve,
}

impl Manner {
    /// Waits for room, and keeps the reserve.
    pub(crate) fn ordinary(durability: Durability, lead: Lead) -> Self {
        Manner { durability, lead, waits: true, reserve: Reserve::Keep }
    }
}

/// Where an appended commit stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}
