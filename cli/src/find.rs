//! Which run is meant by what was typed.

use kinlog::{RunFilter, RunInfo, Snapshot};

use crate::args::RunArgs;
use crate::failure::Failure;
use crate::ui::plain;

/// How many runs an error lists.
const LISTED: usize = 8;

/// The run whose id it is, else the current run of the workflow whose id it is, else the run whose
/// id begins with it.
pub(crate) fn find(snapshot: &Snapshot, args: &RunArgs) -> Result<RunInfo, Failure> {
    let typed = args.run.as_str();
    let filter = match &args.namespace {
        Some(namespace) => RunFilter::all().namespace(namespace),
        None => RunFilter::all(),
    };
    let of_id = typed.parse().ok().and_then(|id| snapshot.run(&id).ok());
    let is_meant = |run: &RunInfo| args.namespace.as_ref().is_none_or(|it| **it == *run.namespace);
    if let Some(run) = of_id.filter(is_meant) {
        return Ok(run);
    }
    let of_workflow = filter.clone().workflow_id(typed);
    let mut found = matching(snapshot, of_workflow, |run| run.is_current)?;
    let mut more = "--namespace says which";
    if found.is_empty() {
        found = matching(snapshot, filter.clone(), |run| begins(run, typed))?;
        more = "type more of its id";
    }
    if found.len() > 1 {
        let what = format!("{typed:?} may be any of {} runs, {more}", found.len());
        return Err(Failure::NotFound(listing(&what, &found)));
    }
    match found.pop() {
        Some(run) => Ok(run),
        None => Err(not_found(snapshot, filter, typed)?),
    }
}

/// The runs that the filter admits and that match.
fn matching(
    snapshot: &Snapshot,
    filter: RunFilter,
    matches: impl Fn(&RunInfo) -> bool,
) -> Result<Vec<RunInfo>, Failure> {
    let matching = snapshot.runs(filter).filter(|run| run.as_ref().map_or(true, &matches));
    Ok(matching.collect::<kinlog::Result<_>>()?)
}

/// Whether the run's id begins like this, with its hyphens or without.
fn begins(run: &RunInfo, typed: &str) -> bool {
    let (id, typed) = (run.id.to_string(), typed.to_ascii_lowercase());
    !typed.is_empty() && (id.starts_with(&typed) || id.replace('-', "").starts_with(&typed))
}

fn not_found(snapshot: &Snapshot, filter: RunFilter, typed: &str) -> Result<Failure, Failure> {
    let lower = typed.to_lowercase();
    let alike = |run: &RunInfo| run.workflow_id.to_lowercase().contains(&lower);
    let alike = matching(snapshot, filter, alike)?;
    Ok(Failure::NotFound(match alike.is_empty() {
        true => format!("there is no run {typed:?}; `kinlog ls` lists them all"),
        false => listing(&format!("there is no run {typed:?}; do you mean one of these?"), &alike),
    }))
}

/// The runs, one a line, for an error.
fn listing(what: &str, runs: &[RunInfo]) -> String {
    let mut text = what.to_owned();
    for run in runs.iter().take(LISTED) {
        let RunInfo { id, namespace, workflow_id, status, .. } = run;
        let (namespace, workflow_id) = (plain(namespace), plain(workflow_id));
        text.push_str(&format!("\n  {id}  {status:14}  {namespace} / {workflow_id}"));
    }
    if let Some(more) = runs.len().checked_sub(LISTED).filter(|more| *more > 0) {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}
