//! A process that is killed while it writes its index into files and merges them, all the time, beside another one that reads
//! the store: whatever was acknowledged is found by every way that leads to it, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use kinlog::admin::IndexFound;
use kinlog::disk::Disk;
use kinlog::read::RunOrder;
use kinlog::retention::Keep;
use kinlog::{
    ChildState, Close, Error, NewChild, NewRun, Options, RunFilter, RunId, RunStatus, Snapshot,
    Store,
};
use kinlog_testing::Rng;
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::small_segments;

use super::process::{DIRECTORY, start};
use super::say;

/// At which change to the directory of the index the process stops, and is killed.
const STOPS_AT: &str = "KINLOG_KILL_MERGING";
/// How many processes are killed.
const ROUNDS: &str = "KINLOG_KILL_MERGING_ROUNDS";
const THREADS: u32 = 2;
/// Workflows of a thread, whose runs take turns.
const WORKFLOWS: u32 = 5;

/// Each commit ends a layer of the index, if not too many wait to be written.
fn options() -> Options {
    small_segments().memory_bytes(0)
}

/// What a thread makes in its commit of this number: a parent with one child, both closed, and a row.
#[derive(Clone, Copy, Debug)]
struct Family {
    thread: u32,
    i: u32,
}

impl Family {
    fn id(self, kind: u8) -> RunId {
        let mut id = [kind; 16];
        id[..4].copy_from_slice(&self.i.to_le_bytes());
        id[4] = self.thread as u8;
        RunId::from_bytes(id)
    }

    fn parent(self) -> RunId {
        self.id(1)
    }

    fn child(self) -> RunId {
        self.id(2)
    }

    fn workflow(self) -> String {
        format!("{}/{}", self.thread, self.i % WORKFLOWS)
    }

    /// The key of the row, and its value and what the runs came to.
    fn row(self) -> ([u8; 8], Vec<u8>) {
        let bytes = [self.thread.to_le_bytes(), self.i.to_le_bytes()].concat();
        let len = 8 + 40 * (self.i as usize % 7);
        (bytes[..].try_into().unwrap(), bytes.iter().copied().cycle().take(len).collect())
    }

    /// Whether the parent is deleted once the thread has come as far as its commit `last`.
    fn is_deleted(self, last: u32) -> bool {
        self.i.is_multiple_of(4) && self.i + 8 <= last
    }

    /// The same of the row.
    fn is_row_deleted(self, last: u32) -> bool {
        self.i.is_multiple_of(2) && self.i + 3 <= last
    }
}

/// A disk on which whoever makes the change of this number to the directory of the index says so, and never does.
fn stopping(at: u32) -> Arc<dyn Disk> {
    let changes = AtomicU32::new(0);
    disk_with(move |op, path| {
        let is_change =
            matches!(op, Op::Create | Op::Write | Op::Sync | Op::Rename | Op::Remove | Op::SyncDir);
        let in_index = path.ancestors().take(2).any(|dir| dir.ends_with("index"));
        if is_change && in_index && changes.fetch_add(1, Ordering::Relaxed) == at {
            say("stop", 0, at);
            loop {
                thread::park();
            }
        }
        Fate::Done
    })
}

/// Not a test of its own: what the process does until it is killed.
#[test]
fn child() {
    let (Ok(directory), Ok(at)) = (std::env::var(DIRECTORY), std::env::var(STOPS_AT)) else {
        return;
    };
    let store = options().disk(stopping(at.parse().unwrap())).open(directory).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || commit_for_ever(store, thread));
        }
    });
}

fn commit_for_ever(store: &Store, thread: u32) {
    let first = last_of(&store.snapshot(), thread) + 1;
    for i in first.. {
        commit(store, Family { thread, i });
        say("ack", thread, i);
        if i % 32 == 0 {
            store.erase().unwrap();
        }
    }
}

