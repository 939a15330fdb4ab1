//! What runs were before commits that some reader does not see yet: one queue for all of them, as every
//! commit puts something there and the next one mostly takes it out again.

use std::collections::VecDeque;

use super::runs::Extent;
use crate::id::Position;

/// How far a run has come, and by which commit.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    commit: Position,
    extent: Extent,
    /// The number of what it was before, counted from 1; 0 for nothing.
    former: u64,
}

impl Current {
    pub(super) fn new(commit: Position, extent: Extent) -> Self {
        Current { commit, extent, former: 0 }
    }

    /// The latest extent, published or not.
    pub(crate) fn latest(&self) -> &Extent {
        &self.extent
    }
}

/// What a run was until some commit.
#[derive(Clone, Debug)]
struct Former {
    was: Current,
    until: Position,
}

/// The queue, the oldest commit first.
#[derive(Default, Debug)]
pub(super) struct Formers {
    entries: VecDeque<Former>,
    /// How many have been taken out.
    gone: u64,
}

impl Formers {
    /// Replaces an extent from `commit` on, which is later than all before.
    pub(super) fn replace(&mut self, current: &mut Current, commit: Position, extent: Extent) {
        let number = self.gone.saturating_add(self.entries.len() as u64 + 1);
        let was = std::mem::replace(current, Current { commit, extent, former: number });
        self.entries.push_back(Former { was, until: commit });
    }

    /// The extent as a reader at `at` sees it: made by the last commit before.
    pub(super) fn at<'f>(&'f self, current: &'f Current, at: Position) -> Option<&'f Extent> {
        let mut seen = current;
        while seen.commit >= at {
            let place = seen.former.checked_sub(self.gone)?.checked_sub(1)?;
            seen = &self.entries.get(usize::try_from(place).ok()?)?.was;
        }
        Some(&seen.extent)
    }

    /// Drops what only readers before `oldest` would see.
    pub(super) fn forget(&mut self, oldest: Position) {
        while self.entries.front().is_some_and(|former| former.until < oldest) {
            self.entries.pop_front();
            self.gone = self.gone.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::RunStatus;
    use super::*;

    fn extent(next_event: u32) -> Extent {
        Extent {
            last_batch: Position::START,
            next_event,
            bytes: 0,
            status: RunStatus::Running,
            cancel_requested: 0,
            replaced: false,
            continued: false,
            closed_at: None,
        }
    }

    #[test]
    fn each_reader_sees_the_last_commit_before_it() {
        let at = Position::from_u64;
        let mut formers = Formers::default();
        let mut runs = [10, 20].map(|commit| Current::new(at(commit), extent(1)));
        // Commits 30, 40, 50 and 60 extend the two runs in turn.
        for (commit, run) in [(30, 0), (40, 1), (50, 0), (60, 1)] {
            let next = runs[run].latest().next_event + 1;
            formers.replace(&mut runs[run], at(commit), extent(next));
        }
        let seen = |formers: &Formers, run: usize, reader| {
            formers.at(&runs[run], at(reader)).map(|extent| extent.next_event)
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
