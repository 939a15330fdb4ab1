//! What a step answers, without what may differ between two stores: times and positions.

use kinlog::{Error, RunId};

use crate::api::{Pair, is_retryable};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// A run, and whether it begins in this transaction.
    Run(RunId, bool),
    Event(u32),
    /// The id of an event of a run that is written to blindly: it may be passed.
    Somewhere,
    Cancel(Option<u32>, Vec<u32>),
    Settled(bool),
    Value(Option<Vec<u8>>),
    Rows(Vec<Pair>),
    Nothing,
    No(No),
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct No {
    pub(crate) what: &'static str,
    pub(crate) run: Option<RunId>,
    pub(crate) numbers: [u64; 2],
    pub(crate) why: String,
}

impl No {
    /// How much a limit was crossed by is left out: under blind appends it may have grown.
    pub(crate) fn of(error: &Error) -> Self {
        let no = |what, run, numbers, why: &str| No { what, run, numbers, why: why.to_owned() };
        match error {
            Error::Conflict { run, expected, found } => {
                no("Conflict", Some(*run), [u64::from(*expected), u64::from(*found)], "")
            }
            Error::RunNotFound { run } => no("RunNotFound", Some(*run), [0, 0], ""),
            Error::RunDeleted { run, kept } => no("RunDeleted", Some(*run), [0, 0], kept.name()),
            Error::NotDeletable { run, why } => no("NotDeletable", Some(*run), [0, 0], why.why()),
            Error::RunClosed { run } => no("RunClosed", Some(*run), [0, 0], ""),
            Error::RunExists { run } => no("RunExists", Some(*run), [0, 0], ""),
            Error::WorkflowExists { workflow_id, run, open, .. } => {
                no("WorkflowExists", Some(*run), [u64::from(*open), 0], workflow_id)
            }
            Error::IllegalEvent { run, kind, refers_to, why } => {
                let numbers = [u64::from(kind.number()), u64::from(*refers_to)];
                no("IllegalEvent", Some(*run), numbers, why)
            }
            Error::CrossNamespace { parent, .. } => no("CrossNamespace", Some(*parent), [0, 0], ""),
            Error::LimitExceeded { limit, run, max, .. } => {
                no("LimitExceeded", *run, [*max, 0], &limit.to_string())
            }
            Error::InvalidArgument { what } => no("InvalidArgument", None, [0, 0], what),
            Error::RowConflict { required, .. } => no("RowConflict", None, [0, 0], required),
            error if is_retryable(error) => no("Overtaken", None, [0, 0], &error.to_string()),
            error => panic!("the store failed: {error}"),
        }
    }
}

impl Answer {
    /// The run that it speaks of.
    pub(crate) fn run(&self) -> Option<RunId> {
        match self {
            Answer::Run(run, _) => Some(*run),
            Answer::No(no) => no.run,
            _ => None,
        }
    }

    /// The same answer, with other names for runs.
    pub(crate) fn named(&self, mut name: impl FnMut(RunId) -> RunId) -> Self {
        match self {
            Answer::Run(run, begins) => Answer::Run(name(*run), *begins),
            Answer::No(no) => Answer::No(No { run: no.run.map(name), ..no.clone() }),
            other => other.clone(),
        }
    }

    /// The answer for a run that is written to blindly.
    pub(crate) fn blind(self) -> Self {
        match self {
            Answer::Event(_) => Answer::Somewhere,
            Answer::Cancel(event, activities) => Answer::Cancel(event.map(|_| 0), activities),
            other => other,
        }
    }
}
