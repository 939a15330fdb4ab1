//! Transactions beside each other: whatever the store answers and commits must be what the same steps come
//! to when they are taken alone, one transaction after the other in the order of their commits.

use kinlog::{Commit, Durability, Duty, DutyFilter, Error, RunId, Store, Transaction};

use crate::draft::{Draft, No, Step};
use crate::draw::STAND_IN;
use crate::naive::{Key, State};
use crate::op::{Op, Out, refusal};
use crate::world::World;

/// A step that was taken, and what the store answered.
struct Taken {
    op: Op,
    /// The run that the store made, or a stand-in for it.
    id: RunId,
    found: Result<Out, No>,
}

/// A transaction in the store and in the model.
struct Rival<'s> {
    tx: Transaction<'s>,
    /// The duties that were open when it began.
    duties: Vec<(Key, Duty)>,
    seen: Seen,
}

/// What a transaction has seen.
struct Seen {
    taken: Vec<Taken>,
    /// The state at the first step, and those at later steps that others had changed until then: the
    /// transaction stands at one of them.
    states: Vec<State>,
    /// The same steps on one of these states, if there is one that gives the same answers.
    model: Draft,
}

/// The steps of a transaction, taken again alone.
struct Again {
    model: Draft,
    /// Some answer is another one.
    differs: bool,
    /// Why steps are refused that were not.
    refusals: Vec<No>,
}

impl Seen {
    /// Others came in between.
    fn is_stale(&self) -> bool {
        self.states.len() > 1
    }

    /// Takes note of what others have done by the time of a step or of the commit.
    fn look(&mut self, state: &State) {
        if self.taken.is_empty() {
            self.states = vec![state.clone()];
            self.model = Draft::new(state);
        } else if self.states.last().is_none_or(|last| last.commits != state.commits) {
            self.states.push(state.clone());
        }
    }

    /// Whether the place of a run was left open in the end, so that ids of events say nothing.
    fn is_anywhere(&self, run: &RunId) -> bool {
        let stated = self.taken.iter().rev().find_map(|taken| match &taken.op {
            Op::Expect { run: of, next } if of == run && taken.found.is_ok() => Some(*next),
            _ => None,
        });
        stated == Some(None)
    }

    /// Whether the caller took back by a later step what this one stated.
    fn is_withdrawn(&self, step: usize) -> bool {
        let Op::Expect { run, .. } = &self.taken[step].op else { return false };
        self.taken[step + 1..].iter().any(|later| {
            matches!(&later.op, Op::Expect { run: of, .. } if of == run) && later.found.is_ok()
        })
    }

    /// Whether a run has moved of which the caller stated where it is.
    fn is_elsewhere(&self, step: usize, state: &State) -> bool {
        let Taken { op: Op::Expect { run, next: Some(_) }, found: Ok(_), .. } = &self.taken[step]
        else {
            return false;
        };
        let len = |state: &State| state.find(run).map(|run| state.runs[run].len());
        len(&self.states[0]) != len(state)
    }

    fn agrees(&self, step: usize, planned: &Step<Out>) -> bool {
        let taken = &self.taken[step];
        match (&taken.found, planned) {
            (Ok(Out::Event(_)), Ok(Out::Event(_)))
                if taken.op.appends_to().is_some_and(|run| self.is_anywhere(run)) =>
            {
                true
            }
            (found, planned) => is_same(found, planned),
        }
    }

    /// Takes the same steps on another state.
    fn again(&self, state: &State) -> Again {
        let mut again = Again { model: Draft::new(state), differs: false, refusals: vec![] };
        for (step, taken) in self.taken.iter().enumerate() {
            let planned = taken.op.plan(&mut again.model, taken.id);
            let planned = named(&mut again.model, &taken.found, planned);
            if self.is_elsewhere(step, state) {
                again.refusals.push(No::Conflict);
            }
            if !self.agrees(step, &planned) && !self.is_withdrawn(step) {
                again.differs = true;
                again.refusals.extend(planned.err().unwrap_or_default());
            }
        }
        again
    }

