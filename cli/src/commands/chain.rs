//! `kinlog chain`: the runs of one execution, in order.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use kinlog::event::Initiator;
use kinlog::read::{Chain, Link};
use kinlog::{RunId, Snapshot};
use serde::Serialize;

use super::standing::run_notes;
use crate::args::ChainArgs;
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn chain(store: &Path, args: &ChainArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let run = find(&snapshot, &args.run)?;
    let chain = snapshot.chain(&run.id)?;
    let places = places(&snapshot, &chain)?;
    if args.json {
        for place in &places {
            out.json(&Line::of(place))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (name, namespace) = (ui::plain(&run.workflow_id), ui::plain(&run.namespace));
    out.prose(0, format!("{}  {}", ui::bold(name), ui::dim(format!("in {namespace}"))))?;
    writeln!(out)?;
    table(&places).print(out)?;
    let size = chain.size()?;
    let (runs, events) = (ui::many(size.runs, "run"), ui::many(size.events, "event"));
    out.prose(0, ui::dim(format!("{runs}, {events}, {}", ui::bytes(size.bytes))))?;
    Ok(ExitCode::SUCCESS)
}

/// A place in a chain.
enum Place {
    /// A run that the chain names and the store does not hold.
    Gap(RunId),
    Run {
        number: usize,
        link: Box<Link>,
        came: Came,
    },
}

/// How a run came into its chain.
enum Came {
    Started,
    Followed { initiator: Initiator, attempt: u32, before: Option<usize> },
    Reset { base: RunId, number: Option<usize>, last_event: u32 },
}

fn places(snapshot: &Snapshot, chain: &Chain) -> Result<Vec<Place>, Failure> {
    let (mut places, mut numbers) = (vec![], HashMap::new());
    let mut gap = (!chain.first_is_here()).then(|| chain.first_run_id());
    for (number, link) in (1..).zip(chain.links()) {
        let link = link?;
        let before = link.before.filter(|_| !link.before_is_here);
        places.extend(gap.take().filter(|first| Some(*first) != before).map(Place::Gap));
        places.extend(before.map(Place::Gap));
        let came = came(snapshot, &link, &numbers)?;
        numbers.insert(link.run.id, number);
        places.push(Place::Run { number, link: Box::new(link), came });
    }
    places.extend(chain.next_not_here()?.map(Place::Gap));
    Ok(places)
}

fn came(
    snapshot: &Snapshot,
    link: &Link,
    numbers: &HashMap<RunId, usize>,
) -> Result<Came, Failure> {
    if let Some((base, last_event)) = link.run.base {
        return Ok(Came::Reset { base, number: numbers.get(&base).copied(), last_event });
    }
    let Some(before) = link.before else { return Ok(Came::Started) };
    let history = snapshot.history(&link.run.id)?;
    let started = history.started()?;
    let (initiator, attempt) = (started.initiator, started.attempt);
    // Only if it is not the run in the line above.
    let before = numbers.get(&before).copied().filter(|before| *before < numbers.len());
    Ok(Came::Followed { initiator, attempt, before })
}

impl Came {
    fn words(&self) -> String {
        match self {
            Came::Started => "started".to_owned(),
            Came::Reset { base, number, last_event } => {
                let of = number.map_or_else(|| base.to_string(), |number| number.to_string());
                format!("reset of {of} to event {last_event}")
            }
            Came::Followed { initiator, attempt, before } => {
                let how = match initiator {
                    Initiator::Workflow => "continued as new".to_owned(),
                    Initiator::Retry => format!("retry, attempt {attempt}"),
                    Initiator::CronSchedule => "cron".to_owned(),
                    _ => "continued".to_owned(),
                };
                let of = before.map(|before| format!(", after {before}")).unwrap_or_default();
                how + &of
            }
        }
    }
}

fn table(places: &[Place]) -> Table {
    let mut table = Table::new([
        ("", Align::Right),
        ("RUN", Align::Whole),
        ("CAME BY", Align::Left),
        ("STATUS", Align::Whole),
        ("EVENTS", Align::Right),
        ("SIZE", Align::Right),
        ("STARTED (UTC)", Align::Whole),
        ("CLOSED (UTC)", Align::Whole),
        ("", Align::Left),
    ]);
    for place in places {
        match place {
            Place::Gap(run) => {
                let cells = ["·", &run.to_string(), "a run that is not here"];
                table.row(cells.map(|cell| ui::dim(cell).to_string()));
            }
            Place::Run { number, link, came } => {
                let run = &link.run;
                let current = run.is_current.then(|| "current".to_owned());
                let notes: Vec<_> = current.into_iter().chain(run_notes(run)).collect();
                table.row([
                    number.to_string(),
                    ui::head(run.id).to_string(),
                    came.words(),
                    ui::status(run.status).to_string(),
                    ui::count(run.events),
                    ui::bytes(run.bytes),
                    ui::time(run.started_at),
                    run.closed_at.map(ui::time).unwrap_or_default(),
                    notes.join(", "),
                ]);
            }
        }
    }
    table
}

#[derive(Default, Serialize)]
struct Line {
    number: Option<usize>,
    run_id: String,
    is_here: bool,
    is_current: bool,
    is_imported: bool,
    came_by: Option<String>,
    attempt: Option<u32>,
    before_run_id: Option<String>,
    before_is_here: bool,
    reset_to_event: Option<u32>,
    status: Option<&'static str>,
    cancel_requested: bool,
    events: Option<u32>,
    bytes: Option<u64>,
    started_at: Option<String>,
    closed_at: Option<String>,
}

impl Line {
    fn of(place: &Place) -> Self {
        let (number, link, came) = match place {
            Place::Gap(run) => return Line { run_id: run.to_string(), ..Line::default() },
            Place::Run { number, link, came } => (number, link, came),
        };
        let run = &link.run;
        let (came_by, attempt) = match came {
            Came::Started => ("Start".to_owned(), None),
            Came::Reset { .. } => ("Reset".to_owned(), None),
            Came::Followed { initiator, attempt, .. } => (format!("{initiator:?}"), Some(*attempt)),
        };
        Line {
            number: Some(*number),
            run_id: run.id.to_string(),
            is_here: true,
            is_current: run.is_current,
            is_imported: run.is_imported,
            came_by: Some(came_by),
            attempt,
            before_run_id: link.before.map(|before| before.to_string()),
            before_is_here: link.before_is_here,
            reset_to_event: run.base.map(|(_, last_event)| last_event),
            status: Some(run.status.name()),
            cancel_requested: run.cancel_requested,
            events: Some(run.events),
            bytes: Some(run.bytes),
            started_at: ui::rfc3339(run.started_at),
            closed_at: run.closed_at.and_then(ui::rfc3339),
        }
    }
}
