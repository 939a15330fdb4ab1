//! `kinlog show`: a run, event by event.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use kinlog::{Event, History, RunId, RunInfo, Snapshot};

use super::event::{Line, what};
use crate::args::ShowArgs;
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn show(store: &Path, args: &ShowArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let run = find(&snapshot, &args.run)?;
    let history = snapshot.history(&run.id)?;
    if args.json {
        for event in events(&history, args) {
            out.json(&Line::of(&run.id, &event?))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    header(&snapshot, &run, &history, out)?;
    let mut table = Table::new([
        ("EVENT", Align::Right),
        ("TIME (UTC)", Align::Whole),
        ("KIND", Align::Whole),
        ("SIZE", Align::Right),
        ("WHAT", Align::Left),
    ]);
    let mut shown = 0;
    for event in events(&history, args) {
        let event = event?;
        table.row([
            event.id().to_string(),
            ui::dim(ui::clock(event.time())).to_string(),
            event.kind().to_string(),
            ui::bytes(event.size().into()),
            what(&event),
        ]);
        shown += 1;
    }
    table.print(out)?;
    if shown < history.len() {
        let all = ui::many(history.len(), "event");
        out.prose(0, ui::dim(format!("{} of {all}", ui::count(shown))))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The events that were asked for, in the order that was asked for.
fn events<'h>(
    history: &'h History,
    args: &ShowArgs,
) -> Box<dyn Iterator<Item = kinlog::Result<Event<'h>>> + 'h> {
    let limit = args.limit.unwrap_or(usize::MAX);
    if !args.reverse {
        return Box::new(history.from(args.from.unwrap_or(1)).take(limit));
    }
    let from = args.from.unwrap_or(u32::MAX);
    let later = move |event: &kinlog::Result<Event<'h>>| {
        event.as_ref().is_ok_and(|event| event.id() > from)
    };
    Box::new(history.rev().skip_while(later).take(limit))
}

fn header(
    snapshot: &Snapshot,
    run: &RunInfo,
    history: &History,
    out: &mut Output,
) -> Result<(), Failure> {
    let started = history.started()?;
    let (name, kind) = (ui::plain(&run.workflow_id), ui::plain(started.workflow_type));
    out.prose(0, format!("{}  {kind}  {}", ui::bold(name), ui::status(run.status)))?;
    let mut table = Table::new([("", Align::Left), ("", Align::Left)]).indent(2);
    let mut say = |what: &str, text: String| table.row([ui::dim(what).to_string(), text]);
    let recorded = if run.is_imported { ", recorded elsewhere" } else { "" };
    say("run", format!("{}{recorded}", ui::head(run.id)));
    say("namespace", ui::plain(&run.namespace).into_owned());
    if let Some(run) = started.continued_run_id.filter(|_| run.base.is_none()) {
        say("continues", run.to_string());
    }
    kin(snapshot, run, &mut say)?;
    say("started", ui::time(run.started_at));
    if let Some(closed_at) = run.closed_at {
        say("closed", ui::time(closed_at));
    }
    say("size", format!("{}, {}", ui::many(run.events, "event"), ui::bytes(run.bytes)));
    table.print(out)?;
    writeln!(out)?;
    Ok(())
}

/// Where the run stands between others.
fn kin(
    snapshot: &Snapshot,
    run: &RunInfo,
    say: &mut impl FnMut(&str, String),
) -> Result<(), Failure> {
    let place = |run: RunId, is_here| format!("{run}{}", if is_here { "" } else { ", not here" });
    let named = |id: &str, run, is_here| format!("{}, run {}", ui::plain(id), place(run, is_here));
    if let Some(parent) = snapshot.parent(&run.id)? {
        let at = named(&parent.workflow_id, parent.run, parent.is_here);
        say("parent", format!("{at}, event {}", parent.initiated_event_id));
        let root = snapshot.root(&run.id)?;
        say("root", named(&root.workflow_id, root.run, root.is_here));
    }
    let chain = snapshot.chain(&run.id)?;
    if chain.len() > 1 || !chain.first_is_here() {
        let runs = chain.runs().collect::<kinlog::Result<Vec<_>>>()?;
        let number = runs.iter().take_while(|other| other.id != run.id).count() as u64 + 1;
        let runs = ui::many(chain.len() as u64, "run");
        say("chain", format!("number {} of {runs}", ui::count(number)));
        say("first run", place(chain.first_run_id(), chain.first_is_here()));
    }
    if let Some((base, last_event)) = run.base {
        say("reset of", format!("{base} to event {last_event}"));
    }
    let root = snapshot.tree(&run.id)?.max_depth(0).next().transpose()?;
    if let Some(children) = root.map(|root| root.children).filter(|children| *children > 0) {
        let open = snapshot.children(&run.id)?.open();
        let open = open.map(|child| child.map(|_| 1)).sum::<kinlog::Result<u64>>()?;
        say("children", format!("{} ({} open)", ui::count(children), ui::count(open)));
    }
    Ok(())
}
