//! Many threads at once: what each was told is in the log, once and in order, and nothing else is.
//!
//! How the threads interleave is left to the machine; what is asserted holds however they do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use kinlog::{
    Close, Commit, CommitView, Durability, DutyFilter, DutyKind, Error, EventKind, Expect,
    IdConflictPolicy, NewChild, NewRun, Options, Position, RunFilter, RunId, Snapshot, Store, Tail,
    Transaction, Verdict,
};
use kinlog_testing::Rng;
use kinlog_testing::disk::{Fate, HookedDisk, Hooks, Op};
use kinlog_testing::files::small_segments;
use kinlog_testing::steps::{marker, start};

const WRITERS: u32 = 8;
const READERS: u32 = 4;
/// Commits that each writer tries.
const ROUNDS: u32 = 200;
const SHARED_RUNS: usize = 4;
/// A tail that waits longer than this has missed a commit.
const EVER: Duration = Duration::from_secs(120);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let since = Instant::now();
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(EVER),
        }
        assert!(since.elapsed() < EVER, "nobody wakes the future");
    }
}

/// One commit as its events and rows tell, or as its writer was told.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Told {
    position: Position,
    /// Run and payload of each marker, in the order of the runs.
    events: Vec<(RunId, Vec<u8>)>,
    /// The ids that were promised, or found.
    ids: Vec<u32>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Told {
    fn of(view: &CommitView) -> Self {
        let mut told =
            Told { position: view.position(), events: vec![], ids: vec![], rows: vec![] };
        for batch in view.batches().map(Result::unwrap) {
            for event in batch.events() {
                let event = event.unwrap();
                if event.kind() == EventKind::MARKER_RECORDED {
                    told.events.push((batch.run(), event.payload().to_vec()));
                    told.ids.push(event.id());
                }
            }
        }
        let rows = view.rows().map(|row| (row.key.to_vec(), row.value.unwrap().to_vec()));
        told.rows.extend(rows);
        told
    }
}

/// A transaction being built, and what its writer will have been told.
struct Building<'s> {
    tx: Transaction<'s>,
    events: Vec<(RunId, Vec<u8>)>,
    /// Ids hold only where the run may not have moved.
    ids: Vec<Option<u32>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<'s> Building<'s> {
    fn new(store: &'s Store) -> Self {
        Building { tx: store.begin(), events: vec![], ids: vec![], rows: vec![] }
    }

    fn append(&mut self, run: &RunId, any: bool, payload: Vec<u8>) -> kinlog::Result<()> {
        if any {
            self.tx.expect(run, Expect::Any)?;
        }
        let id = self.tx.append(run, marker(&payload))?;
        self.events.push((*run, payload));
        self.ids.push((!any).then_some(id));
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.tx.put("rows", key, value).unwrap();
        self.rows.push((key.to_vec(), value.to_vec()));
    }
}

/// What writers were told, after they were told.
type Acknowledged = Mutex<Vec<(Told, Vec<Option<u32>>)>>;

