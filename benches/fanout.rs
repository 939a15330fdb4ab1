//! A parent closes: what follows is planned and applied, for few children and for many, in a store
//! that holds little else and in one that holds much; children are listed, chains are looked up.
//!
//! The goals: 1,000 children planned in 50 us and applied durably in 1 ms plus one sync; linear in
//! the children, flat in the size of the store.

#![allow(missing_docs, clippy::unwrap_used, dead_code)]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Close, Durability, NewChild, NewRun, NextRun, ParentClosePolicy, RunId, Store};
use support::{Bare, Scratch};

const CHILDREN: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];
/// Runs in the large store besides those that are measured; in the small one there are none.
const OTHERS: u32 = 500_000;
const AT_ONCE: u32 = 1_000;

/// A store without limits that holds `others` runs.
fn store(scratch: &Scratch, others: u32) -> Store {
    let store = scratch.open();
    for first in (0..others).step_by(AT_ONCE as usize) {
        let mut tx = store.begin();
        for number in first..others.min(first + AT_ONCE) {
            tx.start(NewRun::new("bench", &format!("other-{number}"), "Other")).unwrap();
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    store
}

/// A parent with open children, half of which are to be terminated, half asked to cancel.
fn family(store: &Store, children: u32) -> RunId {
    let mut tx = store.begin();
    let name = format!("parent-{}", store.end());
    let parent = tx.start(NewRun::new("bench", &name, "Parent")).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
    for first in (0..children).step_by(AT_ONCE as usize) {
        let mut tx = store.begin();
        for number in first..children.min(first + AT_ONCE) {
            let policy = match number % 2 {
                0 => ParentClosePolicy::Terminate,
                _ => ParentClosePolicy::RequestCancel,
            };
            let workflow_id = format!("{name}/{number}");
            let child = NewChild::new(&workflow_id, "Child").on_parent_close(policy);
            tx.spawn_child(&parent, child).unwrap();
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    parent
}

fn stores() -> [(&'static str, u32); 2] {
    [("small", 0), ("large", OTHERS)]
}

fn plan(c: &mut Criterion) {
    for (size, others) in stores() {
        let scratch = Scratch::new();
        let store = store(&scratch, others);
        let mut group = c.benchmark_group(format!("fanout/plan-{size}"));
        for children in CHILDREN {
            let parent = family(&store, children);
            let commit = store.close(&parent, Close::completed(b"")).unwrap();
            group.throughput(Throughput::Elements(children.into()));
            group.bench_function(BenchmarkId::from_parameter(children), |b| {
                b.iter(|| assert_eq!(black_box(commit.duties().count()), children as usize));
            });
        }
        group.finish();
    }
}

fn apply(c: &mut Criterion) {
    for (size, others) in stores() {
        let scratch = Scratch::new();
        let store = store(&scratch, others);
        let mut group = c.benchmark_group(format!("fanout/apply-{size}"));
        group.sample_size(10);
        for children in CHILDREN {
            group.throughput(Throughput::Elements(children.into()));
            group.bench_function(BenchmarkId::new("kinlog", children), |b| {
                b.iter_custom(|rounds| (0..rounds).map(|_| fan_out(&store, children).0).sum());
            });
            let bytes = fan_out(&store, children).1;
            let mut bare = Bare::new(&scratch);
            let page = vec![7; usize::try_from(bytes).unwrap()];
            group.bench_function(BenchmarkId::new("bare", children), |b| {
                b.iter(|| bare.write_and_sync(&page));
            });
        }
        group.finish();
    }
}

/// Closes a parent and settles what follows, until it is on the device; how long the latter takes,
/// and the bytes that it adds to the log.
fn fan_out(store: &Store, children: u32) -> (Duration, u64) {
    let parent = family(store, children);
    store.close(&parent, Close::completed(b"")).unwrap();
    let before = store.end().as_u64();
    let started = Instant::now();
    let settled = store.settle_all().unwrap();
    let took = started.elapsed();
    assert_eq!(settled.duties, u64::from(children));
    (took, store.end().as_u64() - before)
}

fn children(c: &mut Criterion) {
    let scratch = Scratch::new();
    let store = store(&scratch, 0);
    let mut group = c.benchmark_group("fanout/children");
    for children in [10, 1_000, 100_000] {
        let parent = family(&store, children);
        group.throughput(Throughput::Elements(children.into()));
        group.bench_function(BenchmarkId::from_parameter(children), |b| {
            b.iter(|| {
                let listed = store.children(&parent).unwrap().map(|child| child.unwrap());
                assert_eq!(black_box(listed).count(), children as usize);
            });
        });
    }
    group.finish();
}

fn chains(c: &mut Criterion) {
    let scratch = Scratch::new();
    let store = store(&scratch, 0);
    let mut group = c.benchmark_group("fanout/current-run-of-chain");
    for runs in [1, 1_000, 100_000] {
        let name = format!("chain-{runs}");
        let mut tx = store.begin();
        let first = tx.start(NewRun::new("bench", &name, "Chain")).unwrap();
        let mut last = first;
        for number in 1..runs {
            last = tx.continue_as_new(&last, NextRun::new("Chain")).unwrap();
            if number % AT_ONCE == 0 {
                tx.commit_with(Durability::Buffered).unwrap();
                tx = store.begin();
            }
        }
        tx.commit_with(Durability::Buffered).unwrap();
        group.bench_function(BenchmarkId::from_parameter(runs), |b| {
            b.iter(|| {
                assert_eq!(black_box(store.chain(&first).unwrap()).current().id, last);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, plan, apply, children, chains);
criterion_main!(benches);
