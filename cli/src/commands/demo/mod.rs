//! `kinlog demo`: a store at work.

mod place;
mod workload;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kinlog::{Stats, Store, VerifyReport};

use crate::args::{DEFAULT_STORE, DemoArgs};
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Align, Output, Table};
use workload::{PARENT, Workload};

pub(crate) fn demo(store: &Path, args: &DemoArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let place = place::free(store);
    let (children, activities) = (args.children, args.activities);
    if place != store {
        writeln!(out, "There is a store in {} already; it is left alone.", store.display())?;
    }
    let what =
        format!("{} of {} each", ui::many(children, "child"), ui::many(activities, "activity"));
    writeln!(out, "One parent workflow, {what}, into {}", ui::bold(place.display()))?;
    out.flush()?;

    let store = open::to_write(&place)?;
    let workload = Workload { children, activities, durability: args.durability.into() };
    let bar = ui::count_bar(workload.events(), "run", "events");
    let started = Instant::now();
    let worked = workload.run(&store, |events| bar.inc(events));
    let worked = worked.map(|()| started.elapsed());
    bar.finish_and_clear();
    let worked = worked?;
    store.shut_down()?;

    let store = open::to_write(&place)?;
    let reopened = store.report().elapsed;
    let started = Instant::now();
    let stats = store.stats()?;
    let bar = ui::byte_bar(stats.log_bytes(), "verify");
    let report = store.verify(|progress| bar.set_position(progress.bytes));
    bar.finish_and_clear();
    let verified = (report?, started.elapsed());
    print(&workload, &stats, worked, reopened, verified, out)?;
    print_next(&store, out)?;
    Ok(ExitCode::SUCCESS)
}

fn print(
    workload: &Workload,
    stats: &Stats,
    worked: Duration,
    reopened: Duration,
    (report, verified): (VerifyReport, Duration),
    out: &mut Output,
) -> Result<(), Failure> {
    let rate = |count: u64| ui::rate(count, worked);
    let per_event = |bytes| ui::ratio(bytes, stats.events).unwrap_or_default();
    let mut table =
        Table::new([("", Align::Left), ("", Align::Right), ("", Align::Left)]).indent(2);
    let mut say = |what: &str, number: String, more: String| {
        table.row([ui::dim(what).to_string(), ui::bold(number).to_string(), more]);
    };
    say("children", ui::count(workload.children), String::new());
    say("events", ui::count(stats.events), rate(stats.events));
    say("commits", ui::count(stats.commits), rate(stats.commits));
    say("time", ui::span(worked), workload.how_durable().to_owned());
    let payload = format!("{:.1} of them payload", per_event(stats.payload_bytes));
    say("bytes an event", format!("{:.1}", per_event(stats.log_bytes())), payload);
    say("log", ui::bytes(stats.log_bytes()), String::new());
    let free = format!("{} of them free for commits to come", ui::bytes(stats.free_bytes));
    say("files", ui::bytes(stats.file_bytes), free);
    say("reopened in", ui::span(reopened), "every commit read and checked".to_owned());
    let sound = format!("{}, every event and sum", ui::check("✓ sound"));
    let sound = format!("{sound} of {}", ui::many(report.runs, "run"));
    say("verified in", ui::span(verified), sound);
    writeln!(out)?;
    table.print(out)?;
    Ok(())
}

/// What to type next.
fn print_next(store: &Store, out: &mut Output) -> Result<(), Failure> {
    let option = match store.path() {
        path if path == Path::new(DEFAULT_STORE) => String::new(),
        path => format!(" --store {}", path.display()),
    };
    let mut table = Table::new([("", Align::Left), ("", Align::Left)]).indent(2);
    for (command, what) in [
        ("ls".to_owned(), "the runs"),
        (format!("show {PARENT} --limit 20"), "the parent's events"),
        ("stats".to_owned(), "what every byte is"),
    ] {
        table.row([
            ui::head(format!("kinlog{option} {command}")).to_string(),
            ui::dim(what).to_string(),
        ]);
    }
    writeln!(out, "\nSee for yourself:")?;
    table.print(out)?;
    Ok(())
}