fn acknowledge(acknowledged: &Acknowledged, built: Building<'_>, rng: &mut Rng) -> bool {
    let Building { tx, events, ids, rows } = built;
    let durability = if rng.below(3) == 0 { Durability::Sync } else { Durability::Buffered };
    let committed: kinlog::Result<Commit> = match rng.below(3) {
        0 => tx.commit_with(durability),
        1 => tx.submit(durability).and_then(|handle| handle.wait()),
        _ => tx.submit(durability).and_then(block_on),
    };
    match committed {
        Ok(commit) => {
            let told = Told { position: commit.position(), events, ids: vec![], rows };
            acknowledged.lock().unwrap().push((told, ids));
            true
        }
        Err(Error::Overtaken { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn write(store: &Store, shared: &[RunId], writer: u32, acknowledged: &Acknowledged) {
    let mut rng = Rng::new(u64::from(writer));
    for round in 0..ROUNDS {
        // Nobody else writes this payload.
        let mut token = format!("{writer}/{round}/").into_bytes();
        token.resize(token.len() + rng.below(400), b'.');
        let what = rng.below(5);
        let one = shared[rng.below(shared.len())];
        let two = shared[rng.below(shared.len())];
        loop {
            let mut built = Building::new(store);
            let made: kinlog::Result<()> = match what {
                0 => built.append(&one, true, token.clone()),
                1 => built.append(&one, false, token.clone()),
                // Two runs together; rows that say how long they are.
                2 => built.append(&one, false, token.clone()).and_then(|()| {
                    let other = [&token[..], b"two"].concat();
                    if one == two { Ok(()) } else { built.append(&two, false, other) }
                }),
                // Two rows that always change together.
                3 => {
                    built.put(b"left", &token);
                    built.put(b"right", &token);
                    built.append(&one, true, token.clone())
                }
                // A run of the writer's own, under an id that all fight for.
                _ => contested(&mut built, &token),
            };
            match made {
                Ok(()) => {}
                Err(Error::Overtaken { .. }) if what == 4 => break,
                Err(Error::Overtaken { .. }) => continue,
                Err(other) => panic!("{other}"),
            }
            built.put(format!("{writer}/{round}").as_bytes(), &token);
            if acknowledge(acknowledged, built, &mut rng) || what == 4 {
                break;
            }
            // Another commit came first: begin again.
        }
    }
}

fn contested(built: &mut Building<'_>, token: &[u8]) -> kinlog::Result<()> {
    let new = NewRun::new("shop", "contested", "Order");
    let run = built.tx.start(new.on_conflict(IdConflictPolicy::TerminateExisting))?;
    assert!(built.tx.starts(&run));
    built.append(&run, false, token.to_vec())?;
    if token.len().is_multiple_of(3) {
        built.tx.close_run(&run, Close::completed(b"done"))?;
    }
    Ok(())
}

/// Ids without gaps, sizes that add up; returns what was read.
fn read_run(snapshot: &Snapshot, run: &RunId) -> Vec<(u32, Vec<u8>)> {
    let history = snapshot.history(run).unwrap();
    let mut read = vec![];
    let mut bytes = 0;
    for event in &history {
        let event = event.unwrap();
        bytes += u64::from(event.size());
        read.push((event.id(), event.payload().to_vec()));
    }
    assert!(read.iter().map(|(id, _)| *id).eq(1..=history.len()));
    let info = snapshot.run(run).unwrap();
    assert_eq!((info.events, info.bytes), (history.len(), bytes));
    assert_eq!((info.status, bytes), (history.status(), history.bytes()));
    let back: Vec<_> = history.rev().take(3).map(|event| event.unwrap().id()).collect();
    assert!(back.iter().copied().eq((1..=history.len()).rev().take(3)));
    read
}

/// Everything that holds of every snapshot; returns how many rows there are.
fn check_snapshot(snapshot: &Snapshot, runs: &[RunId]) -> usize {
    let left = snapshot.get("rows", b"left").unwrap();
    assert_eq!(left, snapshot.get("rows", b"right").unwrap());
    let first: Vec<_> = runs.iter().map(|run| read_run(snapshot, run)).collect();
    let contested = RunFilter::all().namespace("shop").workflow_id("contested");
    let listed: Vec<_> = snapshot.runs(contested.clone()).map(Result::unwrap).collect();
    assert!(listed.iter().filter(|info| info.status.is_open()).count() <= 1);
    let current: Vec<_> = listed.iter().filter(|info| info.is_current).map(|i| i.id).collect();
    assert_eq!(current.first().copied(), snapshot.current_run("shop", "contested").unwrap());
    assert_eq!(
        (current.len(), listed.is_empty()),
        (usize::from(!listed.is_empty()), current.is_empty())
    );
    if let Some(run) = current.first() {
        assert_eq!(listed.last().unwrap().id, *run);
        read_run(snapshot, run);
    }
    let keys = || snapshot.rows("rows", ..).map(|row| row.unwrap().key.to_vec());
    let rows: Vec<_> = keys().collect();
    assert!(rows.is_sorted());
    // The same again, however much was written meanwhile.
    assert!(runs.iter().map(|run| read_run(snapshot, run)).eq(first));
    assert!(keys().eq(rows.iter().cloned()));
    assert!(snapshot.runs(contested).map(Result::unwrap).eq(listed));
    assert_eq!(left, snapshot.get("rows", b"left").unwrap());
    rows.len()
}

/// The commits up to the one that writes the row `end`, each after the one before and each batch
/// where its run ended.
fn follow(mut next: impl FnMut() -> CommitView) -> Vec<Told> {
    let mut all: Vec<Told> = vec![];
    let mut ends: HashMap<RunId, u32> = HashMap::new();
    loop {
        let view = next();
        assert!(all.last().is_none_or(|last| last.position < view.position()));
        for batch in view.batches().map(Result::unwrap) {
            let end = ends.entry(batch.run()).or_default();
            for event in batch.events() {
                *end += 1;
                assert_eq!(event.unwrap().id(), *end);
            }
        }
        let told = Told::of(&view);
        let ended = told.rows.iter().any(|(key, _)| key == b"end");
        all.push(told);
        if ended {
            return all;
        }
    }
}

fn blocking(tail: &mut Tail) -> CommitView {
    tail.next_timeout(EVER).unwrap().expect("a commit was missed")
}

#[test]
fn what_many_threads_were_told_is_what_the_log_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let shared: Vec<_> = (0..SHARED_RUNS).map(|i| start(&store, &format!("shared-{i}"))).collect();
    let acknowledged = Acknowledged::default();
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let (store, shared) = (&store, &shared);
        let (acknowledged, done) = (&acknowledged, &done);
        let tails = [
            scope.spawn(|| {
                let mut tail = store.tail(Position::START);
                follow(|| blocking(&mut tail))
            }),
            scope.spawn(|| {
                let mut tail = store.tail(Position::START);
                follow(|| block_on(tail.next()).unwrap())
            }),
        ];
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut rows = 0;
                    let mut kept = store.snapshot();
                    let mut kept_rows = check_snapshot(&kept, shared);
                    let mut last = false;
                    while !last {
                        last = done.load(Ordering::Acquire);
                        let snapshot = store.snapshot();
                        let now = check_snapshot(&snapshot, shared);
                        assert!(now >= rows, "rows are never deleted");
                        rows = now;
                        // The one from the round before still shows what it showed.
                        assert_eq!(check_snapshot(&kept, shared), kept_rows);
                        (kept, kept_rows) = (snapshot, now);
                        let stats = store.stats().unwrap();
                        assert_eq!(stats.accounted_bytes(), stats.file_bytes, "{stats:?}");
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(store, shared, writer, acknowledged)))
            .collect();
        // A writer that panicked must not leave the others waiting.
        let written = writers.into_iter().map(|writer| writer.join()).collect::<Vec<_>>();
        done.store(true, Ordering::Release);
        let mut tx = store.begin();
        tx.put("rows", b"end", b"").unwrap();
        tx.commit().unwrap();
        assert!(written.iter().all(Result::is_ok));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        tails.map(|tail| tail.join().unwrap())
    });
    assert!(seen[0] == seen[1], "two tails differ");

    let stats = store.stats().unwrap();
    let mut acknowledged = acknowledged.into_inner().unwrap();
    acknowledged.sort_by_key(|(told, _)| told.position);
    // The starts and the end beside what the writers were told: nothing else.
    assert_eq!(stats.commits, (SHARED_RUNS + acknowledged.len() + 1) as u64);
    assert!(acknowledged.len() > (WRITERS * ROUNDS / 2) as usize);
    store.shut_down().unwrap();

    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    assert!(store.report().segments > 5, "{:?}", store.report());
    let again = Some(store.stats().unwrap());
    assert_eq!(again.map(|s| (s.commits, s.events)), Some((stats.commits, stats.events)));
    let mut tail = store.tail(Position::START);
    let found = follow(|| blocking(&mut tail));
    assert!(found == seen[0], "the log is another one after reopening");
    let told = &found[SHARED_RUNS..found.len() - 1];
    assert_eq!(told.len(), acknowledged.len());
    let histories: HashMap<_, _> = {
        let snapshot = store.snapshot();
        let runs = snapshot.runs(RunFilter::all()).map(Result::unwrap).map(|info| info.id);
        runs.map(|run| (run, read_run(&snapshot, &run))).collect()
    };
    for (found, (told, promised)) in told.iter().zip(&acknowledged) {
        assert_eq!(found.position, told.position);
        assert_eq!(found.rows, told.rows);
        // In the log events stand in the order of their runs.
        for ((run, payload), promised) in told.events.iter().zip(promised) {
            let place = found.events.iter().position(|event| event == &(*run, payload.clone()));
            let id = found.ids[place.expect("an event is missing")];
            assert!(promised.is_none_or(|promised| promised == id));
            assert_eq!(histories[run][id as usize - 1], (id, payload.clone()));
        }
        assert_eq!(found.events.len(), told.events.len());
    }
    store.verify(|_| {}).unwrap();
}

