//! A transaction beside others: whatever the store answers and commits must be what the same steps come to
//! when they are taken alone, in the order of the commits.

use std::sync::Arc;

use kinlog::retention::Keep;
use kinlog::{Expect, RunId, Timestamp};

use crate::draw::Start;
use crate::model::{Event, Refusal, RowChange, State, Tx};

/// A step, as often as it is taken.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `offered` is the id that a run gets which names none.
    Start {
        start: Start,
        payload: Arc<[u8]>,
        offered: RunId,
    },
    Append {
        run: RunId,
        event: Event,
        key: Option<u64>,
    },
    ByKey {
        run: RunId,
        key: u64,
    },
    Expect {
        run: RunId,
        expect: Expect,
    },
    Delete {
        run: RunId,
        chain: bool,
        keep: Keep,
    },
    Put(RowChange),
    Get {
        table: &'static str,
        key: Vec<u8>,
    },
    /// The first rows from a key on, or the last ones up to it.
    Scan {
        table: &'static str,
        from: Vec<u8>,
        count: usize,
        backwards: bool,
    },
}

/// What a step returns.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    Run(RunId),
    Event(u32),
    Found(Option<u32>),
    Row(Option<Vec<u8>>),
    Rows(Vec<(Vec<u8>, Vec<u8>)>),
    Nothing,
}

impl Step {
    fn take(&self, tx: &mut Tx, state: &State) -> Result<Answer, Refusal> {
        match self {
            Step::Start { start, payload, offered } => {
                tx.start(state, start, payload, *offered).map(Answer::Run)
            }
            Step::Append { run, event, key } => {
                tx.append_keyed(state, run, event.clone(), *key).map(Answer::Event)
            }
            Step::ByKey { run, key } => tx.event_by_key(state, run, *key).map(Answer::Found),
            Step::Expect { run, expect } => {
                tx.expect(state, run, *expect).map(|()| Answer::Nothing)
            }
            Step::Delete { run, chain, keep } => {
                tx.delete(state, run, *chain, *keep).map(|()| Answer::Nothing)
            }
            Step::Put(row) => {
                tx.rows.push(row.clone());
                Ok(Answer::Nothing)
            }
            Step::Get { table, key } => Ok(Answer::Row(tx.table(state, table).remove(key))),
            Step::Scan { table, from, count, backwards } => {
                let mut rows = tx.table(state, table);
                let rows: Vec<_> = match backwards {
                    true => {
                        rows.retain(|key, _| key <= from);
                        rows.into_iter().rev().take(*count).collect()
                    }
                    false => rows.split_off(from).into_iter().take(*count).collect(),
                };
                Ok(Answer::Rows(rows))
            }
        }
    }
}

/// What a transaction has seen.
pub(crate) struct Seen {
    now: Timestamp,
    taken: Vec<(Step, Result<Answer, Refusal>)>,
    /// The state at the first step, and those at later steps that others had changed until then: the
    /// transaction stands at one of them.
    states: Vec<State>,
    /// The same steps on one of these states, if there is one that gives the same answers.
    pub(crate) model: Tx,
    /// A step was overtaken.
    pub(crate) over: bool,
}

/// The steps of a transaction, taken again alone.
pub(crate) struct Again {
    pub(crate) model: Tx,
    /// Some answer is another one.
    pub(crate) differs: bool,
    /// Why steps are refused that were not.
    pub(crate) refusals: Vec<Refusal>,
    /// The answers that differ, to be shown.
    pub(crate) others: Vec<String>,
}

impl Again {
    /// Whether the transaction may be told this at its commit. How much was asked is counted there for all
    /// its events together.
    pub(crate) fn allows(&self, told: &Refusal) -> bool {
        self.refusals.iter().any(|refusal| match (refusal, told) {
            (Refusal::Limit { run, max, .. }, Refusal::Limit { run: of, max: most, .. }) => {
                (run, max) == (of, most)
            }
            (Refusal::Conflict { run, .. }, Refusal::Conflict { run: of, .. }) => run == of,
            _ => refusal == told,
        })
    }
}

impl Seen {
    pub(crate) fn begun(now: Timestamp) -> Self {
        Seen { now, taken: vec![], states: vec![], model: Tx::begun(now), over: false }
    }

    /// Others came in between.
    pub(crate) fn is_stale(&self) -> bool {
        self.states.len() > 1
    }

    /// Takes note of what others have done by the time of a step or of the commit.
    pub(crate) fn look(&mut self, state: &State) {
        let reads = self.taken.iter().any(|(step, _)| !matches!(step, Step::Put(_)));
        if !reads {
            self.states = vec![state.clone()];
        } else if self.states.last().is_none_or(|last| last.commits != state.commits) {
            self.states.push(state.clone());
        }
    }

