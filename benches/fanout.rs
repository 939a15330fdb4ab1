//! A parent closes: what follows is planned and applied, for few children and for many, in a store
//! that holds little else and in one that holds much; beside the bare device writing as much.
//!
//! The goals: 1,000 children planned in 50 us and applied durably in 1 ms plus one sync; linear in
//! the children, flat in the size of the store.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use kinlog::{Close, Store};
use support::{Bare, Scratch, family, start_many};
use timed::quick;

/// How many other runs there are.
const STORES: [(&str, u32); 2] = [("small", 0), ("large", 500_000)];

fn plan(c: &mut Criterion, store: &Store, size: &str) {
    let mut group = c.benchmark_group(format!("fanout/plan-{size}"));
    for children in [10, 1_000, 100_000] {
        let parent = family(store, children);
        let commit = store.close_run(&parent, Close::completed(b"")).unwrap();
        group.throughput(Throughput::Elements(children.into()));
        group.bench_function(BenchmarkId::new("kinlog", children), |b| {
            b.iter(|| assert_eq!(commit.duties().count(), children as usize));
        });
        let list: Vec<_> = commit.duties().map(Result::unwrap).collect();
        group.bench_function(BenchmarkId::new("vec", children), |b| {
            b.iter(|| black_box(&list).clone());
        });
        store.settle_all().unwrap();
    }
    group.finish();
}

fn apply(c: &mut Criterion, store: &Store, size: &str, bare: &mut Bare) {
    let mut group = c.benchmark_group(format!("fanout/apply-{size}"));
    // Children are made before each round, which is not measured and takes longer.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_millis(500));
    for children in [10, 1_000, 10_000] {
        group.throughput(Throughput::Elements(children.into()));
        group.bench_function(BenchmarkId::new("kinlog", children), |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| fan_out(store, children).0).sum());
        });
        let page = vec![7; usize::try_from(fan_out(store, children).1).unwrap()];
        group.bench_function(BenchmarkId::new("bare", children), |b| {
            b.iter(|| bare.write_and_sync(&page));
        });
    }
    group.finish();
}

/// Closes a parent and settles what follows, until it is on the device; how long the latter takes,
/// and the bytes that it adds to the log.
fn fan_out(store: &Store, children: u32) -> (Duration, u64) {
    let parent = family(store, children);
    store.close_run(&parent, Close::completed(b"")).unwrap();
    let log_bytes = || store.stats().unwrap().log_bytes();
    let before = log_bytes();
    let started = Instant::now();
    let settled = store.settle_all().unwrap();
    let took = started.elapsed();
    assert_eq!(settled.duties, u64::from(children));
    (took, log_bytes() - before)
}

fn fan_outs(c: &mut Criterion) {
    for (size, others) in STORES {
        let scratch = Scratch::new();
        let store = scratch.open();
        start_many(&store, others);
        plan(c, &store, size);
        apply(c, &store, size, &mut Bare::new(&scratch));
    }
}

criterion_group!(name = benches; config = quick(); targets = fan_outs);
criterion_main!(benches);