    /// Whether steps were taken that do not say where their runs are: what they come to is known only at
    /// the commit.
    fn is_loose(&self) -> bool {
        let loose = |op: &Op| matches!(op, Op::Settle(_) | Op::Expect { next: None, .. });
        self.taken.iter().any(|taken| loose(&taken.op))
    }

    /// All answers so far are those of one state. The last of these is the model from now on.
    fn stands_somewhere(&mut self) {
        let mut standing = self.states.iter().rev().map(|state| self.again(state));
        let latest = standing.next().unwrap();
        if !latest.differs {
            self.model = latest.model;
            return;
        }
        match standing.find(|again| !again.differs) {
            Some(again) => self.model = again.model,
            None => {
                assert!(self.is_loose(), "no state gives these answers: {:?}", self.answers());
                self.model = latest.model;
            }
        }
    }

    /// What holds of a commit that writes nothing: it stands where the steps stood, but for what the caller
    /// stated.
    fn holds_as_stated(&self, state: &State) {
        let nothing = self.model.log.is_empty() && self.model.deletions.is_empty();
        assert!(nothing, "a commit wrote nothing: {:?}", self.answers());
        for (step, taken) in self.taken.iter().enumerate() {
            if let (Op::Expect { run, next: Some(next) }, Ok(_)) = (&taken.op, &taken.found)
                && !self.is_withdrawn(step)
            {
                let run = &state.runs[state.find(run).unwrap()];
                assert_eq!(run.len() + 1, *next, "{} is elsewhere", run.id);
            }
        }
    }

    fn answers(&self) -> Vec<(&Op, &Result<Out, No>)> {
        self.taken.iter().map(|taken| (&taken.op, &taken.found)).collect()
    }
}

/// The answer of the model. Where it is a run that settling began, the store tells the id for the first time.
fn named(model: &mut Draft, found: &Result<Out, No>, planned: Step<Out>) -> Step<Out> {
    match (found, &planned) {
        (Ok(Out::Run(real)), Ok(Out::Run(run)))
            if run.as_bytes()[0] == STAND_IN && model.now.find(real).is_none() =>
        {
            model.now.rename(*run, *real);
            Ok(Out::Run(*real))
        }
        _ => planned,
    }
}

fn is_same(found: &Result<Out, No>, planned: &Step<Out>) -> bool {
    match (found, planned) {
        (Ok(found), Ok(planned)) => found == planned,
        // Of several reasons the store names one.
        (Err(found), Err(planned)) => planned.contains(found),
        _ => false,
    }
}

impl Again {
    /// Whether the transaction may be told this at its commit. How much was asked is counted there for all
    /// its events together.
    fn allows(&self, told: &No) -> bool {
        self.refusals.iter().any(|no| match (no, told) {
            (No::Limit { max, .. }, No::Limit { max: told, .. }) => max == told,
            _ => no == told,
        })
    }
}