#[test]
fn what_was_submitted_is_there_though_nobody_waited() {
    const COMMITS: u32 = 600;
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let runs: Vec<_> = (0..5).map(|i| start(&store, &format!("run-{i}"))).collect();
    for i in 0..COMMITS {
        let mut tx = store.begin();
        let run = &runs[(i % 5) as usize];
        let id = tx.append(run, marker(&[7; 700][..(i as usize * 13) % 700])).unwrap();
        assert_eq!(id, i / 5 + 2, "submitted commits are seen by the next transaction");
        tx.put("rows", &i.to_le_bytes(), b"").unwrap();
        let durability = if i % 2 == 0 { Durability::Sync } else { Durability::Buffered };
        drop(tx.submit(durability).unwrap());
    }
    store.shut_down().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    assert_eq!(store.report().commits, u64::from(COMMITS) + 5);
    let snapshot = store.snapshot();
    for run in &runs {
        let lens: Vec<_> = read_run(&snapshot, run).into_iter().map(|(_, p)| p.len()).collect();
        assert_eq!(lens.len(), COMMITS as usize / 5 + 1);
    }
    assert_eq!(snapshot.rows("rows", ..).count(), COMMITS as usize);
    store.verify(|_| {}).unwrap();
}

#[test]
fn what_was_submitted_is_published_though_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let mut tail = store.tail(Position::START);
    for i in 0..50u32 {
        let mut tx = store.begin();
        tx.put("rows", &i.to_le_bytes(), b"").unwrap();
        let durability = if i % 2 == 0 { Durability::Sync } else { Durability::Buffered };
        drop(tx.submit(durability).unwrap());
        let view = if i % 3 == 2 { block_on(tail.next()).unwrap() } else { blocking(&mut tail) };
        assert_eq!(view.rows().next().unwrap().key, i.to_le_bytes());
    }
}

