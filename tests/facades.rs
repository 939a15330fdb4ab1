//! With the cargo features `metrics` and `tracing`, a store speaks through those crates.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kinlog::NewRun;
use kinlog::recorder::{METRICS, MetricsFacade};
use kinlog_testing::files::small_segments;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

/// What the crate `metrics` was told: descriptions, and the bits of every value by its key.
#[derive(Default, Clone)]
struct Metrics {
    described: Arc<Mutex<Vec<String>>>,
    values: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
}

impl Metrics {
    fn describe(&self, key: KeyName) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }

    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        self.values.lock().unwrap().entry(key.to_string()).or_default().clone()
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(key);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(key);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(key);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The names of all spans.
#[derive(Default, Clone)]
struct Spans(Arc<Mutex<Vec<&'static str>>>);

impl Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "kinlog"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut names = self.0.lock().unwrap();
        names.push(span.metadata().name());
        Id::from_u64(names.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_store_speaks_through_metrics_and_tracing() {
    let (metrics, spans) = (Metrics::default(), Spans::default());
    metrics::set_global_recorder(metrics.clone()).unwrap();
    tracing::subscriber::set_global_default(spans.clone()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().recorder(Arc::new(MetricsFacade::new())).open(dir.path()).unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order"))).unwrap().0;
    for key in 0..100_u32 {
        let mut tx = store.begin();
        tx.put("rows", &key.to_le_bytes(), &[1; 1_000]).unwrap();
        tx.commit_with(kinlog::Durability::Buffered).unwrap();
    }
    store.close_run(&run, kinlog::Close::completed(b"")).unwrap();
    let end = store.end().as_u64() as f64;
    drop(store);

    assert_eq!(
        *metrics.described.lock().unwrap(),
        METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>()
    );
    let values = metrics.values.lock().unwrap();
    let value = |name: &str, label: &str| {
        let found = values.iter().find(|(key, _)| key.contains(name) && key.contains(label));
        found.unwrap().1.load(Ordering::SeqCst)
    };
    assert_eq!(value("kinlog_commits_total", "sync"), 2);
    assert_eq!(value("kinlog_commits_total", "buffered"), 100);
    assert_eq!(f64::from_bits(value("kinlog_log_end_bytes", "")), end);
    let spans = spans.0.lock().unwrap();
    assert_eq!(spans.iter().filter(|name| **name == "open").count(), 1);
    assert!(spans.iter().filter(|name| **name == "round").count() >= 102, "{spans:?}");
    assert!(["sync", "prepare"].iter().all(|name| spans.contains(name)), "{spans:?}");
}
