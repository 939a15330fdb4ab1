//! Which run and position of one store stands for which of the other.

use std::collections::HashMap;

use kinlog::{Position, RunId};

use crate::draw::DETERMINED;
use crate::op::Names;

/// From the contested store to the one where everything is done alone, and back. Runs whose ids
/// were not drawn have the same in both.
#[derive(Default)]
pub(crate) struct Drawn {
    there: HashMap<RunId, RunId>,
    back: HashMap<RunId, RunId>,
    /// Where commits lie in either store, in order.
    positions: Vec<(Position, Position)>,
    /// Where the other store ends.
    pub(crate) end: Position,
}

impl Drawn {
    pub(crate) fn learn(&mut self, run: RunId, there: RunId) {
        self.there.insert(run, there);
        self.back.insert(there, run);
    }

    /// Takes two runs for the same that both appear for the first time, with ids that were drawn.
    /// The bytes of the commit in which they begin say later whether they are.
    pub(crate) fn meet(&mut self, run: RunId, there: RunId) {
        let drawn = |run: RunId| run.as_bytes()[0] != DETERMINED;
        let known = self.there.contains_key(&run) || self.back.contains_key(&there);
        if drawn(run) && drawn(there) && !known {
            self.learn(run, there);
        }
    }

    pub(crate) fn committed(&mut self, position: Position, there: Position) {
        self.positions.push((position, there));
    }

    pub(crate) fn back(&self, there: RunId) -> RunId {
        self.back.get(&there).copied().unwrap_or(there)
    }

    pub(crate) fn is_known(&self, run: RunId) -> bool {
        self.there.contains_key(&run)
    }

    /// A text about the other store, told with the names of this one.
    pub(crate) fn told(&self, text: &str) -> String {
        self.back.iter().fold(text.to_owned(), |text, (there, run)| {
            text.replace(&there.to_string(), &run.to_string())
        })
    }
}

impl Names<RunId, u32> for Drawn {
    type Run = RunId;
    type Event = u32;

    fn run(&mut self, run: RunId) -> Option<RunId> {
        Some(self.there.get(&run).copied().unwrap_or(run))
    }

    fn event(&mut self, _: RunId, event: u32) -> Option<u32> {
        Some(event)
    }

    /// The first commit that is not before `position`.
    fn position(&mut self, position: Position) -> Position {
        let next = self.positions.partition_point(|(here, _)| *here < position);
        self.positions.get(next).map_or(self.end, |(_, there)| *there)
    }
}
