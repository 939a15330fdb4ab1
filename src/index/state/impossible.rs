//! What cannot be after a commit has passed the rules, and is not smoothed over if it is.

use crate::error::Error;

/// The index contradicts what was checked before, by a fault of this program: nothing in it can be relied
/// on any more, and the writer takes no more commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Impossible(&'static str);

impl Impossible {
    #[cold]
    pub(crate) fn new(what: &'static str) -> Self {
        Impossible(what)
    }
}

impl From<Impossible> for Error {
    fn from(Impossible(what): Impossible) -> Self {
        Error::internal(what)
    }
}

/// What must be there.
pub(crate) trait Must<T> {
    /// The value, or that it cannot be that there is none.
    fn must(self, what: &'static str) -> Result<T, Impossible>;
}

impl<T> Must<T> for Option<T> {
    #[track_caller]
    fn must(self, what: &'static str) -> Result<T, Impossible> {
        match self {
            Some(value) => Ok(value),
            None => Err(Impossible::new(what)),
        }
    }
}
