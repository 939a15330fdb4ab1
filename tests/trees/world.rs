//! A store and its model, and what happens to them. A step depends on the seed and its own number
//! alone, so that a failure can be made smaller by leaving steps out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Commit, DutyFilter, DutyKind, Error, Limits, Options, Position, Snapshot, Store, Timestamp,
};
use kinlog_testing::Rng;
use kinlog_testing::disk::{HookedDisk, Steady};
use kinlog_testing::files::directory;
use kinlog_testing::index::{Vandal, delete_index, some_memory};

use crate::check;
use crate::done::Done;
use crate::draw::{Draw, STAND_IN, Theme};
use crate::long;
use crate::naive::{Key, NAMESPACES, State, What};

const SEGMENT_BYTES: u32 = 256 << 10;

pub(crate) struct World {
    pub(crate) rng: Draw,
    dir: tempfile::TempDir,
    steady: Arc<Steady>,
    store: Option<Store>,
    pub(crate) state: State,
    /// Where commits lie, as far as they said.
    positions: HashMap<u64, Position>,
    held: Vec<(Snapshot, State)>,
    /// Whether to say what happens.
    loud: bool,
    vandal: Vandal,
    pub(crate) done: Done,
}

impl World {
    pub(crate) fn new(theme: Theme, loud: bool) -> Self {
        let mut world = World {
            rng: Draw { rng: Rng::new(0), theme },
            dir: directory(),
            steady: Arc::default(),
            store: None,
            state: State::new([Limits::default(), tight()]),
            positions: HashMap::new(),
            held: vec![],
            loud,
            vandal: Vandal::default(),
            done: Done::default(),
        };
        world.open();
        world.set_limits(tight());
        world
    }

