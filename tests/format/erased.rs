//! Erased runs: whatever was erased and compacted, everything else reads as before, from the index and from the log alone.

use std::collections::BTreeMap;

use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Close, Error, NewChild, NewReset, NewRun, NextRun, Options, Result, RunFilter, RunId, RunInfo,
    RunStatus, Store,
};
use kinlog_testing::Rng;
use kinlog_testing::files::{Image, directory, small_segments};
use kinlog_testing::steps::marker;

use super::{agree_on_verdict, json, read, same};

const SEGMENT_BYTES: u32 = 1 << 16;

/// Families that come and go at random.
struct Churn {
    dir: tempfile::TempDir,
    store: Option<Store>,
    random: Rng,
    workflows: u32,
    erased: u64,
}

impl Churn {
    fn new(seed: u64) -> Self {
        let (dir, random) = (directory(), Rng::new(seed));
        let mut churn = Churn { dir, store: None, random, workflows: 0, erased: 0 };
        churn.open();
        churn
    }

    fn open(&mut self) {
        self.store = None;
        if self.random.chance(50) {
            // It is built from the log alone then.
            let _ = std::fs::remove_dir_all(self.dir.path().join("index"));
        }
        let memory = self.random.pick(&[0, 20_000, 1 << 28]);
        let options = Options::new().segment_bytes(SEGMENT_BYTES).memory_bytes(memory);
        self.store = Some(options.open(self.dir.path()).unwrap());
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// An id of a workflow of its own, or one that comes again and again.
    fn workflow(&mut self) -> String {
        self.workflows += 1;
        match self.random.chance(30) {
            true => format!("again-{}", self.random.below(3)),
            false => format!("workflow-{}", self.workflows),
        }
    }

    fn runs(&self) -> Vec<RunInfo> {
        self.store().snapshot().runs(RunFilter::all()).map(Result::unwrap).collect()
    }

    fn any_run(&mut self, open: bool) -> Option<RunId> {
        let runs = self.runs().into_iter().filter(|run| (run.status == RunStatus::Running) == open);
        let runs: Vec<RunId> = runs.map(|run| run.id).collect();
        (!runs.is_empty()).then(|| self.random.pick(&runs))
    }

    /// One change. What is refused changes nothing.
    fn step(&mut self) -> Result<()> {
        let (workflow, types) = (self.workflow(), ["Order", "Shipment"]);
        let of_type = self.random.pick(&types);
        let kind = self.random.below(20);
        let (open, closed) = (self.any_run(true), self.any_run(false));
        let Some(open) = open.filter(|_| kind > 3) else {
            let store = self.store();
            return store
                .transact(|tx| tx.start(NewRun::new("shop", &workflow, of_type)))
                .map(drop);
        };
        let note = self.random.draw().to_le_bytes().repeat(20);
        let keep = if self.random.chance(80) { Keep::Nothing } else { Keep::Outcome };
        let store = self.store();
        match kind {
            4..=6 => {
                store.transact(|tx| tx.spawn_child(&open, NewChild::new(&workflow, of_type)))?;
            }
            7 | 8 => drop(store.transact(|tx| tx.append(&open, marker(&note)))?),
            9 | 10 => drop(store.transact(|tx| tx.continue_as_new(&open, NextRun::new(of_type)))?),
            11 => drop(store.close_run(&open, Close::completed(&note))?),
            12 => drop(store.settle_all()?),
            13 | 14 => drop(store.delete_tree(&open, keep, "churn")?),
            15 => {
                let base = closed.unwrap_or(open);
                store.transact(|tx| tx.reset(&base, NewReset::to(1)))?;
            }
            16 => {
                let mut tx = store.begin();
                tx.put("orders", &note[..2], &note)?;
                tx.commit()?;
            }
            _ => {
                let run = closed.unwrap_or(open);
                store.transact(|tx| tx.delete_run(&run, keep))?;
            }
        }
        Ok(())
    }

    /// What there is to see, but for deleted runs of which nothing was kept.
    fn portrait(&self) -> BTreeMap<&'static str, String> {
        let store = self.store();
        let rows = json::rows(store);
        let rows = rows.lines().filter(|row| !row.contains("kinlog.deleted"));
        let list = |runs: Vec<RunInfo>| runs.iter().map(|run| format!("{run:?}\n")).collect();
        let names = self.runs().into_iter().map(|run| run.workflow_id).chain(["again-0".into()]);
        let current = names.map(|name| format!("{:?}\n", store.current_run("shop", &name)));
        let chains = self.runs().into_iter().map(|run| {
            let chain = store.chain(&run.id).unwrap();
            let runs: Vec<RunId> = chain.runs().map(|run| run.unwrap().id).collect();
            format!("{runs:?} {:?}\n", store.chain_size(&run.id))
        });
        BTreeMap::from([
            ("events", json::events(store)),
            ("kin", json::kin(store)),
            ("rows", rows.map(|row| format!("{row}\n")).collect()),
            ("runs", list(self.runs())),
            ("current", current.collect()),
            ("chains", chains.collect()),
            ("size", format!("{:?}", store.namespace_size("shop"))),
        ])
    }

