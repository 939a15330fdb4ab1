//! Settling duties, as the semantics have it.

use kinlog::{DutyKind, ParentClosePolicy, RunId, RunStatus};

use crate::draft::{Draft, No, Step};
use crate::naive::{Key, State, What};
use crate::steps::closed;

const NOT_FOUND: u8 = 1;
const SIGNAL_LIMIT: u8 = 3;

impl Draft {
    /// Does what a duty asks, unless it was settled before or the steps so far leave nothing to do;
    /// `child` is the run that a child gets.
    pub(crate) fn settle(&mut self, key: Key, child: RunId) -> Step<bool> {
        if !self.before.duties.contains_key(&key) {
            return Ok(false);
        }
        match self.settle_open(key, child) {
            Err(no) if no.iter().any(is_void) => Ok(false),
            settled => settled,
        }
    }

    fn settle_open(&mut self, (kind, run, event): Key, child: RunId) -> Step<bool> {
        match kind {
            DutyKind::StartChild => {
                let id = self.now.runs[run].id;
                match self.start_child(&id, event, child) {
                    Err(no) if no.iter().all(|no| matches!(no, No::Taken(..))) => {
                        self.put(run, What::ChildRefused { initiated: event }, 0)?;
                    }
                    // The store names one of several reasons. Whether it then goes on to refuse
                    // the child makes no difference: the parent takes no event.
                    outcome => drop(outcome?),
                }
                Ok(true)
            }
            DutyKind::ReportClose => {
                let id = self.now.runs[run].id;
                self.report(&id, event).map(|_| true)
            }
            DutyKind::ApplyClosePolicy => self.apply_policy(run, event),
            DutyKind::DeliverSignal | DutyKind::DeliverCancel => self.deliver(run, event),
        }
    }

    /// Whether a duty is to start a child in the place of an open run.
    fn displaces(&self, (kind, run, initiated): Key) -> bool {
        if kind != DutyKind::StartChild || !self.before.duties.contains_key(&(kind, run, initiated))
        {
            return false;
        }
        let started = What::ChildStarted { initiated, child: RunId::NIL };
        let is_void = self.refusals(run, &started).iter().any(is_void);
        let wish = self.now.runs[run].relation(initiated).unwrap().wish;
        !is_void && matches!(self.in_the_way(run, &wish), Ok(Some(_)))
    }

    /// Reaches the child's current run.
    fn apply_policy(&mut self, parent: usize, initiated: u32) -> Step<bool> {
        if self.now.is_moved(parent, initiated) {
            return Ok(false);
        }
        let child = self.now.newest(self.now.child(parent, initiated).unwrap());
        let it = &self.now.runs[child];
        let wish = self.before.runs[parent].relation(initiated).unwrap().wish;
        if !it.is_open() {
            return Ok(false);
        }
        if wish.policy == ParentClosePolicy::Terminate {
            let what = closed(RunStatus::Terminated, "by parent close policy");
            return self.put(child, what, 0).map(|_| true);
        }
        if it.cancel_requested() {
            return Ok(false);
        }
        let from = Some((self.before.runs[parent].id, 0));
        self.put(child, What::CancelRequested { from }, 0).map(|_| true)
    }

    /// Writes the request to its target and the answer to its sender.
    fn deliver(&mut self, sender: usize, initiated: u32) -> Step<bool> {
        let asked = self.before.runs[sender].get(initiated).unwrap().clone();
        let What::Asked { kind, address } = asked.what else { panic!("no request") };
        let from = Some((self.before.runs[sender].id, initiated));
        let target = self.target(sender, &address);
        let signals = kind == DutyKind::DeliverSignal;
        let delivered = self.all(|tx| {
            let cause = match target {
                None => NOT_FOUND,
                Some(target) if kind == DutyKind::DeliverSignal => {
                    match tx.put(target, What::Signaled { from }, asked.note) {
                        Ok(_) => 0,
                        Err(no) if no.contains(&No::Closed) => NOT_FOUND,
                        Err(_) => SIGNAL_LIMIT,
                    }
                }
                Some(target) => {
                    let it = &tx.now.runs[target];
                    // One that has closed, or was asked before, needs no other event.
                    if it.is_open() && !it.cancel_requested() {
                        tx.put(target, What::CancelRequested { from }, 0)?;
                    }
                    0
                }
            };
            tx.put(sender, What::Answered { kind, initiated, cause }, 0)?;
            Ok(true)
        });
        match delivered {
            // There is room for the answer, but not for the signal as well.
            Err(_) if signals && target == Some(sender) => {
                let cause = SIGNAL_LIMIT;
                self.put(sender, What::Answered { kind, initiated, cause }, 0).map(|_| true)
            }
            delivered => delivered,
        }
    }
}

/// What settling all duties comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) duties: u64,
    pub(crate) commits: u64,
    pub(crate) refused: u64,
}

/// Settles all duties of these kinds, and those that settling opens, oldest first.
pub(crate) fn settle_all(
    state: &State,
    kinds: &[DutyKind],
    fresh: &mut impl FnMut() -> RunId,
) -> (State, Settled) {
    let (mut state, mut settled) = (state.clone(), Settled::default());
    let mut after = None;
    loop {
        let due = state.by_age().into_iter();
        let due: Vec<_> =
            due.filter(|key| Some(*key) > after && kinds.contains(&key.1.0)).collect();
        if due.is_empty() {
            return (state, settled);
        }
        let mut tx = Draft::new(&state);
        let mut done = 0;
        for (since, key) in due {
            // One that terminates another run has a commit of its own.
            let displaces = tx.displaces(key);
            if displaces && done > 0 {
                break;
            }
            after = Some((since, key));
            match tx.settle(key, fresh()) {
                Ok(settled) => done += u64::from(settled),
                Err(_) => settled.refused += 1,
            }
            if displaces && done > 0 {
                break;
            }
        }
        settled.duties += done;
        settled.commits += u64::from(done > 0);
        state = tx.commit().0;
    }
}

/// Whether an earlier step of the same transaction has made a duty void.
fn is_void(no: &No) -> bool {
    matches!(no, No::Closed | No::Illegal)
}
