//! Opening: a store that was closed in order, and one that was not, whose log is replayed; beside
//! the checksum of the same bytes.
//!
//! The goals: a million runs after a clean close in 50 ms; after a kill, 1 GB of log a second; an empty store is made
//! in 5 ms.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Close, Durability, Options, RunId, Store, Verdict};
use support::{Scratch, event, start_many};
use timed::{Group, quick};

/// Starts runs of so many events besides the first, in commits of ten.
fn fill(store: &Store, runs: u32, events: u32, payload: &[u8]) -> Vec<RunId> {
    let runs = start_many(store, runs);
    for _ in 0..events / 10 {
        for run in &runs {
            let mut tx = store.begin();
            for _ in 0..10 {
                tx.append(run, event(payload)).unwrap();
            }
            tx.submit(Durability::Buffered).unwrap();
        }
    }
    store.sync().unwrap();
    runs
}

/// Nine runs of ten are closed, as in a store that has been in use for long.
fn clean(c: &mut Criterion) {
    let scratch = Scratch::new();
    let (runs, events) = (50_000, 10);
    let store = scratch.open();
    for (n, run) in fill(&store, runs, events, &[7; 24]).iter().enumerate() {
        if n % 10 > 0 {
            let mut tx = store.begin();
            tx.close_run(run, Close::completed(b"")).unwrap();
            tx.submit(Durability::Buffered).unwrap();
        }
    }
    let stats = store.stats().unwrap();
    store.shut_down().unwrap();
    let mut group = c.benchmark_group("open/clean");
    group.throughput(Throughput::Elements(runs.into()));
    group.bench_function(format!("kinlog/{runs}-runs"), |b| {
        b.iter(|| {
            let store = Store::open(scratch.path().join("store")).unwrap();
            assert_eq!(store.stats().unwrap().events, stats.events);
        });
    });
    crc(&mut group, stats.log_bytes());
    group.finish();
}

/// A copy of a store that is still open is one that was not closed. It is opened for reading only,
/// which changes nothing.
fn killed(c: &mut Criterion) {
    let scratch = Scratch::new();
    let (from, to) = (scratch.path().join("store"), scratch.path().join("copy"));
    let store = scratch.open();
    fill(&store, 2_000, 100, &[7; 240]);
    let stats = store.stats().unwrap();
    copy(&from, &to);
    drop(store);
    let mut group = c.benchmark_group("open/killed");
    group.throughput(Throughput::Bytes(stats.log_bytes()));
    group.bench_function(format!("kinlog/{}-events", stats.events), |b| {
        b.iter(|| {
            let store = Options::new().read_only(true).open(&to).unwrap();
            assert_eq!(store.report().commits, stats.commits);
        });
    });
    crc(&mut group, stats.log_bytes());
    group.finish();
}

/// A store that is made, in a directory and in memory, and shut down.
fn created(c: &mut Criterion) {
    let scratch = Scratch::new();
    let mut group = c.benchmark_group("open/created");
    let mut made = 0;
    group.bench_function("kinlog", |b| {
        b.iter(|| {
            made += 1;
            let store = Store::open(scratch.path().join(format!("store {made}"))).unwrap();
            assert_eq!(store.report().verdict, Verdict::Created);
        });
    });
    group.bench_function("kinlog/temporary", |b| b.iter(|| Store::temporary().unwrap()));
    group.finish();
}

fn crc(group: &mut Group<'_>, bytes: u64) {
    let bytes = vec![7; usize::try_from(bytes).unwrap()];
    group.bench_function("crc", |b| b.iter(|| crc32fast::hash(black_box(&bytes))));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

criterion_group! {
    name = benches;
    config = quick().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = clean, killed, created
}
criterion_main!(benches);