    /// Erases and compacts, and opens the store again: nothing that is there may change.
    fn maintain(&mut self) {
        let before = self.portrait();
        let same_as = |found: BTreeMap<&str, String>, when: &str| {
            for (what, found) in found {
                assert_eq!(found, before[what], "{what} {when}");
            }
        };
        if self.random.chance(70) {
            self.erased += self.store().erase().unwrap().runs;
            same_as(self.portrait(), "once erased");
        }
        let percent = self.random.pick(&[0, 0, 20, 60]);
        let compaction = Compaction::new().dead_percent(percent);
        let packs = self.random.chance(40);
        self.store().compact(&if packs { compaction.pack() } else { compaction }).unwrap();
        same_as(self.portrait(), "once compacted");
        self.open();
        same_as(self.portrait(), "opened again");
        self.store().verify(|_| ()).unwrap();
        let path = self.dir.path();
        if let Some(kin) = read(path, &["--kin"]) {
            same(&kin, &before["kin"]);
            same(&read(path, &[]).unwrap(), &before["events"]);
            same(&read(path, &["--rows"]).unwrap(), &json::rows(self.store()));
        }
    }
}

/// `KINLOG_TREES` sets how many worlds there are.
#[test]
fn whatever_is_erased_all_else_reads_as_before() {
    let worlds = std::env::var("KINLOG_TREES").map_or(2, |worlds| worlds.parse().unwrap());
    for seed in 0..worlds {
        let mut churn = Churn::new(seed);
        for _ in 0..5 {
            for _ in 0..150 {
                let _ = churn.step();
            }
            println!("seed {seed}: {} runs, {} erased", churn.runs().len(), churn.erased);
            churn.maintain();
        }
        assert!(churn.erased > 20, "{} erased", churn.erased);
    }
}

/// The independent reader refused the row of a key in a segment that was compacted.
#[test]
fn keys_of_events_in_a_compacted_segment_are_read() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order"))).unwrap().0;
    store.transact(|tx| tx.append(&run, marker(b"").key(7))).unwrap();
    while store.end().as_u64() < u64::from(SEGMENT_BYTES) * 2 {
        store.transact(|tx| tx.put("filling", b"row", &[7; 9_000])).unwrap();
    }
    assert!(store.compact(&Compaction::new().dead_percent(0)).unwrap().rewritten > 0);
    store.shut_down().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    assert_eq!(store.event_by_key(&run, 7).unwrap(), Some(2));
    if let Some(kin) = read(dir.path(), &["--kin"]) {
        same(&kin, &json::kin(&store));
    }
}

