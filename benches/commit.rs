//! Commits that are on the device when they return: of few events and of many, from one thread and
//! from many; beside the bare device writing and syncing the same bytes.
//!
//! The goals: one event in 1.1 times the bare loop, 64 and 1,024 at 80 % of its bytes a second, 16
//! threads ten times as many as one.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{RunId, Store};
use support::{Bare, Scratch, commit_bytes, event, start_many};
use timed::quick;

const PAYLOAD: [u8; 240] = [7; 240];

fn events(c: &mut Criterion) {
    for events in [1u32, 64, 1024] {
        let mut group = c.benchmark_group(format!("commit/events-{events}"));
        group.throughput(Throughput::Elements(events.into()));
        let scratch = Scratch::new();
        let (store, run) = scratch.store();
        let mut commits = 0;
        group.bench_function("kinlog", |b| {
            b.iter(|| {
                let mut tx = store.begin();
                for _ in 0..events {
                    tx.append(&run, event(&PAYLOAD)).unwrap();
                }
                tx.commit().unwrap();
                commits += 1;
            });
        });
        assert_eq!(store.history(&run).unwrap().len(), 1 + events * commits);
        drop(store);
        let mut bare = Bare::new(&scratch);
        let frame = vec![7; commit_bytes(events as usize, PAYLOAD.len())];
        group.bench_function("bare", |b| b.iter(|| bare.write_and_sync(&frame)));
        group.finish();
    }
}

/// Each run gets a thread that commits one event `rounds` times; the time for all.
fn together(store: &Store, runs: &[RunId], rounds: u64) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for run in runs {
            scope.spawn(move || {
                for _ in 0..rounds {
                    store.append(run, event(&PAYLOAD)).unwrap();
                }
            });
        }
    });
    started.elapsed()
}

fn threads(c: &mut Criterion) {
    for threads in [1u32, 16] {
        let mut group = c.benchmark_group(format!("commit/threads-{threads}"));
        group.throughput(Throughput::Elements(threads.into()));
        let scratch = Scratch::new();
        let store = scratch.open();
        let runs = start_many(&store, threads);
        let mut commits = 0;
        group.bench_function("kinlog", |b| {
            b.iter_custom(|rounds| {
                commits += rounds;
                together(&store, &runs, rounds)
            });
        });
        for run in &runs {
            assert_eq!(u64::from(store.history(run).unwrap().len()), 1 + commits);
        }
        drop(store);
        // What the threads commit at a time, in one group.
        let mut bare = Bare::new(&scratch);
        let frames = vec![7; threads as usize * commit_bytes(1, PAYLOAD.len())];
        group.bench_function("bare", |b| b.iter(|| bare.write_and_sync(&frames)));
        group.finish();
    }
}

criterion_group!(name = benches; config = quick(); targets = events, threads);
criterion_main!(benches);
