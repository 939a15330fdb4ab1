//! Writes a history into a store, once.

use kinlog::{Durability, RunId, Store};

use crate::check::check_events;
use crate::identity::{other_id, own_id};
use crate::write::Writing;
use crate::{History, ImportError, RecordedEvent, Run};

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

/// Writes `history` into `store`: one commit for each transaction of the server that recorded it, or
/// several, if it has more events or bytes than a commit of this store can have.
///
/// All of it is checked before anything is written, so that a history that is refused changes
/// nothing.
///
/// A history that is in the store already is recognised by its run id and its events, whatever
/// namespace it is in, and nothing is written; of one that was written in part, the rest is. If
/// the run id stands for a history with other events, this one is kept under an id made for it.
///
/// # Errors
/// [`ImportError::NoEvents`], [`ImportError::Misplaced`] and [`ImportError::NoAttributes`] for what
/// is no history of a run, [`ImportError::Refused`] for an event the store does not take; nothing
/// is written then. [`ImportError::Store`] for a store that takes no commits or cannot be read, or whose run
/// of that history was deleted and not erased yet ([`kinlog::Error::RunDeleted`]), and
/// [`ImportError::Unfinished`] if it fails half way, which says what is there.
pub fn import(
    store: &Store,
    history: &History,
    options: &ImportOptions<'_>,
) -> Result<Imported, ImportError> {
    check_events(history)?;
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
    let writing = Writing { store, history, run, from };
    writing.check()?;
    let commits = writing.write(options.durability)?;
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
    if !stored.started()?.imported {
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