/// A gate before the sync of a segment.
#[derive(Default)]
struct Gate {
    /// Syncs of segments.
    syncs: AtomicU32,
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// The next sync of a segment stops here.
    closed: bool,
    stopped: bool,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if state.closed && !state.stopped {
            state.stopped = true;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| state.closed).unwrap());
        }
    }

    /// Closes the gate until the guard is dropped, also by a test that fails: whoever stands before it
    /// goes on.
    fn close(&self) -> Closed<'_> {
        self.state.lock().unwrap().closed = true;
        Closed(self)
    }

    fn wait_until_stopped(&self) {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, EVER, |state| !state.stopped).unwrap();
        assert!(!waited.1.timed_out(), "nobody syncs");
    }
}

struct Closed<'g>(&'g Gate);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().closed = false;
        self.0.changed.notify_all();
    }
}

impl Hooks for Gate {
    fn fate(&self, op: Op, path: &Path) -> Fate {
        if op == Op::Sync && path.extension().is_some_and(|extension| extension == "seg") {
            self.pass();
        }
        Fate::Done
    }
}

/// A store whose syncs pass a gate.
fn gated(dir: &Path) -> (Store, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let disk = HookedDisk::shared(gate.clone());
    (Options::new().disk(disk).open(dir).unwrap(), gate)
}

#[test]
fn two_syncs_serve_eight_commits_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, gate) = gated(dir.path());
    let runs: Vec<_> = (0..8).map(|i| start(&store, &format!("run-{i}"))).collect();
    let commits = store.stats().unwrap().commits;
    let syncs = gate.syncs.load(Ordering::Relaxed);
    let reached = thread::scope(|scope| {
        let closed = gate.close();
        let commit = |run| store.append(run, marker(b"x")).unwrap().position();
        let (first, rest) = runs.split_first().unwrap();
        let first = scope.spawn(move || commit(first));
        // The first one is in its sync: it leads, and nobody else can.
        gate.wait_until_stopped();
        let rest: Vec<_> = rest.iter().map(|run| scope.spawn(move || commit(run))).collect();
        while store.stats().unwrap().commits < commits + 8 {
            thread::yield_now();
        }
        let published = store.end();
        drop(closed);
        let first = first.join().unwrap();
        let rest: Vec<_> = rest.into_iter().map(|thread| thread.join().unwrap()).collect();
        (published, first, rest)
    });
    let (published, first, rest) = reached;
    assert_eq!(first, published, "nothing is visible before its sync");
    assert!(rest.iter().all(|position| *position > first));
    assert_eq!(gate.syncs.load(Ordering::Relaxed) - syncs, 2);
    for run in &runs {
        assert_eq!(store.history(run).unwrap().len(), 2);
    }
}

#[test]
fn a_duty_is_listed_once_the_commit_that_opened_it_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let (store, gate) = gated(dir.path());
    let parent = start(&store, "parent");
    let mut tx = store.begin();
    tx.spawn_child(&parent, NewChild::new("child", "Ship")).unwrap();
    tx.commit().unwrap();
    let listed = || {
        let of_run = store.duties(DutyFilter::all().run(parent)).count();
        [store.duties(DutyFilter::all()).count(), of_run]
    };
    thread::scope(|scope| {
        let closed = gate.close();
        let closes = scope.spawn(|| store.close_run(&parent, Close::completed(b"")).unwrap());
        gate.wait_until_stopped();
        assert_eq!(store.duty_count(DutyKind::ApplyClosePolicy), 1, "it is on its way");
        assert_eq!(listed(), [0, 0]);
        // Whoever reads what is on its way waits for it, also with a transaction that changes nothing.
        let mut tx = store.begin();
        assert!(matches!(tx.append(&parent, marker(b"late")), Err(Error::RunClosed { .. })));
        let reads = scope.spawn(move || tx.commit_with(Durability::Buffered).unwrap().position());
        assert!(!reads.is_finished());
        drop(closed);
        let closed = closes.join().unwrap().position();
        assert!(reads.join().unwrap() > closed);
        assert_eq!(listed(), [1, 1]);
    });
}

