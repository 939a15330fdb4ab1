//! The hot paths. Each prepares a store, warms up, and has the meter count a known number of units.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Close, Commit, Durability, Event, History, NewChild, NewRun, Options, ParentClosePolicy,
    Result, RunFilter, RunId, Store,
};

use super::disk::CountingDisk;
use super::meter::Meter;
use super::support::{Scratch, event, freeze, lift_limits, start_closed};

/// The name of a path, what it is counted per, and how it is gone.
type HotPath = (&'static str, &'static str, fn(&mut Meter));

/// All of them.
pub(crate) const PATHS: [HotPath; 23] = [
    ("append", "event", append),
    ("commit-submitted-3", "commit", commit_submitted),
    ("commit-buffered-1", "commit", |meter| commit_waited(meter, 1, Durability::Buffered)),
    ("commit-durable-1", "commit", |meter| commit_waited(meter, 1, Durability::Sync)),
    ("commit-durable-64", "commit", |meter| commit_waited(meter, 64, Durability::Sync)),
    ("commit-durable-1024", "commit", |meter| commit_waited(meter, 1024, Durability::Sync)),
    ("fill-segments", "event", fill_segments),
    ("read-100", "event", read),
    ("read-100-backward", "event", read_backward),
    ("read-together", "event", read_together),
    ("read-compacted", "event", read_compacted),
    ("read-last", "read", read_last),
    ("scan", "run", scan),
    ("current-run", "call", current_run),
    ("parent", "call", parent),
    ("spawn", "child", spawn),
    ("plan", "child", plan),
    ("settle", "child", settle),
    ("run-frozen", "call", run_frozen),
    ("children-frozen", "child", children_frozen),
    ("plan-frozen", "child", plan_frozen),
    ("settle-frozen", "child", settle_frozen),
    ("replay", "event", replay),
];

/// Runs in a store, so that a commit finds another one than the commit before it.
const RUNS: usize = 1000;
const CHILDREN: usize = 1000;

/// A store on a disk that counts.
struct Bench {
    scratch: Scratch,
    disk: CountingDisk,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let bench = Self::on(CountingDisk::new(), 64 << 20);
        // Only the longest segment has room for it: no roll comes within what is counted.
        let mut tx = bench.store.begin();
        tx.put("large", b"", &vec![0; 16 << 20]).unwrap();
        tx.commit().unwrap();
        bench
    }

    fn on(disk: CountingDisk, segment_bytes: u32) -> Self {
        let scratch = Scratch::new();
        let options = Options::new().disk(Arc::new(disk.clone())).segment_bytes(segment_bytes);
        let store = options.open(scratch.path().join("store")).unwrap();
        lift_limits(&store);
        Bench { scratch, disk, store }
    }

    /// Starts so many runs in one commit.
    fn runs(&self, count: usize) -> Vec<RunId> {
        let mut tx = self.store.begin();
        let start = |n| tx.start(NewRun::new("bench", &workflow_id(n), "Bench")).unwrap();
        let runs = (0..count).map(start).collect();
        tx.commit().unwrap();
        runs
    }

    /// A closed parent whose children, open so far, are to be terminated or asked to cancel.
    fn family(&self) -> Commit {
        let parent = self.parent();
        self.spawn(&parent);
        self.close(&parent)
    }

    /// The same, whose parent and children went into files of the index before the parent closed.
    fn frozen_family(&self) -> Commit {
        let parent = self.parent();
        self.spawn(&parent);
        freeze(&self.store);
        self.close(&parent)
    }

    fn close(&self, run: &RunId) -> Commit {
        self.store.close_run(run, Close::completed(b"")).unwrap()
    }

    fn parent(&self) -> RunId {
        let mut tx = self.store.begin();
        let name = format!("parent-{}", self.store.end());
        let parent = tx.start(NewRun::new("bench", &name, "Parent")).unwrap();
        tx.commit().unwrap();
        parent
    }

    fn spawn(&self, parent: &RunId) -> Vec<RunId> {
        let ids: Vec<_> = (0..CHILDREN).map(|n| format!("{parent}/{n}")).collect();
        self.spawn_named(parent, &ids)
    }

    fn spawn_named(&self, parent: &RunId, ids: &[String]) -> Vec<RunId> {
        let policies = [ParentClosePolicy::Terminate, ParentClosePolicy::RequestCancel];
        let mut tx = self.store.begin();
        let children = ids.iter().zip(policies.into_iter().cycle()).map(|(id, policy)| {
            tx.spawn_child(parent, NewChild::new(id, "Child").on_parent_close(policy)).unwrap().run
        });
        let children = children.collect();
        tx.commit_with(Durability::Buffered).unwrap();
        children
    }

    fn commit(&self, run: &RunId, payload: &[u8], events: usize, durability: Durability) {
        let mut tx = self.store.begin();
        for _ in 0..events {
            tx.append(run, event(payload)).unwrap();
        }
        black_box(tx.commit_with(durability).unwrap());
    }

    fn submit_3(&self, run: &RunId) {
        let mut tx = self.store.begin();
        for _ in 0..3 {
            tx.append(run, event(&[7; 120])).unwrap();
        }
        black_box(tx.submit(Durability::Buffered).unwrap());
    }
}

