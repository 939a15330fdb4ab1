//! Appending: one event or many per commit, durable and buffered, one thread and many; each beside
//! the bare device writing and syncing the same bytes.

#![allow(missing_docs, clippy::unwrap_used, dead_code)]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Durability, Expect, RunId, Store};
use support::{Bare, COMMIT_OVERHEAD, EVENT_OVERHEAD, Scratch, event, start};

fn commit(store: &Store, run: &RunId, payload: &[u8], events: usize, durability: Durability) {
    let mut tx = store.begin();
    for _ in 0..events {
        tx.append(run, event(payload)).unwrap();
    }
    black_box(tx.commit_with(durability).unwrap());
}

fn durable(c: &mut Criterion) {
    for events in [1usize, 64, 1024] {
        let payload = [7; 240];
        let bytes = COMMIT_OVERHEAD + events * (EVENT_OVERHEAD + payload.len());
        let mut group = c.benchmark_group(format!("append/durable-{events}"));
        group.throughput(Throughput::Elements(events as u64));
        let scratch = Scratch::new();
        let (store, run) = scratch.store();
        group.bench_function("kinlog", |b| {
            b.iter(|| commit(&store, &run, &payload, events, Durability::Sync));
        });
        drop(store);
        let mut bare = Bare::new(&scratch);
        let frame = vec![7; bytes];
        group.bench_function("bare", |b| b.iter(|| bare.write_and_sync(&frame)));
        group.finish();
    }
}

fn buffered(c: &mut Criterion) {
    let payload = [7; 120];
    let bytes = COMMIT_OVERHEAD + 3 * (EVENT_OVERHEAD + payload.len());
    let mut group = c.benchmark_group("append/buffered-3");
    group.throughput(Throughput::Elements(3));
    let scratch = Scratch::new();
    let (store, run) = scratch.store();
    group.bench_function("kinlog", |b| {
        b.iter(|| commit(&store, &run, &payload, 3, Durability::Buffered));
    });
    group.bench_function("kinlog-submit", |b| {
        b.iter(|| {
            let mut tx = store.begin();
            for _ in 0..3 {
                tx.append(&run, event(&payload)).unwrap();
            }
            black_box(tx.submit(Durability::Buffered).unwrap());
        });
    });
    drop(store);
    let mut bare = Bare::new(&scratch);
    let frame = vec![7; bytes];
    group.bench_function("bare", |b| b.iter(|| bare.write(&frame)));
    group.finish();
}

/// `threads` threads commit one event each, durably, `rounds` times; the time for all.
fn together(store: &Store, runs: &[RunId], rounds: u64) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for run in runs {
            scope.spawn(move || {
                for _ in 0..rounds {
                    let mut tx = store.begin();
                    tx.expect(run, Expect::Any).unwrap();
                    tx.append(run, event(&[7; 240])).unwrap();
                    tx.commit().unwrap();
                }
            });
        }
    });
    started.elapsed()
}

fn threads(c: &mut Criterion) {
    for threads in [1u32, 16] {
        let mut group = c.benchmark_group(format!("append/threads-{threads}"));
        group.throughput(Throughput::Elements(u64::from(threads)));
        let scratch = Scratch::new();
        let (store, _) = scratch.store();
        let runs: Vec<_> = (1..=threads).map(|n| start(&store, n)).collect();
        group.bench_function("kinlog", |b| b.iter_custom(|rounds| together(&store, &runs, rounds)));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = durable, buffered, threads
}
criterion_main!(benches);
