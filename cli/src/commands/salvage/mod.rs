//! `kinlog salvage`: what is whole in a corrupt store, in a new one, and what is lost.

mod json;
mod text;

use std::process::ExitCode;
use std::time::Instant;

use kinlog::Options;
use kinlog::salvage::SalvageReport;

use crate::args::SalvageArgs;
use crate::failure::{Failure, LOSSES};
use crate::ui::{self, Output};

pub(crate) fn salvage(args: &SalvageArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let report = match copy(args) {
        Ok(report) => report,
        Err(failure) if args.json => return failure.in_json(out),
        Err(failure) => return Err(failure),
    };
    match args.json {
        true => out.json(&json::Saved::of(&report, args, started.elapsed()))?,
        false => text::print(&report, args, started.elapsed(), out)?,
    }
    Ok(ExitCode::from(if report.is_complete() { 0 } else { LOSSES }))
}

fn copy(args: &SalvageArgs) -> Result<SalvageReport, Failure> {
    let bar = ui::byte_bar(0, "salvage");
    let report = kinlog::salvage::salvage(&args.from, &args.to, &Options::new(), |progress| {
        ui::advance(&bar, progress.bytes, progress.total_bytes);
    });
    bar.finish_and_clear();
    Ok(report?)
}
