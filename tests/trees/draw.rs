//! What is drawn at random.

use std::ops::{Deref, DerefMut};

use kinlog::retention::Keep;
use kinlog::{
    Duty, DutyKind, EventKind, IdConflictPolicy, IdReusePolicy, ParentClosePolicy, RunId, RunStatus,
};
use kinlog_testing::Rng;

use crate::draft::Draft;
use crate::naive::{Address, Key, State, What, Wish};
use crate::op::Op;
use crate::steps::Claim;

pub(crate) const WORKFLOWS: [&str; 6] = ["a", "b", "c", "d", "order-1", "order-2"];
const REQUESTS: [&str; 6] = ["", "", "", "", "req-1", "req-2"];
const CLOSES: [RunStatus; 5] = [
    RunStatus::Completed,
    RunStatus::Failed,
    RunStatus::TimedOut,
    RunStatus::Canceled,
    RunStatus::Terminated,
];

/// What a world has most of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Theme {
    /// A little of everything.
    All,
    /// Children that go on and on, are asked to cancel, and are erased in the middle.
    LongChildren,
}

/// What draws steps.
pub(crate) struct Draw {
    pub(crate) rng: Rng,
    pub(crate) theme: Theme,
}

impl Deref for Draw {
    type Target = Rng;

    fn deref(&self) -> &Rng {
        &self.rng
    }
}

impl DerefMut for Draw {
    fn deref_mut(&mut self) -> &mut Rng {
        &mut self.rng
    }
}

impl Draw {
    fn upto(&mut self, most: u32) -> u32 {
        self.number(most + 1)
    }

    pub(crate) fn run_id(&mut self) -> RunId {
        let mut bytes = [0x11; 16];
        bytes[8..].copy_from_slice(&self.draw().to_le_bytes());
        RunId::from_bytes(bytes)
    }

    /// An id for a run that gets its real one from the store.
    pub(crate) fn stand_in(&mut self) -> RunId {
        let mut bytes = *self.run_id().as_bytes();
        bytes[0] = STAND_IN;
        RunId::from_bytes(bytes)
    }

    fn claim(&mut self) -> Claim {
        Claim {
            namespace: self.below(2),
            workflow: self.pick(&WORKFLOWS),
            request: self.pick(&REQUESTS),
            reuse: self.reuse(),
            conflict: self.conflict(),
        }
    }

    fn reuse(&mut self) -> IdReusePolicy {
        use IdReusePolicy::{
            AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate, TerminateIfRunning,
        };
        let usual = [AllowDuplicate; 5];
        let rare = [AllowDuplicateFailedOnly, RejectDuplicate, TerminateIfRunning];
        if self.chance(70) { self.pick(&usual) } else { self.pick(&rare) }
    }

    fn conflict(&mut self) -> IdConflictPolicy {
        use IdConflictPolicy::{Fail, TerminateExisting, UseExisting};
        self.pick(&[Fail, Fail, Fail, UseExisting, TerminateExisting])
    }

    pub(crate) fn wish(&mut self) -> Wish {
        use ParentClosePolicy::{Abandon, RequestCancel, Terminate, Unknown, Unspecified};
        let policies = [Terminate, RequestCancel, Abandon, Terminate, RequestCancel];
        let odd = self.chance(1);
        Wish {
            workflow: if odd { self.pick(&["", "a"]) } else { self.pick(&WORKFLOWS) },
            policy: if odd { self.pick(&[Unspecified, Unknown(9)]) } else { self.pick(&policies) },
            reuse: self.reuse(),
            conflict: self.conflict(),
        }
    }

    /// Mostly an open run, sometimes one that does not exist.
    fn run(&mut self, state: &State) -> RunId {
        let real = |run: &usize| state.runs[*run].id.as_bytes()[0] != STAND_IN;
        let all: Vec<usize> = (0..state.runs.len()).filter(real).collect();
        let open: Vec<usize> =
            all.iter().copied().filter(|run| state.runs[*run].is_open()).collect();
        let from = if self.chance(85) && !open.is_empty() { open } else { all };
        if from.is_empty() || self.chance(1) {
            return self.run_id();
        }
        state.runs[self.pick(&from)].id
    }

