//! Starting runs: the rules on workflow ids, and the first event.

use super::new_run::{
    CurrentRun, NewRun, Resolution, StartOutcome, check_namespace, check_policies,
};
use crate::error::{Error, Result};
use crate::event::{Body, NewEvent, Started, Terminated};
use crate::id::{Position, RunId, Timestamp};
use crate::index::{RunOrigin, RunStatus};
use crate::store::pending::{
    EventSource, NewRunState, PendingRun, Precondition, Progress, Read, RunIdentity,
};
use crate::store::tx::{Step, Transaction};

/// A run that is to begin, with all that is decided about it.
pub(crate) struct Beginning<'a> {
    pub(crate) id: RunId,
    pub(crate) event: NewEvent<'a>,
    pub(crate) source: EventSource,
    pub(crate) identity: RunIdentity,
    pub(crate) request_id: &'a str,
    pub(crate) imported: bool,
    /// For a reset: what it shares with its base run.
    pub(crate) shares: Option<SharedEvents>,
    pub(crate) origin: RunOrigin,
}

/// The events that a run made by a reset shares with its base run.
#[derive(Clone, Copy)]
pub(crate) struct SharedEvents {
    pub(crate) last: u32,
    /// The batch that holds the last one.
    pub(crate) batch: Position,
    /// What they take in the log.
    pub(crate) bytes: u64,
}