fn commit(store: &Store, family: Family) {
    let Family { thread, i } = family;
    let (workflow, (key, value)) = (family.workflow(), family.row());
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new("n", &workflow, "Parent").id(family.parent())).unwrap();
    let child_workflow = format!("{thread}/{i}/child");
    let child = NewChild::new(&child_workflow, "Child").id(family.child());
    let child = tx.spawn_child(&parent, child).unwrap().run;
    tx.close_run(&child, Close::completed(&value)).unwrap();
    tx.close_run(&parent, Close::completed(&value)).unwrap();
    tx.put("rows", &key, &value).unwrap();
    let earlier = |by| Family { thread, i: i.saturating_sub(by) };
    if i > 3 && earlier(3).is_row_deleted(i) {
        tx.delete("rows", &earlier(3).row().0).unwrap();
    }
    if i > 8 && earlier(8).is_deleted(i) {
        tx.delete_run(&earlier(8).parent(), Keep::Nothing).unwrap();
    }
    tx.put("last", &thread.to_le_bytes(), &i.to_le_bytes()).unwrap();
    tx.commit().unwrap();
}

fn last_of(snapshot: &Snapshot, thread: u32) -> u32 {
    let row = snapshot.get("last", &thread.to_le_bytes()).unwrap();
    row.map_or(0, |row| u32::from_le_bytes(row.try_into().unwrap()))
}

/// The last commit of each thread that a snapshot shows.
fn lasts(snapshot: &Snapshot) -> Vec<u32> {
    (0..THREADS).map(|thread| last_of(snapshot, thread)).collect()
}

fn is_gone<T>(found: kinlog::Result<T>) -> bool {
    matches!(found, Err(Error::RunDeleted { .. } | Error::RunNotFound { .. }))
}

/// Everything about one family, by the ids of its runs and the key of its row.
fn check_family(snapshot: &Snapshot, family: Family, last: u32, what: &str) {
    let what = format!("{what}: {family:?} of {last}");
    let (key, value) = family.row();
    let row = snapshot.get("rows", &key).unwrap();
    let expected = (!family.is_row_deleted(last)).then_some(&value[..]);
    assert!(row == expected, "{what}: the row");
    let closed = |run: &RunId, events: u32| {
        let info = snapshot.run(run).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((info.status, info.events), (RunStatus::Completed, events), "{what}");
        let closing = snapshot.closing_event(run).unwrap().unwrap();
        assert!(closing.payload() == value, "{what}: what it came to");
        assert_eq!(snapshot.history(run).unwrap().iter().count(), events as usize, "{what}");
    };
    closed(&family.child(), 2);
    if family.is_deleted(last) {
        assert!(is_gone(snapshot.history(&family.parent())), "{what}: it was deleted");
        return;
    }
    closed(&family.parent(), 4);
    let children = snapshot.children(&family.parent()).unwrap().map(Result::unwrap);
    let children: Vec<_> = children.map(|it| (it.first_run, it.state, it.outcome)).collect();
    let closed = (Some(family.child()), ChildState::Closed, Some(RunStatus::Completed));
    assert_eq!(children, [closed], "{what}");
}

/// The current run of each workflow, and that none is there which nobody committed.
fn check_workflows(snapshot: &Snapshot, thread: u32, last: u32, what: &str) {
    for i in last.saturating_sub(WORKFLOWS) + 1..=last {
        let family = Family { thread, i };
        let current = snapshot.current_run("n", &family.workflow()).unwrap();
        assert_eq!(current, Some(family.parent()), "{what}: {family:?} of {last}");
    }
    let next = Family { thread, i: last + 1 };
    assert!(is_gone(snapshot.run(&next.parent())), "{what}: {next:?} is there");
}

/// All of some families.
fn check_some(snapshot: &Snapshot, random: &mut Rng, what: &str) {
    for (thread, last) in (0..).zip(lasts(snapshot)) {
        check_workflows(snapshot, thread, last, what);
        let recent = last.saturating_sub(10) + 1..=last;
        let others = (0..20).map(|_| 1 + random.below(last.max(1) as usize) as u32);
        for i in recent.chain(others).filter(|i| *i <= last) {
            check_family(snapshot, Family { thread, i }, last, what);
        }
    }
}

