//! One seed: operations drawn one after the other, done to the store and to the model.

#[path = "consumers.rs"]
mod consumers;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use kinlog::disk::Memory;
use kinlog::event::Started;
use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Close, CommitHandle, Durability, Error, Expect, Limits, NewEvent, NewRun, Options, Position,
    RunFilter, RunId, RunStatus, Snapshot, Store, Tail, Timestamp, Transaction, Verdict,
};
use kinlog_testing::Rng;
use kinlog_testing::disk::{HookedDisk, Steady};
use kinlog_testing::index::{Vandal, delete_index, is_index_damage, some_memory};
use kinlog_testing::kinds::*;

use crate::beside::{Answer, Seen, Step};
use crate::check::{self, refusal};
use crate::draw::{self, NAMESPACES, Start};
use crate::model::{self, Event, LIMITS_TABLE, Refusal, Run, State, Tx};

/// States of the past that a reader may still come upon.
const RECENT: usize = 32;
const TABLES: [&str; 3] = ["t", "timers", "a-table-of-many-rows"];
const MANY_ROWS: usize = 700;

pub(crate) struct Session {
    seed: u64,
    rng: Rng,
    steady: Arc<Steady>,
    /// Of every second seed in memory.
    disk: Arc<HookedDisk<Steady>>,
    dir: tempfile::TempDir,
    operation: u64,
    last: VecDeque<String>,
    /// With every commit, published or not.
    state: State,
    /// After each of the last commits.
    recent: VecDeque<State>,
    commits: Vec<model::Commit>,
    /// Of the commits that the tail has seen, which it compares with `commits`.
    positions: Vec<Position>,
    tail_from: Position,
    /// Segments that were compacted.
    rewritten: BTreeSet<u32>,
    pending: Vec<(usize, CommitHandle)>,
    kept: Vec<Kept>,
    reader: Option<Store>,
    /// An id that a start named lately.
    named: Option<RunId>,
    vandal: Vandal,
    done: Done,
}

/// A snapshot and what it must go on to show.
struct Kept {
    snapshot: Snapshot,
    state: State,
    until: u64,
}

/// How often things happened, to see that they do.
#[derive(Default, Debug)]
struct Done {
    committed: u64,
    refused_steps: u64,
    /// Commits that others had come before since the first step.
    beside: u64,
    overtaken: u64,
    /// Of those, which would have come to the same.
    needless: u64,
    conflicts: u64,
    run_closed: u64,
    run_exists: u64,
    too_large: u64,
    run_too_large: u64,
    empty: u64,
    reopened: u64,
    compacted: u64,
    consumed: u64,
    snapshots: u64,
}

/// A transaction under way.
struct Slot<'s> {
    tx: Transaction<'s>,
    seen: Seen,
    left: usize,
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, operation) = (self.seed, self.operation);
            eprintln!("seed {seed} failed at operation {operation}; the last ones were:");
            for line in &self.last {
                eprintln!("  {line}");
            }
            eprintln!("again: KINLOG_SEED={seed} cargo test --test model");
        }
    }
}

impl Session {
    pub(crate) fn new(seed: u64) -> Self {
        let steady: Arc<Steady> = Arc::default();
        let disk = match seed % 2 {
            0 => HookedDisk::over(Arc::new(Memory::new()), steady.clone()),
            _ => HookedDisk::shared(steady.clone()),
        };
        Session {
            seed,
            rng: Rng::new(seed),
            steady,
            disk,
            dir: tempfile::tempdir().unwrap(),
            operation: 0,
            last: VecDeque::new(),
            state: State::default(),
            recent: [State::default()].into(),
            commits: vec![],
            positions: vec![],
            tail_from: Position::START,
            rewritten: BTreeSet::new(),
            pending: vec![],
            kept: vec![],
            reader: None,
            named: None,
            vandal: Vandal::default(),
            done: Done::default(),
        }
    }

    /// How many commits went through though others came in between, and how many did not.
    pub(crate) fn run(&mut self, operations: u64) -> (u64, u64) {
        while self.operation < operations {
            let store = self.open();
            let until = operations.min(self.operation + 1 + self.rng.draw() % 1200);
            let mut tail = store.tail(self.tail_from);
            self.work(&store, &mut tail, until);
            self.catch_up(&mut tail);
            if self.rng.chance(50) {
                self.note("shut down");
                store.shut_down().unwrap();
            } else {
                self.note("drop the store");
                drop(store);
            }
            self.done.reopened += 1;
        }
        let store = self.open();
        let mut tail = store.tail(self.tail_from);
        if self.rewritten.is_empty() {
            tail = store.tail(Position::START);
            self.positions.clear();
        }
        self.wait_all(&mut tail);
        self.everything(&store, &mut tail);
        for kept in std::mem::take(&mut self.kept) {
            check::all(&kept.snapshot, &kept.state);
        }
        let (seed, operations, done) = (self.seed, self.operation, &self.done);
        let longest = self.state.runs.iter().map(|run| run.events.len()).max();
        let segments = store.end().as_u64() / u64::from(model::SEGMENT_BYTES) + 1;
        println!(
            "seed {seed}: {operations} operations, {segments} segments, {longest:?}, {done:?}"
        );
        (done.beside, done.overtaken)
    }

    fn note(&mut self, text: impl Into<String>) {
        if self.last.len() == 20 {
            self.last.pop_front();
        }
        self.last.push_back(format!("{}: {}", self.operation, text.into()));
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(i64::try_from(self.operation).unwrap() * 500)
    }

