//! Reading a history of 100 events: one that lies interleaved with 10,000 others, beside a copy of the same bytes; one whose
//! events lie together; and one in segments that were compacted.
//!
//! The goals: interleaved 15 us, together 4 us, compacted 5 us.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Durability, Event, Result, RunId, Store};
use support::{Scratch, event, start_many};
use timed::quick;

const RUNS: u32 = 10_000;
/// Of runs whose events lie together, or that were compacted.
const FEWER_RUNS: u32 = 4_000;
const EVENTS: u32 = 100;
const PAYLOAD: [u8; 240] = [7; 240];

/// A store, and runs in it.
type Filled = (Store, Vec<RunId>);
/// Fills a store.
type Fill = fn(&Scratch) -> Filled;

/// So many runs of 100 events, one event after the other in turn.
fn interleaved(scratch: &Scratch, runs: u32) -> Filled {
    let store = scratch.open();
    let runs = start_many(&store, runs);
    for _ in 1..EVENTS {
        runs.iter().for_each(|run| append(&store, run, 1));
    }
    store.sync().unwrap();
    (store, runs)
}

/// Runs of 100 events, of which all but the first came `at_once` in a commit, and none of another run between them.
fn together(scratch: &Scratch, at_once: u32) -> Filled {
    let store = scratch.open();
    let runs = start_many(&store, FEWER_RUNS);
    for run in &runs {
        (1..EVENTS).step_by(at_once as usize).for_each(|_| append(&store, run, at_once));
    }
    store.sync().unwrap();
    (store, runs)
}

/// Runs that lay interleaved with as many others, which were deleted before the log was compacted.
fn compacted(scratch: &Scratch) -> Filled {
    let (store, runs) = interleaved(scratch, FEWER_RUNS);
    for pair in runs.chunks(2) {
        let mut tx = store.begin();
        tx.close_run(&pair[0], Close::completed(b"")).unwrap();
        tx.submit(Durability::Buffered).unwrap();
        let mut tx = store.begin();
        tx.delete_run(&pair[0], Keep::Nothing).unwrap();
        tx.submit(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    assert!(store.compact(&Compaction::new()).unwrap().rewritten > 0);
    (store, runs.into_iter().skip(1).step_by(2).collect())
}

fn append(store: &Store, run: &RunId, events: u32) {
    let mut tx = store.begin();
    for _ in 0..events {
        tx.append(run, event(&PAYLOAD)).unwrap();
    }
    tx.submit(Durability::Buffered).unwrap();
}

fn touch<'h>(events: impl Iterator<Item = Result<Event<'h>>>) -> u64 {
    let touch = |event: Event<'_>| u64::from(event.id()) + event.payload().len() as u64;
    events.map(|event| touch(event.unwrap())).sum()
}

fn expected() -> u64 {
    u64::from(EVENTS * (EVENTS + 1) / 2) + u64::from(EVENTS - 1) * PAYLOAD.len() as u64
}

fn read(c: &mut Criterion) {
    let scratch = Scratch::new();
    let (store, runs) = interleaved(&scratch, RUNS);
    // Neighbours in the log are far from each other here.
    let mut next = runs.iter().cycle().step_by(37);
    let mut history = || store.history(next.next().unwrap()).unwrap();
    let expected = expected();

    let mut group = c.benchmark_group(format!("read/history-{EVENTS}"));
    group.throughput(Throughput::Elements(EVENTS.into()));
    group.bench_function("kinlog", |b| {
        b.iter(|| assert_eq!(touch(history().iter()), expected));
    });
    group.bench_function("kinlog-backward", |b| {
        b.iter(|| assert_eq!(touch(history().rev()), expected));
    });
    let bytes = usize::try_from(history().bytes()).unwrap();
    let (from, mut to) = (vec![7u8; bytes], vec![0u8; bytes]);
    group.bench_function("memcpy", |b| {
        b.iter(|| {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        });
    });
    group.finish();

    let mut group = c.benchmark_group("read/last-event");
    group.bench_function("kinlog", |b| {
        b.iter(|| assert_eq!(history().rev().next().unwrap().unwrap().id(), EVENTS));
    });
    let (from, mut to) = (vec![7u8; bytes / 100], vec![0u8; bytes / 100]);
    group.bench_function("memcpy", |b| {
        b.iter(|| {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        });
    });
    group.finish();
}

/// The same of runs that lie otherwise.
fn read_others(c: &mut Criterion) {
    let stores: [(&str, Fill); 3] = [
        ("together-a-commit-each", |scratch| together(scratch, 1)),
        ("together-one-commit", |scratch| together(scratch, EVENTS - 1)),
        ("compacted", compacted),
    ];
    let mut group = c.benchmark_group(format!("read/history-{EVENTS}"));
    group.throughput(Throughput::Elements(EVENTS.into()));
    for (name, fill) in stores {
        let scratch = Scratch::new();
        let (store, runs) = fill(&scratch);
        // All of them, which no processor's cache holds, and twenty, which one does.
        for (of, many) in [("", runs.len()), ("-of-twenty", 20)] {
            let mut next = runs.iter().take(many).cycle().step_by(37);
            let mut history = || store.history(next.next().unwrap()).unwrap();
            group.bench_function(format!("{name}{of}"), |b| {
                b.iter(|| assert_eq!(touch(history().iter()), expected()));
            });
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = quick(); targets = read, read_others);
criterion_main!(benches);
