//! Why a run cannot be deleted.

/// Why a run cannot be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Undeletable {
    /// It is open.
    Open,
    /// It is the last run of a chain that has others: they are deleted before it, or with it.
    LastOfChain,
    /// Its close policies, or other duties of it, are not settled.
    Unsettled,
    /// Its chain has ended, and the parent, which is open, was not told.
    Untold,
}

impl Undeletable {
    /// Why, in words.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Undeletable::Open => "it is open",
            Undeletable::LastOfChain => "it is the last run of its chain, which has others",
            Undeletable::Unsettled => "some of its duties are not settled",
            Undeletable::Untold => "its parent was not told how it ended",
        }
    }
}
