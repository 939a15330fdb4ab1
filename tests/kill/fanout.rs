//! A process that is killed while it builds a tree of runs, closes its root and settles what
//! follows: the next one goes on until nothing is left, and each child was told once.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use kinlog::{
    Body, ChildState, Close, Durability, DutyFilter, DutyKind, Event, Limits, NewChild, NewRun,
    Options, ParentClosePolicy, Position, RunFilter, RunId, RunInfo, RunStatus, Snapshot, Store,
};
use kinlog_testing::Rng;

use super::process::{DIRECTORY, start};

const TREE: &str = "KINLOG_KILL_TREE";
/// How often the whole is done, each time with other moments to be killed at.
const PASSES: &str = "KINLOG_KILL_PASSES";
const NAMESPACE: &str = "n";
const ROOT: &str = "root";

/// Children of the root, each with children of its own.
#[derive(Clone, Copy)]
struct Tree {
    children: u32,
    grandchildren: u32,
    /// How many children are spawned in one commit, with all that is below them.
    commit: u32,
}

const TREES: [Tree; 2] = [
    Tree { children: 100_000, grandchildren: 0, commit: 250 },
    Tree { children: 1000, grandchildren: 50, commit: 5 },
];

/// A run below the root: the child, and the grandchild if it is one.
type Place = (u32, Option<u32>);

impl Tree {
    fn places(self, children: u32) -> impl Iterator<Item = Place> {
        let below = move |i| (0..self.grandchildren).map(move |j| (i, Some(j)));
        (0..children).flat_map(move |i| std::iter::once((i, None)).chain(below(i)))
    }

    /// How many runs `children` and all that is below them are.
    fn runs(self, children: u32) -> usize {
        children as usize * (1 + self.grandchildren as usize)
    }

    /// Where a place comes among [`Tree::places`].
    fn number(self, (i, j): Place) -> usize {
        self.runs(i) + j.map_or(0, |j| 1 + j as usize)
    }
}

fn name((i, j): Place) -> String {
    j.map_or_else(|| i.to_string(), |j| format!("{i}/{j}"))
}

fn place(name: &str) -> Place {
    match name.split_once('/') {
        Some((i, j)) => (i.parse().unwrap(), Some(j.parse().unwrap())),
        None => (name.parse().unwrap(), None),
    }
}

/// The policies differ among siblings, and for each policy of a child among its children.
fn policy((i, j): Place) -> ParentClosePolicy {
    match j.unwrap_or(i) % 10 {
        0..5 => ParentClosePolicy::Terminate,
        5..8 => ParentClosePolicy::RequestCancel,
        _ => ParentClosePolicy::Abandon,
    }
}

/// The run below which a place is, as a place; none for a child of the root.
fn above((i, j): Place) -> Option<Place> {
    j.map(|_| (i, None))
}

/// Small segments, so that pages of duties are small too: half a thousand or so.
fn options() -> Options {
    Options::new().segment_bytes(128 << 10)
}

/// One line, in one write.
fn say(what: &str) {
    let _ = std::io::stderr().lock().write_all(format!("{what}\n").as_bytes());
}

/// Not a test of its own: what the process does until it is killed, or until nothing is left.
#[test]
fn child() {
    let (Ok(directory), Ok(tree)) = (std::env::var(DIRECTORY), std::env::var(TREE)) else {
        return;
    };
    let tree = TREES[tree.parse::<usize>().unwrap()];
    say("opening");
    let store = options().open(&directory).unwrap();
    let mut tail = store.tail(store.end());
    std::thread::spawn(move || {
        loop {
            if let Some(commit) = tail.next_timeout(Duration::MAX).unwrap() {
                say(&format!("commit {}", commit.position().as_u64()));
            }
        }
    });
    say("opened");
    let root = build(&store, tree);
    if store.run(&root).unwrap().status.is_open() {
        say("closing");
        store.close_run(&root, Close::completed(b"")).unwrap();
    }
    let settled = store.settle_all().unwrap();
    assert_eq!(settled.refused, 0);
    assert_eq!(store.settle_all().unwrap().duties, 0);
    say("done");
}

/// After Started, each child is initiated and started by two events of its parent.
fn children_of(root: &RunInfo) -> u32 {
    (root.events - 1) / 2
}

