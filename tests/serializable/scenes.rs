//! Scenes: a few programs that are written rather than drawn, each made for one violation.

use kinlog::{DutyKind, IdConflictPolicy, IdReusePolicy, ParentClosePolicy, RunId, RunStatus};

use crate::draw::DETERMINED;
use crate::mix::{EVERYTHING, Mix};
use crate::op::{Claim, Op, What, Wish};
use crate::program::{Program, Step, Way, Which, Who};
use crate::world::Play;

const SCENE: Mix = Mix { name: "scene", workflows: &["p", "t", "mine", "other"], ..EVERYTHING };
const P: Who = Who::Current("p");
const T: Who = Who::Current("t");

fn id(number: u8) -> RunId {
    let mut bytes = [0; 16];
    (bytes[0], bytes[15]) = (DETERMINED, number);
    RunId::from_bytes(bytes)
}

fn wish(workflow: &'static str) -> Wish {
    let (reuse, conflict) = (IdReusePolicy::AllowDuplicate, IdConflictPolicy::Fail);
    Wish { workflow, policy: ParentClosePolicy::Terminate, reuse, conflict }
}

fn start(workflow: &'static str, number: u8) -> Step {
    let Wish { reuse, conflict, .. } = wish(workflow);
    let claim = Claim { workflow, request: "", reuse, conflict };
    Step::Do(Op::Start { claim, id: id(number), note: 1 })
}

fn ask(sender: Who, workflow: &'static str, signal: bool) -> Step {
    Step::Do(Op::Ask { sender, workflow, to: None, kin: false, signal, note: 2 })
}

fn settle() -> Step {
    Step::Settle { kinds: &DutyKind::ALL, pick: 0 }
}

fn go_on(run: Who, number: u8) -> Step {
    let how = RunStatus::ContinuedAsNew;
    Step::Do(Op::GoOn { run, how, id: id(number), note: 3 })
}

fn program(steps: Vec<Step>) -> Program {
    Program { steps, way: Way::Buffered, gives_up: false }
}

fn scene(name: &str, before: Vec<Program>, threads: Vec<Vec<Program>>) -> Play {
    Play { name: name.to_owned(), mix: SCENE, before, threads }
}

/// A parent is written to blindly after it got a child: its events may have other numbers.
pub(crate) fn wrong_child() -> Play {
    let spawn = Op::Spawn { parent: P, wish: wish("mine"), id: id(10), note: 4 };
    let blind = Op::Expect { run: P, next: None };
    let mine = program(vec![Step::Do(spawn), Step::Do(blind), Step::Turn]);
    let other = program(vec![Step::Do(Op::Initiate { parent: P, wish: wish("other"), note: 5 })]);
    let before = vec![program(vec![start("p", 1)])];
    scene("the wrong child", before, vec![vec![mine], vec![other.clone(), other]])
}

/// A run is reset while what it asked others is settled. Its history is long, so that there is
/// time between reading it and writing.
pub(crate) fn forgetful_reset() -> Play {
    let marker = Step::Do(Op::Append { run: P, what: What::Opaque(25), note: 8 });
    let length = if cfg!(shuttle) { 2 } else { 2_000 };
    let before = vec![
        program(vec![start("p", 1)]),
        program((0..4).map(|_| ask(P, "nobody", true)).collect()),
        program(vec![marker; length]),
    ];
    let base = Who::Current("p");
    let reset = Op::Reset { base, last: Which::Shared(4), request: "", id: id(10) };
    let resets = vec![program(vec![Step::Do(reset)])];
    let settles = (0..4).map(|_| program(vec![settle()])).collect();
    scene("a forgetful reset", before, vec![resets, settles])
}

/// Requests to a workflow that goes on, and on, and is open all the time.
pub(crate) fn lost_request(signal: bool) -> Play {
    let before = vec![
        program(vec![start("p", 1), start("t", 2)]),
        program((0..4).map(|_| ask(P, "t", signal)).collect()),
    ];
    let goes_on = (10..16).map(|number| program(vec![go_on(T, number)])).collect();
    let settles = (0..4).map(|_| program(vec![settle()])).collect();
    scene("a lost request", before, vec![settles, goes_on])
}

/// A parent has closed, and its child goes on while the policy is settled.
pub(crate) fn escaping_child() -> Play {
    let child = Op::Spawn { parent: P, wish: wish("t"), id: id(2), note: 4 };
    let close = Op::Close { run: P, how: RunStatus::Completed, note: 7 };
    let before = vec![
        program(vec![start("p", 1)]),
        program(vec![Step::Do(child)]),
        program(vec![Step::Do(close)]),
    ];
    let goes_on = (10..14).map(|number| program(vec![go_on(T, number)])).collect();
    let settles = (0..3).map(|_| program(vec![settle()])).collect();
    scene("an escaping child", before, vec![settles, goes_on])
}

/// Two runs of one workflow id begin while a third one ends.
pub(crate) fn two_open_runs() -> Play {
    let wish = Wish { conflict: IdConflictPolicy::TerminateExisting, ..wish("t") };
    let spawn = |number| Op::Spawn { parent: P, wish, id: id(number), note: 4 };
    let close = Op::Close { run: T, how: RunStatus::Completed, note: 7 };
    let before = vec![program(vec![start("p", 1), start("t", 2)])];
    let spawns = (10..12).map(|number| program(vec![Step::Do(spawn(number))])).collect();
    let closes = vec![program(vec![Step::Do(close)]), program(vec![start("t", 20)])];
    scene("two open runs", before, vec![spawns, closes])
}
