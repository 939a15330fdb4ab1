//! What is drawn for children that go on and on: they are asked to cancel at some run, their parents close at another, and
//! the runs in between are deleted.

use kinlog::retention::Keep;
use kinlog::{ParentClosePolicy, RunStatus};

use crate::draft::Draft;
use crate::draw::{Draw, STAND_IN};
use crate::naive::State;
use crate::op::Op;

impl Draw {
    /// A step in the life of such a child, if there is a run to take it.
    pub(crate) fn of_long_child(&mut self, tx: &Draft) -> Option<Op> {
        let state = &tx.now;
        let (note, id) = (self.draw() | 1, self.run_id());
        match self.below(100) {
            0..8 => self.one(state, is_parent).map(|parent| {
                let mut wish = self.wish();
                if self.chance(80) {
                    wish.policy = ParentClosePolicy::RequestCancel;
                }
                Op::Spawn { parent: state.runs[parent].id, wish, foreign: false, id, note }
            }),
            8..60 => self.one(state, is_open_child).map(|run| {
                let run = state.runs[run].id;
                Op::GoOn { run, how: RunStatus::ContinuedAsNew, attempt: 0, id, note }
            }),
            60..66 => self
                .one(state, is_open_child)
                .map(|run| Op::Cancel { run: state.runs[run].id, note }),
            66..71 => self.one(state, has_long_child).map(|run| Op::Close {
                run: state.runs[run].id,
                how: RunStatus::Completed,
                note,
            }),
            _ => self.one(&tx.before, is_kept_inner).map(|run| Op::Delete {
                run: state.runs[run].id,
                chain: false,
                keep: Keep::Nothing,
            }),
        }
    }

    fn one(&mut self, state: &State, is_so: fn(&State, usize) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..state.runs.len()).filter(|run| is_so(state, *run)).collect();
        (!all.is_empty()).then(|| self.pick(&all))
    }
}

fn is_parent(state: &State, run: usize) -> bool {
    state.runs[run].is_open() && state.parent(run).is_none()
}

fn is_open_child(state: &State, run: usize) -> bool {
    state.runs[run].is_open()
        && state.parent(run).is_some()
        && state.runs[run].id.as_bytes()[0] != STAND_IN
}

/// An open run with a child that has gone on.
fn has_long_child(state: &State, run: usize) -> bool {
    let relations = state.runs[run].relations();
    let mut started = relations.iter().filter_map(|relation| relation.started);
    state.runs[run].is_open()
        && started
            .any(|(_, child)| state.find(&child).is_some_and(|child| state.chain(child).len() > 2))
}

/// A run in the middle of a child's chain.
pub(crate) fn is_inner(state: &State, run: usize) -> bool {
    state.runs[run].first != run && state.newest(run) != run && state.parent(run).is_some()
}

fn is_kept_inner(state: &State, run: usize) -> bool {
    state.is_kept(run) && is_inner(state, run)
}
