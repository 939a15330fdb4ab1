//! A naive transaction: the state after each step beside the state before the first, and the rules
//! that one event has to keep. Nobody else is there: whoever came in between is seen by taking the steps
//! again on the state after it (`trees/rivals.rs`).

use std::collections::BTreeSet;
use std::rc::Rc;

use kinlog::error::Undeletable;
use kinlog::retention::Keep;
use kinlog::{DutyKind, ParentClosePolicy, RunId, RunStatus};

use crate::naive::{Event, Run, State, What, Wish};

/// Why a step or a commit is refused, without the words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum No {
    NotFound,
    Closed,
    /// Another run has the workflow id; whether that is open.
    Taken(bool),
    RunExists,
    Illegal,
    Limit {
        asked: u64,
        max: u64,
    },
    Invalid,
    Deleted(Keep),
    NotDeletable(Undeletable),
    CrossNamespace,
    Conflict,
}

/// What a step comes to. Of several reasons to refuse it, the store may name any.
pub(crate) type Step<T> = Result<T, Vec<No>>;

#[derive(Clone)]
pub(crate) struct Draft {
    /// As the transaction found it.
    pub(crate) before: State,
    pub(crate) now: State,
    /// What was appended, in order.
    pub(crate) log: Vec<(usize, What)>,
    /// The runs that were deleted, or of which less was kept than before.
    pub(crate) deletions: Vec<usize>,
}

impl Draft {
    pub(crate) fn new(state: &State) -> Self {
        let mut now = state.clone();
        now.commits += 1;
        Draft { before: state.clone(), now, log: vec![], deletions: vec![] }
    }

    /// Several steps or none.
    pub(crate) fn all<T>(&mut self, steps: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        let saved = (self.now.clone(), self.log.len());
        steps(self).inspect_err(|_| {
            self.now = saved.0;
            self.log.truncate(saved.1);
        })
    }

    pub(crate) fn find(&self, id: &RunId) -> Step<usize> {
        match self.now.find_known(id) {
            Some(run) if self.now.is_kept(run) => Ok(run),
            Some(_) => Err(vec![No::Deleted(Keep::Nothing)]),
            None => Err(vec![No::NotFound]),
        }
    }

    pub(crate) fn begins(&self, run: usize) -> bool {
        run >= self.before.runs.len()
    }

    /// Whether the transaction has added events to a run.
    pub(crate) fn changed(&self, run: usize) -> bool {
        self.log.iter().any(|(other, ..)| *other == run)
    }

    /// Every reason not to append this to a run.
    pub(crate) fn refusals(&self, run: usize, what: &What) -> Vec<No> {
        let it = &self.now.runs[run];
        let mut no = vec![];
        if !it.is_open() {
            no.push(No::Closed);
        }
        if !self.is_legal(run, what) {
            no.push(No::Illegal);
        }
        no.extend(self.crowded(run, what));
        let limits = &self.now.limits[it.namespace];
        let (asked, max) = (u64::from(it.len()) + 1, u64::from(limits.history_events));
        let exempt = matches!(what, What::Closed { .. } | What::CancelRequested { .. });
        if !exempt && asked > max {
            no.push(No::Limit { asked, max });
        }
        no
    }

    /// Whether the run waits for too much to wait for this as well.
    fn crowded(&self, run: usize, what: &What) -> Option<No> {
        let it = &self.now.runs[run];
        let limits = &self.now.limits[it.namespace];
        let (open, max) = match what {
            What::Initiated(_) => (self.now.open_children(run), limits.open_children),
            What::Scheduled => (it.activities().len(), limits.open_activities),
            What::Asked { kind, .. } if *kind == DutyKind::DeliverSignal => {
                (it.waiting(*kind).len(), limits.open_signals)
            }
            What::Asked { kind, .. } => (it.waiting(*kind).len(), limits.open_cancels),
            _ => return None,
        };
        let (asked, max) = (u64::try_from(open).unwrap() + 1, u64::from(max));
        (asked > max).then_some(No::Limit { asked, max })
    }

    /// Whether each step happens once and in its turn.
    fn is_legal(&self, run: usize, what: &What) -> bool {
        let it = &self.now.runs[run];
        let relation = |initiated: u32| {
            let relation = it.relation(initiated)?;
            // One that a reset gave away has ended here.
            (relation.ended.is_none() && !self.now.is_moved(run, initiated)).then_some(relation)
        };
        match what {
            What::Initiated(wish) => is_sound(wish),
            What::ChildRefused { initiated } | What::ChildStarted { initiated, .. } => {
                relation(*initiated).is_some_and(|relation| relation.started.is_none())
            }
            What::ChildEnded { initiated, started, .. } => {
                let found = relation(*initiated).and_then(|relation| relation.started);
                found.is_some_and(|(event, _)| event == *started) && is_true(&self.now, run, what)
            }
            What::ActivityEnded { scheduled, .. } => it.activities().contains(scheduled),
            What::CancelRequested { .. } => !it.cancel_requested(),
            What::Answered { kind, initiated, .. } => it.waiting(*kind).contains(initiated),
            _ => true,
        }
    }

    /// Appends an event, if the rules allow it.
    pub(crate) fn put(&mut self, run: usize, what: What, note: u64) -> Step<u32> {
        let no = self.refusals(run, &what);
        if no.is_empty() { Ok(self.append(run, what, note)) } else { Err(no) }
    }

    fn append(&mut self, run: usize, what: What, note: u64) -> u32 {
        self.log.push((run, what.clone()));
        let commit = self.now.commits;
        let run = Rc::make_mut(&mut self.now.runs[run]);
        run.events.push(Event { what, note, commit });
        run.len()
    }

    /// Begins a run with its first event of its own.
    pub(crate) fn begin(&mut self, run: Run, first: What, note: u64) -> Step<usize> {
        if run.id == RunId::NIL {
            return Err(vec![No::Invalid]);
        }
        if self.now.find(&run.id).is_some() {
            return Err(vec![No::RunExists]);
        }
        let number = self.now.runs.len();
        self.now.runs.push(Rc::new(run));
        self.put(number, first, note)?;
        Ok(number)
    }

    /// Whether the steps so far say of a chain how it ended.
    pub(crate) fn tells_end_of(&self, run: usize) -> bool {
        let chain = self.now.runs[run].first;
        self.log.iter().any(|(parent, what)| match what {
            What::ChildEnded { initiated, .. } => {
                self.now.child(*parent, *initiated) == Some(chain)
            }
            _ => false,
        })
    }

    /// The state after the commit, and the runs that it changes.
    pub(crate) fn commit(self) -> (State, Vec<usize>) {
        let appended = self.log.iter().map(|(run, _)| *run);
        let runs: BTreeSet<usize> = appended.chain(self.deletions).collect();
        let mut after = self.now;
        if !runs.is_empty() {
            after.take_stock();
        }
        (after, runs.into_iter().collect())
    }
}

fn is_sound(wish: &Wish) -> bool {
    !wish.workflow.is_empty()
        && !matches!(wish.policy, ParentClosePolicy::Unspecified | ParentClosePolicy::Unknown(_))
}

/// Whether a child ended as it is told.
fn is_true(now: &State, run: usize, what: &What) -> bool {
    let What::ChildEnded { initiated, last, how, .. } = what else { return true };
    let Some(child) = now.child(run, *initiated) else { return false };
    let ended: Option<(usize, RunStatus)> = now.end_of_chain(child);
    ended.is_some_and(|(run, status)| now.runs[run].id == *last && status == *how)
}
