//! Which run is meant by what was typed.

use kinlog::{RunFilter, RunInfo, Snapshot};

use crate::args::RunArgs;
use crate::failure::Failure;
use crate::ui::plain;

/// How many runs an error lists.
const LISTED: usize = 8;

/// The run whose id is, or begins with, what was typed, or whose workflow id it is.
pub(crate) fn find(snapshot: &Snapshot, args: &RunArgs) -> Result<RunInfo, Failure> {
    let typed = args.run.as_str();
    if let Ok(id) = typed.parse()
        && let Ok(run) = snapshot.run(&id)
    {
        return Ok(run);
    }
    let filter = match &args.namespace {
        Some(namespace) => RunFilter::all().namespace(namespace),
        None => RunFilter::all(),
    };
    let prefix = plain_digits(typed);
    let fits = |run: &RunInfo| {
        let by_id = prefix
            .as_ref()
            .is_some_and(|digits| run.id.to_string().replace('-', "").starts_with(digits.as_str()));
        by_id || (run.is_current && *run.workflow_id == *typed)
    };
    let mut found: Vec<RunInfo> = snapshot.runs(filter.clone()).filter(fits).collect();
    if found.len() > 1 {
        let what = format!("{typed:?} may be any of {} runs, type more of its id", found.len());
        return Err(Failure::NotFound(listing(&what, &found)));
    }
    found.pop().ok_or_else(|| not_found(snapshot, filter, typed))
}

/// The digits of what may be the beginning of a run id.
fn plain_digits(typed: &str) -> Option<String> {
    let digits = typed.replace('-', "").to_ascii_lowercase();
    let hex = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    hex.then_some(digits)
}

fn not_found(snapshot: &Snapshot, filter: RunFilter, typed: &str) -> Failure {
    let lower = typed.to_lowercase();
    let alike = |run: &RunInfo| run.workflow_id.to_lowercase().contains(&lower);
    let alike: Vec<RunInfo> = snapshot.runs(filter).filter(alike).collect();
    Failure::NotFound(match alike.is_empty() {
        true => format!("there is no run {typed:?}; `kinlog ls` lists them all"),
        false => listing(&format!("there is no run {typed:?}; do you mean one of these?"), &alike),
    })
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
