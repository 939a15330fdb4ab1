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
use support::{Bare, Scratch, family, freeze, start_closed, start_many};
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
    let mut settled = None;
    let took = timed(|| settled = Some(store.settle_all().unwrap()));
    assert_eq!(settled.unwrap().duties, u64::from(children));
    (took, log_bytes() - before)
}

/// The same where parent and children are in files of the index before the parent closes: the first look at each.
fn frozen(c: &mut Criterion) {
    const CHILDREN: u32 = 1_000;
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut group = c.benchmark_group("fanout/frozen");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    // Tens of MiB are written before each round.
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_millis(10));
    let closed = || {
        let parent = family(&store, CHILDREN);
        freeze(&store);
        store.close_run(&parent, Close::completed(b"")).unwrap()
    };
    group.bench_function("plan", |b| {
        b.iter_custom(|rounds| {
            let round = |_| {
                let commit = closed();
                let listed = timed(|| assert_eq!(commit.duties().count(), CHILDREN as usize));
                store.settle_all().unwrap();
                listed
            };
            (0..rounds).map(round).sum()
        });
    });
    group.bench_function("apply", |b| {
        b.iter_custom(|rounds| {
            let round = |_| {
                closed();
                timed(|| drop(store.settle_all().unwrap()))
            };
            (0..rounds).map(round).sum()
        });
    });
    group.finish();
    let parent = family(&store, CHILDREN);
    store.close_run(&parent, Close::completed(b"")).unwrap();
    store.settle_all().unwrap();
    let runs = start_closed(&store, 20_000);
    let children = || assert_eq!(store.children(&parent).unwrap().count(), CHILDREN as usize);
    let mut group = c.benchmark_group("fanout/frozen");
    group.bench_function("children-hot", |b| b.iter(children));
    freeze(&store);
    group.bench_function("children", |b| b.iter(children));
    // Far apart, so that no look at one is near the last one.
    let mut far = runs.iter().cycle().step_by(4_099);
    group.bench_function("run", |b| b.iter(|| store.run(far.next().unwrap()).unwrap()));
    group.finish();
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
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

criterion_group!(name = benches; config = quick(); targets = frozen, fan_outs);
criterion_main!(benches);
