//! `kinlog ls`: one line for each run.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kinlog::read::RunOrder;
use kinlog::{DutyKind, RunFilter, RunInfo, Snapshot, Store};
use serde::Serialize;

use crate::args::{By, LsArgs};
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Align, Output, Table};

/// Fewer digits of a run id look like a number.
const ID_MIN: usize = 8;
/// To tell how many digits are unique, all other runs would be looked at.
const ALL_DIGITS: usize = usize::MAX;
/// How many runs of an ordered list are asked for at a time.
const PAGE_RUNS: usize = 1000;

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
    if let Some(parent) = args.parent {
        filter = filter.parent(parent);
    }
    let limit = args.limit.unwrap_or(usize::MAX);
    match args.order() {
        Some(order) => in_order(&snapshot, filter, order, limit, args, out)?,
        None if args.json => {
            snapshot.runs(filter).take(limit).try_for_each(|run| json(&run?, out))?;
        }
        None if args.limit.is_some() => first(&snapshot, filter, limit, out)?,
        None => all(&store, &snapshot, filter, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The first runs in the order in which they came: as many as are asked for, and no others are looked at than one more.
fn first(
    snapshot: &Snapshot,
    filter: RunFilter,
    limit: usize,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut runs = snapshot.runs(filter);
    let listed = runs.by_ref().take(limit).collect::<kinlog::Result<Vec<_>>>()?;
    table(&listed, ALL_DIGITS, out)?;
    let more = if runs.next().transpose()?.is_some() { "; there are more" } else { "" };
    out.prose(0, ui::dim(format!("{}{more}", Sum::of(&listed))))?;
    Ok(())
}

/// All runs in the order in which they came, and what they come to.
fn all(
    store: &Store,
    snapshot: &Snapshot,
    filter: RunFilter,
    out: &mut Output,
) -> Result<(), Failure> {
    let listed = snapshot.runs(filter).collect::<kinlog::Result<Vec<_>>>()?;
    table(&listed, unique_digits(snapshot)?, out)?;
    footer(store, &Sum::of(&listed), out)
}

/// The runs by when they started or closed, as many as are asked for.
fn in_order(
    snapshot: &Snapshot,
    mut filter: RunFilter,
    order: RunOrder,
    limit: usize,
    args: &LsArgs,
    out: &mut Output,
) -> Result<(), Failure> {
    match args.by.unwrap_or_default() {
        By::Started => (filter.started_since, filter.started_until) = (args.since, args.until),
        By::Closed => (filter.closed_since, filter.closed_until) = (args.since, args.until),
    }
    let (mut listed, mut left) = (vec![], limit);
    let mut next = args.after.clone();
    while left > 0 {
        let page = snapshot.list_runs(&filter, order, left.min(PAGE_RUNS), next.as_ref())?;
        left -= page.runs.len();
        for run in page.runs {
            match args.json {
                true => json(&run, out)?,
                false => listed.push(run),
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let next = next.map(|next| next.to_string());
    match (args.json, next) {
        (true, Some(next)) => out.json(&Next { next })?,
        (true, None) => {}
        (false, next) => {
            table(&listed, ALL_DIGITS, out)?;
            out.prose(0, ui::dim(Sum::of(&listed).to_string()))?;
            if let Some(next) = next {
                out.prose(0, ui::dim(format!("there may be more: --after {next}")))?;
            }
        }
    }
    Ok(())
}

/// Where a list goes on.
#[derive(Serialize)]
struct Next {
    next: String,
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

fn json(run: &RunInfo, out: &mut Output) -> Result<(), Failure> {
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
    Ok(())
}

/// The runs, each with so many digits of its id.
fn table(runs: &[RunInfo], digits: usize, out: &mut Output) -> Result<(), Failure> {
    let namespaces: HashSet<&str> = runs.iter().map(|run| &*run.namespace).collect();
    let many = namespaces.len() > 1;
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

/// What runs come to.
struct Sum {
    runs: u64,
    events: u64,
    bytes: u64,
}

impl Sum {
    fn of(listed: &[RunInfo]) -> Self {
        Sum {
            runs: listed.len() as u64,
            events: listed.iter().map(|run| u64::from(run.events)).sum(),
            bytes: listed.iter().map(|run| run.bytes).sum(),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, events) = (ui::many(self.runs, "run"), ui::many(self.events, "event"));
        write!(f, "{runs}, {events}, {}", ui::bytes(self.bytes))
    }
}

fn footer(store: &Store, all: &Sum, out: &mut Output) -> Result<(), Failure> {
    out.prose(0, ui::dim(all.to_string()))?;
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
