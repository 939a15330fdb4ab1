//! `kinlog duties`: what must still happen between runs, the oldest first.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use kinlog::{Duty, DutyFilter, DutyKind, Position, Snapshot, Store, Timestamp};
use serde::Serialize;

use crate::args::{DutiesArgs, RunArgs};
use crate::failure::Failure;
use crate::find::find;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn duties(
    store: &Path,
    args: &DutiesArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let duties = store.duties(filter(&snapshot, args)?);
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut clock = Clock { store: &store, read: None };
    if args.json {
        for duty in duties.take(limit) {
            let duty = duty?;
            out.json(&Line::of(&duty, &snapshot, &mut clock)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(COLUMNS);
    let mut counts = DutyKind::ALL.map(|kind| (kind, 0u64));
    for (place, duty) in duties.enumerate() {
        let duty = duty?;
        if place < limit {
            table.row(row(&duty, &snapshot, &mut clock)?);
        }
        let count = counts.iter_mut().find(|(kind, _)| *kind == duty.kind());
        count.into_iter().for_each(|(_, count)| *count += 1);
    }
    summary(&table, &counts, limit, out)?;
    Ok(ExitCode::SUCCESS)
}

fn filter(snapshot: &Snapshot, args: &DutiesArgs) -> Result<DutyFilter, Failure> {
    let mut filter = DutyFilter::all();
    for kind in &args.kind {
        filter = filter.kind((*kind).into());
    }
    if let Some(run) = &args.run {
        let run = RunArgs { run: run.clone(), namespace: args.namespace.clone() };
        filter = filter.run(find(snapshot, &run)?.id);
    }
    Ok(filter)
}

/// The table, and how many duties there are of each kind.
fn summary(
    table: &Table,
    counts: &[(DutyKind, u64)],
    limit: usize,
    out: &mut Output,
) -> Result<(), Failure> {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    if all == 0 {
        out.prose(0, ui::dim("no open duties: what must follow has happened"))?;
        return Ok(());
    }
    table.print(out)?;
    let kinds = counts.iter().filter(|(_, count)| *count > 0);
    let kinds: Vec<_> =
        kinds.map(|(kind, count)| format!("{} {kind}", ui::count(*count))).collect();
    let shown = all.min(limit as u64);
    let of = if shown < all { format!("{} of ", ui::count(shown)) } else { String::new() };
    let sum = format!("{of}{}: {}", ui::many(all, "duty"), kinds.join(", "));
    out.prose(0, ui::dim(sum))?;
    Ok(())
}

const COLUMNS: [(&str, Align); 6] = [
    ("SINCE", Align::Right),
    ("AGE", Align::Right),
    ("DUTY", Align::Whole),
    ("RUN", Align::Whole),
    ("WORKFLOW", Align::Left),
    ("EVENT", Align::Right),
];

fn row(duty: &Duty, snapshot: &Snapshot, clock: &mut Clock<'_>) -> Result<[String; 6], Failure> {
    Ok([
        duty.since().to_string(),
        clock.time_of(duty.since())?.and_then(age).map(ui::span).unwrap_or_default(),
        duty.kind().to_string(),
        ui::head(duty.run()).to_string(),
        ui::plain(&snapshot.run(&duty.run())?.workflow_id).into_owned(),
        duty.initiated_event_id().to_string(),
    ])
}

/// Tells when commits were made. Duties of one commit follow each other.
struct Clock<'s> {
    store: &'s Store,
    read: Option<(Position, Option<Timestamp>)>,
}

impl Clock<'_> {
    /// The time of the first event of the commit.
    fn time_of(&mut self, commit: Position) -> Result<Option<Timestamp>, Failure> {
        if let Some((_, time)) = self.read.filter(|(read, _)| *read == commit) {
            return Ok(time);
        }
        let found = self.store.tail(commit).try_next()?;
        let batch = found.as_ref().and_then(|commit| commit.batches().next()).transpose()?;
        let event = batch.and_then(|batch| batch.events().next());
        let time = event.transpose()?.map(|event| event.time());
        self.read = Some((commit, time));
        Ok(time)
    }
}

/// How long ago it was; nothing for a time that is yet to come, or none at all.
fn age(time: Timestamp) -> Option<Duration> {
    let nanos = u64::try_from(time.unix_nanos()).ok().filter(|nanos| *nanos > 0)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    now.checked_sub(Duration::from_nanos(nanos))
}

#[derive(Serialize)]
struct Line {
    since: u64,
    since_time: Option<String>,
    kind: &'static str,
    run_id: String,
    namespace: String,
    workflow_id: String,
    initiated_event_id: u32,
}

impl Line {
    fn of(duty: &Duty, snapshot: &Snapshot, clock: &mut Clock<'_>) -> Result<Self, Failure> {
        let run = snapshot.run(&duty.run())?;
        Ok(Line {
            since: duty.since().as_u64(),
            since_time: clock.time_of(duty.since())?.and_then(ui::rfc3339),
            kind: duty.kind().name(),
            run_id: run.id.to_string(),
            namespace: run.namespace.to_string(),
            workflow_id: run.workflow_id.to_string(),
            initiated_event_id: duty.initiated_event_id(),
        })
    }
}
