//! Programs: transactions as data, with runs and events named by what there is when they run.

use kinlog::DutyKind;

use crate::op::Op;

/// A run as a program names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// The current run of a workflow, as seen from outside when the program first asks.
    Current(&'static str),
    /// The run that a step of this program returned.
    Step(usize),
    /// One of the runs that are known in this world, counted back from the last one.
    Known(usize),
}

/// An event of a run as a program names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    /// The last one, as seen from outside.
    Last,
    /// The one that follows that.
    Next,
    /// The first or a later one, as seen from outside.
    Shared(usize),
    /// One that initiated a child.
    Initiated(usize),
    /// One that scheduled an activity that is open.
    Activity(usize),
    /// The one that a step of this program returned.
    Step(usize),
}

/// A step of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Do(Op<Who, Which>),
    /// Settles one of the duties that are due, as seen from outside when the step is taken.
    Settle {
        kinds: &'static [DutyKind],
        pick: usize,
    },
    /// Lets others go on.
    Turn,
}

/// How a program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Buffered,
    Synced,
    Submitted,
    /// Built again until it is committed.
    Transact,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    pub(crate) way: Way,
    /// Whether it ends at the first step that is refused.
    pub(crate) gives_up: bool,
}
