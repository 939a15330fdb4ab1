//! A recorder that passes everything on to the crate `metrics`.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::{Label, METRICS, Metric, MetricKind, Recorder, Unit};

/// Passes everything on to the recorder that the program has installed with the crate `metrics`, under the names of [`METRICS`].
/// With the cargo feature `metrics`.
#[derive(Debug)]
#[non_exhaustive]
pub struct MetricsFacade;

impl MetricsFacade {
    /// Describes every metric to the installed recorder: install it before.
    #[must_use]
    pub fn new() -> Self {
        for metric in METRICS {
            let unit = match metric.unit {
                Unit::Count => metrics::Unit::Count,
                Unit::Bytes => metrics::Unit::Bytes,
                Unit::Seconds => metrics::Unit::Seconds,
            };
            match metric.kind {
                MetricKind::Counter => describe_counter!(metric.name, unit, metric.help),
                MetricKind::Gauge => describe_gauge!(metric.name, unit, metric.help),
                MetricKind::Histogram => describe_histogram!(metric.name, unit, metric.help),
            }
        }
        MetricsFacade
    }
}

impl Default for MetricsFacade {
    fn default() -> Self {
        MetricsFacade::new()
    }
}

impl Recorder for MetricsFacade {
    fn add(&self, metric: &Metric, labels: &[Label], n: u64) {
        counter!(metric.name, labels).increment(n);
    }

    fn set(&self, metric: &Metric, labels: &[Label], value: f64) {
        gauge!(metric.name, labels).set(value);
    }

    fn observe(&self, metric: &Metric, labels: &[Label], value: f64) {
        histogram!(metric.name, labels).record(value);
    }
}