    /// A run, and an event that may have initiated a child of it.
    fn child_of(&mut self, state: &State) -> (RunId, u32) {
        let mut of = (self.run(state), 1);
        for _ in 0..4 {
            let run = self.run(state);
            let Some(number) = state.find(&run) else { continue };
            let relations = state.runs[number].relations();
            if !relations.is_empty() {
                of = (run, self.pick(&relations).initiated);
                break;
            }
        }
        if self.chance(4) { (of.0, self.upto(9)) } else { of }
    }

    fn address(&mut self, state: &State) -> Address {
        let run = self.chance(30).then(|| self.run(state));
        let same = run.and_then(|run| state.find(&run)).map(|run| state.runs[run].workflow);
        let workflow = self.pick(&WORKFLOWS);
        let workflow = if self.chance(4) { "nobody" } else { workflow };
        let workflow = same.filter(|_| self.chance(90)).unwrap_or(workflow);
        Address { workflow, run, child_only: self.chance(25) }
    }

    /// `duties`: some that were open when the transaction began.
    pub(crate) fn op(&mut self, tx: &Draft, duties: &[(Key, Duty)]) -> Op {
        let state = &tx.now;
        if self.theme == Theme::LongChildren
            && self.chance(75)
            && let Some(op) = self.of_long_child(tx)
        {
            return op;
        }
        let (note, id) = (self.draw() | 1, self.run_id());
        let run = self.run(state);
        match self.below(100) {
            0..10 => Op::Start { claim: self.claim(), id, note },
            10..22 => {
                let (wish, foreign) = (self.wish(), self.chance(1));
                Op::Spawn { parent: run, wish, foreign, id, note }
            }
            22..29 => {
                let (wish, foreign) = (self.wish(), self.chance(1));
                Op::Initiate { parent: run, wish, foreign, note }
            }
            29..34 => {
                let (parent, initiated) = self.child_of(state);
                Op::StartChild { parent, initiated }
            }
            34..36 => {
                let (parent, initiated) = self.child_of(state);
                Op::FailChild { parent, initiated }
            }
            36..42 => {
                let (parent, initiated) = self.child_of(state);
                Op::Report { parent, initiated }
            }
            42..50 => Op::Close { run, how: self.pick(&CLOSES), note },
            50..55 => {
                let how = self.pick(&CLOSES);
                let how = if self.chance(60) { RunStatus::ContinuedAsNew } else { how };
                let retry = how != RunStatus::ContinuedAsNew;
                let attempt = if retry { self.upto(2) } else { 0 };
                Op::GoOn { run, how, attempt, id, note }
            }
            55..63 => self.reset(tx, id, note),
            63..67 => Op::Cancel { run, note },
            67..73 => {
                let (address, signal) = (self.address(state), self.chance(60));
                Op::Ask { sender: run, address, signal, note }
            }
            73..75 => Op::Signal { run, note },
            75..79 => self.deletion(&tx.before),
            79..92 => {
                let what = self.what(state, run);
                // A reset may repeat any answer to what was asked before its point; in the
                // transaction that makes it, the store does not know which of them it has.
                let made = |run: usize| tx.begins(run) && state.runs[run].base.is_some();
                let begun = state.find(&run).is_some_and(made);
                let answers = matches!(what, What::Answered { .. });
                let what = if begun && answers { What::Marker } else { what };
                Op::Append { run, what, note }
            }
            92..95 => {
                let next = state.find(&run).map(|run| state.runs[run].len() + 1);
                let next = next.filter(|_| self.chance(50));
                let off = u32::from(self.chance(10));
                Op::Expect { run, next: next.map(|next| next - off) }
            }
            _ => match duties {
                [_, ..] => Op::Settle(duties[self.below(duties.len())]),
                [] => Op::Append { run, what: What::Marker, note },
            },
        }
    }