/// All of the store, by every list there is.
fn check_all(snapshot: &Snapshot, what: &str) -> Vec<u32> {
    let lasts = lasts(snapshot);
    let (mut runs, mut rows) = (BTreeSet::new(), BTreeSet::new());
    for (thread, last) in (0..).zip(lasts.iter().copied()) {
        check_workflows(snapshot, thread, last, what);
        for family in (1..=last).map(|i| Family { thread, i }) {
            check_family(snapshot, family, last, what);
            runs.insert(family.child());
            runs.extend((!family.is_deleted(last)).then_some(family.parent()));
            rows.extend((!family.is_row_deleted(last)).then_some(family.row().0.to_vec()));
        }
        for first in 1..=WORKFLOWS.min(last) {
            let family = |i| Family { thread, i };
            let all = (first..=last).step_by(WORKFLOWS as usize).map(family);
            let expected: BTreeSet<_> =
                all.filter(|it| !it.is_deleted(last)).map(Family::parent).collect();
            let filter = RunFilter::all().namespace("n").workflow_id(family(first).workflow());
            assert!(listed(snapshot, &filter) == expected, "{what}: runs of one workflow");
        }
    }
    let found: BTreeSet<_> =
        snapshot.rows("rows", ..).map(|row| row.unwrap().key.to_vec()).collect();
    assert!(found == rows, "{what}: rows");
    assert!(listed(snapshot, &RunFilter::all()) == runs, "{what}: the runs of the store");
    for order in [RunOrder::OldestStarted, RunOrder::NewestClosed] {
        assert!(in_pages(snapshot, order) == runs, "{what}: {order:?}");
    }
    lasts
}

fn listed(snapshot: &Snapshot, filter: &RunFilter) -> BTreeSet<RunId> {
    once(snapshot.runs(filter.clone()).map(|run| run.unwrap().id))
}

fn in_pages(snapshot: &Snapshot, order: RunOrder) -> BTreeSet<RunId> {
    let (mut runs, mut after) = (vec![], None);
    loop {
        let page = snapshot.list_runs(&RunFilter::all(), order, 100, after.as_ref()).unwrap();
        runs.extend(page.runs.iter().map(|run| run.id));
        after = page.next;
        if after.is_none() {
            return once(runs.into_iter());
        }
    }
}

/// The runs of a list, which has each once.
fn once(runs: impl Iterator<Item = RunId>) -> BTreeSet<RunId> {
    let mut all = BTreeSet::new();
    for run in runs {
        assert!(all.insert(run), "{run} is listed twice");
    }
    all
}

/// The last commit of each thread that was acknowledged, by whichever process.
type Acknowledged = [AtomicU32; THREADS as usize];

fn last_acknowledged(acknowledged: &Acknowledged) -> Vec<u32> {
    acknowledged.iter().map(|i| i.load(Ordering::Acquire)).collect()
}

/// Reads what the other process writes until it is told to stop.
fn read_beside(path: &Path, stop: &AtomicBool, acknowledged: &Acknowledged, what: &str) {
    let (mut reader, mut held) = (None, None);
    let mut random = Rng::new(what.len() as u64);
    for turn in 0.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let before = last_acknowledged(acknowledged);
        // A reader that was there before its files were merged, and one that comes while others are.
        if turn % 16 == 0 {
            reader = match options().read_only(true).open(path) {
                Ok(store) => Some(store),
                Err(Error::NotAStore { .. }) => None,
                Err(error) => panic!("{what}: {error}"),
            };
        }
        let Some(store) = &reader else { continue };
        let refreshed = store.refresh().or_else(|error| match error {
            // The writer has erased runs that it sees.
            Error::SnapshotHeld { .. } => {
                held = None;
                store.refresh()
            }
            error => Err(error),
        });
        refreshed.unwrap_or_else(|error| panic!("{what}: {error}"));
        let snapshot = store.snapshot();
        match turn % 8 {
            0 => drop(check_all(&snapshot, what)),
            _ => check_some(&snapshot, &mut random, what),
        }
        let seen = lasts(&snapshot);
        assert!(seen.iter().zip(&before).all(|(seen, acks)| seen >= acks), "{what}: {before:?}");
        // What it sees stays as it is, whichever files take the place of those that it was made over.
        let (held, seen) = held.get_or_insert((snapshot, seen));
        assert_eq!(lasts(held), *seen, "{what}: a snapshot has changed");
        check_some(held, &mut random, what);
    }
}

