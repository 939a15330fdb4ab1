//! The report for people.

use std::io::{self, Write};
use std::time::Duration;

use console::style;
use kinlog::retention::Keep;
use kinlog::salvage::{LostRange, SalvageReport};

use crate::args::SalvageArgs;
use crate::ui::{self, Align, Output, Table};

pub(super) fn print(
    report: &SalvageReport,
    args: &SalvageArgs,
    time: Duration,
    out: &mut Output,
) -> io::Result<()> {
    let to = ui::path(&args.to);
    if report.is_complete() {
        out.prose(0, format!("{}: all of it is in {to}", ui::check("✓ nothing is lost")))?;
    } else {
        let saved = style("! saved with losses").yellow().bold();
        out.prose(0, format!("{saved}: what is whole is in {to}"))?;
    }
    print_kept(report, time, out)?;
    print_files(report, out)?;
    print_ranges(report, out)?;
    print_runs(report, out)?;
    print_tables(report, out)
}

fn print_kept(report: &SalvageReport, time: Duration, out: &mut Output) -> io::Result<()> {
    let (runs, events) =
        (ui::many(report.runs_whole, "whole run"), ui::many(report.events_kept, "event"));
    let commits = ui::many(report.commits_whole, "whole commit");
    out.prose(2, format!("{runs}, {events}, {commits} kept"))?;
    if report.commits_partial + report.commits_dropped > 0 {
        let (partial, dropped) = (report.commits_partial, report.commits_dropped);
        let (partial, dropped) = (ui::many(partial, "commit"), ui::count(dropped));
        out.prose(
            2,
            format!("{partial} kept in part, {dropped} not at all: they build on what is lost"),
        )?;
    }
    if report.rows_dropped > 0 {
        let rows = ui::many(report.rows_dropped, "row change");
        out.prose(2, format!("{rows} left out: they make no sense"))?;
    }
    let left_out = &report.runs_left_out;
    if !left_out.is_empty() {
        let outcomes = left_out.iter().filter(|run| run.kept == Keep::Outcome).count() as u64;
        let (runs, outcomes) =
            (ui::many(left_out.len() as u64, "deleted run"), ui::many(outcomes, "outcome"));
        out.prose(2, format!("{runs} left out, whose end is lost: {outcomes} lost"))?;
    }
    let (read, kept) = (ui::bytes(report.bytes_read), ui::bytes(report.bytes_kept));
    let (rate, time) = (ui::byte_rate(report.bytes_read, time), ui::span(time));
    out.prose(2, ui::dim(format!("{read} read, {kept} kept in {time} ({rate})")))
}

fn print_files(report: &SalvageReport, out: &mut Output) -> io::Result<()> {
    let whole = report.manifest == kinlog::salvage::ManifestState::Whole;
    if whole && report.files.is_empty() && report.missing_segments.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", ui::bold("Files"))?;
    let mut table = Table::new([("", Align::Left), ("", Align::Whole)]).indent(2);
    if !whole {
        table.row(["MANIFEST".to_owned(), report.manifest.to_string()]);
    }
    for file in &report.files {
        let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned());
        table.row([ui::plain(&name.unwrap_or_default()).into_owned(), file.damage.to_string()]);
    }
    for range in &report.missing_segments {
        let numbers = match range.start() == range.end() {
            true => format!("segment {}", range.start()),
            false => format!("segments {} to {}", range.start(), range.end()),
        };
        table.row([numbers, style("missing").red().to_string()]);
    }
    table.print(out)
}

fn print_ranges(report: &SalvageReport, out: &mut Output) -> io::Result<()> {
    if !report.lost.is_empty() {
        writeln!(out, "\n{}", ui::bold("Lost ranges"))?;
        let mut table = Table::new([
            ("FILE", Align::Left),
            ("FROM", Align::Right),
            ("TO", Align::Right),
            ("", Align::Left),
            ("WHAT", Align::Whole),
        ])
        .indent(2);
        for lost in &report.lost {
            let name = lost.path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = ui::plain(&name.unwrap_or_default()).into_owned();
            let (from, to) = (ui::count(lost.from), ui::count(lost.to));
            table.row([name, from, to, lost.status.to_string(), what(lost)]);
        }
        table.print(out)?;
    }
    if let Some(shortfall) = report.shortfall {
        let (acknowledged, found) = (shortfall.acknowledged, shortfall.found);
        out.prose(
            2,
            format!("acknowledged up to position {acknowledged}, found up to position {found}"),
        )?;
    }
    Ok(())
}

fn what(lost: &LostRange) -> String {
    let mut what = lost.what.to_owned();
    if (lost.expected, lost.found) != (0, 0) {
        what += &format!(" (expected {:#x}, found {:#x})", lost.expected, lost.found);
    }
    if !lost.runs.is_empty() {
        let runs: Vec<String> = lost.runs.iter().map(ToString::to_string).collect();
        what += &format!("; names {}", runs.join(", "));
    }
    what
}

fn print_runs(report: &SalvageReport, out: &mut Output) -> io::Result<()> {
    if !report.runs_cut.is_empty() {
        writeln!(out, "\n{}", ui::bold("Runs that are cut"))?;
        let mut table = Table::new([
            ("RUN", Align::Whole),
            ("WORKFLOW", Align::Left),
            ("KEPT", Align::Right),
            ("FIRST LOST", Align::Right),
            ("LOST", Align::Right),
            ("WHY", Align::Whole),
        ])
        .indent(2);
        for run in &report.runs_cut {
            table.row([
                run.id.to_string(),
                ui::plain(&run.workflow_id).into_owned(),
                ui::count(run.events_kept),
                ui::count(run.first_lost),
                format!("≥ {}", ui::count(run.events_lost)),
                run.why.to_owned(),
            ]);
        }
        table.print(out)?;
    }
    if !report.runs_unknown.is_empty() {
        writeln!(out, "\n{}", ui::bold("Runs whose beginning is lost, by their numbers"))?;
        for run in &report.runs_unknown {
            let (first, last) = (ui::count(run.first_found), ui::count(run.last_found));
            out.prose(2, format!("number {}: events {first} to {last} were found", run.number))?;
        }
    }
    Ok(())
}

fn print_tables(report: &SalvageReport, out: &mut Output) -> io::Result<()> {
    if report.stale_tables.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", ui::bold("Tables with rows that a lost commit may have changed"))?;
    let mut table = Table::new([("", Align::Left), ("", Align::Right)]).indent(2);
    for stale in &report.stale_tables {
        let rows = ui::many(stale.rows, "row");
        table.row([ui::plain(&stale.table).into_owned(), rows]);
    }
    table.print(out)
}
