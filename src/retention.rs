//! Deletion and retention: what is kept of runs that have closed.

/// What is kept of a run that is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Keep {
    /// How it ended: [`RunInfo`](crate::RunInfo), with its sizes as they were, and the event that closed it. It goes on
    /// counting as a run of its workflow id, so that a repeated start finds it. Its history is deleted.
    Outcome,
    /// Nothing. Its workflow id is free, if it was the current run.
    Nothing,
}

impl Keep {
    /// The name, in camel case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Keep::Outcome => "Outcome",
            Keep::Nothing => "Nothing",
        }
    }

    /// The number by which the log and the index's files call it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Keep::Nothing => 0,
            Keep::Outcome => 1,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Keep::Nothing, Keep::Outcome].into_iter().find(|keep| keep.number() == number)
    }
}
