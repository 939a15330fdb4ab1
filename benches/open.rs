//! Opening a store, which replays its log, beside the checksum of the same bytes.

#![allow(missing_docs, clippy::unwrap_used, dead_code)]

mod support;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kinlog::{Durability, NewRun, Store};
use support::{Scratch, event};

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open/replay");
    for runs in [1_000u32, 10_000] {
        let scratch = Scratch::new();
        let (store, _) = scratch.store();
        for n in 1..=runs {
            let mut tx = store.begin();
            let run = tx.start(NewRun::new("bench", &format!("workflow-{n}"), "Bench")).unwrap();
            for _ in 1..100 {
                tx.append(&run, event(&[7; 240])).unwrap();
            }
            tx.submit(Durability::Buffered).unwrap();
        }
        store.sync().unwrap();
        let stats = store.stats().unwrap();
        drop(store);
        group.throughput(Throughput::Bytes(stats.log_bytes()));
        group.bench_function(format!("kinlog/{}-events", stats.events), |b| {
            b.iter(|| {
                let store = Store::open(scratch.path().join("store")).unwrap();
                assert_eq!(store.report().commits, stats.commits);
            });
        });
        let bytes = vec![7; usize::try_from(stats.log_bytes()).unwrap()];
        group.bench_function(format!("crc/{}-events", stats.events), |b| {
            b.iter(|| crc32fast::hash(std::hint::black_box(&bytes)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = open
}
criterion_main!(benches);