    pub(crate) fn duty(&mut self, state: &State) -> Option<(DutyKind, usize, u32)> {
        let duties: Vec<_> = state.duties.keys().copied().collect();
        (!duties.is_empty()).then(|| self.pick(&duties))
    }

    /// Mostly of a run that has closed.
    fn deletion(&mut self, state: &State) -> Op {
        let closed: Vec<RunId> =
            state.runs.iter().filter(|run| !run.is_open()).map(|run| run.id).collect();
        let any = closed.is_empty() || self.chance(10);
        let run = if any { self.run(state) } else { self.pick(&closed) };
        let keep = self.pick(&[Keep::Outcome, Keep::Nothing, Keep::Nothing]);
        Op::Delete { run, chain: self.chance(35), keep }
    }

    fn reset(&mut self, tx: &Draft, id: RunId, note: u64) -> Op {
        let base = self.run(&tx.before);
        let run = tx.before.find(&base).map(|run| &tx.before.runs[run]);
        let beyond = u32::from(self.below(16) == 0);
        let last = run.map_or(1, |run| self.upto(run.len() + beyond));
        Op::Reset { base, last, request: self.pick(&REQUESTS), id, note }
    }

    /// An event that an engine appends itself, legal or not.
    fn what(&mut self, state: &State, run: RunId) -> What {
        let it = state.find(&run).map(|run| &state.runs[run]);
        let most = it.map_or(1, |it| it.len() + 1);
        let kind = self.pick(&[DutyKind::DeliverSignal, DutyKind::DeliverCancel]);
        let waiting: Vec<u32> =
            it.map(|it| it.waiting(kind).into_iter().collect()).unwrap_or_default();
        let activities: Vec<u32> =
            it.map(|it| it.activities().into_iter().collect()).unwrap_or_default();
        match self.below(12) {
            0..4 => What::Scheduled,
            4..7 => {
                use EventKind as E;
                let kinds = [
                    E::ACTIVITY_TASK_COMPLETED,
                    E::ACTIVITY_TASK_FAILED,
                    E::ACTIVITY_TASK_TIMED_OUT,
                    E::ACTIVITY_TASK_CANCELED,
                ];
                let known = !activities.is_empty() && self.chance(95);
                let scheduled = if known { self.pick(&activities) } else { self.upto(most) };
                What::ActivityEnded { scheduled, kind: self.pick(&kinds) }
            }
            7 => {
                let known = !waiting.is_empty() && self.chance(80);
                let initiated = if known { self.pick(&waiting) } else { self.upto(most) };
                What::Answered { kind, initiated, cause: self.pick(&[0, 1]) }
            }
            8 | 9 => self.ended(state, run),
            10 => What::CancelRequested { from: None },
            _ => What::Marker,
        }
    }

    /// How a child ended, mostly as it did.
    fn ended(&mut self, state: &State, run: RunId) -> What {
        let marker = What::Marker;
        let Some(number) = state.find(&run) else { return marker };
        let started: Vec<_> = state.runs[number]
            .relations()
            .into_iter()
            .filter_map(|it| it.started.map(|s| (it.initiated, s.0)))
            .collect();
        if started.is_empty() {
            return marker;
        }
        let (initiated, started) = self.pick(&started);
        let Some(child) = state.child(number, initiated) else { return marker };
        let last = state.newest(child);
        if state.runs[last].id.as_bytes()[0] == STAND_IN {
            return marker;
        }
        let how = state.runs[last].status();
        let how = if CLOSES.contains(&how) && self.chance(90) { how } else { self.pick(&CLOSES) };
        let started = if self.chance(95) { started } else { started + 1 };
        let last = if self.chance(95) { state.runs[last].id } else { run };
        What::ChildEnded { initiated, started, last, how }
    }
}

pub(crate) const STAND_IN: u8 = 0xee;
