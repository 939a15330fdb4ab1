//! Executions as runs. The id of a run is the birth of its instance and the number of the execution.

#![allow(clippy::big_endian_bytes)]

use duroxide::{Event, EventKind as DuroxideKind};
use kinlog::retention::Keep;
use kinlog::{
    Close, Error, EventKind, Expect, NewEvent, NewRun, NextRun, RunFilter, RunId, RunInfo,
    RunStatus, Snapshot, Store, Transaction,
};

use crate::error::{Result, refused};
use crate::event::{self, Encoded};
use crate::instance::Instance;
use crate::tables::PRUNED;
use crate::{NAMESPACE, clock};

/// The kind of duroxide's events.
const EVENT: EventKind = EventKind::from_number(1024);

pub(crate) fn run_id(instance: &Instance, execution: u64) -> RunId {
    RunId::from_bytes((u128::from(instance.born) << 64 | u128::from(execution)).to_be_bytes())
}

/// The executions of an instance, by their numbers.
pub(crate) fn list(
    snapshot: &Snapshot,
    id: &str,
    instance: &Instance,
) -> Result<Vec<(u64, RunInfo)>> {
    let mut executions = vec![];
    for run in snapshot.runs(RunFilter::all().namespace(NAMESPACE).workflow_id(id)) {
        let run = run?;
        let number = u128::from_be_bytes(*run.id.as_bytes()) & u128::from(u64::MAX);
        let number = u64::try_from(number).unwrap_or_default();
        if run.id == run_id(instance, number) {
            executions.push((number, run));
        }
    }
    executions.sort_unstable_by_key(|(number, _)| *number);
    Ok(executions)
}

/// What duroxide calls the status of a former execution.
pub(crate) fn status_of(run: &RunInfo) -> &'static str {
    match run.status {
        RunStatus::Running => "Running",
        RunStatus::Completed => "Completed",
        RunStatus::ContinuedAsNew => "ContinuedAsNew",
        _ => "Failed",
    }
}

/// The events of an execution; none if it is not there.
pub(crate) fn read(
    snapshot: &Snapshot,
    id: &str,
    instance: &Instance,
    execution: u64,
) -> Result<Vec<Event>> {
    let run = run_id(instance, execution);
    let history = match snapshot.history(&run) {
        Err(Error::RunNotFound { .. } | Error::RunDeleted { .. }) => return Ok(vec![]),
        history => history?,
    };
    let mut events = vec![];
    for event in &history {
        events.extend(event::decode(&event?, id, execution)?);
    }
    Ok(events)
}

/// Deletes the executions of instances that were deleted: a run must have ended before the commit that deletes it.
pub(crate) fn delete_pruned(tx: &mut Transaction<'_>) -> kinlog::Result<()> {
    // In this order a chain goes from its first run on.
    for row in tx.rows(PRUNED, ..).collect::<kinlog::Result<Vec<_>>>()? {
        let run = RunId::from_bytes(row.key.as_slice().try_into().unwrap_or_default());
        match tx.delete_run(&run, Keep::Nothing) {
            Ok(()) | Err(Error::RunNotFound { .. }) => tx.delete(PRUNED, &row.key)?,
            // It is tried again.
            Err(Error::NotDeletable { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is added to an execution.
pub(crate) struct Addition<'a> {
    pub(crate) id: &'a str,
    pub(crate) instance: &'a Instance,
    pub(crate) execution: u64,
    /// The instance's current execution before; 0 if there was none.
    pub(crate) before: u64,
    pub(crate) events: &'a [Encoded],
    /// `Completed` and `Failed` end the run. One that continues as new does so when the next execution begins.
    pub(crate) status: Option<&'a str>,
}

impl Addition<'_> {
    /// Adds the events. The first one of an execution is the payload of the Started event of its run; the
    /// last one of an execution that ends is that of the closing event.
    pub(crate) fn write(&self, store: &Store, tx: &mut Transaction<'_>) -> Result<()> {
        let run = run_id(self.instance, self.execution);
        let (last, events) = match store.history(&run) {
            Err(Error::RunNotFound { .. }) => (0, self.begin(store, tx, run)?),
            history => {
                let history = history?;
                tx.expect(&run, Expect::NextEvent(history.len().saturating_add(1)))?;
                let last = history.rev().find_map(|event| event::id(event.ok()?.payload()));
                (last.unwrap_or(0), self.events)
            }
        };
        let ids = std::iter::once(last).chain(self.events.iter().map(|event| event.id));
        if !ids.is_sorted_by(|former, id| former < id) {
            let what = format!("an event of {} is there already, or comes too late", self.id);
            return refused(what);
        }
        let ends = matches!(self.status, Some("Completed" | "Failed"));
        let (events, last) = match events.split_last() {
            Some((last, events)) if ends => (events, Some(last)),
            _ => (events, None),
        };
        for event in events {
            tx.append(&run, NewEvent::opaque(EVENT, &event.payload).at(event.time))?;
        }
        if ends {
            let payload = last.map_or(&[] as &[u8], |event| &event.payload);
            let close = match self.status {
                Some("Completed") => Close::completed(payload),
                _ => Close::failed(payload),
            };
            tx.close_run(&run, last.map_or(close, |event| close.at(event.time)))?;
        }
        Ok(())
    }

    /// Begins the run: as the next one of its chain if the execution before is open. What is left to append.
    fn begin(&self, store: &Store, tx: &mut Transaction<'_>, run: RunId) -> Result<&[Encoded]> {
        let name = self.instance.name.as_deref().unwrap_or_default();
        let first = self.events.first();
        let payload = first.map_or(&[] as &[u8], |event| &event.payload);
        let former = run_id(self.instance, self.before);
        if store.run(&former).is_ok_and(|former| former.status.is_open()) {
            let next = NextRun::new(name).id(run).input(payload);
            tx.continue_as_new(&former, first.map_or(next, |event| next.at(event.time)))?;
        } else {
            let new = NewRun::new(NAMESPACE, self.id, name).id(run).input(payload);
            tx.start(first.map_or(new, |event| new.at(event.time)))?;
        }
        Ok(self.events.get(1..).unwrap_or_default())
    }
}

/// The last event of an execution, if there is one that can be decoded, and when it was written.
pub(crate) fn last(
    snapshot: &Snapshot,
    id: &str,
    instance: &Instance,
) -> Result<Option<(Option<Event>, u64)>> {
    let history = snapshot.history(&run_id(instance, instance.execution))?;
    let Some(last) = history.rev().next().transpose()? else { return Ok(None) };
    let decoded = event::decode(&last, id, instance.execution).ok().flatten();
    Ok(Some((decoded, clock::millis(last.time()))))
}

/// What an execution came to, by its last event.
pub(crate) fn output(last: &Event) -> Option<String> {
    match &last.kind {
        DuroxideKind::OrchestrationCompleted { output } => Some(output.clone()),
        DuroxideKind::OrchestrationContinuedAsNew { input } => Some(input.clone()),
        DuroxideKind::OrchestrationFailed { details } => Some(details.display_message()),
        _ => None,
    }
}
