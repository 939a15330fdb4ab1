//! A naive transaction: the state after each step beside the state before the first, and the rules
//! that one event has to keep.

use std::rc::Rc;

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
    CrossNamespace,
    Conflict,
}

/// What a step comes to. Of several reasons to refuse it, the store may name any.
pub(crate) type Step<T> = Result<T, Vec<No>>;

/// What a transaction knows of a run that it found or begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    pub(crate) run: usize,
    /// Whether it may have moved on by the time of the commit.
    pub(crate) any: bool,
    /// It may because only duties were settled in it so far.
    pub(crate) settled: bool,
    /// Whether somebody said where it is, so that it counts though nothing is appended to it.
    pub(crate) stated: bool,
    /// For one that begins here: the workflow's current run before.
    pub(crate) begins: Option<Option<RunId>>,
}

#[derive(Clone)]
pub(crate) struct Draft {
    /// As the transaction found it.
    pub(crate) before: State,
    pub(crate) now: State,
    pub(crate) touched: Vec<Touch>,
    /// What was appended, in order.
    pub(crate) log: Vec<(usize, What, u64)>,
    /// A duty is being settled.
    pub(crate) settling: bool,
}

impl Draft {
    pub(crate) fn new(state: &State) -> Self {
        let mut now = state.clone();
        now.commits += 1;
        Draft { before: state.clone(), now, touched: vec![], log: vec![], settling: false }
    }

    /// Several steps or none.
    pub(crate) fn all<T>(&mut self, steps: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        let saved = (self.now.clone(), self.touched.clone(), self.log.len());
        steps(self).inspect_err(|_| {
            (self.now, self.touched) = (saved.0, saved.1);
            self.log.truncate(saved.2);
        })
    }

    /// Takes note that a step needs a run, and where it is. What settles a duty holds wherever the
    /// run is by the time of the commit; any other step means the run as it was found.
    pub(crate) fn touch(&mut self, run: usize) {
        let any = self.settling;
        match self.touched.iter_mut().find(|touch| touch.run == run) {
            Some(touch) if touch.settled && !any => (touch.any, touch.settled) = (false, false),
            Some(_) => {}
            None => {
                let (stated, begins) = (false, None);
                self.touched.push(Touch { run, any, settled: any, stated, begins });
            }
        }
    }

    /// From now on the run must stay where it is until the commit.
    pub(crate) fn hold(&mut self, run: usize) {
        self.touched
            .iter_mut()
            .filter(|touch| touch.run == run)
            .for_each(|touch| touch.any = false);
    }

    pub(crate) fn find(&mut self, id: &RunId) -> Step<usize> {
        let run = self.now.find(id).ok_or(vec![No::NotFound])?;
        self.touch(run);
        Ok(run)
    }

    pub(crate) fn begins(&self, run: usize) -> bool {
        run >= self.before.runs.len()
    }

    /// The run that this transaction began last for a workflow.
    pub(crate) fn begun_for(&self, namespace: usize, workflow: &str) -> Option<usize> {
        self.now.current(namespace, workflow).filter(|run| self.begins(*run))
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
                found.is_some_and(|(event, _)| event == *started)
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
        self.log.push((run, what.clone(), note));
        let commit = self.now.commits;
        let run = Rc::make_mut(&mut self.now.runs[run]);
        run.events.push(Event { what, note, commit });
        run.len()
    }

    /// Begins a run with its first event of its own.
    pub(crate) fn begin(
        &mut self,
        run: Run,
        seen: Option<RunId>,
        first: What,
        note: u64,
    ) -> Step<usize> {
        if run.id == RunId::NIL {
            return Err(vec![No::Invalid]);
        }
        if self.now.find(&run.id).is_some() {
            return Err(vec![No::RunExists]);
        }
        let number = self.now.runs.len();
        self.now.runs.push(Rc::new(run));
        self.touched.push(Touch {
            run: number,
            any: false,
            settled: false,
            stated: false,
            begins: Some(seen),
        });
        self.put(number, first, note)?;
        Ok(number)
    }

    /// The state after the commit, on top of `state`.
    pub(crate) fn commit(self, state: &State) -> Step<(State, Vec<usize>)> {
        let changed: Vec<_> = self
            .touched
            .iter()
            .filter(|touch| touch.stated || self.changed(touch.run))
            .copied()
            .collect();
        let mut runs: Vec<_> = changed.iter().map(|touch| touch.run).collect();
        runs.retain(|run| self.changed(*run));
        runs.sort_unstable();
        let log = self.log.clone();
        let after = if state.commits == self.before.commits {
            self
        } else {
            runs = runs.iter().map(|run| self.moved(*run, state)).collect();
            self.overtaken(&changed, state)?
        };
        let mut after = after.now;
        if log.iter().any(|(run, what, _)| !is_true(&after, *run, what)) {
            return Err(vec![No::Illegal]);
        }
        if !log.is_empty() {
            after.take_stock();
        }
        Ok((after, runs))
    }

    /// The number that a run gets in a state with other runs than the one it was built on.
    fn moved(&self, run: usize, state: &State) -> usize {
        if self.begins(run) { run - self.before.runs.len() + state.runs.len() } else { run }
    }

    /// The same steps, but others came first.
    fn overtaken(&self, changed: &[Touch], state: &State) -> Step<Draft> {
        let mut no: Vec<No> = vec![];
        for touch in changed {
            let it = &self.now.runs[touch.run];
            if let Some(seen) = touch.begins {
                no.extend(state.find(&it.id).map(|_| No::RunExists));
                let current = state.current(it.namespace, it.workflow).map(|run| &state.runs[run]);
                let other = current.filter(|current| seen != Some(current.id));
                no.extend(other.map(|other| No::Taken(other.is_open())));
                continue;
            }
            let (then, now) = (&self.before.runs[touch.run], &state.runs[touch.run]);
            if !touch.any && then.len() != now.len() {
                no.push(No::Conflict);
            }
            if self.changed(touch.run) && !now.is_open() {
                no.push(No::Closed);
            }
        }
        if !no.is_empty() {
            return Err(no);
        }
        let mut again = Draft::new(state);
        for (run, what, note) in &self.log {
            let number = self.moved(*run, state);
            if number == again.now.runs.len() {
                let begun = Run { events: self.shared(*run), ..Run::clone(&self.now.runs[*run]) };
                let first = self.moved(begun.first, state);
                again.now.runs.push(Rc::new(Run { first, ..begun }));
            }
            again.put(number, what.clone(), *note)?;
        }
        Ok(again)
    }

    fn shared(&self, run: usize) -> Vec<Event> {
        let run = &self.now.runs[run];
        let shared = run.base.map_or(0, |(_, shared)| usize::try_from(shared).unwrap());
        run.events[..shared].to_vec()
    }
}

fn is_sound(wish: &Wish) -> bool {
    !wish.workflow.is_empty()
        && !matches!(wish.policy, ParentClosePolicy::Unspecified | ParentClosePolicy::Unknown(_))
}

/// Whether what a commit says of others is so once all of it has happened.
fn is_true(after: &State, run: usize, what: &What) -> bool {
    let What::ChildEnded { initiated, last, how, .. } = what else { return true };
    let Some(child) = after.child(run, *initiated) else { return false };
    let ended: Option<(usize, RunStatus)> = after.end_of_chain(child);
    ended.is_some_and(|(run, status)| after.runs[run].id == *last && status == *how)
}