fn workflow_id(n: usize) -> String {
    format!("workflow-{n}")
}

/// Events to a transaction that is open already.
fn append(meter: &mut Meter) {
    let bench = Bench::new();
    let run = bench.runs(1)[0];
    let mut tx = bench.store.begin();
    tx.append(&run, event(&[7; 120])).unwrap();
    meter.count(1000, || {
        for _ in 0..1000 {
            black_box(tx.append(&run, event(&[7; 120])).unwrap());
        }
    });
    tx.commit().unwrap();
    assert_eq!(bench.store.history(&run).unwrap().len(), 1002);
}

/// Three events, in a commit that nobody waits for, while the writer is busy with earlier ones.
fn commit_submitted(meter: &mut Meter) {
    let bench = Bench::new();
    let runs = bench.runs(RUNS);
    let begin = || bench.submit_3(&runs[0]);
    let work = || runs.iter().for_each(|run| bench.submit_3(run));
    bench.disk.while_busy(begin, work);
    bench.store.sync().unwrap();
    // Led by this thread: when it returns, the writer has put away what it gathers in.
    bench.commit(&runs[0], &[7; 120], 3, Durability::Buffered);
    bench.disk.while_busy(begin, || meter.count(RUNS, work));
    bench.store.sync().unwrap();
    assert_eq!(bench.store.history(&runs[1]).unwrap().len(), 7);
}

/// Events of 240 B, in a commit that is waited for.
fn commit_waited(meter: &mut Meter, events: usize, durability: Durability) {
    let bench = Bench::new();
    let rounds = RUNS.min(20_000 / events);
    let runs = bench.runs(rounds);
    let work = || {
        runs.iter().for_each(|run| bench.commit(run, &[7; 240], events, durability));
    };
    work();
    meter.count(rounds, work);
    meter.payload = meter.units * events as u64 * 240;
    assert_eq!(bench.store.history(&runs[0]).unwrap().len() as usize, 1 + 2 * events);
}

/// What is written altogether, segments being prepared ahead: the bytes are those of all threads.
fn fill_segments(meter: &mut Meter) {
    let bench = Bench::on(CountingDisk::new(), 1 << 20);
    let run = bench.runs(1)[0];
    let before = bench.disk.log_bytes();
    let commits = 20_000;
    meter.count(3 * commits, || {
        (0..commits).for_each(|_| bench.commit(&run, &[7; 120], 3, Durability::Buffered));
    });
    meter.payload = meter.units * 120;
    let Bench { scratch: _scratch, disk, store } = bench;
    store.shut_down().unwrap();
    meter.calls.bytes = disk.log_bytes() - before;
}

/// A store of runs of 100 events, which came one after the other in turn.
fn interleaved() -> (Bench, Vec<RunId>) {
    let bench = Bench::new();
    let runs = interleave(&bench);
    (bench, runs)
}

fn interleave(bench: &Bench) -> Vec<RunId> {
    let runs = bench.runs(100);
    for _ in 1..100 {
        runs.iter().for_each(|run| bench.commit(run, &[7; 240], 1, Durability::Buffered));
    }
    runs
}

/// The same of which every second run was deleted, and the segments compacted that are full.
fn compacted() -> (Bench, Vec<RunId>) {
    let bench = Bench::on(CountingDisk::new(), 256 << 10);
    let runs = interleave(&bench);
    for pair in runs.chunks(2) {
        bench.close(&pair[0]);
        let mut tx = bench.store.begin();
        tx.delete_run(&pair[0], Keep::Nothing).unwrap();
        tx.commit().unwrap();
    }
    assert!(bench.store.compact(&Compaction::new()).unwrap().rewritten > 8);
    (bench, runs.into_iter().skip(1).step_by(2).collect())
}

/// A store of runs whose events came in one commit but for the first.
fn together() -> (Bench, Vec<RunId>) {
    let bench = Bench::new();
    let runs = bench.runs(100);
    runs.iter().for_each(|run| bench.commit(run, &[7; 240], 99, Durability::Buffered));
    (bench, runs)
}

fn touch<'h>(events: impl Iterator<Item = Result<Event<'h>>>) -> usize {
    events.map(|event| event.unwrap().payload().len()).sum()
}

/// A run's history is opened and read to its end.
fn read_with(
    meter: &mut Meter,
    (bench, runs): (Bench, Vec<RunId>),
    read: impl Fn(&History) -> usize,
) {
    let expected = read(&bench.store.history(&runs[0]).unwrap());
    assert_eq!(expected, 99 * 240);
    meter.count(100 * runs.len(), || {
        for run in &runs {
            assert_eq!(read(&bench.store.history(run).unwrap()), expected);
        }
    });
}

fn read(meter: &mut Meter) {
    read_with(meter, interleaved(), |history| touch(history.iter()));
}

fn read_backward(meter: &mut Meter) {
    read_with(meter, interleaved(), |history| touch(history.rev()));
}