    /// Harms the index of the closed store, or lets it be.
    fn harm_index(&mut self) {
        if self.rng.chance(40) {
            let harm = self.vandal.harm(&*self.disk, self.dir.path(), &mut self.rng);
            self.note(harm);
        } else if self.rng.chance(30)
            && let Some(at) = Vandal::damage(&*self.disk, self.dir.path(), &mut self.rng)
        {
            self.note(format!("damage {at}"));
            self.read_damaged();
            delete_index(&*self.disk, self.dir.path());
        }
    }

    /// Nothing that a store reads whose index is damaged is wrong.
    fn read_damaged(&mut self) {
        let options = Options::new().read_only(true).disk(self.disk.clone());
        let store = options.open(self.dir.path()).unwrap();
        let snapshot = store.snapshot();
        for _ in 0..self.state.runs.len().min(20) {
            let run = &self.state.runs[self.rng.below(self.state.runs.len())];
            match snapshot.run(&run.id) {
                Ok(found) => check::info_beside_damage(&found, run),
                Err(Error::RunDeleted { .. }) => assert!(!run.is_kept()),
                Err(error) => assert!(is_index_damage(&error), "{error}"),
            }
        }
        match store.verify(|_| {}) {
            // Nobody has met the damage, nor will.
            Ok(_) => check::all(&snapshot, &self.state),
            Err(error) => assert!(is_index_damage(&error), "{error}"),
        }
    }

    fn open(&mut self) -> Store {
        self.harm_index();
        let options = Options::new().segment_bytes(model::SEGMENT_BYTES).disk(self.disk.clone());
        let (memory, check_log) = (some_memory(&mut self.rng), self.rng.chance(10));
        self.note(format!("open with {memory} B, check the log: {check_log}"));
        let options = options.memory_bytes(memory).check_log(check_log);
        let store = options.open(self.dir.path()).unwrap();
        let expected =
            if self.commits.is_empty() { store.report().verdict } else { Verdict::Clean };
        assert_eq!(store.report().verdict, expected);
        assert!(store.report().commits <= self.state.commits);
        check::stats(&store, &self.state);
        check::namespaces(&store, &self.state);
        check::consumers(&store.snapshot(), &self.state);
        store
    }

    fn work(&mut self, store: &Store, tail: &mut Tail, until: u64) {
        let mut slots: [Option<Slot<'_>>; 3] = [None, None, None];
        while self.operation < until {
            self.operation += 1;
            self.steady.set_now(self.now());
            match self.rng.below(1000) {
                0..670 => {
                    let i = self.rng.below(slots.len());
                    self.go_on(store, tail, &mut slots[i]);
                }
                670..700 => self.rivals(store, tail),
                700..850 => self.read(store, tail),
                850..890 => self.wait_one(store, tail),
                890..905 => self.at_once(store, tail),
                905..940 => self.keep(store, tail),
                940..952 => self.set_limits(store, tail),
                952..980 => self.follow(store, tail),
                980..985 => self.consume(store, tail),
                985..987 => self.compact(store, tail),
                987..990 => {
                    self.note("sync");
                    store.sync().unwrap();
                    self.catch_up(tail);
                    assert_eq!(self.positions.len(), self.commits.len());
                }
                990..998 => self.tail_from_anywhere(store, tail),
                _ => {
                    self.note("compare everything");
                    self.everything(store, tail);
                }
            }
            while let Some(i) = self.kept.iter().position(|kept| kept.until <= self.operation) {
                let kept = self.kept.swap_remove(i);
                self.look_again(&kept);
            }
        }
    }

    // Commits.

    /// A step of a transaction, or its end.
    fn go_on<'s>(&mut self, store: &'s Store, tail: &mut Tail, slot: &mut Option<Slot<'s>>) {
        let Some(open) = slot else {
            let left = 1 + self.rng.below(6);
            let mut new = Slot { tx: store.begin(), seen: Seen::begun(self.now()), left };
            self.step(&mut new);
            *slot = Some(new);
            return;
        };
        if open.left > 0 && !open.seen.over {
            open.left -= 1;
            return self.step(open);
        }
        let Some(Slot { tx, seen, .. }) = slot.take() else { return };
        self.end(store, tail, tx, seen);
    }

