//! Running programs beside others, and recording what became of them.

use kinlog::{Commit, Durability, Duty, DutyFilter, Error, Position, Result, Store, Transaction};

use crate::answer::{Answer, No};
use crate::api;
use crate::board::Board;
use crate::look::{Known, Look};
use crate::op::Op;
use crate::program::{Program, Step, Way};
use crate::record::{Done, Outcome, Record};
use crate::take::{Real, take};
use crate::threads::turn;

/// One thread's view of the world.
pub(crate) struct Performer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) known: &'a Known,
    pub(crate) board: &'a Board,
    pub(crate) thread: usize,
}

/// What a transaction was built of; `None` if it was given up.
type Built = Option<(Vec<Done>, bool)>;

impl Performer<'_> {
    pub(crate) fn perform(&self, number: usize, program: &Program) -> Record {
        let mut begun = self.store.end();
        let (steps, empty, outcome) = match program.way {
            Way::Transact => self.transact(program, &mut begun),
            way => self.commit(way, program, &mut begun),
        };
        if let Outcome::Committed(_) = outcome {
            let runs = steps.iter().filter_map(|done| match done.answer {
                Answer::Run(run, true) => Some(run),
                _ => None,
            });
            runs.for_each(|run| self.known.add(run));
        }
        let (thread, way) = (self.thread, program.way);
        Record { thread, program: number, way, begun, steps, outcome, empty }
    }

    fn commit(
        &self,
        way: Way,
        program: &Program,
        begun: &mut Position,
    ) -> (Vec<Done>, bool, Outcome) {
        *begun = self.store.end();
        let mut tx = self.store.begin();
        let Some((steps, empty)) = self.build(&mut tx, program) else {
            return (vec![], true, Outcome::Dropped);
        };
        self.board.note(self.thread, &("commit", program));
        let committed = match way {
            Way::Synced => tx.commit(),
            Way::Submitted => tx.submit(Durability::Buffered).and_then(|handle| {
                turn();
                handle.wait()
            }),
            _ => tx.commit_with(Durability::Buffered),
        };
        (steps, empty, outcome(committed))
    }

    fn transact(&self, program: &Program, begun: &mut Position) -> (Vec<Done>, bool, Outcome) {
        let given_up = || Error::InvalidArgument { what: "given up" };
        let done = api::transact(self.store, |tx| {
            *begun = self.store.end();
            self.build(tx, program).ok_or_else(given_up)
        });
        match done {
            Ok(((steps, empty), commit)) => (steps, empty, outcome(Ok(commit))),
            Err(Error::InvalidArgument { what: "given up" }) => (vec![], true, Outcome::Dropped),
            Err(error) => (vec![], true, outcome(Err(error))),
        }
    }

    fn build(&self, tx: &mut Transaction<'_>, program: &Program) -> Built {
        let mut look = Look::new(self.store, self.known);
        let (mut steps, mut empty): (Vec<Done>, _) = (vec![], true);
        for step in &program.steps {
            self.board.note(self.thread, step);
            let Some((op, due)) = self.resolve(&mut look, step) else {
                look.answers.push(Answer::Nothing);
                continue;
            };
            let answer = take(tx, &op, due.as_ref());
            let refused = matches!(answer, Answer::No(_));
            empty &=
                refused || !matches!(op, Op::Put { .. } | Op::Delete { .. } | Op::Remove { .. });
            look.answers.push(answer.clone());
            steps.push(Done { op, answer });
            if refused && program.gives_up {
                return None;
            }
        }
        let empty = empty && tx.runs().is_empty();
        Some((steps, empty))
    }

    /// The step with its names resolved; `None` if there is nothing of that name.
    fn resolve(&self, look: &mut Look<'_>, step: &Step) -> Option<(Real, Option<Duty>)> {
        match step {
            Step::Do(op) => Some((op.named(look)?, None)),
            Step::Settle { kinds, pick } => {
                let mut filter = DutyFilter::all();
                filter.kinds = kinds.to_vec();
                let duties: Vec<Duty> =
                    self.store.duties(filter).map(Result::unwrap).take(8).collect();
                let due = *duties.get(pick.checked_rem(duties.len())?)?;
                let (kind, run, event) = (due.kind(), due.run(), due.initiated_event_id());
                Some((Op::Settle { kind, run, event }, Some(due)))
            }
            Step::Turn => {
                turn();
                None
            }
        }
    }
}

fn outcome(committed: Result<Commit>) -> Outcome {
    match committed {
        Ok(commit) => Outcome::Committed(commit.position()),
        Err(error) => {
            let fits = api::is_retryable(&error) || is_answer(&error);
            assert!(fits, "a commit is refused for no reason that others gave: {error}");
            Outcome::Refused(No::of(&error))
        }
    }
}

/// What a commit answers to who stated something, or appended blindly.
fn is_answer(error: &Error) -> bool {
    matches!(
        error,
        Error::Conflict { .. }
            | Error::RowConflict { .. }
            | Error::RunClosed { .. }
            | Error::LimitExceeded { .. }
    )
}