impl World {
    fn begin<'s>(&self, store: &'s Store) -> Rival<'s> {
        let keys = self.state.by_age().into_iter().map(|(_, key)| key);
        Rival {
            tx: store.begin(),
            duties: keys.zip(store.duties(DutyFilter::all()).map(Result::unwrap)).collect(),
            seen: Seen { taken: vec![], states: vec![], model: Draft::new(&self.state) },
        }
    }

    /// A step in the store and in the model; whether the transaction can go on.
    fn take(&mut self, rival: &mut Rival<'_>, op: Op) -> bool {
        self.done.steps += 1;
        let Rival { tx, seen, .. } = rival;
        seen.look(&self.state);
        let found = op.take(tx, &seen.model);
        self.note(|| format!("  {op:?}\n    {found:?}"));
        let stand_in = self.rng.stand_in();
        let id = match &found {
            Ok(Out::Run(run)) => *run,
            _ => stand_in,
        };
        if matches!(found, Err(Error::Overtaken { .. })) {
            assert!(seen.is_stale(), "{op:?}: nobody came in between, {found:?}");
            self.done.overtaken += 1;
            return false;
        }
        let found = found.map_err(|error| refusal(&error));
        self.done.refused += u64::from(found.is_err());
        self.done.limits += u64::from(matches!(found, Err(No::Limit { .. })));
        if !seen.is_stale() {
            let expected = op.plan(&mut seen.model, id);
            let expected = named(&mut seen.model, &found, expected);
            assert!(is_same(&found, &expected), "{op:?}: {found:?}, expected {expected:?}");
            seen.taken.push(Taken { op, id, found });
            return true;
        }
        if found.as_ref().is_err_and(|no| seen.again(&self.state).allows(no)) {
            // What the steps before have stated, or appended anywhere, does not hold any more.
            return false;
        }
        seen.taken.push(Taken { op, id, found });
        seen.stands_somewhere();
        true
    }

    pub(crate) fn transaction(&mut self, store: &Store) {
        let mut alone = self.begin(store);
        for _ in 0..1 + self.rng.below(5) {
            let op = self.rng.op(&alone.seen.model, &alone.duties);
            self.take(&mut alone, op);
        }
        self.end(store, alone);
    }

    /// Transactions that take their steps in turn.
    pub(crate) fn rivals(&mut self, store: &Store) {
        let mut rivals: Vec<_> = (0..2 + self.rng.below(2)).map(|_| self.begin(store)).collect();
        let mut left = 12;
        while !rivals.is_empty() {
            let i = self.rng.below(rivals.len());
            left -= 1;
            match self.rng.below(20) {
                _ if left < 0 => {}
                0..14 => {
                    self.note(|| format!(" transaction {i}"));
                    let rival = &mut rivals[i];
                    let op = self.rng.op(&rival.seen.model, &rival.duties);
                    if self.take(rival, op) {
                        continue;
                    }
                }
                14 => {
                    self.settle_one(store);
                    continue;
                }
                15 if self.rng.chance(20) => {
                    self.change_limits(store);
                    continue;
                }
                _ => {}
            }
            self.note(|| format!(" transaction {i}"));
            let rival = rivals.remove(i);
            let ops: Vec<_> = rival.seen.taken.iter().map(|taken| taken.op.clone()).collect();
            if !self.end(store, rival) {
                self.note(|| " again".into());
                let mut again = self.begin(store);
                for op in ops {
                    assert!(self.take(&mut again, op), "nobody came in between");
                }
                assert!(self.end(store, again), "nobody came in between");
            }
        }
    }

    /// Commits, or drops what was built; false if it was overtaken.
    fn end(&mut self, store: &Store, rival: Rival<'_>) -> bool {
        let Rival { tx, mut seen, .. } = rival;
        if self.rng.chance(5) {
            self.note(|| "  dropped".into());
            self.everything(store);
            return true;
        }
        seen.look(&self.state);
        let (stale, again) = (seen.is_stale(), seen.again(&self.state));
        let (end, limits) = (store.end(), self.state.limits);
        let found = match self.rng.below(4) {
            0 => tx.submit(Durability::Buffered).and_then(kinlog::CommitHandle::wait),
            1 => tx.commit(),
            _ => tx.commit_with(Durability::Buffered),
        };
        self.note(|| format!("  commit: {:?}", found.as_ref().map(Commit::position)));
        let written = store.end() != end;
        match found {
            Ok(_) if !written => seen.holds_as_stated(&self.state),
            Ok(found) => {
                assert!(!again.differs, "other answers than alone: {:?}", seen.answers());
                let (after, runs) = again.model.commit();
                assert!(!runs.is_empty());
                self.done.beside += u64::from(stale);
                self.committed(store, after, &runs, &limits, &found);
            }
            Err(error) => {
                assert!(!written && stale, "nobody came in between: {error}");
                self.duties(store);
                self.done.overtaken += 1;
                if error.is_retryable() {
                    self.done.needless += u64::from(!again.differs);
                    return false;
                }
                let no = refusal(&error);
                assert!(again.allows(&no), "{error}, expected {:?}", again.refusals);
                self.done.late += 1;
            }
        }
        true
    }
}