    /// Transactions built on the same state that want the same run, the same workflow or the same
    /// new id, one committed after the other.
    fn rivals(&mut self, store: &Store, tail: &mut Tail) {
        let run = self.some_run(&Tx::default());
        let used = draw::run_id(&mut self.rng);
        let same = draw::start(&mut self.rng, None);
        let what = self.rng.below(10);
        let mut rivals: Vec<(Transaction<'_>, Seen)> = vec![];
        if what == 9 {
            return self.refused_then_used(store, tail, &run);
        }
        for _ in 0..2 + self.rng.below(2) {
            let (mut tx, mut seen) = (store.begin(), Seen::begun(self.now()));
            match what {
                0 => {
                    let other = draw::start(&mut self.rng, None);
                    let start = Start { id: Some(used), ..other };
                    self.start_as(&mut tx, &mut seen, &start);
                }
                1 | 2 => {
                    let Started { namespace, workflow_id, .. } = same.started;
                    let other = draw::start(&mut self.rng, None);
                    let started = Started { namespace, workflow_id, ..other.started };
                    let start = Start { started, ..other };
                    self.start_as(&mut tx, &mut seen, &start);
                }
                _ => {
                    if self.rng.chance(80) {
                        self.expect(&mut tx, &mut seen, &run, Expect::Any);
                    }
                    if self.rng.chance(20) {
                        self.expect_next(&mut tx, &mut seen, &run);
                    }
                    for _ in 0..1 + self.rng.below(6) {
                        let now = self.now();
                        let event = draw::event(&mut self.rng, now);
                        self.append(&mut tx, &mut seen, &run, event);
                    }
                }
            }
            rivals.push((tx, seen));
        }
        for (tx, seen) in rivals {
            self.end(store, tail, tx, seen);
        }
    }

    /// A start that would have terminated `run` is refused; then another transaction moves the run
    /// on, and the first one appends to it, for it has not yet found it.
    fn refused_then_used(&mut self, store: &Store, tail: &mut Tail, id: &RunId) {
        let Some((_, run)) = self.state.find(id) else { return };
        let (namespace, workflow_id) = (run.namespace, run.workflow_id);
        let drawn = draw::start(&mut self.rng, None);
        let started = Started { namespace, workflow_id, imported: false, ..drawn.started };
        let conflict = kinlog::IdConflictPolicy::TerminateExisting;
        let start = Start { started, recorded: false, id: Some(*id), conflict, ..drawn };
        let (mut first, mut first_model) = (store.begin(), Seen::begun(self.now()));
        self.start_as(&mut first, &mut first_model, &start);
        let (mut second, mut second_model) = (store.begin(), Seen::begun(self.now()));
        let now = self.now();
        let event = draw::event(&mut self.rng, now);
        self.append(&mut second, &mut second_model, id, event);
        self.end(store, tail, second, second_model);
        let event = draw::event(&mut self.rng, now);
        self.append(&mut first, &mut first_model, id, event);
        self.end(store, tail, first, first_model);
    }

    fn step(&mut self, slot: &mut Slot<'_>) {
        let Slot { tx, seen, .. } = slot;
        match self.rng.below(100) {
            0..26 => self.start(tx, seen),
            26..66 => {
                let (run, now) = (self.some_run(&seen.model), self.now());
                let event = draw::event(&mut self.rng, now);
                self.append(tx, seen, &run, event);
            }
            66 | 67 => self.delete(tx, seen),
            68..70 => {
                let run = self.some_run(&seen.model);
                let event = self.closing(seen.model.now);
                self.note(format!("close {run}: {:?}", event.kind()));
                let found = tx.close_run(&run, close(&event)).map(Answer::Event);
                self.stepped(seen, Step::Append { run, event, key: None }, found);
            }
            70..82 => {
                let run = self.some_run(&seen.model);
                if self.rng.chance(50) {
                    return self.expect_next(tx, seen, &run);
                }
                self.expect(tx, seen, &run, Expect::Any);
            }
            82..90 => {
                let (table, key) = self.some_key();
                self.put(tx, seen, table, key);
            }
            90 => {
                let (run, key) = (self.some_run(&seen.model), self.rng.draw() % draw::KEYS);
                self.note(format!("the event of {run} with the key {key}"));
                let found = tx.event_by_key(&run, key).map(Answer::Found);
                self.stepped(seen, Step::ByKey { run, key }, found);
            }
            91..93 => {
                let (table, key) = self.some_key();
                self.note(format!("read the row of {table}: {key:?}"));
                let found = tx.get(table, &key).map(Answer::Row);
                self.stepped(seen, Step::Get { table, key }, found);
            }
            93..97 => self.scan(tx, seen),
            _ => {
                let from = self.rng.below(MANY_ROWS);
                let count = self.rng.below(100).min(MANY_ROWS - from);
                let delete = self.rng.chance(20);
                self.note(format!("{count} rows from {from}, delete: {delete}"));
                for i in from..from + count {
                    let key = format!("{i:04}").into_bytes();
                    let value = (!delete).then(|| draw::bytes(&mut self.rng, 12));
                    self.put_row(tx, seen, (TABLES[2], key, value));
                }
            }
        }
    }

    /// Mostly a run that has closed.
    fn delete(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen) {
        let closed: Vec<_> =
            self.state.runs.iter().filter(|run| !run.is_open()).map(|run| run.id).collect();
        let run = match closed.is_empty() || self.rng.chance(15) {
            true => self.some_run(&seen.model),
            false => self.rng.pick(&closed),
        };
        let (chain, keep) = (self.rng.chance(30), self.rng.pick(&[Keep::Outcome, Keep::Nothing]));
        self.note(format!("delete {run}, its chain: {chain}, keep: {keep:?}"));
        let found = if chain { tx.delete_chain(&run, keep) } else { tx.delete_run(&run, keep) };
        self.stepped(seen, Step::Delete { run, chain, keep }, found.map(|()| Answer::Nothing));
    }

    /// Reads some rows from either end of a range.
    fn scan(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen) {
        let (table, from) = self.some_key();
        let (count, backwards) = (self.rng.below(5), self.rng.chance(50));
        self.note(format!("read {count} rows of {table} from {from:?}, backwards: {backwards}"));
        let key = Bound::Included(from.as_slice());
        let rows: kinlog::Result<Vec<_>> = match backwards {
            true => tx.rows(table, (Bound::Unbounded, key)).rev().take(count).collect(),
            false => tx.rows(table, (key, Bound::Unbounded)).take(count).collect(),
        };
        let found = rows
            .map(|rows| Answer::Rows(rows.into_iter().map(|row| (row.key, row.value)).collect()));
        self.stepped(seen, Step::Scan { table, from, count, backwards }, found);
    }

    /// Mostly where it is, sometimes beside.
    fn expect_next(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen, run: &RunId) {
        let next = seen.model.get(run).map(model::Touched::next);
        let next = next.or(self.state.find(run).map(|(_, run)| run.next())).unwrap_or(1);
        let next = match self.rng.below(6) {
            0 => next + 1,
            1 => next - 1,
            _ => next,
        };
        self.expect(tx, seen, run, Expect::NextEvent(next));
    }

    fn expect(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen, run: &RunId, expect: Expect) {
        self.note(format!("expect {run}: {expect:?}"));
        let found = tx.expect(run, expect).map(|()| Answer::Nothing);
        self.stepped(seen, Step::Expect { run: *run, expect }, found);
    }

    fn append(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen, run: &RunId, event: Event) {
        let event = self.aimed(&seen.model, run, event);
        let key = self.rng.chance(25).then(|| self.rng.draw() % draw::KEYS);
        let len = event.payload.len();
        self.note(format!("append to {run}: {:?}, {len} B, key {key:?}", event.body));
        let new = new_event(&event);
        let new = key.map_or(new, |key| new.key(key));
        let found = tx.append(run, new).map(Answer::Event);
        self.stepped(seen, Step::Append { run: *run, event, key }, found);
    }

    /// Answers go to something that waits for one, mostly.
    fn aimed(&mut self, model: &Tx, run: &RunId, event: Event) -> Event {
        let state = self.state.find(run).map(|(_, run)| (1, run.events.as_slice()));
        let own = model.get(run).map(|own| (own.found, own.events.as_slice()));
        let events = state.into_iter().chain(own).flat_map(|(first, events)| (first..).zip(events));
        let waiting = events.filter(|(_, e)| {
            matches!(
                e.kind(),
                ACTIVITY_TASK_SCHEDULED
                    | REQUEST_CANCEL_EXTERNAL_INITIATED
                    | START_CHILD_INITIATED
                    | SIGNAL_EXTERNAL_INITIATED
            )
        });
        let waiting: Vec<u32> = waiting.map(|(id, _)| id).collect();
        if waiting.is_empty() || self.rng.chance(10) {
            return event;
        }
        let id = self.rng.pick(&waiting[waiting.len().saturating_sub(4)..]);
        draw::aimed(event, id)
    }

    /// A step was taken in the store.
    fn stepped(&mut self, seen: &mut Seen, step: Step, found: kinlog::Result<Answer>) {
        seen.look(&self.state);
        if matches!(found, Err(Error::Overtaken { .. })) {
            assert!(seen.is_stale(), "nobody came in between: {found:?}");
            seen.over = true;
            return;
        }
        let found = found.map_err(refusal);
        self.done.refused_steps += u64::from(found.is_err());
        seen.over = !seen.take(step, found);
    }

    fn put(
        &mut self,
        tx: &mut Transaction<'_>,
        seen: &mut Seen,
        table: &'static str,
        key: Vec<u8>,
    ) {
        let value = self.rng.chance(70).then(|| draw::bytes(&mut self.rng, 300));
        let len = value.as_ref().map(|value| value.len());
        self.note(format!("row of {table}: {key:?}, {len:?} B"));
        self.put_row(tx, seen, (table, key, value));
        let refused = tx.put("kinlog.own", b"", b"").map_err(refusal);
        assert_eq!(refused, Err(Refusal::Invalid));
    }

    fn put_row(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen, row: model::RowChange) {
        let (table, key, value) = &row;
        let found = match value {
            Some(value) => tx.put(table, key, value),
            None => tx.delete(table, key),
        };
        self.stepped(seen, Step::Put(row), found.map(|()| Answer::Nothing));
    }

    fn start(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen) {
        let used = (!self.state.runs.is_empty()).then(|| self.any_run());
        let used = match self.rng.below(10) {
            0..3 => seen.model.touched.first().map(|touched| touched.id),
            3..8 => self.named,
            _ => used,
        };
        let start = draw::start(&mut self.rng, used);
        self.named = start.id.or(self.named);
        self.start_as(tx, seen, &start);
    }

    fn start_as(&mut self, tx: &mut Transaction<'_>, seen: &mut Seen, start: &Start) {
        let payload = draw::payload(&mut self.rng);
        let Start { started, recorded, reuse, conflict, .. } = start;
        self.note(format!(
            "start {} / {}, request {:?}, {reuse:?}, {conflict:?}, recorded {recorded}, {:?}",
            started.namespace, started.workflow_id, started.request_id, start.id
        ));
        let found = tx.start(new_run(start, &payload));
        // A run that names no id gets one of the store's.
        let offered = match &found {
            Ok(run) | Err(Error::LimitExceeded { run: Some(run), .. }) => *run,
            Err(_) => RunId::from_bytes([1; 16]),
        };
        let refused = found.is_err();
        let step = Step::Start { start: *start, payload, offered };
        self.stepped(seen, step, found.map(Answer::Run));
        // Tells a run that begins from one that was found.
        assert!(seen.over || tx.starts(&offered) == seen.model.begins(&offered));
        // What is refused leaves nothing behind: the same again comes to the same.
        if refused && !seen.over && self.rng.chance(30) {
            self.start_as(tx, seen, start);
        }
    }

    fn end(&mut self, store: &Store, tail: &mut Tail, tx: Transaction<'_>, mut seen: Seen) {
        let how = self.rng.below(100);
        if how < 7 {
            self.note("drop the transaction");
            return drop(tx);
        }
        seen.look(&self.state);
        let durability =
            if how.is_multiple_of(4) { Durability::Sync } else { Durability::Buffered };
        if how < 25 {
            self.note(format!("submit {durability:?}"));
            match tx.submit(durability) {
                Ok(handle) if seen.model.is_empty(&self.state) => {
                    assert!(seen.is_as_stated(&self.state));
                    drop(handle.wait().unwrap());
                }
                Ok(handle) => {
                    self.come_through(&seen);
                    self.pending.push((self.commits.len() - 1, handle));
                }
                Err(error) => self.kept_out(&seen, error),
            }
            if self.pending.len() > 6 || self.rng.chance(50) {
                self.wait_one(store, tail);
            } else {
                check::stats(store, &self.state);
            }
            return;
        }
        self.note(format!("commit {durability:?}"));
        match tx.commit_with(durability) {
            Ok(found) if seen.model.is_empty(&self.state) => {
                assert!(seen.is_as_stated(&self.state));
                self.done.empty += 1;
                assert!(found.position() <= store.end());
            }
            Ok(found) => {
                self.come_through(&seen);
                self.visible(store, tail, self.commits.len() - 1, found.position());
            }
            Err(error) => {
                self.kept_out(&seen, error);
                check::stats(store, &self.state);
            }
        }
    }

    /// A commit was accepted: the same steps come to the same now.
    fn come_through(&mut self, seen: &Seen) {
        let again = seen.again(&self.state);
        assert!(!again.differs, "not what the steps come to alone: {:#?}", again.others);
        let mut after = self.state.clone();
        let commit = after.commit(again.model).unwrap().unwrap();
        self.done.beside += u64::from(seen.is_stale());
        self.committed(after, commit);
    }

    /// A commit was refused: it is too large, or others came in between.
    fn kept_out(&mut self, seen: &Seen, error: Error) {
        let again = seen.again(&self.state);
        if error.is_retryable() {
            assert!(seen.is_stale(), "nobody came in between: {error}");
            self.done.overtaken += 1;
            self.done.needless += u64::from(!again.differs);
            return;
        }
        let told = refusal(error);
        match told {
            Refusal::Limit { run: None, .. } => {
                let sizes = seen.sizes(&self.state);
                assert!(sizes.contains(&Err(told.clone())), "{told:?}, expected {sizes:?}");
            }
            _ => {
                assert!(seen.is_stale(), "nobody came in between: {told:?}");
                assert!(again.allows(&told), "{told:?}, expected {:?}", again.refusals);
            }
        }
        self.count(&told);
    }

    fn committed(&mut self, after: State, commit: model::Commit) {
        self.done.committed += 1;
        self.state = after;
        self.commits.push(commit);
        self.recent.push_back(self.state.clone());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    fn count(&mut self, refused: &Refusal) {
        match refused {
            Refusal::Conflict { .. } => self.done.conflicts += 1,
            Refusal::RunClosed(_) => self.done.run_closed += 1,
            Refusal::Limit { run: None, .. } => self.done.too_large += 1,
            Refusal::Limit { .. } => self.done.run_too_large += 1,
            Refusal::RunExists(_) => self.done.run_exists += 1,
            Refusal::KeyExists { .. } => unreachable!("a key is compared before the commit"),
            _ => {}
        }
    }

    /// A commit that has returned: it is where it says, and every run and row of it reads back.
    fn visible(&mut self, store: &Store, tail: &mut Tail, number: usize, position: Position) {
        check::stats(store, &self.state);
        self.catch_up(tail);
        assert_eq!(self.positions.get(number), Some(&position), "commit {number}");
        assert!(store.end() > position);
        let snapshot = store.snapshot();
        let state = self.state_at(tail, &snapshot);
        let commit = &self.commits[number];
        for (place, _, _) in &commit.batches {
            check::run(&snapshot, &state.runs[*place], &state);
        }
        for (table, key, _) in &commit.rows {
            let value = state.row(table, key).map(|value| &**value);
            assert!(snapshot.get(table, key).unwrap() == value, "{table}: {key:x?}");
        }
    }

    fn wait_one(&mut self, store: &Store, tail: &mut Tail) {
        if self.pending.is_empty() {
            return;
        }
        let i = self.rng.below(self.pending.len());
        let (number, handle) = self.pending.swap_remove(i);
        if self.rng.chance(15) {
            self.note(format!("forget the handle of commit {number}"));
            return drop(handle);
        }
        self.note(format!("wait for commit {number}"));
        let found = handle.wait().unwrap();
        self.visible(store, tail, number, found.position());
    }

    fn wait_all(&mut self, tail: &mut Tail) {
        self.catch_up(tail);
        for (number, handle) in std::mem::take(&mut self.pending) {
            assert_eq!(handle.wait().unwrap().position(), self.positions[number]);
        }
    }

    /// The store's own short transactions.
    fn at_once(&mut self, store: &Store, tail: &mut Tail) {
        let (run, now) = (self.some_run(&Tx::default()), self.now());
        let closes = self.rng.chance(40);
        let event = if closes { self.closing(now) } else { draw::event(&mut self.rng, now) };
        let event = self.aimed(&Tx::default(), &run, event);
        self.note(format!("at once to {run}: {:?}, {} B", event.body, event.payload.len()));
        let mut tx = Tx::begun(now);
        let mut after = self.state.clone();
        let expected = tx.expect(&self.state, &run, Expect::Any);
        let expected = expected.and_then(|()| tx.append(&self.state, &run, event.clone()));
        let expected = expected.and_then(|_| after.commit(tx));
        let found = if closes {
            store.close_run(&run, close(&event))
        } else {
            store.append(&run, new_event(&event))
        };
        match (found.map_err(refusal), expected) {
            (Ok(found), Ok(Some(commit))) => {
                self.committed(after, commit);
                self.visible(store, tail, self.commits.len() - 1, found.position());
            }
            // A signal that the run has already.
            (Ok(found), Ok(None)) => assert!(found.position() <= store.end()),
            (found, expected) => {
                let refused = found.map(|commit| commit.position()).unwrap_err();
                assert_eq!(Err(&refused), expected.as_ref().map(|_| ()));
                self.count(&refused);
            }
        }
    }

    fn set_limits(&mut self, store: &Store, tail: &mut Tail) {
        let mut limits = Limits::default();
        let rng = &mut self.rng;
        let mut small = |of: &mut u32, from: u32, most: usize| {
            if rng.chance(35) {
                *of = from + u32::try_from(rng.below(most)).unwrap();
            }
        };
        small(&mut limits.history_events, 1, 40);
        small(&mut limits.history_bytes, 150, 8_000);
        small(&mut limits.payload_bytes, 10, 600);
        small(&mut limits.id_bytes, 8, 60);
        small(&mut limits.open_activities, 0, 4);
        small(&mut limits.open_children, 0, 3);
        small(&mut limits.open_signals, 0, 3);
        small(&mut limits.open_cancels, 0, 3);
        self.note(format!("{limits:?}"));
        let found = store.set_limits(NAMESPACES[0], limits).unwrap();
        let mut after = self.state.clone();
        let commit = after.set_limits(NAMESPACES[0], limits);
        self.committed(after, commit);
        self.visible(store, tail, self.commits.len() - 1, found.position());
        check::namespaces(store, &self.state);
    }

    // Reads.

    /// Reads the tail to its end; every commit must be the next one of the model.
    fn catch_up(&mut self, tail: &mut Tail) {
        while let Some(view) = tail.try_next().unwrap() {
            let number = self.positions.len();
            let expected = self.commits.get(number).expect("a commit that nobody made");
            check::commit(&view, expected, &self.state);
            assert!(self.positions.last().is_none_or(|last| *last < view.position()));
            self.positions.push(view.position());
        }
        self.tail_from = tail.position();
    }

    /// What `snapshot` must show, however many commits are published by now.
    fn state_at(&mut self, tail: &mut Tail, snapshot: &Snapshot) -> State {
        self.catch_up(tail);
        let commits = self.positions.partition_point(|position| *position < snapshot.end());
        let found = self.recent.iter().find(|state| state.commits == commits as u64);
        found.expect("a snapshot of long ago").clone()
    }

    fn read(&mut self, store: &Store, tail: &mut Tail) {
        let snapshot = store.snapshot();
        let state = self.state_at(tail, &snapshot);
        match self.rng.below(10) {
            0..4 => {
                let id = self.any_run();
                let Some((_, run)) = state.find(&id) else {
                    self.note(format!("history of {id}, unknown"));
                    let history = snapshot.history(&id).map_err(refusal);
                    assert_eq!(history.map(|_| ()), Err(Refusal::RunNotFound(id)));
                    let info = snapshot.run(&id).map_err(refusal);
                    assert_eq!(info.map(|_| ()), Err(Refusal::RunNotFound(id)));
                    return;
                };
                self.history(&snapshot, run, &state);
            }
            4 | 5 => {
                let filter = self.filter();
                self.note(format!("runs: {filter:?}"));
                check::runs(&snapshot, &filter, &state);
            }
            6 => {
                let (namespace, workflow_id) = draw::workflow(&mut self.rng);
                self.note(format!("current run of {namespace} / {workflow_id}"));
                let current = state.current(namespace, workflow_id).map(|run| run.id);
                assert_eq!(snapshot.current_run(namespace, workflow_id).unwrap(), current);
                if self.positions.len() == self.commits.len() {
                    assert_eq!(store.current_run(namespace, workflow_id).unwrap(), current);
                }
            }
            7 | 8 => self.rows(&snapshot, &state),
            _ => {
                let (table, key) = self.some_key();
                self.note(format!("row of {table}: {key:?}"));
                let value = state.row(table, &key).map(|value| &**value);
                assert!(snapshot.get(table, &key).unwrap() == value);
                if self.positions.len() == self.commits.len() {
                    assert!(store.get(table, &key).unwrap().as_deref() == value);
                }
                check::namespaces(store, &self.state);
            }
        }
    }

    fn history(&mut self, snapshot: &Snapshot, run: &Run, state: &State) {
        if run.deleted.is_some() {
            return check::run(snapshot, run, state);
        }
        let history = snapshot.history(&run.id).unwrap();
        check::history(&history, run);
        let len = run.events.len();
        let from = u32::try_from(self.rng.below(len + 3)).unwrap();
        match self.rng.below(4) {
            0 => check::run(snapshot, run, state),
            1 | 2 => {
                self.note(format!("history of {} from {from}", run.id));
                check::forward(&history, from, run);
            }
            _ => {
                let count = 1 + self.rng.below(len + 1);
                self.note(format!("history of {} back, {count}", run.id));
                check::backward(&history, count, run);
            }
        }
    }

    fn filter(&mut self) -> RunFilter {
        let mut filter = RunFilter::all();
        let (namespace, workflow_id) = draw::workflow(&mut self.rng);
        if self.rng.chance(70) {
            filter = filter.namespace(namespace);
        }
        if self.rng.chance(50) {
            filter = filter.workflow_id(workflow_id);
        }
        if self.rng.chance(30) && !self.state.runs.is_empty() {
            let of = self.rng.below(self.state.runs.len());
            filter = filter.workflow_type(self.state.runs[of].started().workflow_type);
        }
        if self.rng.chance(30) {
            return filter.status(RunStatus::Running);
        }
        if self.rng.chance(40) {
            let status = [
                RunStatus::Running,
                RunStatus::Completed,
                RunStatus::Failed,
                RunStatus::TimedOut,
                RunStatus::Canceled,
                RunStatus::Terminated,
                RunStatus::ContinuedAsNew,
            ];
            filter = filter.status(self.rng.pick(&status));
        }
        filter
    }

    fn rows(&mut self, snapshot: &Snapshot, state: &State) {
        let (table, from) = self.some_key();
        let table = if self.rng.chance(5) { LIMITS_TABLE } else { table };
        let to = self.key_of(table);
        let bound = |rng: &mut Rng, key| match rng.below(3) {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        let range = (bound(&mut self.rng, from.as_slice()), bound(&mut self.rng, to.as_slice()));
        self.note(format!("rows of {table}: {range:?}"));
        check::rows(snapshot, table, range, state);
    }

    /// Takes a snapshot to look at again later.
    fn keep(&mut self, store: &Store, tail: &mut Tail) {
        if self.kept.len() >= 8 {
            return;
        }
        let snapshot = store.snapshot();
        let state = self.state_at(tail, &snapshot);
        let until = self.operation + 1 + self.rng.draw() % 400;
        self.note(format!("keep a snapshot until {until}"));
        self.kept.push(Kept { snapshot, state, until });
    }

    fn look_again(&mut self, kept: &Kept) {
        self.done.snapshots += 1;
        self.note(format!("look at a kept snapshot with {} commits", kept.state.commits));
        if self.rng.chance(15) {
            return check::all(&kept.snapshot, &kept.state);
        }
        check::runs(&kept.snapshot, &RunFilter::all(), &kept.state);
        let open = self.filter().status(RunStatus::Running);
        check::runs(&kept.snapshot, &open, &kept.state);
        // The last ones are those that went on since.
        for run in kept.state.runs.iter().rev().take(40) {
            check::run(&kept.snapshot, run, &kept.state);
        }
        for _ in 0..5 {
            self.rows(&kept.snapshot, &kept.state);
        }
        check::tables(&kept.snapshot, &kept.state);
        // Runs that came later are not there.
        for run in self.state.runs.iter().skip(kept.state.runs.len()).take(5) {
            let history = kept.snapshot.history(&run.id).map_err(refusal);
            assert_eq!(history.map(|_| ()), Err(Refusal::RunNotFound(run.id)));
        }
    }

    /// A store that is open for reading only, beside the writer.
    fn follow(&mut self, store: &Store, tail: &mut Tail) {
        match self.reader.take() {
            None => {
                self.note("open a reader");
                let options = Options::new().read_only(true).disk(self.disk.clone());
                let options = options.memory_bytes(some_memory(&mut self.rng));
                let reader = options.open(self.dir.path()).unwrap();
                assert_eq!(reader.report().verdict, Verdict::Live);
                self.reader = Some(reader);
            }
            Some(_) if self.rng.chance(10) => self.note("close the reader"),
            Some(reader) => {
                let synced = self.rng.chance(50);
                self.note(format!("the reader follows, synced: {synced}"));
                if synced {
                    store.sync().unwrap();
                }
                let before = reader.end();
                let moved = match reader.refresh() {
                    // It must be opened anew.
                    Err(Error::Compacted { .. }) if !self.rewritten.is_empty() => return,
                    moved => moved.unwrap(),
                };
                assert_eq!(moved, reader.end() > before);
                let snapshot = reader.snapshot();
                let state = self.state_at(tail, &snapshot);
                if synced {
                    assert_eq!(state.commits, self.state.commits, "a reader that lags behind");
                }
                check::runs(&snapshot, &RunFilter::all(), &state);
                for run in state.runs.iter().rev().take(20) {
                    check::run(&snapshot, run, &state);
                }
                self.rows(&snapshot, &state);
                if self.rng.chance(40) && self.kept.len() < 8 {
                    let until = self.operation + 1 + self.rng.draw() % 400;
                    self.kept.push(Kept { snapshot, state, until });
                }
                self.reader = Some(reader);
            }
        }
    }

    fn compact(&mut self, store: &Store, tail: &mut Tail) {
        self.catch_up(tail);
        let dead = self.rng.pick(&[0, 25, 60, 90]);
        let mut compaction = Compaction::new().dead_percent(dead);
        if !self.pending.is_empty() || self.rng.chance(50) {
            compaction = compaction.keep_from(tail.position());
        }
        if self.rng.chance(40) {
            compaction = compaction.pack();
        }
        let done = store.compact(&compaction).unwrap();
        self.held_back(&done, compaction.keep_from);
        self.note(format!("compacted {} of {}", done.rewritten, done.segments.len()));
        let rewritten = done.segments.iter().filter(|segment| segment.rewritten);
        self.rewritten.extend(rewritten.map(|segment| segment.segment));
        self.done.compacted += u64::from(done.rewritten);
        self.all_is_there_for_consumers(store);
    }

    fn tail_from_anywhere(&mut self, store: &Store, tail: &mut Tail) {
        self.catch_up(tail);
        if self.positions.is_empty() {
            return;
        }
        let number = self.rng.below(self.positions.len());
        let position = self.positions[number];
        self.note(format!("tail from commit {number}"));
        let mut other = store.tail(position);
        let is_rewritten = |session: &Self, position: Position| {
            let segment = position.as_u64() / u64::from(model::SEGMENT_BYTES);
            session.rewritten.contains(&u32::try_from(segment).unwrap())
        };
        for number in number..self.positions.len().min(number + 20) {
            if is_rewritten(self, self.positions[number]) {
                match other.try_next() {
                    Err(Error::Compacted { resume, .. }) => assert!(!is_rewritten(self, resume)),
                    other => panic!("{other:?}"),
                }
                return;
            }
            let view = other.try_next().unwrap().expect("a commit is missing");
            assert_eq!(view.position(), self.positions[number]);
            check::commit(&view, &self.commits[number], &self.state);
        }
        if is_rewritten(self, position) {
            return;
        }
        let mut astray = store.tail(Position::from_u64(position.as_u64() + 4));
        assert!(matches!(astray.try_next(), Err(Error::Corrupt(_))));
        assert!(store.tail(store.end()).try_next().unwrap().is_none() || !self.pending.is_empty());
    }

    fn everything(&mut self, store: &Store, tail: &mut Tail) {
        let snapshot = store.snapshot();
        let state = self.state_at(tail, &snapshot);
        check::all(&snapshot, &state);
        check::stats(store, &self.state);
        check::namespaces(store, &self.state);
        let report = store.verify(|_| {}).unwrap();
        if self.pending.is_empty() && self.positions.len() == self.commits.len() {
            let whole = || state.runs.iter().filter(|run| run.deleted.is_none());
            let events: usize = whole().map(|run| run.events.len()).sum();
            let expected = (events as u64, whole().count() as u64);
            assert_eq!((report.events, report.runs), expected);
            let whole = self.rewritten.is_empty();
            assert!(report.commits == state.commits || !whole && report.commits < state.commits);
        }
    }

    // What is drawn from the state.

    /// Mostly a run that is open.
    fn some_run(&mut self, tx: &Tx) -> RunId {
        let own = !tx.touched.is_empty() && self.rng.chance(35);
        if own {
            return tx.touched[self.rng.below(tx.touched.len())].id;
        }
        if self.rng.chance(5) {
            return self.any_run();
        }
        let open = self.state.runs.iter().filter(|run| run.is_open()).map(|run| run.id);
        // The oldest ones, which grow long, or the newest.
        let open: Vec<_> =
            if self.rng.chance(40) { open.take(3).collect() } else { open.rev().take(9).collect() };
        if open.is_empty() { self.any_run() } else { self.rng.pick(&open) }
    }

    fn any_run(&mut self) -> RunId {
        if self.state.runs.is_empty() || self.rng.chance(10) {
            return draw::run_id(&mut self.rng);
        }
        self.state.runs[self.rng.below(self.state.runs.len())].id
    }

    fn closing(&mut self, now: Timestamp) -> Event {
        use kinlog::Body;
        use kinlog::event::{Canceled, Closed, Terminated};
        let (body, payload) = match self.rng.below(5) {
            0 => (Body::WorkflowExecutionCompleted(Closed::default()), true),
            1 => (Body::WorkflowExecutionFailed(Closed::default()), true),
            2 => (Body::WorkflowExecutionCanceled(Canceled::default()), true),
            3 => (Body::WorkflowExecutionTimedOut(Closed::default()), false),
            _ => {
                let reason = draw::text(&mut self.rng);
                (
                    Body::WorkflowExecutionTerminated(Terminated { reason, reset_run_id: None }),
                    false,
                )
            }
        };
        let payload = if payload { draw::payload(&mut self.rng) } else { [].into() };
        Event::new(body, payload, now)
    }

    fn some_key(&mut self) -> (&'static str, Vec<u8>) {
        let table = self.rng.pick(&TABLES);
        (table, self.key_of(table))
    }

    fn key_of(&mut self, table: &str) -> Vec<u8> {
        if table == TABLES[2] {
            return format!("{:04}", self.rng.below(MANY_ROWS)).into_bytes();
        }
        let keys: [&[u8]; 10] =
            [b"", b"\0", b"a", b"aa", b"aaa", b"ab", b"b", b"b\xff", b"\xff", b"\xff\xff\xff\xff"];
        self.rng.pick(&keys).to_vec()
    }
}

fn new_event(event: &Event) -> NewEvent<'_> {
    NewEvent::new(event.body).payload(&event.payload).at(event.time)
}

fn close(event: &Event) -> Close<'_> {
    let close = match event.kind() {
        COMPLETED => Close::completed(&event.payload),
        FAILED => Close::failed(&event.payload),
        TIMED_OUT => Close::timed_out(),
        CANCELED => Close::canceled(&event.payload),
        _ => match event.body {
            kinlog::Body::WorkflowExecutionTerminated(body) => Close::terminated(body.reason),
            other => panic!("{other:?}"),
        },
    };
    // Now and then without a time, which then is the disk's.
    if event.payload.len().is_multiple_of(2) { close } else { close.at(event.time) }
}

fn new_run<'a>(start: &Start, payload: &'a [u8]) -> NewRun<'a> {
    let started = start.started;
    let mut run = if start.recorded {
        NewRun::imported(started)
    } else {
        NewRun::new(started.namespace, started.workflow_id, started.workflow_type)
            .task_queue(started.task_queue)
            .request_id(started.request_id)
    };
    if let Some(id) = start.id {
        run = run.id(id);
    }
    if let Some(time) = start.time {
        run = run.at(time);
    }
    run.input(payload).on_reuse(start.reuse).on_conflict(start.conflict)
}