impl Transaction<'_> {
    /// Starts a run, or finds the one that the policies and the request id say it is; see
    /// [`Transaction::start_or_find`]. Its first event is `WorkflowExecutionStarted`.
    ///
    /// # Errors
    /// As [`Transaction::start_or_find`].
    pub fn start(&mut self, run: NewRun<'_>) -> Result<RunId> {
        self.start_or_find(run).map(StartOutcome::run)
    }

    /// Starts a run, or finds the one that the policies and the request id say it is, and says which of
    /// them was the reason.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{NewRun, StartOutcome};
    ///
    /// let order = NewRun::new("shop", "order-42", "Order").request_id("5f3a");
    /// let mut tx = store.begin();
    /// let StartOutcome::Started(run) = tx.start_or_find(order)? else { unreachable!() };
    /// tx.commit()?;
    /// // The answer was lost, and whoever asked asks once more.
    /// assert_eq!(store.begin().start_or_find(order)?, StartOutcome::Repeated(run));
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::WorkflowExists`] where the workflow id is taken, [`Error::RunExists`] for a run id
    /// in use, [`Error::LimitExceeded`] for names and input that are too long,
    /// [`Error::InvalidArgument`] for an empty workflow id or namespace, for a policy that is not known
    /// and for [`RejectDuplicate`](crate::IdReusePolicy::RejectDuplicate) with
    /// [`TerminateExisting`](crate::IdConflictPolicy::TerminateExisting).
    pub fn start_or_find(&mut self, run: NewRun<'_>) -> Result<StartOutcome> {
        check_namespace(run.started.namespace)?;
        check_policies(run.reuse, run.conflict)?;
        if run.started.workflow_id.is_empty() {
            return Err(Error::invalid("a run needs a workflow id"));
        }
        self.step(|step| step.start(&run))
    }
}

impl Step<'_> {
    fn start(&mut self, run: &NewRun<'_>) -> Result<StartOutcome> {
        if run.is_imported() {
            return self.start_as(run).map(StartOutcome::Started);
        }
        match self.resolve(run)? {
            (Resolution::Repeated, Some(current)) => Ok(StartOutcome::Repeated(current)),
            (Resolution::Existing, Some(current)) => Ok(StartOutcome::Existing(current)),
            (Resolution::TerminateAndStart, Some(current)) => self.atomically(&[current], |step| {
                let conflicting_run = step.find(&current)?;
                let id = step.start_as(run)?;
                step.terminate_current(conflicting_run)?;
                Ok(StartOutcome::Started(id))
            }),
            _ => self.start_as(run).map(StartOutcome::Started),
        }
    }

    /// Begins a run of its own.
    fn start_as(&mut self, run: &NewRun<'_>) -> Result<RunId> {
        let (id, now) = self.fresh_id(run.id);
        let mut started = Started { run_id: id, ..run.started };
        if started.first_run_id.is_nil() {
            started.first_run_id = id;
        }
        let identity = RunIdentity {
            namespace: started.namespace.into(),
            workflow_id: started.workflow_id.into(),
            first: started.first_run_id,
            parent: None,
            root: None,
        };
        self.begin(Beginning {
            id,
            event: first_event(started, run.payload, run.time.unwrap_or(now)),
            source: EventSource::Caller,
            identity,
            request_id: started.request_id,
            imported: run.is_imported(),
            shares: None,
            origin: RunOrigin::default(),
        })
    }

    /// The id that a run gets, and the time of now.
    pub(crate) fn fresh_id(&self, wanted: Option<RunId>) -> (RunId, Timestamp) {
        let fresh = || RunId::fresh(self.now, [self.disk.random(), self.disk.random()]);
        (wanted.unwrap_or_else(fresh), self.now)
    }

    /// Adds a run with its first event.
    pub(crate) fn begin(&mut self, beginning: Beginning<'_>) -> Result<RunId> {
        let Beginning { id, event, source, identity, request_id, imported, shares, origin } =
            beginning;
        if id.is_nil() {
            return Err(Error::invalid("a run needs an id other than zero"));
        }
        if self.work.by_id.contains_key(&id) || self.index.runs.number(&id).is_some() {
            return Err(Error::RunExists { run: id });
        }
        self.see(self.index.limits_changed)?;
        let limits = self.index.namespaces.get(&identity.namespace);
        let pending = PendingRun {
            id,
            number: None,
            first_event: shares.map_or(1, |shared| shared.last + 1),
            precondition: Precondition::Found,
            held: false,
            ruled: false,
            bytes_before: shares.map_or(0, |shared| shared.bytes),
            limits: limits.map(|found| found.settings.limits).unwrap_or_default(),
            imported,
            deleted: None,
            begins: Some(Box::new(NewRunState {
                identity,
                request_id: request_id.into(),
                started_at: event.time.unwrap_or(self.now),
                previous: shares.map(|shared| shared.batch),
            })),
            progress: Progress::none(RunStatus::Running),
        };
        if let Err(error) = pending.check_event(&event, source) {
            // An id in use would have been the reason.
            self.work.keep(Read::NoRun(id));
            return Err(error);
        }
        self.atomically(&[], |step| {
            let run = step.work.touch(pending)?;
            step.work.write(run, &event, step.now)
        })?;
        if !imported {
            self.work.draft.begin(id, origin);
        }
        Ok(id)
    }

    /// What a start comes to, and the workflow's current run.
    pub(crate) fn resolve(&mut self, run: &NewRun<'_>) -> Result<(Resolution, Option<RunId>)> {
        let (namespace, workflow_id) = (run.started.namespace, run.started.workflow_id);
        let current = self.current(namespace, workflow_id, run.started.request_id)?;
        let Some(current) = current else { return Ok((Resolution::Start, None)) };
        match run.resolve(&current) {
            Resolution::Refuse => Err(current.conflicting_run(namespace, workflow_id)),
            resolution => Ok((resolution, Some(current.run))),
        }
    }

    /// The run that a workflow id stands for after the steps so far: one that begins here, or the one in
    /// the store, which the transaction may have closed.
    pub(crate) fn current(
        &mut self,
        namespace: &str,
        workflow_id: &str,
        request_id: &str,
    ) -> Result<Option<CurrentRun>> {
        let repeats = |of: &str| !request_id.is_empty() && of == request_id;
        let known = self.read_workflow(namespace, workflow_id)?;
        let mut current = known.map(|(_, run)| CurrentRun {
            run: run.id,
            status: self.work.closed(&run.id).unwrap_or(run.state.latest().status),
            started_at: run.started_at,
            repeats: repeats(run.request_id.as_deref().unwrap_or_default()),
        });
        let starts = self.work.starts.get(workflow_id).into_iter().flatten();
        for pending in starts.filter_map(|start| self.work.runs.get(*start)) {
            let Some(begins) = pending.begins.as_ref() else { continue };
            let yields = |before: &CurrentRun| {
                !before.status.is_open() && before.started_at <= begins.started_at
            };
            let displaces = !pending.imported || current.as_ref().is_none_or(yields);
            if *begins.identity.namespace == *namespace && displaces {
                current = Some(CurrentRun {
                    run: pending.id,
                    status: pending.progress.status,
                    started_at: begins.started_at,
                    repeats: repeats(&begins.request_id),
                });
            }
        }
        Ok(current)
    }

    /// Terminates the open run of a workflow that is to begin another one.
    pub(crate) fn terminate_current(&mut self, run: usize) -> Result<()> {
        if !self.work.pending(run)?.progress.status.is_open() {
            return Ok(());
        }
        let reason = "TerminateIfRunning WorkflowIdReusePolicy";
        let terminated = Terminated { reason, reset_run_id: None };
        let event = NewEvent::new(Body::WorkflowExecutionTerminated(terminated));
        self.add(run, &event, EventSource::Store)?;
        Ok(())
    }
}

/// The event that begins a run.
pub(crate) fn first_event<'a>(
    started: Started<'a>,
    payload: &'a [u8],
    time: Timestamp,
) -> NewEvent<'a> {
    NewEvent::new(Body::WorkflowExecutionStarted(started)).payload(payload).at(time)
}
