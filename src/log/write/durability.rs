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

/// Whether a commit may take the room that is kept for closing and cancelling while there is no
/// next segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserve {
    Keep,
    Use,
}

/// Where an appended commit stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}