/// Spawns what is not there yet.
fn build(store: &Store, tree: Tree) -> RunId {
    if store.limits(NAMESPACE) == Limits::default() {
        let mut limits = Limits::default();
        (limits.open_children, limits.history_events) = (u32::MAX, u32::MAX);
        store.set_limits(NAMESPACE, limits).unwrap();
    }
    let root = store.current_run(NAMESPACE, ROOT).unwrap().unwrap_or_else(|| {
        let mut tx = store.begin();
        let root = tx.start(NewRun::new(NAMESPACE, ROOT, "T")).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
        root
    });
    let from = children_of(&store.run(&root).unwrap());
    for first in (from..tree.children).step_by(tree.commit as usize) {
        let mut tx = store.begin();
        let mut spawn = |parent: &RunId, place: Place| {
            let (name, policy) = (name(place), policy(place));
            let child = NewChild::new(&name, "T").input(name.as_bytes()).on_parent_close(policy);
            tx.spawn_child(parent, child).unwrap().run
        };
        for i in first..first + tree.commit {
            let child = spawn(&root, (i, None));
            for j in 0..tree.grandchildren {
                spawn(&child, (i, Some(j)));
            }
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    root
}

/// When to kill, counted in lines that the process says.
struct Moment {
    after: usize,
    /// Also when it is about to close the root.
    at_closing: bool,
    pause: Duration,
}

/// How a process ended and what it was told to be in the log.
struct End {
    killed: bool,
    at_closing: bool,
    last_commit: Option<u64>,
}

/// Starts a process and kills it, unless it is done before.
fn run(directory: &Path, tree: usize, moment: &Moment) -> End {
    let (mut process, mut said) = start("fanout::child", directory, (TREE, tree.to_string()));
    let mut end = End { killed: false, at_closing: false, last_commit: None };
    let mut done = false;
    for count in 1.. {
        let Some(line) = said.next().transpose().unwrap() else { break };
        let commit = line.strip_prefix("commit ").and_then(|at| at.parse().ok());
        end.last_commit = commit.or(end.last_commit);
        done |= line == "done";
        let known = commit.is_some() || ["opening", "opened", "closing", "done"].contains(&&*line);
        // A line cut short by the kill may be anything.
        if !known && !end.killed {
            let rest: Vec<_> = said.map_while(Result::ok).collect();
            panic!("the process says {line}\n{}", rest.join("\n"));
        }
        let closing = line == "closing" && moment.at_closing;
        if !end.killed && !done && (count == moment.after || closing) {
            // Not right after a commit, but somewhere on the way to the next.
            std::thread::sleep(moment.pause);
            process.kill().unwrap();
            (end.killed, end.at_closing) = (true, closing);
        }
    }
    let status = process.wait().unwrap();
    assert!(end.killed || (done && status.success()), "the process ended by itself: {status}");
    end
}

/// What a store holds of a tree.
#[derive(Default)]
struct Seen {
    end: Position,
    built: u32,
    closed: bool,
    /// By the number of the place: whether the run was told that its parent closed.
    told: Vec<bool>,
}

/// Looks at all runs and all duties: whoever must be told has been, or a duty says so; not both.
fn look(store: &Store, tree: Tree, what: &str) -> Seen {
    let snapshot = store.snapshot();
    let runs = || snapshot.runs(RunFilter::all()).map(Result::unwrap);
    let Some(root) = snapshot.current_run(NAMESPACE, ROOT).unwrap() else {
        assert_eq!(runs().count(), 0, "{what}: runs without a root");
        return Seen { end: store.end(), ..Seen::default() };
    };
    let info = snapshot.run(&root).unwrap();
    let (built, closed) = (children_of(&info), !info.status.is_open());
    assert_eq!(built % tree.commit, 0, "{what}: a part of a commit");
    assert!(!closed || built == tree.children, "{what}: closed at {built} children");
    assert_eq!(info.events, 1 + 2 * built + u32::from(closed), "{what}");
    assert_eq!(runs().count(), 1 + tree.runs(built), "{what}: runs");

    let mut told = vec![false; tree.runs(built)];
    for run in runs().filter(|run| *run.workflow_id != *ROOT) {
        let place = place(&run.workflow_id);
        told[tree.number(place)] = was_told(&run, place, what);
    }
    let mut open = vec![false; tree.runs(built)];
    for duty in store.duties(DutyFilter::all()).map(Result::unwrap) {
        assert_eq!(duty.kind(), DutyKind::ApplyClosePolicy, "{what}");
        let child = duty.initiated_event_id() / 2 - 1;
        let place = if duty.run() == root {
            (child, None)
        } else {
            (place(&snapshot.run(&duty.run()).unwrap().workflow_id).0, Some(child))
        };
        let twice = std::mem::replace(&mut open[tree.number(place)], true);
        assert!(!twice, "{what}: {duty:?}");
    }
    for (number, place) in tree.places(built).enumerate() {
        let parent_closed = above(place).map_or(closed, |above| {
            policy(above) == ParentClosePolicy::Terminate && told[tree.number(above)]
        });
        let due = parent_closed && policy(place) != ParentClosePolicy::Abandon;
        let (told, open) = (told[number], open[number]);
        assert!(due || !told, "{what}: {place:?} was told of nothing");
        assert_eq!(open, due && !told, "{what}: the duty to tell {place:?}");
    }
    let duties = open.iter().filter(|open| **open).count() as u64;
    assert_eq!(store.duty_count(DutyKind::ApplyClosePolicy), duties, "{what}");
    Seen { end: store.end(), built, closed, told }
}

/// Whether a run was told, as its policy has it.
fn was_told(run: &RunInfo, place: Place, what: &str) -> bool {
    let policy = policy(place);
    let (told, can_be) = match (run.status, run.cancel_requested) {
        (RunStatus::Running, false) => (false, true),
        (RunStatus::Running, true) => (true, policy == ParentClosePolicy::RequestCancel),
        (RunStatus::Terminated, false) => (true, policy == ParentClosePolicy::Terminate),
        _ => (true, false),
    };
    assert!(can_be, "{what}: {} with {policy:?} is {:?}", run.workflow_id, run.status);
    told
}

/// What the whole came to.
#[derive(Default, Debug)]
struct Total {
    runs: u64,
    events: u64,
    terminated: u64,
    cancels: u64,
    untouched: u64,
}

/// Reads every history: nothing is in it but what must be.
fn check_histories(snapshot: &Snapshot, tree: Tree) -> Total {
    let root = snapshot.current_run(NAMESPACE, ROOT).unwrap().unwrap();
    let mut total = Total {
        runs: 1,
        events: u64::from(snapshot.run(&root).unwrap().events),
        ..Total::default()
    };
    for place in tree.places(tree.children) {
        let name = name(place);
        let parent = above(place).map_or(ROOT.to_owned(), self::name);
        let parent = snapshot.current_run(NAMESPACE, &parent).unwrap().unwrap();
        let run = snapshot.current_run(NAMESPACE, &name).unwrap().unwrap();
        let history = snapshot.history(&run).unwrap();
        let mut events = history.iter().map(Result::unwrap);
        let started = events.next().unwrap();
        assert_eq!(started.payload(), name.as_bytes());
        let Body::WorkflowExecutionStarted(body) = started.body() else { panic!("{started:?}") };
        assert_eq!(body.parent_run_id, Some(parent), "{name}");
        let children = if place.1.is_none() { tree.grandchildren } else { 0 };
        for event in events.by_ref().take(2 * children as usize) {
            let spawns = matches!(
                event.body(),
                Body::StartChildWorkflowExecutionInitiated(_)
                    | Body::ChildWorkflowExecutionStarted(_)
            );
            assert!(spawns, "{name}: {event:?}");
        }
        let closed = above(place).is_none_or(|above| policy(above) == ParentClosePolicy::Terminate);
        let rest: Vec<_> = events.collect();
        match policy(place) {
            ParentClosePolicy::Terminate if closed => {
                let [Body::WorkflowExecutionTerminated(terminated)] = bodies(&rest)[..] else {
                    panic!("{name}: {rest:?}")
                };
                assert_eq!(terminated.reason, "by parent close policy");
                total.terminated += 1;
            }
            ParentClosePolicy::RequestCancel if closed => {
                let [Body::WorkflowExecutionCancelRequested(request)] = bodies(&rest)[..] else {
                    panic!("{name}: {rest:?}")
                };
                assert_eq!(request.external_run_id, Some(parent));
                total.cancels += 1;
            }
            _ => {
                assert!(rest.is_empty(), "{name}: {rest:?}");
                total.untouched += 1;
            }
        }
        total.runs += 1;
        total.events += u64::from(history.len());
    }
    total
}

fn bodies<'e>(events: &[Event<'e>]) -> Vec<Body<'e>> {
    events.iter().map(Event::body).collect()
}

