//! What runs were before commits that some reader does not see yet: one queue for all of them, as every
//! commit puts something there and the next one mostly takes it out again.

use std::collections::VecDeque;

use crate::id::Position;

/// What is known of a run, and the commit that made it so.
#[derive(Clone, Debug)]
pub(crate) struct Current<T> {
    commit: Position,
    value: T,
    /// The number of what it was before, counted from 1; 0 for nothing.
    former: u64,
}

impl<T> Current<T> {
    pub(crate) fn new(commit: Position, value: T) -> Self {
        Current { commit, value, former: 0 }
    }

    /// The latest value, published or not.
    pub(crate) fn latest(&self) -> &T {
        &self.value
    }

    /// The commit that made the latest value.
    pub(crate) fn changed(&self) -> Position {
        self.commit
    }
}

/// What a run was until some commit.
#[derive(Clone, Debug)]
struct Former<T> {
    was: Current<T>,
    until: Position,
}

/// The queue, the oldest commit first.
#[derive(Debug)]
pub(crate) struct Formers<T> {
    entries: VecDeque<Former<T>>,
    /// How many have been taken out.
    gone: u64,
}

impl<T> Default for Formers<T> {
    fn default() -> Self {
        Formers { entries: VecDeque::new(), gone: 0 }
    }
}

impl<T> Formers<T> {
    /// Replaces a value from `commit` on, which is later than all before.
    pub(crate) fn replace(&mut self, current: &mut Current<T>, commit: Position, value: T) {
        let number = self.gone.saturating_add(self.entries.len() as u64 + 1);
        let was = std::mem::replace(current, Current { commit, value, former: number });
        self.entries.push_back(Former { was, until: commit });
    }

    /// The value as a reader at `at` sees it: made by the last commit before.
    pub(crate) fn at<'f>(&'f self, current: &'f Current<T>, at: Position) -> Option<&'f T> {
        let mut seen = current;
        while seen.commit >= at {
            let place = seen.former.checked_sub(self.gone)?.checked_sub(1)?;
            seen = &self.entries.get(usize::try_from(place).ok()?)?.was;
        }
        Some(&seen.value)
    }

    /// Drops what only readers before `oldest` would see.
    pub(crate) fn forget(&mut self, oldest: Position) {
        while self.entries.front().is_some_and(|former| former.until < oldest) {
            self.entries.pop_front();
            self.gone = self.gone.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_sees_the_last_commit_before_it() {
        let at = Position::from_u64;
        let mut formers = Formers::default();
        let mut runs = [10, 20].map(|commit| Current::new(at(commit), 1));
        // Commits 30, 40, 50 and 60 extend the two runs in turn.
        for (commit, run) in [(30, 0), (40, 1), (50, 0), (60, 1)] {
            let next = runs[run].latest() + 1;
            formers.replace(&mut runs[run], at(commit), next);
        }
        let seen = |formers: &Formers<u32>, run: usize, reader| {
            formers.at(&runs[run], at(reader)).copied()
        };
        for (reader, first, second) in [
            (10, None, None),
            (11, Some(1), None),
            (30, Some(1), Some(1)),
            (31, Some(2), Some(1)),
            (50, Some(2), Some(2)),
            (61, Some(3), Some(3)),
        ] {
            assert_eq!((seen(&formers, 0, reader), seen(&formers, 1, reader)), (first, second));
        }
        formers.forget(at(45));
        assert_eq!((seen(&formers, 0, 45), seen(&formers, 1, 45)), (Some(2), Some(2)));
        assert_eq!(seen(&formers, 0, 30), None, "forgotten");
        formers.forget(at(61));
        assert!(formers.entries.is_empty());
        assert_eq!((seen(&formers, 0, 61), seen(&formers, 1, 61)), (Some(3), Some(3)));
    }
}
