//! `kinlog children`: the children of a run, those that have ended too.

use std::path::Path;
use std::process::ExitCode;

use kinlog::read::Children;
use kinlog::{Child, ChildState, RunId, Size, Snapshot};
use serde::Serialize;

use super::standing::{Standing, child_notes, policy};
use crate::args::ChildrenArgs;
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn children(
    store: &Path,
    args: &ChildrenArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let run = find(&snapshot, &args.run)?.id;
    let mut children = wanted(&snapshot, &run, args)?;
    let limit = args.limit.unwrap_or(usize::MAX);
    if args.json {
        for child in children.take(limit) {
            out.json(&Line::of(&run, &child?))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(COLUMNS);
    let (mut shown, mut last, mut size) = (0u64, 0, Size::default());
    for child in children.by_ref().take(limit) {
        let child = child?;
        table.row(row(&child));
        size += child.size;
        (shown, last) = (shown + 1, child.initiated_event_id);
    }
    if shown > 0 {
        table.print(out)?;
    }
    let (events, bytes) = (ui::many(size.events, "event"), ui::bytes(size.bytes));
    let sum = format!("{}, {events}, {bytes}", ui::many(shown, "child"));
    out.prose(0, ui::dim(sum))?;
    if children.next().transpose()?.is_some() {
        let after = if shown > 0 { last } else { args.after.unwrap_or_default() };
        out.prose(0, ui::dim(format!("more follow: --after {after}")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(snapshot: &Snapshot, run: &RunId, args: &ChildrenArgs) -> Result<Children, Failure> {
    let mut children = snapshot.children(run)?;
    if let Some(after) = args.after {
        children = children.after(after);
    }
    if let Some(state) = args.state {
        children = children.state(state.into());
    }
    Ok(if args.open { children.open() } else { children })
}

const COLUMNS: [(&str, Align); 9] = [
    ("EVENT", Align::Right),
    ("WORKFLOW", Align::Left),
    ("TYPE", Align::Left),
    ("ON CLOSE", Align::Whole),
    ("STATE", Align::Whole),
    ("EVENTS", Align::Right),
    ("SIZE", Align::Right),
    ("CURRENT RUN", Align::Whole),
    ("", Align::Left),
];

fn row(child: &Child) -> [String; 9] {
    let mut notes = child_notes(child);
    if child.state == ChildState::Closed && !child.reported {
        notes.push("the parent was not told".to_owned());
    }
    let (events, bytes) = match child.is_here {
        true => (ui::count(child.size.events), ui::bytes(child.size.bytes)),
        false => (String::new(), String::new()),
    };
    [
        child.initiated_event_id.to_string(),
        ui::plain(&child.workflow_id).into_owned(),
        ui::plain(&child.workflow_type).into_owned(),
        policy(child.policy).to_owned(),
        Standing::of(child).styled().to_string(),
        events,
        bytes,
        child.current.as_ref().map(|run| ui::head(run.id).to_string()).unwrap_or_default(),
        ui::dim(notes.join(", ")).to_string(),
    ]
}

#[derive(Serialize)]
struct Line<'a> {
    parent_run_id: String,
    initiated_event_id: u32,
    workflow_id: &'a str,
    workflow_type: &'a str,
    policy: String,
    state: &'static str,
    outcome: Option<&'static str>,
    reported: bool,
    first_run_id: Option<String>,
    current_run_id: Option<String>,
    cancel_requested: bool,
    is_here: bool,
    held_by: Option<String>,
    runs: u64,
    events: u64,
    bytes: u64,
}

impl<'a> Line<'a> {
    fn of(parent: &RunId, child: &'a Child) -> Self {
        let current = child.current.as_ref();
        Line {
            parent_run_id: parent.to_string(),
            initiated_event_id: child.initiated_event_id,
            workflow_id: &child.workflow_id,
            workflow_type: &child.workflow_type,
            policy: format!("{:?}", child.policy),
            state: child.state.name(),
            outcome: child.outcome.map(|outcome| outcome.name()),
            reported: child.reported,
            first_run_id: child.first_run.map(|run| run.to_string()),
            current_run_id: current.map(|run| run.id.to_string()),
            cancel_requested: current.is_some_and(|run| run.cancel_requested),
            is_here: child.is_here,
            held_by: child.held_by.map(|run| run.to_string()),
            runs: child.size.runs,
            events: child.size.events,
            bytes: child.size.bytes,
        }
    }
}
