//! Deleting runs, as the semantics have it: what can be deleted, and what cannot be made of deleted runs.

use std::collections::BTreeMap;
use std::rc::Rc;

use kinlog::error::Undeletable;
use kinlog::retention::Keep;
use kinlog::{DutyKind, RunId};

use crate::draft::{Draft, No, Step};
use crate::naive::{State, What};

impl Draft {
    /// Deletes a run, or all runs of its chain.
    pub(crate) fn delete(&mut self, run: &RunId, chain: bool, keep: Keep) -> Step<()> {
        let begun = &self.now.runs[self.before.runs.len()..];
        if begun.iter().any(|run| run.base.is_some()) {
            return Err(vec![No::Invalid]);
        }
        let Some(number) = self.before.find_known(run) else {
            let begun = begun.iter().any(|begun| begun.id == *run);
            let open = No::NotDeletable(Undeletable::Open);
            return Err(vec![if begun { open } else { No::NotFound }]);
        };
        let runs = if chain { self.before.chain(number) } else { vec![number] };
        let mut after = self.clone();
        for run in runs {
            if let Some(why) = after.keeps(run, keep) {
                return Err(vec![No::NotDeletable(why)]);
            }
            if after.now.runs[run].deleted < Some(keep) {
                Rc::make_mut(&mut after.now.runs[run]).deleted = Some(keep);
                after.deletions.push(run);
            }
        }
        *self = after;
        Ok(())
    }

    /// Why a run cannot be deleted: by how it stood before the transaction, but for what that deletes.
    fn keeps(&self, run: usize, keep: Keep) -> Option<Undeletable> {
        let (before, it) = (&self.before, &self.before.runs[run]);
        let chain = before.chain(run);
        let is_last = chain.last() == Some(&run);
        let left = chain.iter().any(|other| *other != run && self.now.is_kept(*other));
        let due = before.duties.keys().any(|(_, of, _)| *of == run);
        let untold = || {
            let (parent, initiated) = before.parent(run)?;
            let relation = before.runs[parent].relation(initiated)?;
            let waits = before.runs[parent].is_open() && before.is_open(parent, &relation);
            (waits && is_last && it.next().is_none()).then_some(Undeletable::Untold)
        };
        if self.now.runs[run].deleted >= Some(keep) {
            None
        } else if it.is_open() {
            Some(Undeletable::Open)
        } else if is_last && left && keep == Keep::Nothing {
            Some(Undeletable::LastOfChain)
        } else if due {
            Some(Undeletable::Unsettled)
        } else {
            untold()
        }
    }
}

/// Why a run cannot be reset to its event `last`: what the new run would have to be told was deleted.
pub(crate) fn gone(state: &State, base: usize, last: u32) -> Vec<No> {
    let mut gone: Vec<No> = state.runs[base].deleted.into_iter().map(No::Deleted).collect();
    let mut then = (*state.runs[base]).clone();
    then.events.truncate(usize::try_from(last).unwrap());
    for kind in [DutyKind::DeliverSignal, DutyKind::DeliverCancel] {
        for asked in then.waiting(kind) {
            let holder = state.request_holder(base, asked);
            let deleted = state.runs[holder].deleted.filter(|_| holder != base);
            gone.extend(deleted.map(No::Deleted));
        }
    }
    for relation in then.relations().iter().filter(|relation| relation.ended.is_none()) {
        let child = state.child(base, relation.initiated);
        let last = child.and_then(|child| state.end_of_chain(child)).map(|(last, _)| last);
        let gone_last = last.filter(|last| !state.is_kept(*last));
        gone.extend(gone_last.map(|_| No::Deleted(Keep::Nothing)));
    }
    gone
}

impl State {
    /// The run that has a request, or has answered it: each reset took it from the run that had it then.
    fn request_holder(&self, base: usize, asked: u32) -> usize {
        let origin = self.origin(base, asked);
        let answered = |run: usize, before: u64| {
            self.runs[run].events.iter().any(|event| {
                matches!(event.what, What::Answered { initiated, .. } if initiated == asked)
                    && event.commit < before
            })
        };
        let mut had = vec![origin];
        let mut moved = BTreeMap::new();
        let follow = |moved: &BTreeMap<usize, usize>, mut run: usize| {
            while let Some(next) = moved.get(&run) {
                run = *next;
            }
            run
        };
        for (made, run) in self.runs.iter().enumerate() {
            let Some((from, shared)) = run.base.filter(|(_, shared)| *shared >= asked) else {
                continue;
            };
            if self.origin(made, asked) != origin || !had.contains(&from) {
                continue;
            }
            let at = run.get(shared + 1).unwrap().commit;
            let holder = follow(&moved, from);
            if !answered(from, at) && !answered(holder, at) {
                moved.insert(holder, made);
                had.push(made);
            }
        }
        follow(&moved, base)
    }
}
