//! What a store tells of its work while it goes on: counters, gauges and histograms to a [`Recorder`], and spans to `tracing`.
//!
//! By default nothing is told, and nothing is measured. [`Options::recorder`](crate::Options::recorder) takes a recorder. With the
//! cargo feature `metrics` there is one that passes everything on to the recorder which the program has installed with the crate
//! `metrics`; with the feature `tracing` the store opens spans with the crate `tracing`. [`METRICS`] lists every name,
//! and [`docs::metrics`](crate::docs::metrics) has them with their labels, and the spans.

#[cfg(feature = "metrics")]
mod facade;
mod metric;
pub(crate) mod span;

use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "metrics")]
pub use facade::MetricsFacade;
pub(crate) use metric::*;
pub use metric::{METRICS, Metric, MetricKind, Unit};

/// A label: a name and one of a few values.
pub type Label = (&'static str, &'static str);

/// Takes what a store counts and measures.
///
/// It is called by the threads that commit and by the store's own, and while no lock of its log or its index is held. They wait for it,
/// so it should only add to a number. A panic in it unwinds into the caller of the store, or ends a thread of the store: it must
/// not panic.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use kinlog::recorder::{Label, Metric, Recorder};
/// use kinlog::{NewRun, Options};
///
/// #[derive(Default)]
/// struct Commits(AtomicU64);
///
/// impl Recorder for Commits {
///     fn add(&self, metric: &Metric, _labels: &[Label], n: u64) {
///         if metric.name == "kinlog_commits_total" {
///             self.0.fetch_add(n, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let commits = Arc::new(Commits::default());
/// let store = Options::new().recorder(commits.clone()).open(dir.path())?;
/// store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order")))?;
/// assert_eq!(commits.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), kinlog::Error>(())
/// ```
pub trait Recorder: Send + Sync {
    /// Adds `n` to a counter.
    fn add(&self, metric: &Metric, labels: &[Label], n: u64) {
        let _ = (metric, labels, n);
    }

    /// Sets a gauge.
    fn set(&self, metric: &Metric, labels: &[Label], value: f64) {
        let _ = (metric, labels, value);
    }

    /// Adds a value to a histogram.
    fn observe(&self, metric: &Metric, labels: &[Label], value: f64) {
        let _ = (metric, labels, value);
    }
}

/// The recorder of a store, if it has one. Without one, each call is a comparison.
#[derive(Clone, Default)]
pub(crate) struct Recording(Option<Arc<dyn Recorder>>);

impl Recording {
    pub(crate) fn to(recorder: Arc<dyn Recorder>) -> Self {
        Recording(Some(recorder))
    }

    pub(crate) fn add(&self, metric: &Metric, labels: &[Label], n: u64) {
        if let Some(recorder) = &self.0 {
            recorder.add(metric, labels, n);
        }
    }

    pub(crate) fn set(&self, metric: &Metric, labels: &[Label], value: u64) {
        if let Some(recorder) = &self.0 {
            recorder.set(metric, labels, float(value));
        }
    }

    pub(crate) fn observe(&self, metric: &Metric, labels: &[Label], value: u64) {
        if let Some(recorder) = &self.0 {
            recorder.observe(metric, labels, float(value));
        }
    }

    /// The time, if anybody wants to know how long something takes.
    pub(crate) fn now(&self) -> Option<Instant> {
        self.0.as_ref().map(|_| Instant::now())
    }

    /// Tells how long it has taken since [`Recording::now`], in seconds.
    pub(crate) fn observe_since(&self, metric: &Metric, labels: &[Label], began: Option<Instant>) {
        if let (Some(recorder), Some(began)) = (&self.0, began) {
            recorder.observe(metric, labels, began.elapsed().as_secs_f64());
        }
    }
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn float(value: u64) -> f64 {
    value as f64
}
