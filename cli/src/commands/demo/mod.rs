//! `kinlog demo`: a store at work.

mod place;
mod report;
mod workload;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use kinlog::Store;

use crate::args::DemoArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Output};
use report::{FanOut, Report};
use workload::Workload;

pub(crate) fn demo(store: &Path, args: &DemoArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let place = place::free(store);
    let (children, activities) = (args.children, args.activities);
    if place != store {
        out.prose(
            0,
            format!("There is a store in {} already; it is left alone.", ui::path(store)),
        )?;
    }
    let what =
        format!("{} of {} each", ui::many(children, "child"), ui::many(activities, "activity"));
    out.prose(0, format!("One parent workflow, {what}, into {}", ui::bold(ui::path(&place))))?;
    out.flush()?;

    let store = open::to_write(&place)?;
    let workload = Workload { children, activities, durability: args.durability.into() };
    let bar = ui::count_bar(workload.events(), "run", "events");
    let started = Instant::now();
    let parent = workload.run(&store, |events| bar.inc(events));
    let worked = started.elapsed();
    bar.finish_and_clear();
    let parent = parent?;
    let before = store.stats()?;
    let fan_out = fan_out(&store, &workload, &parent)?;
    let tree = store.tree_size(&parent)?;
    store.shut_down()?;

    let store = open::to_write(&place)?;
    let stats = store.stats()?;
    let started = Instant::now();
    let bar = ui::byte_bar(0, "verify");
    let verified = store.verify(|progress| ui::advance(&bar, progress.bytes, progress.total));
    bar.finish_and_clear();
    let verified = (verified?, started.elapsed());
    let reopened = store.report().clone();
    Report { workload: &workload, before, worked, fan_out, tree, stats, reopened, verified }
        .print(out)?;
    report::print_next(&store, out)?;
    Ok(ExitCode::SUCCESS)
}

/// The parent closes: what must follow is looked up, and done.
fn fan_out(store: &Store, workload: &Workload, parent: &kinlog::RunId) -> Result<FanOut, Failure> {
    let started = Instant::now();
    let commit = workload.close(store, parent)?;
    let closed = started.elapsed();
    let started = Instant::now();
    let duties = commit.duties().collect::<kinlog::Result<Vec<_>>>()?.len() as u64;
    let planned = started.elapsed();
    let started = Instant::now();
    let settled = store.settle_all()?;
    Ok(FanOut { closed, duties, planned, settled, applied: started.elapsed() })
}
