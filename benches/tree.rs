//! Between runs: children, trees and chains are walked beside a `Vec` of as many numbers, and single
//! facts are looked up beside a `HashMap`.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Durability, NewChild, NewRun, NextRun, RunId, Store};
use support::{Scratch, family, start_many};
use timed::{Group, quick};

const AT_ONCE: u32 = 1_000;
const RUNS: u32 = 10_000;

/// Walks as many numbers as there are things to list.
fn walk(group: &mut Group<'_>, numbers: u32) {
    let list: Vec<_> = (0..numbers).collect();
    group.bench_function(BenchmarkId::new("vec", numbers), |b| {
        b.iter(|| black_box(&list).iter().fold(0, |sum: u32, n| sum.wrapping_add(*n)));
    });
}

fn children(c: &mut Criterion) {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut group = c.benchmark_group("tree/children");
    for children in [10, 1_000, 100_000] {
        let parent = family(&store, children);
        group.throughput(Throughput::Elements(children.into()));
        group.bench_function(BenchmarkId::new("kinlog", children), |b| {
            b.iter(|| {
                let listed = store.children(&parent).unwrap().map(|child| child.unwrap());
                assert_eq!(listed.count(), children as usize);
            });
        });
        walk(&mut group, children);
    }
    group.finish();
}

/// A run with ten children that have ten children, and so on; how many runs that makes.
fn grow(store: &Store, run: RunId, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let mut tx = store.begin();
    let ids = (0..10).map(|n| format!("{run}/{n}"));
    let spawned = ids.map(|id| tx.spawn_child(&run, NewChild::new(&id, "Child")).unwrap().run);
    let spawned: Vec<_> = spawned.collect();
    tx.commit_with(Durability::Buffered).unwrap();
    1 + spawned.into_iter().map(|child| grow(store, child, depth - 1)).sum::<u32>()
}

fn trees(c: &mut Criterion) {
    let scratch = Scratch::new();
    let (store, root) = scratch.store();
    let runs = grow(&store, root, 3);
    let mut group = c.benchmark_group("tree/tree");
    group.throughput(Throughput::Elements(runs.into()));
    group.bench_function(BenchmarkId::new("kinlog", runs), |b| {
        b.iter(|| {
            let nodes = store.tree(&root).unwrap().map(|node| node.unwrap().runs);
            assert_eq!(nodes.sum::<u64>(), u64::from(runs));
        });
    });
    group.bench_function(BenchmarkId::new("kinlog-size", runs), |b| {
        b.iter(|| assert_eq!(store.tree_size(&root).unwrap().runs, u64::from(runs)));
    });
    walk(&mut group, runs);
    group.finish();
}

/// A run that continued as new until its chain has so many; the first one and the last one.
fn continued(store: &Store, runs: u32) -> (RunId, RunId) {
    let mut tx = store.begin();
    let first = tx.start(NewRun::new("bench", &format!("chain-{runs}"), "Chain")).unwrap();
    let mut last = first;
    for number in 1..runs {
        last = tx.continue_as_new(&last, NextRun::new("Chain")).unwrap();
        if number % AT_ONCE == 0 {
            tx.commit_with(Durability::Buffered).unwrap();
            tx = store.begin();
        }
    }
    tx.commit_with(Durability::Buffered).unwrap();
    (first, last)
}

fn chains(c: &mut Criterion) {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut group = c.benchmark_group("tree/chain");
    for runs in [1, 1_000, 100_000] {
        let (first, last) = continued(&store, runs);
        group.bench_function(BenchmarkId::new("kinlog-current", runs), |b| {
            b.iter(|| assert_eq!(store.chain(&first).unwrap().current().id, last));
        });
    }
    let runs = 10_000;
    let (first, _) = continued(&store, runs);
    group.throughput(Throughput::Elements(runs.into()));
    group.bench_function(BenchmarkId::new("kinlog-runs", runs), |b| {
        b.iter(|| assert_eq!(store.chain(&first).unwrap().runs().count(), runs as usize));
    });
    group.bench_function(BenchmarkId::new("kinlog-size", runs), |b| {
        b.iter(|| assert_eq!(store.chain_size(&first).unwrap().runs, u64::from(runs)));
    });
    walk(&mut group, runs);
    group.finish();
}

fn facts(c: &mut Criterion) {
    let scratch = Scratch::new();
    let store = scratch.open();
    let runs = start_many(&store, RUNS);
    let parent = family(&store, RUNS);
    let children = store.children(&parent).unwrap();
    let children: Vec<_> = children.map(|child| child.unwrap().current.unwrap().id).collect();
    let ids: Vec<_> = (0..RUNS).map(|n| format!("workflow-{n}")).collect();
    let by_id: HashMap<_, _> = ids.iter().zip(&runs).collect();

    // Far apart, and each in its turn.
    let mut next = (0..RUNS as usize).cycle().step_by(37);
    let mut next = || next.next().unwrap();
    let mut group = c.benchmark_group("tree/fact");
    group.bench_function("current_run", |b| {
        b.iter(|| {
            let n = next();
            assert_eq!(store.current_run("bench", &ids[n]).unwrap(), Some(runs[n]));
        });
    });
    group.bench_function("parent", |b| {
        b.iter(|| {
            let found = store.parent(&children[next()]).unwrap().unwrap();
            assert_eq!(found.run, parent);
        });
    });
    group.bench_function("namespace_size", |b| {
        b.iter(|| assert_eq!(store.namespace_size("bench").runs, u64::from(2 * RUNS + 1)));
    });
    group.bench_function("hash-map", |b| {
        b.iter(|| {
            let n = next();
            assert_eq!(by_id.get(black_box(&ids[n])), Some(&&runs[n]));
        });
    });
    group.finish();
}

criterion_group!(name = benches; config = quick(); targets = children, trees, chains, facts);
criterion_main!(benches);