    /// Takes a step in the model; false if what was answered can only be one of an overtaken transaction.
    pub(crate) fn take(&mut self, step: Step, found: Result<Answer, Refusal>) -> bool {
        if !self.is_stale() {
            let expected = step.take(&mut self.model, &self.states[0]);
            assert_eq!(found, expected, "{step:?}");
            self.taken.push((step, found));
            return true;
        }
        if found
            .as_ref()
            .is_err_and(|told| self.again(&self.states[self.states.len() - 1]).allows(told))
        {
            // What the steps before have stated, or appended anywhere, does not hold any more.
            return false;
        }
        self.taken.push((step, found));
        self.stand_somewhere();
        true
    }

    /// All answers so far are those of one state. The last of these is the model from now on.
    fn stand_somewhere(&mut self) {
        let mut standing = self.states.iter().rev().map(|state| self.again(state));
        let latest = standing.next().unwrap();
        let found = if latest.differs { standing.find(|again| !again.differs) } else { None };
        match found {
            Some(again) => self.model = again.model,
            None => {
                // What blind appends come to is known only at the commit.
                let blind = |(step, _): &(Step, _)| {
                    matches!(step, Step::Expect { expect: Expect::Any, .. })
                };
                let loose = self.taken.iter().any(blind);
                let others = || self.states.iter().map(|state| self.again(state).others);
                let others: Vec<_> = if loose { vec![] } else { others().collect() };
                assert!(!latest.differs || loose, "no state gives these answers: {others:#?}");
                self.model = latest.model;
            }
        }
    }

    /// The sizes that the transaction can have: on several states the same answers may take different events.
    pub(crate) fn sizes(&self, now: &State) -> Vec<Result<(), Refusal>> {
        let again = self.states.iter().map(|state| self.again(state).model.check_size(now));
        [self.model.check_size(now)].into_iter().chain(again).collect()
    }

    /// Takes the same steps on another state.
    pub(crate) fn again(&self, state: &State) -> Again {
        let model = Tx::begun(self.now);
        let mut again = Again { model, differs: false, refusals: vec![], others: vec![] };
        for (place, (step, found)) in self.taken.iter().enumerate() {
            let planned = step.take(&mut again.model, state);
            again.refusals.extend(self.is_elsewhere(place, state));
            if !self.agrees(place, found, &planned) && !self.is_withdrawn(place) {
                again.differs = true;
                again.others.push(format!("{step:?}: {found:?}, not {planned:?}"));
                again.refusals.extend(planned.err());
            }
        }
        again
    }

    fn agrees(
        &self,
        place: usize,
        found: &Result<Answer, Refusal>,
        planned: &Result<Answer, Refusal>,
    ) -> bool {
        match (&self.taken[place].0, found, planned) {
            // The ids of blind appends say nothing.
            (Step::Append { run, key: None, .. }, Ok(_), Ok(_)) if self.is_anywhere(run) => true,
            _ => found == planned,
        }
    }

    /// What was stated about the place of a run in the end.
    fn stated(&self, run: &RunId) -> Option<Expect> {
        self.taken.iter().rev().find_map(|taken| match taken {
            (Step::Expect { run: of, expect }, Ok(_)) if of == run => Some(*expect),
            _ => None,
        })
    }

    fn is_anywhere(&self, run: &RunId) -> bool {
        matches!(self.stated(run), Some(Expect::Any))
    }

    /// Whether the caller took back by a later step what this one stated.
    fn is_withdrawn(&self, place: usize) -> bool {
        let Step::Expect { run, .. } = &self.taken[place].0 else { return false };
        self.taken[place + 1..]
            .iter()
            .any(|later| matches!(later, (Step::Expect { run: of, .. }, Ok(_)) if of == run))
    }

    /// The error for a run that has moved and of which the caller stated where it is.
    fn is_elsewhere(&self, place: usize, state: &State) -> Option<Refusal> {
        let (Step::Expect { run, expect: Expect::NextEvent(_) }, Ok(_)) = &self.taken[place] else {
            return None;
        };
        let next = |state: &State| state.find(run).map(|(_, run)| run.next());
        // The run may have started after the transaction's first look.
        let (expected, found) = (self.states.iter().find_map(next)?, next(state)?);
        (expected != found).then_some(Refusal::Conflict { run: *run, expected, found })
    }

    /// Whether runs are still where the caller stated that they are.
    pub(crate) fn is_as_stated(&self, state: &State) -> bool {
        self.taken.iter().enumerate().all(|(place, (step, found))| match (step, found) {
            (Step::Expect { run, expect: Expect::NextEvent(next) }, Ok(_)) => {
                self.is_withdrawn(place) || state.find(run).unwrap().1.next() == *next
            }
            _ => true,
        })
    }
}
