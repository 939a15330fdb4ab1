//! Named consumers: the table of their positions, and what a compaction and new consumers tell each other.
//!
//! A pass leaves the log whole from the position on of the slowest consumer that its snapshot sees. Positions only go
//! forward, so that is enough, however they move meanwhile. A consumer that the snapshot does not see is new: either
//! its commit was noted here before the pass decided how far it goes, and counts like the others; or it comes later,
//! and is refused at a position that the pass does not spare.

use crate::bytes::u64_at;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::View;
use crate::sync::{Mutex, MutexGuard};

/// The table of the consumers: key the name, value the position, a `u64`.
pub(crate) const CONSUMERS_TABLE: &str = "kinlog.consumers";

/// The position in a consumer's row. What makes no sense is taken for the start of the log, so that nothing is lost to it.
pub(crate) fn position_in_row(value: &[u8]) -> Position {
    u64_at(value, 0).map_or(Position::START, Position::from_u64)
}

/// Consumers whose commits may be unpublished, and how far a pass goes.
#[derive(Default)]
pub(crate) struct NewConsumers(Mutex<State>);

#[derive(Default)]
struct State {
    /// The positions of a commit and of a consumer that is new with it.
    unpublished: Vec<(Position, Position)>,
    /// A pass that is under way may drop what is before.
    drops_upto: Position,
}

impl NewConsumers {
    /// Notes that the commit at `commit` makes a consumer at `position`; refuses it where the log is not whole from there
    /// on, or will not be. To be called before the index is locked for the commit: a pass reads the index meanwhile.
    pub(crate) fn note(&self, view: &View, commit: Position, position: Position) -> Result<()> {
        let mut state = self.0.lock();
        if position < state.drops_upto {
            return Err(Error::Compacted { position, resume: state.drops_upto });
        }
        view.check_whole(position)?;
        // A later pass sees those that are published.
        state.unpublished.retain(|(commit, _)| *commit >= view.end);
        state.unpublished.push((commit, position));
        Ok(())
    }

    /// For a pass that is to decide how far it goes: nobody notes a consumer until it has.
    pub(crate) fn deciding(&self) -> Deciding<'_> {
        Deciding { consumers: self, state: self.0.lock() }
    }
}

/// A pass that decides how far it goes.
pub(crate) struct Deciding<'c> {
    consumers: &'c NewConsumers,
    state: MutexGuard<'c, State>,
}

impl<'c> Deciding<'c> {
    /// The least position of the consumers that a snapshot does not see which ends at `end`.
    pub(crate) fn slowest_from(&self, end: Position) -> Option<Position> {
        let unseen = self.state.unpublished.iter().filter(|(commit, _)| *commit >= end);
        unseen.map(|(_, position)| *position).min()
    }

    /// It goes up to `upto`, until what is returned is dropped.
    pub(crate) fn decide(mut self, upto: Position) -> Decided<'c> {
        self.state.drops_upto = upto;
        Decided(self.consumers)
    }
}

/// A pass under way.
pub(crate) struct Decided<'c>(&'c NewConsumers);

impl Drop for Decided<'_> {
    fn drop(&mut self) {
        // What was dropped shows in the segments.
        self.0.0.lock().drops_upto = Position::START;
    }
}

#[cfg(test)]
mod tests {
    use super::NewConsumers;
    use crate::error::Error;
    use crate::id::Position;
    use crate::log::files::View;
    use crate::log::format::Identity;

    fn view(end: u64) -> View {
        let identity = Identity { store: [1; 16], segment_bytes: 1 << 16 };
        let mut view = View::empty(identity);
        view.end = Position::from_u64(end);
        view
    }

    #[test]
    fn a_consumer_that_no_snapshot_sees_yet_counts_and_those_that_come_later_are_refused() {
        let [at, commit, end] = [20, 100, 200].map(Position::from_u64);
        let consumers = NewConsumers::default();
        consumers.note(&view(100), commit, at).unwrap();
        let deciding = consumers.deciding();
        assert_eq!(deciding.slowest_from(commit), Some(at), "it is on its way");
        assert_eq!(deciding.slowest_from(end), None, "the snapshot sees it");
        let decided = deciding.decide(end);
        let late = consumers.note(&view(200), end, at);
        assert!(matches!(late, Err(Error::Compacted { resume, .. }) if resume == end), "{late:?}");
        consumers.note(&view(200), end, end).unwrap();
        drop(decided);
        consumers.note(&view(300), Position::from_u64(300), at).unwrap();
        assert_eq!(
            consumers.0.lock().unpublished.len(),
            1,
            "those that are published are forgotten"
        );
    }
}