fn read_together(meter: &mut Meter) {
    read_with(meter, together(), |history| touch(history.iter()));
}

fn read_compacted(meter: &mut Meter) {
    read_with(meter, compacted(), |history| touch(history.iter()));
}

/// The last event of a run.
fn read_last(meter: &mut Meter) {
    let (bench, runs) = interleaved();
    meter.count(runs.len(), || {
        for run in &runs {
            let history = bench.store.history(run).unwrap();
            assert_eq!(history.rev().next().unwrap().unwrap().id(), 100);
        }
    });
}

/// What is known of every run.
fn scan(meter: &mut Meter) {
    let bench = Bench::new();
    bench.runs(RUNS);
    let snapshot = bench.store.snapshot();
    meter.count(RUNS, || assert_eq!(snapshot.runs(RunFilter::all()).count(), RUNS));
}

fn current_run(meter: &mut Meter) {
    let bench = Bench::new();
    let runs = bench.runs(RUNS);
    let ids: Vec<_> = (0..RUNS).map(workflow_id).collect();
    meter.count(RUNS, || {
        for (run, id) in runs.iter().zip(&ids) {
            assert_eq!(bench.store.current_run("bench", id).unwrap(), Some(*run));
        }
    });
}

fn parent(meter: &mut Meter) {
    let bench = Bench::new();
    let parent = bench.parent();
    let children = bench.spawn(&parent);
    meter.count(CHILDREN, || {
        for child in &children {
            assert_eq!(bench.store.parent(child).unwrap().unwrap().run, parent);
        }
    });
}

/// Children are spawned, a thousand in a commit.
fn spawn(meter: &mut Meter) {
    let bench = Bench::new();
    for _ in 0..4 {
        let parent = bench.parent();
        let ids: Vec<_> = (0..CHILDREN).map(|n| format!("{parent}/{n}")).collect();
        meter.count(CHILDREN, || drop(black_box(bench.spawn_named(&parent, &ids))));
        assert_eq!(bench.store.children(&parent).unwrap().count(), CHILDREN);
    }
}

/// The duties that follow when a parent closes are listed.
fn plan(meter: &mut Meter) {
    let bench = Bench::new();
    let closed = bench.family();
    for _ in 0..10 {
        meter.count(CHILDREN, || assert_eq!(closed.duties().count(), CHILDREN));
    }
}

/// The same duties are done.
fn settle(meter: &mut Meter) {
    let bench = Bench::new();
    for _ in 0..4 {
        bench.family();
        meter.count(CHILDREN, || {
            assert_eq!(bench.store.settle_all().unwrap().duties, CHILDREN as u64);
        });
    }
}

/// Runs that closed long ago are looked up, each for the first time.
fn run_frozen(meter: &mut Meter) {
    let bench = Bench::new();
    let runs = start_closed(&bench.store, 5_000);
    freeze(&bench.store);
    meter.count(RUNS, || {
        for run in runs.iter().step_by(5) {
            assert_eq!(bench.store.run(run).unwrap().id, *run);
        }
    });
}

/// The children of a parent that closed long ago, as they did, are listed.
fn children_frozen(meter: &mut Meter) {
    let bench = Bench::new();
    let parent = bench.parent();
    bench.spawn(&parent);
    bench.close(&parent);
    bench.store.settle_all().unwrap();
    freeze(&bench.store);
    for _ in 0..10 {
        meter.count(CHILDREN, || {
            assert_eq!(bench.store.children(&parent).unwrap().count(), CHILDREN);
        });
    }
}

/// What follows when a parent closes that began long ago, as its children did, is listed.
fn plan_frozen(meter: &mut Meter) {
    let bench = Bench::new();
    let closed = bench.frozen_family();
    meter.count(CHILDREN, || assert_eq!(closed.duties().count(), CHILDREN));
}

/// The same is done.
fn settle_frozen(meter: &mut Meter) {
    let bench = Bench::new();
    bench.frozen_family();
    meter.count(CHILDREN, || {
        assert_eq!(bench.store.settle_all().unwrap().duties, CHILDREN as u64);
    });
}

/// A store that was not closed is opened: a copy of one that is still open, and whose own thread
/// was kept from telling the manifest how far it is.
fn replay(meter: &mut Meter) {
    let disk = CountingDisk::new();
    let bench = disk.alone(|| {
        let bench = Bench::on(disk.clone(), 10 << 20);
        let runs = bench.runs(100);
        for _ in 0..100 {
            runs.iter().for_each(|run| bench.commit(run, &[7; 120], 3, Durability::Buffered));
        }
        bench.store.sync().unwrap();
        copy(&bench.scratch.path().join("store"), &bench.scratch.path().join("copy"));
        bench
    });
    let events = usize::try_from(bench.store.stats().unwrap().events).unwrap();
    let (options, path) = (Options::new().disk(Arc::new(disk)), bench.scratch.path().join("copy"));
    let mut opened = None;
    meter.count(events, || opened = Some(options.open(&path).unwrap()));
    assert_eq!(opened.unwrap().end(), bench.store.end());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