#[test]
fn buffered_commits_do_not_sync_and_a_later_sync_covers_them() {
    let dir = tempfile::tempdir().unwrap();
    let (store, gate) = gated(dir.path());
    let run = start(&store, "run");
    let syncs = gate.syncs.load(Ordering::Relaxed);
    for _ in 0..20 {
        let mut tx = store.begin();
        tx.append(&run, marker(b"x")).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
    assert_eq!(gate.syncs.load(Ordering::Relaxed), syncs);
    store.sync().unwrap();
    assert_eq!(gate.syncs.load(Ordering::Relaxed), syncs + 1);
    store.sync().unwrap();
    assert_eq!(gate.syncs.load(Ordering::Relaxed), syncs + 1, "there is nothing to sync");
}

#[test]
fn readers_follow_a_writer_that_rolls_segments() {
    const COMMITS: u32 = 500;
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let runs: Vec<_> = (0..3).map(|i| start(&store, &format!("run-{i}"))).collect();
    let open = || Options::new().read_only(true).open(dir.path()).unwrap();
    let ended = |snapshot: &Snapshot| snapshot.get("rows", b"end").unwrap().is_some();
    let tails = thread::scope(|scope| {
        let (runs, open) = (&runs, &open);
        // One that stays: a thread follows, two others read, each with a snapshot from before that
        // the following must not disturb, ...
        let stays = scope.spawn(move || {
            let reader = open();
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !ended(&reader.snapshot()) {
                        let end = reader.end();
                        assert_eq!(reader.refresh().unwrap(), reader.end() > end);
                    }
                });
                for _ in 0..2 {
                    scope.spawn(|| {
                        let mut kept = reader.snapshot();
                        let mut rows = check_snapshot(&kept, runs);
                        while !ended(&kept) {
                            let snapshot = reader.snapshot();
                            let now = check_snapshot(&snapshot, runs);
                            assert!(now >= rows);
                            assert_eq!(check_snapshot(&kept, runs), rows, "a snapshot moved");
                            (kept, rows) = (snapshot, now);
                        }
                    });
                }
            });
            reader.verify(|_| {}).unwrap();
        });
        // ... one that opens the store again and again, in the middle of things, ...
        let comes = scope.spawn(move || {
            loop {
                let reader = open();
                for _ in 0..3 {
                    check_snapshot(&reader.snapshot(), runs);
                    reader.refresh().unwrap();
                }
                if ended(&reader.snapshot()) {
                    return reader.verify(|_| {}).unwrap();
                }
            }
        });
        // ... and one that only tails.
        let tails = scope.spawn(move || {
            let reader = open();
            let mut tail = reader.tail(Position::START);
            follow(|| blocking(&mut tail))
        });
        let writer = scope.spawn(|| {
            for i in 0..COMMITS {
                let mut tx = store.begin();
                let payload = vec![1; (i as usize * 97) % 1500];
                tx.append(&runs[(i % 3) as usize], marker(&payload)).unwrap();
                tx.put("rows", b"left", &i.to_le_bytes()).unwrap();
                tx.put("rows", b"right", &i.to_le_bytes()).unwrap();
                tx.put("rows", format!("row-{i}").as_bytes(), b"").unwrap();
                let sync = i % 50 == 0;
                let durability = if sync { Durability::Sync } else { Durability::Buffered };
                tx.commit_with(durability).unwrap();
            }
        });
        let written = writer.join();
        let mut tx = store.begin();
        tx.put("rows", b"end", b"").unwrap();
        tx.commit().unwrap();
        written.unwrap();
        stays.join().unwrap();
        comes.join().unwrap();
        tails.join().unwrap()
    });
    let mut tail = store.tail(Position::START);
    let own = follow(|| blocking(&mut tail));
    assert_eq!(own.len(), COMMITS as usize + 4);
    assert!(own == tails, "a reader's tail differs from the writer's");
    assert!(store.verify(|_| {}).unwrap().bytes > 5 * (64 << 10));
}
