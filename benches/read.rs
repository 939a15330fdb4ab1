//! Reading a history that lies interleaved with 10,000 others, beside a copy of the same bytes.
//!
//! The goal: 100 events in 15 us.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Durability, Event, Result, RunId, Store};
use support::{Scratch, event, start_many};
use timed::quick;

const RUNS: u32 = 10_000;
const EVENTS: u32 = 100;

/// Runs of 100 events, one event after the other in turn.
fn interleaved(scratch: &Scratch) -> (Store, Vec<RunId>) {
    let store = scratch.open();
    let runs = start_many(&store, RUNS);
    for _ in 1..EVENTS {
        for run in &runs {
            let mut tx = store.begin();
            tx.append(run, event(&[7; 240])).unwrap();
            tx.submit(Durability::Buffered).unwrap();
        }
    }
    store.sync().unwrap();
    (store, runs)
}

fn touch<'h>(events: impl Iterator<Item = Result<Event<'h>>>) -> u64 {
    let touch = |event: Event<'_>| u64::from(event.id()) + event.payload().len() as u64;
    events.map(|event| touch(event.unwrap())).sum()
}

fn read(c: &mut Criterion) {
    let scratch = Scratch::new();
    let (store, runs) = interleaved(&scratch);
    // Neighbours in the log are far from each other here.
    let mut next = runs.iter().cycle().step_by(37);
    let mut history = || store.history(next.next().unwrap()).unwrap();
    let expected = u64::from(EVENTS * (EVENTS + 1) / 2 + (EVENTS - 1) * 240);

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

criterion_group!(name = benches; config = quick(); targets = read);
criterion_main!(benches);
