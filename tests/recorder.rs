//! What a store tells its recorder: every metric by its name, and the numbers that are so.

#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use kinlog::recorder::{Label, METRICS, Metric, MetricKind, Recorder, Unit};
use kinlog::retention::{Compaction, Maintenance};
use kinlog::{Durability, Error, Expect, NewRun, Options, RowIs, Store};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::small_segments;

/// All values told, by the name and the labels.
#[derive(Default)]
struct Told {
    values: Mutex<BTreeMap<String, Vec<f64>>>,
    /// To read it at every call: that would wait for ever if a lock were held.
    store: OnceLock<Weak<Store>>,
}

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
}

impl Told {
    fn take(&self, kind: MetricKind, metric: &Metric, labels: &[Label], value: f64) {
        assert_eq!(metric.kind, kind, "{}", metric.name);
        assert!(METRICS.contains(metric), "{}", metric.name);
        let labels: String =
            labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let name = metric.name.to_owned() + &labels;
        self.values.lock().unwrap().entry(name).or_default().push(value);
        if !READING.replace(true) {
            if let Some(store) = self.store.get().and_then(Weak::upgrade) {
                assert!(store.snapshot().end() <= store.end());
                store.stats().unwrap();
            }
            READING.set(false);
        }
    }

    fn values(&self, name: &str) -> Vec<f64> {
        self.values.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    fn sum(&self, name: &str) -> f64 {
        self.values(name).iter().sum()
    }

    fn names(&self) -> Vec<String> {
        let values = self.values.lock().unwrap();
        let mut names: Vec<_> = values.keys().map(|name| first_word(name).to_owned()).collect();
        names.dedup();
        names
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap()
}

impl Recorder for Told {
    fn add(&self, metric: &Metric, labels: &[Label], n: u64) {
        self.take(MetricKind::Counter, metric, labels, f64::from(u32::try_from(n).unwrap()));
    }

    fn set(&self, metric: &Metric, labels: &[Label], value: f64) {
        self.take(MetricKind::Gauge, metric, labels, value);
    }

    fn observe(&self, metric: &Metric, labels: &[Label], value: f64) {
        self.take(MetricKind::Histogram, metric, labels, value);
    }
}

fn open(options: Options, directory: &std::path::Path) -> (Arc<Told>, Arc<Store>) {
    let told = Arc::new(Told::default());
    let store = Arc::new(options.recorder(told.clone()).open(directory).unwrap());
    told.store.set(Arc::downgrade(&store)).unwrap();
    (told, store)
}

fn put(store: &Store, key: u32, durability: Durability) {
    let mut tx = store.begin();
    tx.put("rows", &key.to_le_bytes(), &[1; 1_000]).unwrap();
    tx.commit_with(durability).unwrap();
}

#[test]
fn commits_rounds_and_refusals_are_told_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (told, store) = open(small_segments(), dir.path());
    let begin = store.end().as_u64();
    for key in 0..10 {
        put(&store, key, if key < 3 { Durability::Sync } else { Durability::Buffered });
    }
    assert_eq!(told.sum("kinlog_commits_total durability=sync"), 3.0);
    assert_eq!(told.sum("kinlog_commits_total durability=buffered"), 7.0);
    assert_eq!(told.values("kinlog_commit_seconds durability=sync").len(), 3);
    let written = (store.end().as_u64() - begin) as f64;
    assert_eq!(told.sum("kinlog_commit_bytes"), written);
    assert_eq!(told.sum("kinlog_round_bytes"), written);
    assert_eq!(told.values("kinlog_sync_seconds").len(), 3);
    let end = told.values("kinlog_log_end_bytes");
    assert_eq!(end.last(), Some(&(store.end().as_u64() as f64)));
    assert!(told.values("kinlog_log_durable_bytes").last() < end.last());
    assert_eq!(told.values("kinlog_open_seconds").len(), 1);

    let mut late = store.begin();
    let _ = late.get("rows", &1_u32.to_le_bytes()).unwrap();
    put(&store, 1, Durability::Buffered);
    late.put("rows", b"late", b"").unwrap();
    assert!(matches!(late.commit(), Err(Error::Overtaken { .. })));
    let mut wrong = store.begin();
    wrong.put("rows", b"wrong", b"").unwrap();
    wrong.require("rows", b"absent", RowIs::Absent).unwrap();
    put(&store, 2, Durability::Buffered);
    wrong.commit().unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order"))).unwrap().0;
    let mut stated = store.begin();
    stated.expect(&run, Expect::NextEvent(2)).unwrap();
    stated.put("rows", b"stated", b"").unwrap();
    store.close_run(&run, kinlog::Close::timed_out()).unwrap();
    assert!(matches!(stated.commit(), Err(Error::Conflict { .. })));
    assert_eq!(told.sum("kinlog_commits_refused_total retry=at_once"), 1.0);
    assert_eq!(told.sum("kinlog_commits_refused_total retry=after_reading"), 1.0);
}

/// A metric that nothing tells would be a promise that nobody keeps.
#[test]
fn every_metric_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let index_fails = Arc::new(AtomicBool::new(false));
    let disk = {
        let (fails, index_fails) = (fails.clone(), index_fails.clone());
        disk_with(move |op, path| {
            let synced = path.extension().filter(|_| op == Op::Sync);
            let fails = synced.is_some_and(|it| it == "seg") && fails.load(Ordering::SeqCst)
                || synced.is_some_and(|it| it == "idx") && index_fails.load(Ordering::SeqCst);
            if fails { Fate::Fails(ErrorKind::Other) } else { Fate::Done }
        })
    };
    let maintenance = Maintenance::every(Duration::MAX).compaction(Compaction::new());
    let options = small_segments().memory_bytes(0).disk(disk).maintenance(maintenance);
    let (told, store) = open(options, dir.path());
    let put_until_told = |name: &str| {
        while told.values(name).is_empty() {
            put(&store, 0, Durability::Sync);
        }
    };
    put_until_told("kinlog_index_merge_seconds");
    assert!(told.sum("kinlog_index_written_bytes_total") > 0.0);
    while store.maintain().unwrap().compacted.is_none_or(|done| done.rewritten == 0) {
        put(&store, 0, Durability::Sync);
    }
    let freed = told.sum("kinlog_compaction_freed_bytes_total");
    let written = told.sum("kinlog_compaction_written_bytes_total");
    let compacted = told.sum("kinlog_compacted_segments_total");
    assert_eq!(freed + written, compacted * f64::from(64 << 10));
    assert!(told.sum("kinlog_maintenance_rounds_total failed=false") >= 1.0);
    index_fails.store(true, Ordering::SeqCst);
    put_until_told("kinlog_index_failures_total");
    for key in 0..200 {
        put(&store, key, Durability::Buffered);
    }
    put(&store, 200, Durability::Sync);
    assert!(told.sum("kinlog_rolls_total") >= 2.0, "{}", told.sum("kinlog_rolls_total"));
    let mut late = store.begin();
    let _ = late.get("rows", &1_u32.to_le_bytes()).unwrap();
    put(&store, 1, Durability::Buffered);
    late.put("rows", b"late", b"").unwrap();
    assert!(late.commit().is_err());
    fails.store(true, Ordering::SeqCst);
    let mut tx = store.begin();
    tx.put("rows", b"lost", b"").unwrap();
    assert!(matches!(tx.commit(), Err(Error::OutcomeUnknown { .. })));
    assert_eq!(told.sum("kinlog_log_failures_total"), 1.0);
    assert!(store.maintain().is_err());
    assert_eq!(told.sum("kinlog_maintenance_rounds_total failed=true"), 1.0);
    let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    assert_eq!(told.names(), names);
}