/// Of everything that was started, deleted and erased, nothing is left, and its numbers are not used again.
#[test]
fn nothing_is_left_of_runs_that_nobody_refers_to() {
    let dir = directory();
    let store = Options::new().segment_bytes(SEGMENT_BYTES).open(dir.path()).unwrap();
    let start = |workflow: &str| {
        let start =
            |tx: &mut kinlog::Transaction<'_>| tx.start(NewRun::new("shop", workflow, "Order"));
        store.transact(start).unwrap().0
    };
    let first = start("first");
    let mut gone = vec![];
    for number in 0..100 {
        let parent = start(&format!("secret-{number}"));
        let child = NewChild::new("secret-child", "Order");
        let child = store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
        let next =
            store.transact(|tx| tx.continue_as_new(&child, NextRun::new("Order"))).unwrap().0;
        store.delete_tree(&parent, Keep::Nothing, "").unwrap();
        gone.extend([parent, child, next]);
    }
    let erased = store.erase().unwrap();
    assert_eq!((erased.runs, erased.left), (300, 0));
    while store.end().as_u64() < u64::from(SEGMENT_BYTES) * 8 {
        store.transact(|tx| tx.put("filling", b"row", &[7; 30_000])).unwrap();
    }
    store.compact(&Compaction::new().dead_percent(0)).unwrap();
    for run in &gone {
        assert!(matches!(store.run(run), Err(Error::RunNotFound { .. })));
    }
    let stats = store.stats().unwrap();
    assert_eq!((stats.runs, stats.deleted_runs, stats.deleted_histories.runs), (1, 0, 0));
    drop(store);
    let files = std::fs::read_dir(dir.path().join("log")).unwrap();
    for file in files.map(|file| std::fs::read(file.unwrap().path()).unwrap()) {
        let has = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
        assert!(!has(b"secret"), "a workflow's id is left");
        assert!(gone.iter().all(|run| !has(run.as_bytes())), "a run's id is left");
    }
    let store = Options::new().check_log(true).open(dir.path()).unwrap();
    assert!(store.run(&first).is_ok());
    let again = |store: &Store| {
        let run = store.transact(|tx| tx.start(NewRun::new("shop", "again", "Order"))).unwrap().0;
        store.close_run(&run, Close::completed(b"")).unwrap();
        store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
        assert_eq!(store.erase().unwrap().runs, 1);
        store.verify(|_| ()).unwrap();
    };
    // With the index from before, and with one that is built anew.
    again(&store);
    drop(store);
    let _ = std::fs::remove_dir_all(dir.path().join("index"));
    let store = Options::new().open(dir.path()).unwrap();
    again(&store);
    if let Some(kin) = read(dir.path(), &["--kin"]) {
        same(&kin, &json::kin(&store));
    }
}

/// The segment that a compaction made of the first one after an erasure, beside a log that has gone on without that.
#[test]
fn a_run_whose_beginning_is_missing_and_that_was_not_erased_is_damage() {
    let dir = directory();
    let path = dir.path();
    let store = small_segments().open(path).unwrap();
    let start = |store: &Store, id: &str| {
        store.transact(|tx| tx.start(NewRun::new("shop", id, "Order"))).unwrap().0
    };
    start(&store, "first");
    let run = start(&store, "gone");
    let fill = |store: &Store, number: u64| {
        while store.end().as_u64() < number * u64::from(SEGMENT_BYTES) {
            store.transact(|tx| tx.put("filling", b"row", &[7; 10_000])).unwrap();
        }
    };
    // The run ends in the second segment.
    fill(&store, 1);
    store.close_run(&run, Close::completed(b"")).unwrap();
    store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
    store.shut_down().unwrap();
    let before = Image::read_but_lock(path);

    let store = small_segments().open(path).unwrap();
    assert_eq!(store.erase().unwrap().runs, 1);
    let second = kinlog::Position::from_u64(u64::from(SEGMENT_BYTES) + 4096);
    let compaction = Compaction::new().dead_percent(0).keep_from(second);
    fill(&store, 3);
    assert_eq!(store.compact(&compaction).unwrap().rewritten, 1);
    store.shut_down().unwrap();
    let erased = Image::read_but_lock(path);
    assert!(read(path, &["--kin"]).is_none_or(|kin| kin.is_empty()));

    let other = directory();
    before.write(other.path());
    let store = small_segments().open(other.path()).unwrap();
    fill(&store, 4);
    store.shut_down().unwrap();
    let mut image = Image::read_but_lock(other.path());
    image.0.retain(|name, _| !name.starts_with("index"));
    *image.segment_mut(0) = erased.segment(0).to_vec();
    let mixed = directory();
    image.write(mixed.path());
    let opened = Options::new().create(false).open(mixed.path());
    assert!(matches!(opened, Err(Error::Corrupt(_))), "{opened:?}");
    assert!(agree_on_verdict(mixed.path()).is_none_or(|verdict| verdict.is_err()));
}
