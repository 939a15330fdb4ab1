//! `kinlog verify`: everything read back and checked.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use kinlog::{Error, VerifyReport};
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::failure::{CORRUPT, Failure};
use crate::open;
use crate::ui::{self, Output};

pub(crate) fn verify(
    store: &Path,
    args: &VerifyArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    match check(store) {
        Ok(report) if args.json => out.json(&Sound::of(&report))?,
        Ok(report) => {
            let ok = ui::check("✓ the store is sound");
            writeln!(out, "{ok}: every commit, event, sum and relation is as it should be")?;
            let commits = ui::many(report.commits, "commit");
            let (runs, events) = (ui::many(report.runs, "run"), ui::many(report.events, "event"));
            let (bytes, time) = (ui::bytes(report.bytes), ui::span(started.elapsed()));
            writeln!(out, "  {runs}, {events}, {commits}, {bytes}, checked in {time}")?;
        }
        Err(error) if args.json => {
            if let Failure::Store(Error::Corrupt(corruption)) = &error {
                out.json(&Damaged::of(corruption))?;
                return Ok(ExitCode::from(CORRUPT));
            }
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(store: &Path) -> Result<VerifyReport, Failure> {
    let store = open::to_read(store)?;
    let stats = store.stats()?;
    let total = stats.event_bytes + stats.frame_bytes + stats.row_bytes;
    let bar = ui::byte_bar(total, "verify");
    let report = store.verify(|progress| bar.set_position(progress.bytes));
    bar.finish_and_clear();
    Ok(report?)
}

#[derive(Serialize)]
struct Sound {
    ok: bool,
    commits: u64,
    events: u64,
    runs: u64,
    bytes: u64,
}

impl Sound {
    fn of(report: &VerifyReport) -> Self {
        let VerifyReport { commits, events, runs, bytes, .. } = *report;
        Sound { ok: true, commits, events, runs, bytes }
    }
}

#[derive(Serialize)]
struct Damaged {
    ok: bool,
    error: String,
    path: String,
    offset: u64,
    what: &'static str,
    runs: Vec<String>,
}

impl Damaged {
    fn of(corruption: &kinlog::Corruption) -> Self {
        Damaged {
            ok: false,
            error: corruption.to_string(),
            path: corruption.path.display().to_string(),
            offset: corruption.offset,
            what: corruption.what,
            runs: corruption.runs.iter().map(ToString::to_string).collect(),
        }
    }
}
