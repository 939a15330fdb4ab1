//! `kinlog backup`: a copy of the store as it is now.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kinlog::admin::BackupReport;
use serde::Serialize;

use crate::args::BackupArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Output};

pub(crate) fn backup(
    store: &Path,
    args: &BackupArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    match copy(store, args) {
        Ok(report) if args.json => out.json(&Made::of(&report, args, started.elapsed()))?,
        Ok(report) => print(&report, args, started.elapsed(), out)?,
        Err(failure) if args.json => return failure.in_json(out),
        Err(failure) => return Err(failure),
    }
    Ok(ExitCode::SUCCESS)
}

fn copy(store: &Path, args: &BackupArgs) -> Result<BackupReport, Failure> {
    let spinner = ui::spinner("open");
    let opened = open::to_read(store);
    spinner.finish_and_clear();
    let store = opened?;
    let bar = ui::byte_bar(0, "backup");
    let report = store.backup(&args.to, args.base.as_deref(), |progress| {
        ui::advance(&bar, progress.bytes, progress.total);
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn print(
    report: &BackupReport,
    args: &BackupArgs,
    time: Duration,
    out: &mut Output,
) -> Result<(), Failure> {
    let to = ui::path(&args.to);
    let commits = ui::many(report.commits, "commit");
    out.prose(0, format!("{} in {to}: {commits}", ui::check("✓ the backup is whole")))?;
    let copied = ui::many(report.copied, "segment");
    let linked = match report.linked {
        0 => String::new(),
        linked => format!(", {} linked", ui::count(linked)),
    };
    let (bytes, rate) = (ui::bytes(report.bytes), ui::byte_rate(report.bytes, time));
    let time = ui::span(time);
    out.prose(2, format!("{copied} copied{linked}, {bytes} written in {time} ({rate})"))?;
    Ok(())
}

#[derive(Serialize)]
struct Made {
    ok: bool,
    path: String,
    end: u64,
    commits: u64,
    segments_copied: u32,
    segments_linked: u32,
    bytes: u64,
    seconds: f64,
}

impl Made {
    fn of(report: &BackupReport, args: &BackupArgs, time: Duration) -> Self {
        Made {
            ok: true,
            path: args.to.display().to_string(),
            end: report.end.as_u64(),
            commits: report.commits,
            segments_copied: report.copied,
            segments_linked: report.linked,
            bytes: report.bytes,
            seconds: time.as_secs_f64(),
        }
    }
}
