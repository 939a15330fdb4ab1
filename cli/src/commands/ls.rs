//! `kinlog ls`: one line for each run.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kinlog::{DutyKind, RunFilter, RunInfo, Snapshot, Store};
use serde::Serialize;

use crate::args::LsArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Align, Output, Table};

/// Fewer digits of a run id look like a number.
const ID_MIN: usize = 8;

pub(crate) fn ls(store: &Path, args: &LsArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let mut filter = RunFilter::all();
    if let Some(namespace) = &args.namespace {
        filter = filter.namespace(namespace);
    }
    if let Some(workflow_id) = &args.workflow {
        filter = filter.workflow_id(workflow_id);
    }
    if let Some(workflow_type) = &args.workflow_type {
        filter = filter.workflow_type(workflow_type);
    }
    if let Some(status) = args.status {
        filter = filter.status(status.into());
    }
    let limit = args.limit.unwrap_or(usize::MAX);
    let runs = snapshot.runs(filter);
    if args.json {
        json(runs.take(limit), out)?;
    } else {
        let (mut listed, mut all) = (vec![], Sum::default());
        for run in runs {
            let run = run?;
            all.add(&run);
            if listed.len() < limit {
                listed.push(run);
            }
        }
        table(&snapshot, &listed, out)?;
        footer(&store, listed.len() as u64, &all, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Line<'a> {
    run_id: String,
    namespace: &'a str,
    workflow_id: &'a str,
    workflow_type: &'a str,
    status: &'static str,
    events: u32,
    bytes: u64,
    started_at: Option<String>,
    closed_at: Option<String>,
    is_current: bool,
    is_imported: bool,
}

fn json(
    runs: impl Iterator<Item = kinlog::Result<RunInfo>>,
    out: &mut Output,
) -> Result<(), Failure> {
    for run in runs {
        let run = run?;
        out.json(&Line {
            run_id: run.id.to_string(),
            namespace: &run.namespace,
            workflow_id: &run.workflow_id,
            workflow_type: &run.workflow_type,
            status: run.status.name(),
            events: run.events,
            bytes: run.bytes,
            started_at: ui::rfc3339(run.started_at),
            closed_at: run.closed_at.and_then(ui::rfc3339),
            is_current: run.is_current,
            is_imported: run.is_imported,
        })?;
    }
    Ok(())
}

fn table(snapshot: &Snapshot, runs: &[RunInfo], out: &mut Output) -> Result<(), Failure> {
    let namespaces: HashSet<&str> = runs.iter().map(|run| &*run.namespace).collect();
    let many = namespaces.len() > 1;
    let digits = unique_digits(snapshot)?;
    let mut columns = vec![("RUN", Align::Whole)];
    columns.extend(many.then_some(("NAMESPACE", Align::Left)));
    columns.extend([
        ("WORKFLOW", Align::Left),
        ("TYPE", Align::Left),
        ("STATUS", Align::Whole),
        ("EVENTS", Align::Right),
        ("STARTED (UTC)", Align::Whole),
        ("TOOK", Align::Right),
        ("SIZE", Align::Right),
    ]);
    // Where there is little room, workflows and types need it.
    let last = columns.len() - 1;
    let mut table = Table::new(columns).spare([last, last - 1, last - 2]);
    for run in runs {
        let id = run.id.to_string();
        let mut cells = vec![ui::head(id.get(..digits).unwrap_or(&id)).to_string()];
        cells.extend(many.then(|| ui::plain(&run.namespace).into_owned()));
        cells.extend([
            ui::plain(&run.workflow_id).into_owned(),
            ui::plain(&run.workflow_type).into_owned(),
            ui::status(run.status).to_string(),
            ui::count(run.events),
            ui::time(run.started_at),
            took(run).map(ui::span).unwrap_or_default(),
            ui::bytes(run.bytes),
        ]);
        table.row(cells);
    }
    if !runs.is_empty() {
        table.print(out)?;
    }
    Ok(())
}

/// What runs come to, listed or not.
#[derive(Default)]
struct Sum {
    runs: u64,
    events: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, run: &RunInfo) {
        self.runs += 1;
        self.events += u64::from(run.events);
        self.bytes += run.bytes;
    }
}

fn footer(store: &Store, listed: u64, all: &Sum, out: &mut Output) -> Result<(), Failure> {
    let (runs, events) = (ui::many(all.runs, "run"), ui::many(all.events, "event"));
    let of = if listed < all.runs { format!("{} of ", ui::count(listed)) } else { String::new() };
    out.prose(0, ui::dim(format!("{of}{runs}, {events}, {}", ui::bytes(all.bytes))))?;
    let duties: u64 = DutyKind::ALL.into_iter().map(|kind| store.duty_count(kind)).sum();
    if duties > 0 {
        let open = format!("{} open in the store: `kinlog duties`", ui::many(duties, "duty"));
        out.prose(0, ui::dim(open))?;
    }
    Ok(())
}

/// How long the run took; nothing where its events do not say when.
fn took(run: &RunInfo) -> Option<Duration> {
    let (from, to) = (run.started_at.unix_nanos(), run.closed_at?.unix_nanos());
    let known = from != 0 && to != 0;
    known.then(|| to.checked_sub(from)).flatten()?.try_into().ok().map(Duration::from_nanos)
}

/// How much of a run id, hyphens included, is enough to tell it from all others in the store.
fn unique_digits(snapshot: &Snapshot) -> kinlog::Result<usize> {
    let ids = snapshot.runs(RunFilter::all()).map(|run| Ok(run?.id.to_string()));
    let mut ids = ids.collect::<kinlog::Result<Vec<String>>>()?;
    ids.sort_unstable();
    let common =
        |(a, b): (&String, &String)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let shared = ids.iter().zip(ids.iter().skip(1)).map(common).max().unwrap_or_default();
    Ok(match (shared + 1).max(ID_MIN) {
        // A hyphen at the end tells nothing.
        9 | 14 | 19 | 24 => shared + 2,
        digits => digits,
    })
}
