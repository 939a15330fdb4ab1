//! Writes a history into a store, once.

use kinlog::{Body, Durability, EventKind, Expect, NewRun, RunId, Store, Transaction};

use crate::identity::{other_id, own_id};
use crate::{History, ImportError, NewRecord, RecordedEvent, Run, batches};

/// How a history is written into a store.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions<'a> {
    /// The namespace, which histories do not name.
    pub namespace: &'a str,
    /// How durable the history is when [`import`] returns.
    pub durability: Durability,
}

impl Default for ImportOptions<'_> {
    fn default() -> Self {
        Self { namespace: "default", durability: Durability::Sync }
    }
}

/// What became of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// The run that holds it.
    pub run_id: RunId,
    /// What was done.
    pub outcome: Outcome,
    /// Whether the run has an id made for it, because its own stands for another history.
    pub under_other_id: bool,
    /// How many events were written.
    pub events: usize,
    /// In how many commits.
    pub commits: usize,
}

/// What [`import`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was written.
    Written,
    /// The store had its beginning, and the rest was written.
    Resumed,
    /// The store had all of it, or more of the same run.
    AlreadyThere,
}

/// Writes `history` into `store`: one commit for each transaction of the server that recorded it.
///
/// A history that is in the store already is recognised by its run id and its events, whatever
/// namespace it is in, and nothing is written; of one that was written in part, the rest is. If
/// the run id stands for a history with other events, this one is kept under an id made for it.
///
/// # Errors
/// [`ImportError::NoEvents`] and [`ImportError::Misplaced`] for what is no history of a run,
/// [`ImportError::Refused`] for an event the store does not take, [`ImportError::Store`] for a
/// store that takes no commits or cannot be read.
pub fn import(
    store: &Store,
    history: &History,
    options: &ImportOptions<'_>,
) -> Result<Imported, ImportError> {
    check_order(history)?;
    let own = own_id(history);
    let (run_id, stored) = match look_up(store, &own, history)? {
        Stored::Another => {
            let other = other_id(own, history);
            (other, look_up(store, &other, history)?)
        }
        stored => (own, stored),
    };
    let (from, outcome) = match stored {
        Stored::Nothing => (0, Outcome::Written),
        Stored::Beginning(events) => (events, Outcome::Resumed),
        Stored::Everything => (history.events().len(), Outcome::AlreadyThere),
        Stored::Another => return Err(kinlog::Error::RunExists { run: run_id }.into()),
    };
    // Servers before 1.23 do not record it; Temporal's clients, too, make one of a UUID.
    let unnamed = own.to_string();
    let workflow_id = history.workflow_id().unwrap_or(&unnamed);
    let run = Run { namespace: options.namespace, workflow_id, run_id };
    let commits = write(store, history, run, from, options.durability)?;
    let events = history.events().len() - from;
    Ok(Imported { run_id, outcome, under_other_id: run_id != own, events, commits })
}

/// What a store holds under a run id, compared with a history.
enum Stored {
    Nothing,
    /// This many of its first events.
    Beginning(usize),
    Everything,
    Another,
}

fn look_up(store: &Store, run: &RunId, history: &History) -> Result<Stored, ImportError> {
    let stored = match store.history(run) {
        Err(kinlog::Error::RunNotFound { .. }) => return Ok(Stored::Nothing),
        found => found?,
    };
    // A run that lives in this store is no recorded history, whatever its id.
    if stored.started()?.recorded == 0 {
        return Ok(Stored::Another);
    }
    let mut same = 0;
    for (stored, event) in stored.iter().zip(history) {
        let stored = RecordedEvent::from_kinlog(&stored?)
            .map_err(|source| ImportError::Stored { run: *run, source })?;
        if stored != *event {
            return Ok(Stored::Another);
        }
        same += 1;
    }
    let all = same == history.events().len();
    Ok(if all { Stored::Everything } else { Stored::Beginning(same) })
}

/// Refuses, before anything is written, what the store would refuse half way.
fn check_order(history: &History) -> Result<(), ImportError> {
    let last = history.events().len().checked_sub(1).ok_or(ImportError::NoEvents)?;
    for (index, event) in history.events().iter().enumerate() {
        let kind = EventKind::from_number(u16::try_from(event.event_type()).unwrap_or_default());
        let starts = kind == EventKind::WORKFLOW_EXECUTION_STARTED;
        let rule = match index {
            0 if !starts => "a history begins with WorkflowExecutionStarted",
            1.. if starts => "a history begins only once",
            _ if kind.is_closing() && index != last => "a history ends with it",
            _ => continue,
        };
        return Err(ImportError::Misplaced { id: event.id(), kind, rule });
    }
    Ok(())
}

/// Writes the events after the first `from`; returns the number of commits.
fn write(
    store: &Store,
    history: &History,
    run: Run<'_>,
    from: usize,
    durability: Durability,
) -> Result<usize, ImportError> {
    let mut records = (1..).zip(history.events()).skip(from);
    let (mut commits, mut last) = (0, None);
    for batch in batches(history) {
        // A history that was cut off may end within what has become one batch.
        let rest = batch.end.saturating_sub(from.max(batch.start));
        if rest == 0 {
            continue;
        }
        let mut tx = store.begin();
        for (id, event) in records.by_ref().take(rest) {
            add(&mut tx, NewRecord::new(event, id, run)?, id, run)
                .map_err(|source| ImportError::Refused { id: event.id(), source })?;
        }
        last = Some(tx.submit(durability)?);
        commits += 1;
    }
    // The log is in order: with the last commit all are there.
    if let Some(last) = last {
        last.wait()?;
    }
    Ok(commits)
}

/// Adds the event that becomes number `id`, and insists on that number.
fn add(
    tx: &mut Transaction<'_>,
    record: NewRecord<'_>,
    id: u32,
    run: Run<'_>,
) -> kinlog::Result<()> {
    match record.body() {
        Body::WorkflowExecutionStarted(started) => {
            let new = NewRun::recorded(*started).input(record.payload()).at(record.time());
            tx.start(new).map(drop)
        }
        _ => {
            tx.expect(&run.run_id, Expect::NextEvent(id))?;
            tx.append(&run.run_id, record.event()).map(drop)
        }
    }
}
