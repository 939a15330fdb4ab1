//! `kinlog verify`: everything read back and checked.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kinlog::admin::{VerifyProgress, VerifyReport};
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::failure::{Failure, IN_DOUBT};
use crate::open;
use crate::ui::{self, Output};

pub(crate) fn verify(
    store: &Path,
    args: &VerifyArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let (report, read) = match check(store) {
        Ok(found) => found,
        Err(failure) if args.json => return failure.in_json(out),
        Err(failure) => return Err(failure),
    };
    match args.json {
        true => out.json(&Found::of(&report, started.elapsed()))?,
        false => print(&report, read, started.elapsed(), out)?,
    }
    Ok(ExitCode::from(if report.is_sound() { 0 } else { IN_DOUBT }))
}

/// The report, and how many bytes were read for it.
fn check(store: &Path) -> Result<(VerifyReport, u64), Failure> {
    let spinner = ui::spinner("open");
    let opened = open::to_read(store);
    spinner.finish_and_clear();
    let store = opened?;
    let bar = ui::byte_bar(0, "verify");
    let mut last = None::<VerifyProgress>;
    let report = store.verify(|progress| {
        ui::advance(&bar, progress.bytes, progress.total);
        last = Some(progress);
    });
    bar.finish_and_clear();
    Ok((report?, last.map_or(0, |progress| progress.bytes)))
}

fn print(
    report: &VerifyReport,
    read: u64,
    time: Duration,
    out: &mut Output,
) -> Result<(), Failure> {
    if report.is_sound() {
        let ok = ui::check("✓ the store is sound");
        out.prose(0, format!("{ok}: every commit, event, sum and relation is as it should be"))?;
    } else {
        let bytes = ui::bytes(report.doubtful_bytes);
        out.prose(
            0,
            format!("what can be read is sound, but the last {bytes} of the log are in doubt:"),
        )?;
        out.prose(2, "they may have been a commit; the next writer moves them to quarantine")?;
    }
    let commits = ui::many(report.commits, "commit");
    let (runs, events) = (ui::many(report.runs, "run"), ui::many(report.events, "event"));
    let (bytes, rate) = (ui::bytes(report.bytes), ui::byte_rate(read, time));
    let time = ui::span(time);
    out.prose(2, format!("{runs}, {events}, {commits}, {bytes}, checked in {time} ({rate})"))?;
    if report.manifest_damaged {
        out.prose(2, "one slot of MANIFEST is damaged; the next writer writes it anew")?;
    }
    if !report.quarantined.is_empty() {
        let copies = ui::many(report.quarantined.len() as u64, "file");
        out.prose(2, format!("in quarantine: {copies}"))?;
    }
    for path in &report.unknown {
        out.prose(2, format!("not the store's: {}", ui::path(path)))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Found {
    ok: bool,
    kind: &'static str,
    commits: u64,
    events: u64,
    runs: u64,
    bytes: u64,
    segments: u32,
    unfinished_bytes: u64,
    doubtful_bytes: u64,
    manifest_damaged: bool,
    quarantined: Vec<String>,
    unknown: Vec<String>,
    seconds: f64,
}

impl Found {
    fn of(report: &VerifyReport, time: Duration) -> Self {
        let ok = report.is_sound();
        let names = |paths: &[std::path::PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.display().to_string()).collect()
        };
        Found {
            ok,
            kind: if ok { "sound" } else { "in_doubt" },
            commits: report.commits,
            events: report.events,
            runs: report.runs,
            bytes: report.bytes,
            segments: report.segments,
            unfinished_bytes: report.unfinished_bytes,
            doubtful_bytes: report.doubtful_bytes,
            manifest_damaged: report.manifest_damaged,
            quarantined: names(&report.quarantined),
            unknown: names(&report.unknown),
            seconds: time.as_secs_f64(),
        }
    }
}