/// Kills a process once it has stopped.
fn kill_at(at: u32, path: &Path, acknowledged: &Acknowledged, what: &str) {
    let (mut child, said) = start("merging::child", path, (STOPS_AT, at.to_string()));
    let mut killed = false;
    for line in said {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        match (words[0], words.get(1).map(|n| n.parse::<usize>()), words.get(2).map(|n| n.parse()))
        {
            ("ack", Some(Ok(thread)), Some(Ok(i))) => {
                acknowledged[thread].store(i, Ordering::Release);
            }
            ("stop", ..) => {
                child.kill().unwrap();
                killed = true;
            }
            // A line cut short by the kill, or the child's last words.
            _ => assert!(killed, "{what}: the child says {line:?}"),
        }
    }
    assert!(killed, "{what}: the child ended by itself");
    child.wait().unwrap();
}

/// What the files of the index hold of the log, as their names say, in order.
fn held(path: &Path) -> Vec<(u64, u64)> {
    let Ok(entries) = std::fs::read_dir(path.join("index")) else { return vec![] };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
    let held = names.filter_map(|name| {
        let (from, upto) = name.strip_suffix(".idx")?.split_once('-')?;
        Some((number(from), number(upto)))
    });
    let held: BTreeSet<_> = held.collect();
    held.into_iter().collect()
}

/// Whether every file is of use: together they hold the log from its start, each byte once.
fn are_all_of_use(path: &Path) -> bool {
    let held = held(path);
    let reader = options().read_only(true).open(path).unwrap();
    held.len() as u64 == reader.stats().unwrap().index.files
        && held.first().is_none_or(|(from, _)| *from == 0)
        && held.windows(2).all(|pair| pair[0].1 == pair[1].0)
}

/// A writer removes what others have left, and leaves something itself only if it is closed while it merges.
fn check_that_files_go(path: &Path, what: &str) {
    let mut openings = 0;
    while !are_all_of_use(path) {
        openings += 1;
        assert!(openings < 4, "{what}: {:?}", held(path));
        options().open(path).unwrap().shut_down().unwrap();
    }
}

#[test]
fn whoever_looks_up_beside_merges_that_are_killed_finds_what_was_acknowledged() {
    let rounds = std::env::var(ROUNDS).map_or(16, |rounds| rounds.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let seed = 0x3e26u64;
    println!("seed {seed:#x}");
    let mut random = Rng::new(seed);
    let (acknowledged, mut left) = (Acknowledged::default(), 0);
    for round in 0..rounds {
        let at = random.below(300) as u32;
        let what = format!("round {round}, killed at change {at}");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| read_beside(path, &stop, &acknowledged, &what));
            kill_at(at, path, &acknowledged, &what);
            stop.store(true, Ordering::Release);
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        let reader = options().read_only(true).open(path).unwrap();
        // A kill costs no more of the index than what was being written.
        let is_written = path.join("index/CHECKPOINT").exists();
        let expected = if is_written { IndexFound::Used } else { IndexFound::Absent };
        assert_eq!(reader.report().index, expected, "{what}");
        left += held(path).len() as u64 - reader.stats().unwrap().index.files;
        let found = check_all(&reader.snapshot(), &what);
        let acks = last_acknowledged(&acknowledged);
        assert!(found.iter().zip(&acks).all(|(found, acks)| found >= acks), "{what}: {acks:?}");
        reader.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
        // Every third kill is followed by another process, not by this one.
        if round % 3 != 0 {
            let store = options().open(path).unwrap();
            assert_eq!(check_all(&store.snapshot(), &what), found, "{what}");
            store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
            store.shut_down().unwrap();
            check_that_files_go(path, &what);
        }
    }
    println!("{rounds} kills, {left} files left behind; {acknowledged:?} acknowledged");
    assert!(left > rounds / 8, "{left} files left: too few kills came while files were written");
}
