//! Drawing programs.

use kinlog::retention::Keep;
use kinlog::{
    DutyKind, EventKind, IdConflictPolicy, IdReusePolicy, ParentClosePolicy, Position, RunId,
    RunStatus,
};
use kinlog_testing::Rng;

use crate::api::RowIs;
use crate::mix::{Mix, Sort};
use crate::op::{Claim, Op, Part, What, Wish};
use crate::program::{Program, Step, Way, Which, Who};

const REQUESTS: [&str; 6] = ["", "", "", "", "r1", "r2"];
const CLOSES: [RunStatus; 5] = [
    RunStatus::Completed,
    RunStatus::Failed,
    RunStatus::TimedOut,
    RunStatus::Canceled,
    RunStatus::Terminated,
];
const STARTS: [DutyKind; 1] = [DutyKind::StartChild];
const REPORTS: [DutyKind; 1] = [DutyKind::ReportClose];
const POLICIES: [DutyKind; 1] = [DutyKind::ApplyClosePolicy];
const DELIVERIES: [DutyKind; 2] = [DutyKind::DeliverSignal, DutyKind::DeliverCancel];

/// How the ids of runs begin that are the same in every execution; those that kinlog draws begin
/// with the time.
pub(crate) const DETERMINED: u8 = 0x22;

/// Draws the programs of one thread.
pub(crate) struct Drawing<'m> {
    pub(crate) mix: &'m Mix,
    pub(crate) rng: Rng,
    pub(crate) thread: u8,
    program: u16,
    step: u8,
}

impl<'m> Drawing<'m> {
    pub(crate) fn new(mix: &'m Mix, seed: u64, thread: usize) -> Self {
        let rng = Rng::of(seed, thread as u64);
        Drawing { mix, rng, thread: u8::try_from(thread).unwrap(), program: 0, step: 0 }
    }

    pub(crate) fn program(&mut self) -> Program {
        self.program += 1;
        let count = 1 + self.rng.below(6);
        let steps = (0..count).map(|step| self.step(step)).collect();
        let way = match self.rng.below(100) {
            0..70 => Way::Buffered,
            70..90 => Way::Submitted,
            90..95 => Way::Synced,
            _ => Way::Transact,
        };
        Program { steps, way, gives_up: self.rng.chance(15) }
    }

    /// The same in every execution: it says who drew it.
    fn id(&self) -> RunId {
        let mut bytes = [0; 16];
        bytes[0] = DETERMINED;
        bytes[13] = self.thread;
        bytes[14] = u8::try_from(self.program & 0xff).unwrap();
        bytes[12] = u8::try_from(self.program >> 8).unwrap();
        bytes[15] = self.step;
        RunId::from_bytes(bytes)
    }

    fn who(&mut self) -> Who {
        match self.rng.below(10) {
            0..6 => Who::Current(self.rng.pick(self.mix.workflows)),
            6..8 if self.step > 0 => Who::Step(self.rng.below(self.step.into())),
            _ => Who::Known(self.rng.below(64)),
        }
    }

    fn which(&mut self, usual: fn(usize) -> Which) -> Which {
        match self.rng.below(10) {
            0..2 if self.step > 0 => Which::Step(self.rng.below(self.step.into())),
            0..9 => usual(self.rng.below(64)),
            _ => Which::Last,
        }
    }

    fn reuse(&mut self) -> IdReusePolicy {
        use IdReusePolicy::{
            AllowDuplicate, AllowDuplicateFailedOnly, RejectDuplicate, TerminateIfRunning,
        };
        let rare = [AllowDuplicateFailedOnly, RejectDuplicate, TerminateIfRunning];
        if self.rng.chance(70) { AllowDuplicate } else { self.rng.pick(&rare) }
    }

    fn conflict(&mut self) -> IdConflictPolicy {
        use IdConflictPolicy::{Fail, TerminateExisting, UseExisting};
        self.rng.pick(&[Fail, Fail, UseExisting, TerminateExisting])
    }

    fn wish(&mut self) -> Wish {
        use ParentClosePolicy::{Abandon, RequestCancel, Terminate};
        Wish {
            workflow: self.rng.pick(self.mix.workflows),
            policy: self.rng.pick(&[Terminate, RequestCancel, Terminate, RequestCancel, Abandon]),
            reuse: self.reuse(),
            conflict: self.conflict(),
        }
    }

    fn sort(&mut self) -> Sort {
        let total = self.mix.sorts.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.rng.below(total);
        let mut sorts = self.mix.sorts.iter();
        let found = sorts.find(|(weight, _)| {
            let found = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            found
        });
        found.unwrap().1
    }

