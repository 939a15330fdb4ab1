//! Executions as runs. The id of a run is the birth of its instance and the number of the execution.

#![allow(clippy::big_endian_bytes)]

use duroxide::{Event, EventKind as DuroxideKind};
use kinlog::{
    Close, Error, EventKind, Expect, NewEvent, NewRun, NextRun, RunFilter, RunId, RunStatus,
    Snapshot, Store, Transaction,
};

use crate::error::{Result, invalid, refused};
use crate::event::{self, Encoded};
use crate::instance::Instance;
use crate::tables::PRUNED;
use crate::{NAMESPACE, clock};

/// The kind of duroxide's events.
const EVENT: EventKind = EventKind::from_number(1024);

pub(crate) fn run_id(born: u64, execution: u64) -> RunId {
    let mut id = [0; 16];
    let (first, second) = id.split_at_mut(8);
    first.copy_from_slice(&born.to_be_bytes());
    second.copy_from_slice(&execution.to_be_bytes());
    RunId::from_bytes(id)
}

/// The number of an execution, if the run belongs to the instance with this birth.
fn execution_of(run: &RunId, born: u64) -> Option<u64> {
    let (first, second) = run.as_bytes().split_first_chunk::<8>()?;
    let second = second.first_chunk::<8>()?;
    (*first == born.to_be_bytes()).then(|| u64::from_be_bytes(*second))
}

/// An execution as it is listed.
pub(crate) struct Execution {
    pub(crate) number: u64,
    pub(crate) run: RunId,
    pub(crate) status: String,
    pub(crate) started: u64,
    pub(crate) ended: Option<u64>,
    /// The events of the run.
    pub(crate) events: u64,
}

/// The executions of an instance that are not pruned, by their numbers.
pub(crate) fn list(
    snapshot: &Snapshot,
    id: &str,
    instance: &Instance,
) -> kinlog::Result<Vec<Execution>> {
    let mut executions = vec![];
    for run in snapshot.runs(RunFilter::all().namespace(NAMESPACE).workflow_id(id)) {
        let Some(number) = execution_of(&run.id, instance.born) else { continue };
        if snapshot.get(PRUNED, run.id.as_bytes())?.is_some() {
            continue;
        }
        // The row knows more of the current one: a run that is to continue as new is still open.
        let (status, ended) = match number == instance.execution {
            true => (instance.status(), instance.ended),
            false => (name_of(run.status), run.closed_at.map(clock::of)),
        };
        executions.push(Execution {
            number,
            run: run.id,
            status: status.to_owned(),
            started: clock::of(run.started_at),
            ended,
            events: run.events.into(),
        });
    }
    executions.sort_unstable_by_key(|execution| execution.number);
    Ok(executions)
}

/// What duroxide calls the status of a run.
fn name_of(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "Running",
        RunStatus::Completed => "Completed",
        RunStatus::ContinuedAsNew => "ContinuedAsNew",
        _ => "Failed",
    }
}

/// The events of an execution; none if it is not there or pruned.
pub(crate) fn read(
    snapshot: &Snapshot,
    operation: &'static str,
    id: &str,
    born: u64,
    execution: u64,
) -> Result<Vec<Event>> {
    let run = run_id(born, execution);
    if snapshot.get(PRUNED, run.as_bytes()).map_err(refused(operation))?.is_some() {
        return Ok(vec![]);
    }
    let history = match snapshot.history(&run) {
        Err(Error::RunNotFound { .. }) => return Ok(vec![]),
        history => history.map_err(refused(operation))?,
    };
    let mut events = Vec::with_capacity(usize::try_from(history.len()).unwrap_or(0));
    for event in &history {
        let decoded = event::decode(&event.map_err(refused(operation))?, id, execution);
        let unreadable = |what| invalid(operation, format!("Failed to decode an event: {what}"));
        events.extend(decoded.transpose().map_err(unreadable)?);
    }
    Ok(events)
}

/// How an execution ends for good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
}

impl End {
    pub(crate) fn of(status: Option<&str>) -> Option<Self> {
        match status? {
            "Completed" => Some(End::Completed),
            "Failed" => Some(End::Failed),
            _ => None,
        }
    }
}

/// What is added to an execution.
pub(crate) struct Addition<'a> {
    pub(crate) operation: &'static str,
    pub(crate) id: &'a str,
    pub(crate) instance: &'a Instance,
    pub(crate) execution: u64,
    /// The instance's current execution before; 0 if there was none.
    pub(crate) before: u64,
    pub(crate) events: &'a [Encoded],
    pub(crate) end: Option<End>,
}

