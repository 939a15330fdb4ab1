//! The report for scripts.

use std::time::Duration;

use kinlog::retention::Keep;
use kinlog::salvage::{CutRun, LossStatus, LostRange, SalvageReport};
use serde::Serialize;

use crate::args::SalvageArgs;

#[derive(Serialize)]
pub(super) struct Saved {
    ok: bool,
    complete: bool,
    path: String,
    manifest: String,
    segments: u64,
    bytes_read: u64,
    bytes_kept: u64,
    commits_whole: u64,
    commits_partial: u64,
    commits_dropped: u64,
    events_kept: u64,
    rows_kept: u64,
    rows_dropped: u64,
    runs_whole: u64,
    runs_cut: Vec<Cut>,
    runs_left_out: Vec<LeftOut>,
    runs_unknown: Vec<Unknown>,
    lost: Vec<Lost>,
    files: Vec<File>,
    /// First and last number of each gap.
    missing_segments: Vec<[u32; 2]>,
    acknowledged_to: Option<u64>,
    found_to: Option<u64>,
    stale_tables: Vec<Stale>,
    seconds: f64,
}

#[derive(Serialize)]
struct Cut {
    run: String,
    namespace: String,
    workflow_id: String,
    events_kept: u32,
    first_lost: u32,
    events_lost: u32,
    why: &'static str,
}

#[derive(Serialize)]
struct LeftOut {
    run: String,
    outcome_lost: bool,
}

#[derive(Serialize)]
struct Unknown {
    number: u32,
    first_found: u32,
    last_found: u32,
}

#[derive(Serialize)]
struct Lost {
    path: String,
    from: u64,
    to: u64,
    what: &'static str,
    expected: u64,
    found: u64,
    /// `null` if nothing tells.
    acknowledged: Option<bool>,
    runs: Vec<String>,
}

#[derive(Serialize)]
struct File {
    path: String,
    damage: String,
}

#[derive(Serialize)]
struct Stale {
    table: String,
    rows: u64,
}

impl Saved {
    pub(super) fn of(report: &SalvageReport, args: &SalvageArgs, time: Duration) -> Self {
        let file = |file: &kinlog::salvage::DamagedFile| File {
            path: file.path.display().to_string(),
            damage: file.damage.to_string(),
        };
        let left_out = |run: &kinlog::salvage::LeftOutRun| LeftOut {
            run: run.id.to_string(),
            outcome_lost: run.kept == Keep::Outcome,
        };
        let unknown = |run: &kinlog::salvage::UnknownRun| Unknown {
            number: run.number,
            first_found: run.first_found,
            last_found: run.last_found,
        };
        let stale = |stale: &kinlog::salvage::StaleTable| Stale {
            table: stale.table.clone(),
            rows: stale.rows,
        };
        let missing = report.missing_segments.iter();
        Saved {
            ok: true,
            complete: report.is_complete(),
            path: args.to.display().to_string(),
            manifest: report.manifest.to_string(),
            segments: report.segments,
            bytes_read: report.bytes_read,
            bytes_kept: report.bytes_kept,
            commits_whole: report.commits_whole,
            commits_partial: report.commits_partial,
            commits_dropped: report.commits_dropped,
            events_kept: report.events_kept,
            rows_kept: report.rows_kept,
            rows_dropped: report.rows_dropped,
            runs_whole: report.runs_whole,
            runs_cut: report.runs_cut.iter().map(Cut::of).collect(),
            runs_left_out: report.runs_left_out.iter().map(left_out).collect(),
            runs_unknown: report.runs_unknown.iter().map(unknown).collect(),
            lost: report.lost.iter().map(Lost::of).collect(),
            files: report.files.iter().map(file).collect(),
            missing_segments: missing.map(|range| [*range.start(), *range.end()]).collect(),
            acknowledged_to: report.shortfall.map(|shortfall| shortfall.acknowledged.as_u64()),
            found_to: report.shortfall.map(|shortfall| shortfall.found.as_u64()),
            stale_tables: report.stale_tables.iter().map(stale).collect(),
            seconds: time.as_secs_f64(),
        }
    }
}

impl Cut {
    fn of(run: &CutRun) -> Self {
        Cut {
            run: run.id.to_string(),
            namespace: run.namespace.clone(),
            workflow_id: run.workflow_id.clone(),
            events_kept: run.events_kept,
            first_lost: run.first_lost,
            events_lost: run.events_lost,
            why: run.why,
        }
    }
}

impl Lost {
    fn of(lost: &LostRange) -> Self {
        Lost {
            path: lost.path.display().to_string(),
            from: lost.from,
            to: lost.to,
            what: lost.what,
            expected: lost.expected,
            found: lost.found,
            acknowledged: match lost.status {
                LossStatus::Acknowledged => Some(true),
                LossStatus::NeverAcknowledged => Some(false),
                LossStatus::Unknown => None,
            },
            runs: lost.runs.iter().map(ToString::to_string).collect(),
        }
    }
}