    fn step(&mut self, step: usize) -> Step {
        self.step = u8::try_from(step).unwrap();
        let note = self.rng.draw();
        let (id, run) = (self.id(), self.who());
        let op = match self.sort() {
            Sort::Turn => return Step::Turn,
            Sort::Settle => return self.settle(),
            Sort::Remove => {
                let keep = self.rng.pick(&[Keep::Outcome, Keep::Nothing, Keep::Nothing]);
                Op::Remove { run, chain: self.rng.chance(50), keep }
            }
            sort @ (Sort::Write | Sort::Read) => self.row(sort, note),
            Sort::Start => {
                let (workflow, request) =
                    (self.rng.pick(self.mix.workflows), self.rng.pick(&REQUESTS));
                let (reuse, conflict) = (self.reuse(), self.conflict());
                Op::Start { claim: Claim { workflow, request, reuse, conflict }, id, note }
            }
            Sort::Spawn => Op::Spawn { parent: run, wish: self.wish(), id, note },
            Sort::Initiate => Op::Initiate { parent: run, wish: self.wish(), note },
            Sort::StartChild => {
                Op::StartChild { parent: run, initiated: self.which(Which::Initiated) }
            }
            Sort::FailChild => {
                Op::FailChild { parent: run, initiated: self.which(Which::Initiated) }
            }
            Sort::Report => Op::Report { parent: run, initiated: self.which(Which::Initiated) },
            Sort::Close => Op::Close { run, how: self.rng.pick(&CLOSES), note },
            Sort::GoOn => {
                let how = self.rng.pick(&CLOSES);
                let how = if self.rng.chance(60) { RunStatus::ContinuedAsNew } else { how };
                Op::GoOn { run, how, id, note }
            }
            Sort::Reset => {
                let (last, request) = (self.which(Which::Shared), self.rng.pick(&REQUESTS));
                Op::Reset { base: run, last, request, id }
            }
            Sort::RequestCancel => Op::RequestCancel { run, note },
            Sort::Signal => Op::Signal { run, note },
            Sort::Ask => self.ask(run, note),
            Sort::Append => {
                let what = What::Opaque(self.rng.pick(&[25, 5, 1024, 7]));
                Op::Append { run, what, note }
            }
            Sort::Activity => self.activity(run, note),
            Sort::Exact => Op::Expect { run, next: Some(self.which(|_| Which::Next)) },
            Sort::Blind => Op::Expect { run, next: None },
        };
        Step::Do(op)
    }

    fn settle(&mut self) -> Step {
        let kinds: &[DutyKind] = match self.rng.below(8) {
            0 => &STARTS,
            1 => &REPORTS,
            2 => &POLICIES,
            3 => &DELIVERIES,
            _ => &DutyKind::ALL,
        };
        Step::Settle { kinds, pick: self.rng.below(64) }
    }

    fn ask(&mut self, sender: Who, note: u64) -> Op<Who, Which> {
        let workflow = self.rng.pick(self.mix.workflows);
        let to = if self.rng.chance(15) { Some(self.who()) } else { None };
        let (kin, signal) = (self.rng.chance(15), self.rng.chance(60));
        Op::Ask { sender, workflow, to, kin, signal, note }
    }

    fn activity(&mut self, run: Who, note: u64) -> Op<Who, Which> {
        use EventKind as E;
        let kinds = [
            E::ACTIVITY_TASK_COMPLETED,
            E::ACTIVITY_TASK_FAILED,
            E::ACTIVITY_TASK_TIMED_OUT,
            E::ACTIVITY_TASK_CANCELED,
        ];
        let ends = self.rng.chance(50);
        let ended = What::Ended(self.rng.pick(&kinds), self.which(Which::Activity));
        Op::Append { run, what: if ends { ended } else { What::Scheduled }, note }
    }

    fn row(&mut self, sort: Sort, note: u64) -> Op<Who, Which> {
        let keys = usize::from(self.mix.keys);
        let mut key = || u8::try_from(self.rng.below(keys)).unwrap();
        let (key, other) = (key(), key());
        let value = note % 3;
        if sort == Sort::Write {
            return if self.rng.chance(60) { Op::Put { key, value } } else { Op::Delete { key } };
        }
        let since = RowIs::UnchangedSince(Position::START);
        let is = self.rng.pick(&[RowIs::Absent, RowIs::Present, RowIs::Value(value), since]);
        let most = self.rng.pick(&[1, 1, 2, 5, usize::MAX]);
        match self.rng.below(6) {
            0..2 => Op::Get { key },
            2..4 => Op::Rows(Part {
                from: key.min(other),
                to: key.max(other),
                back: self.rng.chance(50),
                most,
            }),
            4 => Op::Prefix { tens: key / 10, most },
            _ => Op::Require { key, is },
        }
    }
}
