//! Appending: events to an open transaction, and commits that the operating system has when they
//! return, or soon; beside copying the same bytes, checking them and writing them.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;
#[path = "support/timed.rs"]
mod timed;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Durability, RunId, Store};
use support::{Bare, EVENT_OVERHEAD, Scratch, commit_bytes, event};
use timed::quick;

const PAYLOAD: [u8; 120] = [7; 120];
const MANY: u32 = 1_000;
const FEW: u32 = 3;

/// Copies events into `buffer` as they would lie in the log, and returns their checksum.
fn copy_and_check(buffer: &mut Vec<u8>, events: u32) -> u32 {
    for _ in 0..events {
        buffer.extend_from_slice(&black_box([1; EVENT_OVERHEAD]));
        buffer.extend_from_slice(black_box(&PAYLOAD));
    }
    crc32fast::hash(buffer)
}

fn events(c: &mut Criterion) {
    let mut group = c.benchmark_group("append/event");
    group.throughput(Throughput::Elements(MANY.into()));
    let scratch = Scratch::new();
    let (store, run) = scratch.store();
    group.bench_function("kinlog", |b| {
        let append = |mut tx: kinlog::Transaction<'_>| {
            let ids = (0..MANY).map(|_| tx.append(&run, event(&PAYLOAD)).unwrap());
            assert_eq!(ids.last(), Some(1 + MANY));
        };
        b.iter_batched(|| store.begin(), append, BatchSize::PerIteration);
    });
    group.bench_function("copy-crc", |b| {
        let mut buffer = vec![];
        b.iter(|| {
            buffer.clear();
            black_box(copy_and_check(&mut buffer, MANY));
        });
    });
    group.finish();
}

fn transaction<'s>(store: &'s Store, run: &RunId) -> kinlog::Transaction<'s> {
    let mut tx = store.begin();
    for _ in 0..FEW {
        tx.append(run, event(&PAYLOAD)).unwrap();
    }
    tx
}

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("append/commit-{FEW}"));
    group.throughput(Throughput::Elements(FEW.into()));
    let scratch = Scratch::new();
    let (store, run) = scratch.store();
    let mut commits = 0;
    group.bench_function("kinlog-waited", |b| {
        b.iter(|| {
            transaction(&store, &run).commit_with(Durability::Buffered).unwrap();
            commits += 1;
        });
    });
    group.bench_function("kinlog-submitted", |b| {
        b.iter(|| {
            transaction(&store, &run).submit(Durability::Buffered).unwrap();
            commits += 1;
        });
    });
    store.sync().unwrap();
    assert_eq!(store.history(&run).unwrap().len(), 1 + FEW * commits);
    let mut bare = Bare::new(&scratch);
    group.bench_function("copy-crc-write", |b| {
        let mut frame = vec![];
        b.iter(|| {
            frame.clear();
            let check = copy_and_check(&mut frame, FEW);
            frame.resize(commit_bytes(FEW as usize, PAYLOAD.len()), 0);
            frame[..4].copy_from_slice(&check.to_le_bytes());
            bare.write(&frame);
        });
    });
    group.finish();
}

criterion_group!(name = benches; config = quick(); targets = events, commits);
criterion_main!(benches);