    fn open(&mut self) {
        let disk = HookedDisk::shared(self.steady.clone());
        if self.rng.chance(50) {
            let harm = self.vandal.harm(&*disk, self.dir.path(), &mut self.rng);
            self.note(|| format!("  {harm}"));
        }
        let options = Options::new().segment_bytes(SEGMENT_BYTES).disk(disk);
        // A file for each commit of a large world takes too long.
        let least = u64::try_from(self.state.runs.len()).unwrap().saturating_sub(100) * 256;
        let memory = some_memory(&mut self.rng).max(least);
        self.note(|| format!("  open with {memory} B"));
        let options = options.memory_bytes(memory).check_log(self.rng.chance(10));
        self.store = Some(options.open(self.dir.path()).unwrap());
    }

    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if self.loud {
            eprintln!("{}", text());
        }
    }

    /// One step of the world with this seed.
    pub(crate) fn step(&mut self, seed: u64, number: u64) {
        self.rng.rng = Rng::of(seed, number);
        let store = self.store.take().unwrap();
        self.steady.set_now(Timestamp::from_unix_nanos(i64::try_from(number).unwrap() * 500_000));
        self.note(|| format!("step {number}"));
        if self.rng.theme == Theme::LongChildren && self.rng.chance(10) {
            return self.rebuild(store);
        }
        match self.rng.below(100) {
            0..62 => self.transaction(&store),
            62..70 => self.rivals(&store),
            70..78 => self.settle_one(&store),
            78..81 => self.settle_kinds(&store, &DutyKind::ALL),
            81..84 => {
                let kind = self.rng.below(DutyKind::ALL.len());
                self.settle_kinds(&store, &DutyKind::ALL[kind..=kind]);
            }
            84 => self.erase(&store),
            85..90 => self.hold(&store),
            90 => self.change_limits(&store),
            91..95 => {
                drop(store);
                self.reopen();
                return;
            }
            95 => drop(store.verify(|_| ()).unwrap()),
            96 => self.compact(&store),
            _ => self.everything(&store),
        }
        self.store = Some(store);
    }

    pub(crate) fn finish(&mut self) {
        let store = self.store.take().unwrap();
        if self.rng.chance(4) {
            self.compact(&store);
        }
        self.everything(&store);
        for (snapshot, state) in std::mem::take(&mut self.held) {
            check::everything(&snapshot, &state, &mut self.rng);
        }
        store.verify(|_| ()).unwrap();
        drop(store);
        self.reopen();
        self.done.runs = u64::try_from(self.state.runs.len()).unwrap();
        let bases = self.state.runs.iter().filter(|run| run.base.is_some());
        self.done.resets = u64::try_from(bases.count()).unwrap();
        let deleted = self.state.runs.iter().filter(|run| run.deleted.is_some());
        self.done.deleted = u64::try_from(deleted.count()).unwrap();
        let moved = (0..self.state.runs.len()).flat_map(|run| {
            let state = &self.state;
            let relations = state.runs[run].relations().into_iter();
            relations.filter(move |relation| state.is_moved(run, relation.initiated))
        });
        self.done.moved = u64::try_from(moved.count()).unwrap();
        let state = &self.state;
        let inner = || (0..state.runs.len()).filter(|run| long::is_inner(state, *run));
        let is_erased = |run: usize| state.is_erased(&state.runs[run].id);
        self.done.shortened = inner().any(is_erased).into();
        let is_asked = |run: &usize| state.runs[*run].cancel_requested();
        let of_asked = |run: usize| !state.is_kept(run) && state.chain(run).iter().any(is_asked);
        self.done.asked = inner().any(of_asked).into();
    }

    /// Drops what is dead in all segments but the last, which is filled before, so that there is another one.
    fn compact(&mut self, store: &Store) {
        let segment = |store: &Store| store.end().as_u64() / u64::from(SEGMENT_BYTES);
        let filled = segment(store);
        while segment(store) == filled {
            store.transact(|tx| tx.put("filling", b"row", &[7; 30_000])).unwrap();
        }
        if self.rng.chance(60) {
            self.erase(store);
        }
        let compaction = Compaction::new().dead_percent(0);
        let packs = self.rng.chance(40);
        let done = store.compact(&if packs { compaction.pack() } else { compaction }).unwrap();
        self.note(|| format!("  compacted {} of {} B", done.rewritten, done.freed_bytes));
        self.done.compacted += u64::from(done.rewritten);
        self.done.packed += store.stats().unwrap().packed_segments;
    }

    /// Erases and compacts, and has the index built anew from what is left.
    fn rebuild(&mut self, store: Store) {
        self.erase(&store);
        self.compact(&store);
        drop(store);
        let disk = HookedDisk::shared(self.steady.clone());
        delete_index(&*disk, self.dir.path());
        self.reopen();
    }

    /// Erases what can be, and looks which runs these were: deleted ones of which nothing was kept.
    fn erase(&mut self, store: &Store) {
        let done = store.erase().unwrap();
        self.note(|| format!("  erased {} and left {}", done.runs, done.left));
        let mut erased = self.state.erased.borrow_mut();
        let before = erased.len() as u64;
        let gone = self.state.runs.iter().filter(|run| run.deleted == Some(Keep::Nothing));
        erased.extend(
            gone.map(|run| run.id)
                .filter(|run| matches!(store.run(run), Err(Error::RunNotFound { .. }))),
        );
        assert_eq!(erased.len() as u64 - before, done.runs, "runs that are not there any more");
        self.done.erased += done.runs;
    }

    fn reopen(&mut self) {
        self.done.reopened += 1;
        self.note(|| "reopen".into());
        for (_, state) in &mut self.held {
            // Of what is erased from now on, a snapshot of the store as it was open before is not told.
            state.erased = Rc::new(RefCell::clone(&state.erased));
        }
        self.open();
        let store = self.store.take().unwrap();
        self.everything(&store);
        self.store = Some(store);
    }

    pub(crate) fn everything(&mut self, store: &Store) {
        check::everything(&store.snapshot(), &self.state, &mut self.rng);
        self.duties(store);
        check::stats(store, &self.state);
        for run in self.state.runs.iter().filter(|run| run.deleted.is_none()) {
            let found = store.open_activities(&run.id).unwrap();
            assert!(found.iter().eq(&run.activities()), "the activities of {}", run.id);
        }
    }

    /// The duties and what is said about them.
    pub(crate) fn duties(&self, store: &Store) {
        let expected = self.state.by_age();
        let named = |key: &Key| (key.0, self.state.runs[key.1].id, key.2);
        let found: Vec<_> = store.duties(DutyFilter::all()).map(Result::unwrap).collect();
        let keys = found.iter().map(|duty| (duty.kind(), duty.run(), duty.initiated_event_id()));
        let keys: Vec<_> = keys.collect();
        let names: Vec<_> = expected.iter().map(|(_, key)| named(key)).collect();
        assert_eq!(keys, names, "the duties, oldest first");
        for (duty, (since, _)) in found.iter().zip(&expected) {
            let position = self.positions.get(since);
            assert!(position.is_none_or(|position| *position == duty.since()), "{duty:?}");
        }
        for kind in DutyKind::ALL {
            let count = expected.iter().filter(|(_, key)| key.0 == kind).count();
            assert_eq!(store.duty_count(kind), u64::try_from(count).unwrap(), "{kind}");
        }
    }

    pub(crate) fn committed(
        &mut self,
        store: &Store,
        after: State,
        runs: &[usize],
        limits: &[Limits; 2],
        commit: &Commit,
    ) {
        self.state = after;
        self.done.commits += 1;
        self.positions.insert(self.state.commits, commit.position());
        self.learn_ids(store);
        let snapshot = store.snapshot();
        for run in runs {
            check::run(&snapshot, &self.state, *run, &mut self.rng);
        }
        self.duties(store);
        let opened =
            self.state.by_age().into_iter().filter(|(since, _)| *since == self.state.commits);
        assert_eq!(commit.duties().count(), opened.count(), "the duties of a commit");
        self.notices(runs, limits, commit);
    }

    fn notices(&mut self, runs: &[usize], limits: &[Limits; 2], commit: &Commit) {
        let mut expected = vec![];
        for run in runs.iter().map(|run| &self.state.runs[*run]).filter(|run| run.is_open()) {
            let limits = &limits[run.namespace];
            let (suggest, warn) =
                (run.len() >= limits.suggest_events, run.len() > limits.warn_events);
            assert_eq!(commit.suggests_continue_as_new(&run.id), suggest);
            expected.extend((suggest || warn).then_some((run.id, run.len(), suggest, warn)));
        }
        let found = commit.notices().iter();
        let found: Vec<_> =
            found.map(|it| (it.run, it.events, it.suggest_continue_as_new, it.warn)).collect();
        assert_eq!(found, expected, "the notices");
        self.done.notices += u64::try_from(found.len()).unwrap();
    }

    /// The ids of the children that the store started by itself.
    pub(crate) fn learn_ids(&mut self, store: &Store) {
        let unknown = |run: &usize| self.state.runs[*run].id.as_bytes()[0] == STAND_IN;
        for run in (0..self.state.runs.len()).filter(unknown).collect::<Vec<_>>() {
            let run = &self.state.runs[run];
            let What::Started { parent: Some((parent, initiated)), .. } = run.events[0].what else {
                panic!("a run that nobody named");
            };
            let history = store.history(&parent).unwrap();
            let id = history.iter().find_map(|event| match event.unwrap().body() {
                kinlog::Body::ChildWorkflowExecutionStarted(it)
                    if it.initiated_event_id == initiated =>
                {
                    Some(it.run_id)
                }
                _ => None,
            });
            let from = run.id;
            self.state.rename(from, id.expect("the child was not started"));
        }
    }

    /// Keeps a snapshot for later, or looks at one again.
    fn hold(&mut self, store: &Store) {
        if self.held.len() < 4 {
            return self.held.push((store.snapshot(), self.state.clone()));
        }
        let i = self.rng.below(self.held.len());
        let (snapshot, state) = self.held.swap_remove(i);
        self.note(|| format!("  look at commit {} again", state.commits));
        check::everything(&snapshot, &state, &mut self.rng);
    }

    pub(crate) fn change_limits(&mut self, store: &Store) {
        let mut limits = tight();
        let more = |rng: &mut Rng, of: &mut u32| *of += rng.number(3);
        let rng = &mut self.rng;
        more(rng, &mut limits.open_children);
        more(rng, &mut limits.open_activities);
        more(rng, &mut limits.open_signals);
        more(rng, &mut limits.open_cancels);
        more(rng, &mut limits.history_events);
        self.note(|| format!("  {limits:?}"));
        self.write_limits(store, limits);
    }

    fn set_limits(&mut self, limits: Limits) {
        let store = self.store.take().unwrap();
        self.write_limits(&store, limits);
        self.store = Some(store);
    }

    fn write_limits(&mut self, store: &Store, limits: Limits) {
        store.set_limits(NAMESPACES[1], limits).unwrap();
        self.state.limits[1] = limits;
        self.state.commits += 1;
    }
}

/// A namespace that is soon full.
fn tight() -> Limits {
    let mut limits = Limits::default();
    (limits.history_events, limits.suggest_events, limits.warn_events) = (18, 8, 11);
    (limits.open_children, limits.open_activities) = (2, 2);
    (limits.open_signals, limits.open_cancels) = (1, 1);
    limits
}
