//! A value that readers at different positions may see differently.

use std::collections::VecDeque;

use crate::id::Position;

/// The latest value and the commit that made it, and what it was before for as long as a reader
/// may look.
#[derive(Clone, Debug)]
pub(crate) struct Versioned<T> {
    commit: Position,
    value: T,
    /// Oldest first; almost always empty, so it costs a word.
    #[allow(clippy::box_collection)]
    before: Option<Box<VecDeque<(Position, T)>>>,
}

impl<T: Clone> Versioned<T> {
    pub(crate) fn new(commit: Position, value: T) -> Self {
        Versioned { commit, value, before: None }
    }

    /// The latest value, published or not.
    pub(crate) fn latest(&self) -> &T {
        &self.value
    }

    /// The commit that made the latest value.
    pub(crate) fn changed(&self) -> Position {
        self.commit
    }

    /// The value as a reader at `at` sees it: made by the last commit before.
    pub(crate) fn at(&self, at: Position) -> Option<&T> {
        if self.commit < at {
            return Some(&self.value);
        }
        let before = self.before.as_deref()?;
        before.iter().rev().find(|(commit, _)| *commit < at).map(|(_, value)| value)
    }

    /// Sets the value from `commit` on. No reader looks before `oldest` any more.
    pub(crate) fn set(&mut self, commit: Position, value: T, oldest: Position) {
        let latest = std::mem::replace(&mut self.value, value);
        let made = std::mem::replace(&mut self.commit, commit);
        if commit < oldest {
            self.before = None;
            return;
        }
        self.before.get_or_insert_default().push_back((made, latest));
        self.forget(oldest);
    }

    /// Drops what only readers before `oldest` would see.
    pub(crate) fn forget(&mut self, oldest: Position) {
        if self.commit < oldest {
            self.before = None;
        }
        if let Some(before) = self.before.as_deref_mut() {
            while before.get(1).is_some_and(|(made, _)| *made < oldest) {
                before.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_sees_the_last_commit_before_it() {
        let at = Position::from_u64;
        let mut value = Versioned::new(at(10), "a");
        value.set(at(20), "b", at(15));
        value.set(at(30), "c", at(15));
        assert_eq!(value.at(at(10)), None);
        assert_eq!(value.at(at(15)), Some(&"a"));
        assert_eq!(value.at(at(21)), Some(&"b"));
        assert_eq!(value.at(at(31)), Some(&"c"));
        value.set(at(40), "d", at(25));
        assert_eq!(value.at(at(15)), None, "forgotten");
        assert_eq!(value.at(at(25)), Some(&"b"));
        value.set(at(50), "e", at(60));
        assert_eq!((value.at(at(60)), value.before.is_none()), (Some(&"e"), true));
    }
}