impl Addition<'_> {
    /// Adds the events. The first one of an execution is the payload of the Started event of its run; the
    /// last one of an execution that ends is that of the closing event.
    pub(crate) fn write(&self, store: &Store, tx: &mut Transaction<'_>) -> Result<()> {
        let run = run_id(self.instance.born, self.execution);
        let ids = self.events.iter().map(|event| event.id);
        let (last, events) = match store.history(&run) {
            Err(Error::RunNotFound { .. }) => (0, self.begin(store, tx, run)?),
            history => {
                let history = history.map_err(refused(self.operation))?;
                let next = history.len().saturating_add(1);
                tx.expect(&run, Expect::NextEvent(next)).map_err(refused(self.operation))?;
                let last = history.rev().find_map(|event| event::id(event.ok()?.payload()));
                (last.unwrap_or(0), self.events)
            }
        };
        self.check_ascending(last, ids)?;
        self.append(tx, &run, events).map_err(refused(self.operation))
    }

    /// Begins the run: as the next one of its chain if the execution before runs. What is left to append.
    fn begin(&self, store: &Store, tx: &mut Transaction<'_>, run: RunId) -> Result<&[Encoded]> {
        let name = self.instance.name.as_deref().unwrap_or_default();
        let (first, rest) = match self.events.split_first() {
            Some((first, rest)) => (Some(first), rest),
            None => (None, self.events),
        };
        let payload = first.map_or(&[] as &[u8], |event| &event.payload);
        let former = run_id(self.instance.born, self.before);
        let goes_on = store.run(&former).is_ok_and(|former| former.status.is_open());
        let begun = if goes_on {
            let mut next = NextRun::new(name).id(run).input(payload);
            if let Some(first) = first {
                next = next.at(first.time);
            }
            tx.continue_as_new(&former, next)
        } else {
            let mut new = NewRun::new(NAMESPACE, self.id, name).id(run).input(payload);
            if let Some(first) = first {
                new = new.at(first.time);
            }
            tx.start(new)
        };
        begun.map_err(refused(self.operation))?;
        Ok(rest)
    }

    fn append(
        &self,
        tx: &mut Transaction<'_>,
        run: &RunId,
        events: &[Encoded],
    ) -> kinlog::Result<()> {
        let (events, last) = match (self.end, events.split_last()) {
            (Some(_), Some((last, events))) => (events, Some(last)),
            _ => (events, None),
        };
        for event in events {
            tx.append(run, NewEvent::opaque(EVENT, &event.payload).at(event.time))?;
        }
        let payload = last.map_or(&[] as &[u8], |event| &event.payload);
        let mut close = match self.end {
            None => return Ok(()),
            Some(End::Completed) => Close::completed(payload),
            Some(End::Failed) => Close::failed(payload),
        };
        if let Some(last) = last {
            close = close.at(last.time);
        }
        tx.close_run(run, close).map(drop)
    }

    fn check_ascending(&self, last: u64, ids: impl Iterator<Item = u64>) -> Result<()> {
        let mut last = last;
        for id in ids {
            if id <= last {
                let (instance, execution) = (self.id, self.execution);
                return Err(invalid(
                    self.operation,
                    format!(
                        "event {id} of execution {execution} of {instance} is there, or comes too late: \
                         the last one is {last}"
                    ),
                ));
            }
            last = id;
        }
        Ok(())
    }
}

/// What an execution adds up to.
#[derive(Default)]
pub(crate) struct Measure {
    pub(crate) events: u64,
    /// Of the events as they are kept.
    pub(crate) bytes: u64,
    /// Messages that it got from the execution before.
    pub(crate) carried: u64,
}

pub(crate) fn measure(snapshot: &Snapshot, run: &RunId) -> kinlog::Result<Measure> {
    let mut measure = Measure::default();
    let history = match snapshot.history(run) {
        Err(Error::RunNotFound { .. }) => return Ok(measure),
        history => history?,
    };
    for event in &history {
        let event = event?;
        measure.events += u64::from(!event.payload().is_empty());
        measure.bytes += event.payload().len() as u64;
        if let Some(Ok(Event { kind, .. })) =
            (event.id() == 1).then(|| event::decode(&event, "", 1)).flatten()
            && let DuroxideKind::OrchestrationStarted {
                carry_forward_events: Some(carried), ..
            } = kind
        {
            measure.carried = carried.len() as u64;
        }
    }
    Ok(measure)
}

/// When the last event of a run happened.
pub(crate) fn updated_at(snapshot: &Snapshot, run: &RunId) -> kinlog::Result<Option<u64>> {
    let history = snapshot.history(run)?;
    let last = history.rev().next().transpose()?;
    Ok(last.map(|event| clock::of(event.time())))
}

/// What a former execution came to, by its last event.
pub(crate) fn output(snapshot: &Snapshot, run: &RunId) -> kinlog::Result<Option<String>> {
    for event in snapshot.history(run)?.rev() {
        if let Some(Ok(last)) = event::decode(&event?, "", 1) {
            return Ok(match last.kind {
                DuroxideKind::OrchestrationCompleted { output } => Some(output),
                DuroxideKind::OrchestrationContinuedAsNew { input } => Some(input),
                DuroxideKind::OrchestrationFailed { details } => Some(details.display_message()),
                _ => None,
            });
        }
    }
    Ok(None)
}
