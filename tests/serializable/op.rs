//! The steps of transactions as data: with runs and events named as in a program, or as they are.

use kinlog::retention::Keep;
use kinlog::{
    DutyKind, EventKind, IdConflictPolicy, IdReusePolicy, ParentClosePolicy, Position, RunId,
    RunStatus,
};

use crate::api::RowIs;

/// What a start asks of its workflow id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Claim {
    pub(crate) workflow: &'static str,
    pub(crate) request: &'static str,
    pub(crate) reuse: IdReusePolicy,
    pub(crate) conflict: IdConflictPolicy,
}

/// A child as its parent wants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub(crate) workflow: &'static str,
    pub(crate) policy: ParentClosePolicy,
    pub(crate) reuse: IdReusePolicy,
    pub(crate) conflict: IdConflictPolicy,
}

/// An event that an engine appends itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What<E> {
    Opaque(u16),
    Scheduled,
    Ended(EventKind, E),
}

/// A part of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) back: bool,
    pub(crate) most: usize,
}

/// A step, with runs named by `R` and events by `E`. What it writes can be told by `note`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op<R, E> {
    Start { claim: Claim, id: RunId, note: u64 },
    Spawn { parent: R, wish: Wish, id: RunId, note: u64 },
    Initiate { parent: R, wish: Wish, note: u64 },
    StartChild { parent: R, initiated: E },
    FailChild { parent: R, initiated: E },
    Report { parent: R, initiated: E },
    Close { run: R, how: RunStatus, note: u64 },
    GoOn { run: R, how: RunStatus, id: RunId, note: u64 },
    Reset { base: R, last: E, request: &'static str, id: RunId },
    RequestCancel { run: R, note: u64 },
    Signal { run: R, note: u64 },
    Ask { sender: R, workflow: &'static str, to: Option<R>, kin: bool, signal: bool, note: u64 },
    Append { run: R, what: What<E>, note: u64 },
    Expect { run: R, next: Option<E> },
    Settle { kind: DutyKind, run: R, event: E },
    Remove { run: R, chain: bool, keep: Keep },
    Put { key: u8, value: u64 },
    Delete { key: u8 },
    Get { key: u8 },
    Rows(Part),
    Prefix { tens: u8, most: usize },
    Require { key: u8, is: RowIs },
}

/// Other names for runs, events and positions. `None` where there is none.
pub(crate) trait Names<R, E> {
    type Run: Copy;
    type Event: Copy;

    fn run(&mut self, run: R) -> Option<Self::Run>;
    fn event(&mut self, run: R, event: E) -> Option<Self::Event>;
    fn position(&mut self, position: Position) -> Position;
}

impl<R: Copy, E: Copy> Op<R, E> {
    /// The same step, with other names.
    pub(crate) fn named<N: Names<R, E>>(&self, names: &mut N) -> Option<Op<N::Run, N::Event>> {
        Some(match *self {
            Op::Start { claim, id, note } => Op::Start { claim, id, note },
            Op::Spawn { parent, wish, id, note } => {
                Op::Spawn { parent: names.run(parent)?, wish, id, note }
            }
            Op::Initiate { parent, wish, note } => {
                Op::Initiate { parent: names.run(parent)?, wish, note }
            }
            Op::StartChild { parent, initiated } => {
                let initiated = names.event(parent, initiated)?;
                Op::StartChild { parent: names.run(parent)?, initiated }
            }
            Op::FailChild { parent, initiated } => {
                let initiated = names.event(parent, initiated)?;
                Op::FailChild { parent: names.run(parent)?, initiated }
            }
            Op::Report { parent, initiated } => {
                let initiated = names.event(parent, initiated)?;
                Op::Report { parent: names.run(parent)?, initiated }
            }
            Op::Close { run, how, note } => Op::Close { run: names.run(run)?, how, note },
            Op::GoOn { run, how, id, note } => Op::GoOn { run: names.run(run)?, how, id, note },
            Op::Reset { base, last, request, id } => {
                let last = names.event(base, last)?;
                Op::Reset { base: names.run(base)?, last, request, id }
            }
            Op::RequestCancel { run, note } => Op::RequestCancel { run: names.run(run)?, note },
            Op::Signal { run, note } => Op::Signal { run: names.run(run)?, note },
            Op::Ask { sender, workflow, to, kin, signal, note } => {
                let to = match to {
                    Some(run) => Some(names.run(run)?),
                    None => None,
                };
                Op::Ask { sender: names.run(sender)?, workflow, to, kin, signal, note }
            }
            Op::Append { run, what, note } => {
                let what = match what {
                    What::Ended(kind, event) => What::Ended(kind, names.event(run, event)?),
                    What::Opaque(kind) => What::Opaque(kind),
                    What::Scheduled => What::Scheduled,
                };
                Op::Append { run: names.run(run)?, what, note }
            }
            Op::Expect { run, next } => {
                let next = match next {
                    Some(event) => Some(names.event(run, event)?),
                    None => None,
                };
                Op::Expect { run: names.run(run)?, next }
            }
            Op::Settle { kind, run, event } => {
                Op::Settle { kind, event: names.event(run, event)?, run: names.run(run)? }
            }
            Op::Remove { run, chain, keep } => Op::Remove { run: names.run(run)?, chain, keep },
            Op::Put { key, value } => Op::Put { key, value },
            Op::Delete { key } => Op::Delete { key },
            Op::Get { key } => Op::Get { key },
            Op::Rows(part) => Op::Rows(part),
            Op::Prefix { tens, most } => Op::Prefix { tens, most },
            Op::Require { key, is: RowIs::UnchangedSince(position) } => {
                Op::Require { key, is: RowIs::UnchangedSince(names.position(position)) }
            }
            Op::Require { key, is } => Op::Require { key, is },
        })
    }
}