#[test]
fn the_document_has_every_metric() {
    let document = std::fs::read_to_string("docs/metrics.md").unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `kinlog_"));
    let found: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    let expected: Vec<_> = METRICS.iter().collect();
    assert_eq!(found.len(), expected.len());
    for (row, metric) in found.iter().zip(expected) {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            _ => "histogram",
        };
        let unit = match metric.unit {
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            _ => "seconds",
        };
        assert_eq!([row[1], row[2], row[3], row[5]], [metric.name, kind, unit, metric.help]);
    }
}

/// A store that was moved finds that out at rest, and once more when it is closed.
#[test]
fn a_log_that_stops_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let told = Arc::new(Told::default());
    let store = small_segments().recorder(told.clone()).open(&path).unwrap();
    put(&store, 0, Durability::Sync);
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    assert!(matches!(store.rest(), Err(Error::Displaced { .. })));
    assert_eq!(told.values("kinlog_log_failures_total"), [1.0]);
    assert!(matches!(store.shut_down(), Err(Error::Displaced { .. })));
    assert_eq!(told.values("kinlog_log_failures_total"), [1.0]);
}

/// A round without a sync begins before a full segment comes to the device, and ends after it.
#[test]
fn what_is_told_to_be_on_the_device_never_falls() {
    let dir = tempfile::tempdir().unwrap();
    let ((sync, syncs), (write, writes), (entered, reached)) = (channel(), channel(), channel());
    let armed = Arc::new(AtomicBool::new(false));
    let (syncs, writes) = (Mutex::new(syncs), Mutex::new(writes));
    let disk = {
        let armed = armed.clone();
        disk_with(move |op, path| {
            if op == Op::Sync && path.ends_with("00000000.seg") {
                let _: Result<(), _> = syncs.lock().unwrap().recv();
            }
            if op == Op::Write && path.ends_with("00000001.seg") && armed.load(Ordering::SeqCst) {
                entered.send(()).unwrap();
                let _: Result<(), _> = writes.lock().unwrap().recv();
            }
            Fate::Done
        })
    };
    let (told, store) = open(small_segments().disk(disk), dir.path());
    let begin = store.end();
    let mut key = 0;
    while store.end().as_u64() < 64 << 10 {
        put(&store, key, Durability::Buffered);
        key += 1;
    }
    armed.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| put(&store, key, Durability::Buffered));
        reached.recv().unwrap();
        armed.store(false, Ordering::SeqCst);
        drop(sync);
        store.durable(begin).wait().unwrap();
        drop(write);
        writer.join().unwrap();
    });
    let durable = told.values("kinlog_log_durable_bytes");
    assert!(durable.is_sorted(), "{durable:?}");
    assert_eq!(durable.last(), Some(&(store.durable_end().unwrap().as_u64() as f64)));
}
