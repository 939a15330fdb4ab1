//! One step of a transaction, and the one look at the index that it takes.
//!
//! A step is handed the index, not the lock around it: it cannot look twice, and nothing moves while it
//! decides and writes.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::id::{ChainNumber, Position, RunId, RunNumber, Timestamp};
use crate::index::{Chain, DutyKey, Entry, Index, Run, Workflow};
use crate::log::files::{Published, View};
use crate::retention::Keep;
use crate::store::pending::{Read, Workspace};

/// A step being taken.
pub(crate) struct Step<'a> {
    pub(crate) index: &'a Index,
    pub(crate) work: &'a mut Workspace,
    /// When the transaction began.
    pub(crate) now: Timestamp,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) published: &'a Published,
    /// The transaction cannot move to the present, whatever will be so later.
    pub(crate) is_over: bool,
}

/// Why a step did not come to an end.
#[derive(Debug)]
pub(crate) enum Stop {
    Refused(Error),
    /// It needs what lies at this position of the log, which is still on its way to the disk. It has changed
    /// nothing, and is taken again once that is written.
    Unwritten(Position),
}

/// What a step comes to that may have to read the log.
pub(crate) type Stepped<T> = std::result::Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Refused(error)
    }
}

impl Step<'_> {
    /// Moves the transaction to the present if something changed in `version` that it is about to read.
    pub(crate) fn see(&mut self, version: Position) -> Result<()> {
        if version < self.work.at { Ok(()) } else { self.catch_up() }
    }

    /// Moves the transaction to the present, where all that it has read must hold.
    pub(crate) fn catch_up(&mut self) -> Result<()> {
        if self.index.end > self.work.at {
            let validated = self.work.validate(self.index);
            self.is_over = validated.is_err();
            self.work.recheck = self.work.recheck.max(validated?);
            self.work.at = self.index.end;
        }
        Ok(())
    }

    /// The error of a refused step. It must be true at one position, like everything else, and it stays true
    /// as long as the runs that the step named do not move.
    pub(crate) fn refuse(&mut self, error: Error) -> Error {
        if error.is_retryable() {
            return error;
        }
        if let Err(overtaken) = self.catch_up() {
            return overtaken;
        }
        // Ids stay in use, and closed runs closed.
        let lasts = matches!(
            error,
            Error::RunExists { .. }
                | Error::RunClosed { .. }
                | Error::RunDeleted { kept: Keep::Nothing, .. }
                | Error::CrossNamespace { .. }
        );
        if !lasts {
            self.keep_named();
        }
        error
    }

    /// Keeps where the runs are that the step has named so far: something was decided by it.
    pub(crate) fn keep_named(&mut self) {
        for number in std::mem::take(&mut self.work.named) {
            self.keep_end(number);
        }
    }

    /// Keeps where a run is.
    pub(crate) fn keep_end(&mut self, number: RunNumber) {
        if let Some(run) = self.index.runs.get(number) {
            let next_event = run.state.latest().next_event;
            self.work.keep_once(Read::Run { number, next_event });
        }
    }

    /// A view that reaches beyond `position`, where something lies that the index knows.
    pub(crate) fn view_of(&self, position: Position) -> Stepped<View> {
        match self.published.end() > position {
            true => Ok(self.published.view()),
            false => Err(Stop::Unwritten(position)),
        }
    }

    /// Takes several steps or none: what `steps` adds to the runs named, and the runs it begins or
    /// finds, are gone again if it fails. It records what it wrote only after all is written.
    pub(crate) fn atomically<T, E>(
        &mut self,
        known: &[RunId],
        steps: impl FnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let before = self.work.savepoint(known);
        let taken = steps(self);
        if taken.is_err() {
            self.work.roll_back(before);
        }
        taken
    }
}

/// Reading the index: each look-up moves the transaction on where it has to, and keeps what it found.
impl<'a> Step<'a> {
    /// The workflow with this id and its current run, if it ever had one.
    pub(crate) fn read_workflow(
        &mut self,
        namespace: &str,
        workflow_id: &str,
    ) -> Result<Option<(Entry<'a, Workflow>, Entry<'a, Run>)>> {
        let index = self.index;
        let number = index.namespaces.number(namespace, workflow_id);
        let workflow =
            number.and_then(|number| Some((number, index.namespaces.workflow(number)?.1)));
        let Some((number, workflow)) = workflow else {
            let (namespace, workflow_id) = (namespace.into(), workflow_id.into());
            self.work.keep(Read::NoWorkflow { namespace, workflow_id });
            return Ok(None);
        };
        let current = *workflow.current.latest();
        self.see(workflow.current.changed())?;
        let open = self.see_status(current)?;
        self.work.keep(Read::Workflow { number, current, open });
        // Also if this transaction deletes it.
        let current =
            Some(current).filter(|run| self.work.deletions.of(*run) != Some(Keep::Nothing));
        Ok(current.and_then(|current| Some((workflow, index.runs.get(current)?))))
    }

    /// A chain with its last run.
    pub(crate) fn read_chain(&mut self, number: ChainNumber) -> Result<Option<Entry<'a, Chain>>> {
        let index = self.index;
        let Some(chain) = index.chains.get(number) else { return Ok(None) };
        let newest = chain.newest();
        let began = index.runs.look(newest, |run| run.first_batch).unwrap_or(Position::START);
        self.see(began)?;
        let open = self.see_status(newest)?;
        self.work.keep(Read::Chain { number, newest, open });
        Ok(Some(chain))
    }

    /// A chain with the relation that it stands in.
    pub(crate) fn read_parent(&mut self, number: ChainNumber) -> Result<Option<Entry<'a, Chain>>> {
        let index = self.index;
        let Some(chain) = index.chains.get(number) else { return Ok(None) };
        let parent = chain.parent.and_then(|of| index.runs.get(of.parent));
        // Only a reset of the parent moves a relation: to a run that began then.
        self.see(parent.map_or(Position::START, |run| run.first_batch))?;
        self.work.keep_once(Read::Parent { chain: number, parent: chain.parent });
        Ok(Some(chain))
    }

    /// Whether a duty is open, before the transaction's own steps.
    pub(crate) fn read_duty(&mut self, key: &DutyKey) -> Result<bool> {
        let since = self.index.since_due(key);
        let due = since.is_some();
        // What was due then and is due now was so all the time.
        if since.is_none_or(|since| since >= self.work.at) {
            self.catch_up()?;
        }
        self.work.keep(Read::Duty { key: *key, due });
        Ok(due)
    }

    /// Whether a run is open. That it has closed is seen from the commit on that closed it.
    fn see_status(&mut self, number: RunNumber) -> Result<bool> {
        let Some(run) = self.index.runs.get(number) else { return Ok(false) };
        let open = run.state.latest().status.is_open();
        if !open {
            self.see(run.state.changed())?;
        }
        Ok(open)
    }
}
