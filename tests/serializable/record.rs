//! What became of a program: its steps as they were taken, what they answered, and the commit.

use kinlog::{Position, RunId};

use crate::answer::{Answer, No};
use crate::op::Op;
use crate::program::Way;
use crate::take::Real;

/// A step that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) op: Real,
    pub(crate) answer: Answer,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Committed(Position),
    Refused(No),
    /// Given up after a step that was refused.
    Dropped,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) thread: usize,
    pub(crate) program: usize,
    pub(crate) way: Way,
    /// Where the log ended before it began.
    pub(crate) begun: Position,
    pub(crate) steps: Vec<Done>,
    pub(crate) outcome: Outcome,
    /// Whether it wrote nothing.
    pub(crate) empty: bool,
}

impl Record {
    pub(crate) fn position(&self) -> Option<Position> {
        match self.outcome {
            Outcome::Committed(position) => Some(position),
            _ => None,
        }
    }

    /// Whether it wrote to `run` without saying where it is: the ids of its events may be passed.
    pub(crate) fn is_blind(&self, run: RunId) -> bool {
        let any = |done: &Done| {
            done.op == Op::Expect { run, next: None } && done.answer == Answer::Nothing
        };
        self.steps.iter().any(any)
    }

    /// What a step answered, as far as it is promised.
    pub(crate) fn promised(&self, answer: Answer, op: &Real) -> Answer {
        match written(op) {
            Some(run) if self.is_blind(run) => answer.blind(),
            _ => answer,
        }
    }
}

/// The run that a step writes to.
fn written(op: &Real) -> Option<RunId> {
    match *op {
        Op::Append { run, .. }
        | Op::Signal { run, .. }
        | Op::Ask { sender: run, .. }
        | Op::Close { run, .. }
        | Op::RequestCancel { run, .. }
        | Op::Initiate { parent: run, .. }
        | Op::FailChild { parent: run, .. }
        | Op::Report { parent: run, .. } => Some(run),
        _ => None,
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Record { thread, program, way, begun, outcome, .. } = self;
        writeln!(f, "thread {thread}, program {program}, begun at {begun}, {way:?}: {outcome:?}")?;
        self.steps
            .iter()
            .try_for_each(|done| writeln!(f, "    {:?}\n      -> {:?}", done.op, done.answer))
    }
}
