//! Reading a history that lies interleaved with 10,000 others, beside a copy of the same bytes.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used, dead_code)]

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Durability, History, RunId, Store};
use support::{Scratch, event, start};

const RUNS: u32 = 10_000;
const EVENTS: u32 = 100;

/// Runs of 100 events, one event after the other in turn.
fn interleaved(scratch: &Scratch) -> (Store, Vec<RunId>) {
    let (store, _) = scratch.store();
    let runs: Vec<_> = {
        let mut runs = vec![];
        for chunk in 0..RUNS / 1000 {
            let mut tx = store.begin();
            for n in 0..1000 {
                let id = format!("workflow-{}", 1 + chunk * 1000 + n);
                runs.push(tx.start(kinlog::NewRun::new("bench", &id, "Bench")).unwrap());
            }
            tx.commit_with(Durability::Buffered).unwrap();
        }
        runs
    };
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

fn touch(history: &History) -> u64 {
    let touch = |event: kinlog::Result<kinlog::Event<'_>>| {
        let event = event.unwrap();
        u64::from(event.id()) + event.payload().len() as u64
    };
    history.iter().map(touch).sum()
}

fn read(c: &mut Criterion) {
    let scratch = Scratch::new();
    let (store, runs) = interleaved(&scratch);
    let mut group = c.benchmark_group("read/history-100");
    group.throughput(Throughput::Elements(u64::from(EVENTS)));
    let mut next = runs.iter().cycle().step_by(37);
    let expected = touch(&store.history(&runs[0]).unwrap());
    group.bench_function("kinlog", |b| {
        b.iter(|| {
            let found = touch(&store.history(next.next().unwrap()).unwrap());
            assert_eq!(found, expected);
        });
    });
    let bytes = usize::try_from(store.history(&runs[0]).unwrap().bytes()).unwrap();
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
        b.iter(|| {
            let history = store.history(next.next().unwrap()).unwrap();
            black_box(history.rev().next().unwrap().unwrap().id())
        });
    });
    group.finish();
    let one = start(&store, RUNS + 1);
    c.bench_function("read/current-run/kinlog", |b| {
        let id = format!("workflow-{}", RUNS + 1);
        b.iter(|| assert_eq!(store.current_run("bench", &id), Some(one)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = read
}
criterion_main!(benches);
