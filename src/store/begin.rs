//! Starting runs: the rules on workflow ids, and the first event.

use super::start::{Current, NewRun, Resolution, check_namespace};
use super::touched::{Begins, Kinship, Place, Progress, Touched};
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::event::{Body, NewEvent, Started, Terminated};
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Begun, RunStatus};

/// A run that is to begin, with all that is decided about it.
pub(super) struct Beginning<'a> {
    pub(super) id: RunId,
    pub(super) event: NewEvent<'a>,
    pub(super) kin: Kinship,
    /// The workflow's current run.
    pub(super) seen: Option<RunId>,
    pub(super) recorded: bool,
    /// For a reset: the last event it shares, the batch with it, and the bytes up to it.
    pub(super) shares: Option<(u32, Position, u64)>,
    pub(super) begun: Begun,
}

impl Transaction<'_> {
    /// Starts a run, or finds the one that the policies and the request id say it is; see
    /// [`Transaction::begins`]. Its first event is `WorkflowExecutionStarted`.
    ///
    /// # Errors
    /// [`Error::WorkflowExists`] where the workflow id is taken, [`Error::RunExists`] for a run id
    /// in use, [`Error::LimitExceeded`] for names and input that are too long,
    /// [`Error::InvalidArgument`] for an empty workflow id or namespace.
    pub fn start(&mut self, run: NewRun<'_>) -> Result<RunId> {
        check_namespace(run.started.namespace)?;
        if run.started.workflow_id.is_empty() {
            return Err(Error::invalid("a run needs a workflow id"));
        }
        if run.is_recorded() {
            return self.atomically(&[], |tx| tx.start_as(&run, None));
        }
        match self.resolve(&run)? {
            (Resolution::Existing, Some(current)) => Ok(current),
            (Resolution::TerminateAndStart, Some(current)) => self.atomically(&[current], |tx| {
                let in_the_way = tx.find(&current)?;
                let id = tx.start_as(&run, Some(current))?;
                tx.make_way(in_the_way)?;
                Ok(id)
            }),
            (_, seen) => self.atomically(&[], |tx| tx.start_as(&run, seen)),
        }
    }

    /// Begins a run of its own, on the workflow whose current run is `seen`.
    fn start_as(&mut self, run: &NewRun<'_>, seen: Option<RunId>) -> Result<RunId> {
        let (id, now) = self.fresh_id(run.id);
        let mut started = Started { run_id: id, ..run.started };
        if started.first_run_id.is_nil() {
            started.first_run_id = id;
        }
        let kin = Kinship {
            namespace: started.namespace.into(),
            workflow_id: started.workflow_id.into(),
            first: started.first_run_id,
            parent: None,
            root: None,
        };
        self.begin(Beginning {
            id,
            event: first_event(started, run.payload, run.time.unwrap_or(now)),
            kin,
            seen,
            recorded: run.is_recorded(),
            shares: None,
            begun: Begun::default(),
        })
    }

    /// The id that a run gets, and the time of now.
    pub(super) fn fresh_id(&self, wanted: Option<RunId>) -> (RunId, Timestamp) {
        let now = self.now;
        let fresh = || RunId::fresh(now, [self.shared.disk.random(), self.shared.disk.random()]);
        (wanted.unwrap_or_else(fresh), now)
    }

    /// Adds a run with its first event.
    pub(super) fn begin(&mut self, beginning: Beginning<'_>) -> Result<RunId> {
        let Beginning { id, event, kin, seen, recorded, shares, begun } = beginning;
        if id.is_nil() {
            return Err(Error::invalid("a run needs an id other than zero"));
        }
        let index = self.shared.index.read();
        if self.work.by_id.contains_key(&id) || index.runs.number(&id).is_some() {
            return Err(Error::RunExists { run: id });
        }
        let limits = index.namespaces.get(&kin.namespace);
        let limits = limits.map(|found| found.limits).unwrap_or_default();
        drop(index);
        let touched = Touched {
            id,
            number: None,
            first_event: shares.map_or(1, |(shared, ..)| shared + 1),
            place: Place::Found,
            bytes_before: shares.map_or(0, |(_, _, bytes)| bytes),
            limits,
            recorded,
            begins: Some(Box::new(Begins {
                kin,
                seen,
                previous: shares.map(|(_, batch, _)| batch),
            })),
            progress: Progress::none(RunStatus::Running),
        };
        touched.check_event(&event)?;
        let run = self.touch(touched)?;
        self.write(run, &event)?;
        if !recorded {
            self.work.draft.begin(id, begun);
        }
        Ok(id)
    }

    /// What a start comes to, and the workflow's current run: one that this transaction begins,
    /// or the one in the store.
    pub(super) fn resolve(&self, run: &NewRun<'_>) -> Result<(Resolution, Option<RunId>)> {
        let started = &run.started;
        if let Some(own) = self.begun_for(started.namespace, started.workflow_id) {
            return Err(Error::WorkflowExists {
                namespace: started.namespace.to_owned(),
                workflow_id: started.workflow_id.to_owned(),
                run: own.id,
                open: own.progress.status.is_open(),
            });
        }
        let index = self.shared.index.read();
        let Some(mut current) = Current::of(&index, started.namespace, started.workflow_id) else {
            return Ok((Resolution::Start, None));
        };
        // The transaction itself may close it.
        let touched = self.touched_by_id(&current.run).map(|touched| touched.progress.status);
        let closes = touched.filter(|status| !status.is_open());
        current.status = closes.unwrap_or(current.status);
        match run.resolve(&current) {
            Resolution::Refuse => Err(current.in_the_way(started.namespace, started.workflow_id)),
            resolution => Ok((resolution, Some(current.run))),
        }
    }

    /// The last run that the transaction begins for a workflow.
    pub(super) fn begun_for(&self, namespace: &str, workflow_id: &str) -> Option<&Touched> {
        let starts = self.work.starts.get(workflow_id)?;
        let runs = starts.iter().rev().filter_map(|index| self.work.runs.get(*index));
        let mut same = runs.filter(|touched| {
            touched.begins.as_ref().is_some_and(|begins| *begins.kin.namespace == *namespace)
        });
        same.next()
    }

    /// Terminates the open run of a workflow that is to begin another one.
    pub(super) fn make_way(&mut self, run: usize) -> Result<()> {
        if !self.touched(run)?.progress.status.is_open() {
            return Ok(());
        }
        let reason = "TerminateIfRunning WorkflowIdReusePolicy";
        let terminated = Terminated { reason, reset_run_id: None };
        self.add(run, &NewEvent::new(Body::WorkflowExecutionTerminated(terminated)))?;
        Ok(())
    }
}

/// The event that begins a run.
pub(super) fn first_event<'a>(
    started: Started<'a>,
    payload: &'a [u8],
    time: Timestamp,
) -> NewEvent<'a> {
    NewEvent::new(Body::WorkflowExecutionStarted(started)).payload(payload).at(time)
}