/// The parent's view: none missing, none twice, each as its own history says.
fn check_children(snapshot: &Snapshot, tree: Tree) {
    let root = snapshot.current_run(NAMESPACE, ROOT).unwrap().unwrap();
    let mut count = 0;
    for (i, child) in (0..).zip(snapshot.children(&root).unwrap()) {
        let child = child.unwrap();
        let policy = policy((i, None));
        assert_eq!((&*child.workflow_id, child.policy), (&*name((i, None)), policy));
        let terminated = policy == ParentClosePolicy::Terminate;
        let state = if terminated { ChildState::Closed } else { ChildState::Running };
        let outcome = terminated.then_some(RunStatus::Terminated);
        assert_eq!((child.state, child.outcome), (state, outcome), "{i}");
        assert_eq!((child.reported, child.held_by), (false, None), "{i}");
        count = i + 1;
    }
    assert_eq!(count, tree.children);
}

/// How often a process was killed, and how many of them had begun to settle.
#[derive(Default)]
struct Kills {
    all: u32,
    at_closing: u32,
    settling: u32,
}

/// Kills processes until one is done, looks after each, and reads everything in the end.
fn kill_until_done(which: usize, seed: u64) -> Kills {
    let began = Instant::now();
    let tree = TREES[which];
    let directory = tempfile::tempdir().unwrap();
    let mut random = Rng::new(seed);
    let mut kills = Kills::default();
    let mut before = Seen::default();
    for round in 0.. {
        // Two lines come before the first commit. One kill in four may be as early as that; each
        // of the others leaves at least one commit more than there was, so there is an end.
        let early = random.below(4) == 0 && round % 4 == 3;
        let most = if before.closed { 8 } else { 64 };
        let moment = Moment {
            after: if early { 1 + random.below(2) } else { 3 + random.below(most) },
            at_closing: kills.at_closing < 2,
            pause: Duration::from_micros(random.number(3000).into()),
        };
        let end = run(directory.path(), which, &moment);
        let what = format!("tree {which}, seed {seed}, round {round}");
        let store = options().read_only(true).open(directory.path()).unwrap();
        let seen = look(&store, tree, &what);
        if let Some(commit) = end.last_commit {
            assert!(seen.end.as_u64() > commit, "{what}: a commit that was published is lost");
        }
        assert!(seen.end >= before.end && seen.built >= before.built, "{what}");
        assert!(seen.closed || !before.closed, "{what}: open again");
        let undone = before.told.iter().zip(&seen.told).any(|(before, now)| *before && !now);
        assert!(!undone, "{what}: told, and no longer");
        kills.all += u32::from(end.killed);
        kills.settling += u32::from(end.killed && seen.closed);
        kills.at_closing += u32::from(end.at_closing);
        before = seen;
        if !end.killed {
            break;
        }
    }
    let store = options().read_only(true).open(directory.path()).unwrap();
    for kind in DutyKind::ALL {
        assert_eq!(store.duty_count(kind), 0, "{kind}");
    }
    let snapshot = store.snapshot();
    let total = check_histories(&snapshot, tree);
    check_children(&snapshot, tree);
    let stats = store.stats().unwrap();
    assert_eq!((stats.runs, stats.events), (total.runs, total.events));
    store.verify(|_| {}).unwrap();
    let Kills { all, settling, .. } = kills;
    println!(
        "tree {which}, seed {seed}: {all} kills, {settling} of them after the close; {total:?}, {:?}",
        began.elapsed()
    );
    kills
}

#[test]
fn every_child_is_told_once_however_often_its_teller_is_killed() {
    let passes = std::env::var(PASSES).map_or(1, |passes| passes.parse().unwrap());
    let (mut kills, mut settling) = (0, [0; TREES.len()]);
    // On a machine so busy that most kills come too late, once more.
    for seed in 1..=passes + 3 {
        for (which, settling) in settling.iter_mut().enumerate() {
            let killed = kill_until_done(which, seed);
            kills += killed.all;
            *settling += killed.settling;
        }
        if seed >= passes && kills >= 30 && settling[0] >= 8 && settling[1] >= 2 {
            return;
        }
    }
    panic!("{kills} kills, after the close {settling:?}, are too few to prove much");
}
