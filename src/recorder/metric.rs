//! The names of what a store counts and measures.

/// What is counted or measured, by a name as Prometheus has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// The name; it begins with `kinlog_` and ends with its unit, or with `_total` for a counter.
    pub name: &'static str,
    /// How its values are to be taken.
    pub kind: MetricKind,
    /// The unit of its values.
    pub unit: Unit,
    /// What it says, in one line.
    pub help: &'static str,
}

/// How the values of a metric are to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MetricKind {
    /// They are added up.
    Counter,
    /// The last one holds.
    Gauge,
    /// Their distribution counts.
    Histogram,
}

/// The unit of a metric's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

macro_rules! metrics {
    ($($name:ident: $kind:ident of $unit:ident, $text:literal, $help:literal;)*) => {
        $(pub(crate) const $name: Metric =
            Metric { name: $text, kind: MetricKind::$kind, unit: Unit::$unit, help: $help };)*

        /// Every metric of a store.
        pub const METRICS: &[Metric] = &[$($name),*];
    };
}

metrics! {
    OPEN_SECONDS: Histogram of Seconds, "kinlog_open_seconds", "How long opening took, with the replay of the log.";
    COMMITS: Counter of Count, "kinlog_commits_total", "Commits that took their place in the log.";
    COMMIT_BYTES: Histogram of Bytes, "kinlog_commit_bytes", "The bytes of a commit in the log.";
    COMMIT_SECONDS: Histogram of Seconds, "kinlog_commit_seconds", "How long a caller waited for a commit, from its validation on.";
    REFUSED: Counter of Count, "kinlog_commits_refused_total", "Commits that were refused, by when the same work can succeed.";
    ROUND_BYTES: Histogram of Bytes, "kinlog_round_bytes", "What one round of the group commit wrote.";
    ROUND_SECONDS: Histogram of Seconds, "kinlog_round_seconds", "How long one round of the group commit took, its sync included.";
    SYNC_SECONDS: Histogram of Seconds, "kinlog_sync_seconds", "How long one sync (`fsync`) of a segment took.";
    SEGMENT_SECONDS: Histogram of Seconds, "kinlog_segment_seconds", "How long it took to prepare a segment.";
    ROLLS: Counter of Count, "kinlog_rolls_total", "How often the log went on in the next segment.";
    END_BYTES: Gauge of Bytes, "kinlog_log_end_bytes", "The position where the published log ends.";
    DURABLE_BYTES: Gauge of Bytes, "kinlog_log_durable_bytes", "The position up to which the log is on the device.";
    INDEX_WRITTEN_BYTES: Counter of Bytes, "kinlog_index_written_bytes_total", "Bytes written into files of the index, those of merges included.";
    INDEX_WRITE_SECONDS: Histogram of Seconds, "kinlog_index_write_seconds", "How long it took to write a layer of the index into a file.";
    INDEX_MERGE_SECONDS: Histogram of Seconds, "kinlog_index_merge_seconds", "How long it took to merge files of the index.";
    INDEX_FILES: Gauge of Count, "kinlog_index_files", "The files that make up the index on disk, without its checkpoint.";
    INDEX_LAYERS: Gauge of Count, "kinlog_index_layers", "The layers of the index that wait to be written.";
    INDEX_FAILURES: Counter of Count, "kinlog_index_failures_total", "How often files of the index could not be written or merged.";
    COMPACTED_SEGMENTS: Counter of Count, "kinlog_compacted_segments_total", "Segments that were rewritten.";
    COMPACTION_WRITTEN_BYTES: Counter of Bytes, "kinlog_compaction_written_bytes_total", "Bytes that were written for that.";
    COMPACTION_FREED_BYTES: Counter of Bytes, "kinlog_compaction_freed_bytes_total", "Bytes by which the files became shorter.";
    MAINTENANCE_ROUNDS: Counter of Count, "kinlog_maintenance_rounds_total", "Rounds of the thread for maintenance.";
    FAILURES: Counter of Count, "kinlog_log_failures_total", "How often the log stopped to take commits.";
}
