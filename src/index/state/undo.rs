//! Former versions (multi-version concurrency control, MVCC): what entries of a kind were before commits that some
//! reader does not see yet. One queue for all of them, as every commit adds a version and the next one mostly drops it.

use std::collections::VecDeque;

use crate::bytes::wide;
use crate::id::Position;

/// What is known of an entry, and the commit that made it so.
#[derive(Clone, Debug)]
pub(crate) struct Latest<T> {
    commit: Position,
    value: T,
    /// The number of what it was before, counted from 1; 0 for nothing.
    former: u64,
}

impl<T> Latest<T> {
    pub(crate) fn new(commit: Position, value: T) -> Self {
        Latest { commit, value, former: 0 }
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

/// What an entry was until some commit.
#[derive(Clone, Debug)]
struct Undone<T> {
    was: Latest<T>,
    until: Position,
}

/// The queue, the oldest commit first.
#[derive(Debug)]
pub(crate) struct UndoQueue<T> {
    entries: VecDeque<Undone<T>>,
    /// How many have been taken out.
    gone: u64,
}

impl<T> Default for UndoQueue<T> {
    fn default() -> Self {
        UndoQueue { entries: VecDeque::new(), gone: 0 }
    }
}

impl<T> UndoQueue<T> {
    /// Replaces a value from `commit` on, which is later than all before.
    pub(crate) fn replace(&mut self, current: &mut Latest<T>, commit: Position, value: T) {
        let number = self.gone + wide(self.entries.len()) + 1;
        let was = std::mem::replace(current, Latest { commit, value, former: number });
        self.entries.push_back(Undone { was, until: commit });
    }

    /// The value as a reader at `at` sees it: made by the last commit before.
    pub(crate) fn at<'f>(&'f self, current: &'f Latest<T>, at: Position) -> Option<&'f T> {
        let mut seen = current;
        while seen.commit >= at {
            let place = seen.former.checked_sub(self.gone)?.checked_sub(1)?;
            seen = &self.entries.get(usize::try_from(place).ok()?)?.was;
        }
        Some(&seen.value)
    }

    /// Drops what only readers before `oldest` would see.
    #[inline]
    pub(crate) fn forget(&mut self, oldest: Position) {
        while self.entries.front().is_some_and(|former| former.until < oldest) {
            self.entries.pop_front();
            self.gone += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_sees_the_last_commit_before_it() {
        let at = Position::from_u64;
        let mut undo_queue = UndoQueue::default();
        let mut runs = [10, 20].map(|commit| Latest::new(at(commit), 1));
        // Commits 30, 40, 50 and 60 extend the two runs in turn.
        for (commit, run) in [(30, 0), (40, 1), (50, 0), (60, 1)] {
            let next = runs[run].latest() + 1;
            undo_queue.replace(&mut runs[run], at(commit), next);
        }
        let seen = |undo_queue: &UndoQueue<u32>, run: usize, reader| {
            undo_queue.at(&runs[run], at(reader)).copied()
        };
        for (reader, first, second) in [
            (10, None, None),
            (11, Some(1), None),
            (30, Some(1), Some(1)),
            (31, Some(2), Some(1)),
            (50, Some(2), Some(2)),
            (61, Some(3), Some(3)),
        ] {
            assert_eq!(
                (seen(&undo_queue, 0, reader), seen(&undo_queue, 1, reader)),
                (first, second)
            );
        }
        undo_queue.forget(at(45));
        assert_eq!((seen(&undo_queue, 0, 45), seen(&undo_queue, 1, 45)), (Some(2), Some(2)));
        assert_eq!(seen(&undo_queue, 0, 30), None, "forgotten");
        undo_queue.forget(at(61));
        assert!(undo_queue.entries.is_empty());
        assert_eq!((seen(&undo_queue, 0, 61), seen(&undo_queue, 1, 61)), (Some(3), Some(3)));
    }
}
