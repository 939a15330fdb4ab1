//! Children: initiated, started, refused, reported.

use super::child_events::relation;
use super::new_child::{NewChild, SpawnedChild};
use super::new_run::{NewRun, Resolution, check_policies};
use super::start::{Beginning, first_event};
use crate::error::{Error, Result};
use crate::event::{
    Body, ChildInitiated, ChildStartFailed, ChildStarted, Event, EventKind, NewEvent, RawEvent,
    StartChildFailedCause, Started,
};
use crate::id::{RunId, Timestamp};
use crate::index::{ParentEvent, RunOrigin};
use crate::store::pending::{EventSource, ParentIdentity, Precondition, RootIdentity, RunIdentity};
use crate::store::read::{BatchCursor, EventRef};
use crate::store::tx::{Step, Stepped, Transaction, Unrecorded};

/// A child that was initiated and is to begin.
struct StartingChild<'a> {
    parent: usize,
    initiated_id: u32,
    initiated: ChildInitiated<'a>,
    payload: &'a [u8],
    id: Option<RunId>,
    time: Option<Timestamp>,
    /// Where the runs must be that it adds events to.
    needs: Precondition,
}

/// What the start of a child that was initiated comes to.
pub(crate) enum ChildStart {
    Started {
        child: RunId,
        /// The run that was terminated for it.
        displaced: Option<RunId>,
    },
    /// Nothing was done, as another run would have to be terminated.
    WouldDisplace,
}

impl Transaction<'_> {
    /// Starts a child of `parent`: initiates it, starts its run, and records in the parent that it
    /// started, in the same commit. Returns the child's run and the parent's Initiated event.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{NewChild, NewRun, ParentClosePolicy};
    ///
    /// let mut tx = store.begin();
    /// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    /// let ship = NewChild::new("ship-42", "Shipping");
    /// let child = tx.spawn_child(&order, ship.on_parent_close(ParentClosePolicy::RequestCancel))?.run;
    /// tx.commit()?;
    /// assert_eq!(store.parent(&child)?.map(|parent| parent.run), Some(order));
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::initiate_child`], and [`Error::WorkflowExists`] where the workflow id is
    /// taken. Nothing has changed then; [`Transaction::initiate_child`] and
    /// [`Transaction::fail_child`] record such a refusal in the parent.
    pub fn spawn_child(&mut self, parent: &RunId, child: NewChild<'_>) -> Result<SpawnedChild> {
        self.step(|step| step.spawn_child(parent, &child))
    }

    /// Initiates a child of `parent`, to be started or refused later. Returns the Initiated event.
    ///
    /// # Errors
    /// [`Error::RunNotFound`] or [`Error::RunClosed`] for the parent, [`Error::CrossNamespace`],
    /// [`Error::IllegalEvent`] for a child without workflow id or with an unknown close policy,
    /// [`Error::LimitExceeded`] for too many open children, names and input that are too long,
    /// or a parent whose history is full, [`Error::InvalidArgument`] for policies on workflow ids that are
    /// not known or contradict each other.
    pub fn initiate_child(&mut self, parent: &RunId, child: NewChild<'_>) -> Result<u32> {
        self.step(|step| {
            let run = step.parent_of_new(parent, &child)?;
            step.hold(run)?;
            step.add(run, &child.event(), EventSource::Caller)
        })
    }

    /// Starts a child that was initiated, with what its Initiated event says, and records in the
    /// parent that it started. The child's run gets the id `run`, or one that the store draws. Returns it.
    ///
    /// # Errors
    /// [`Error::RunExists`] for a run id in use,
    /// [`Error::WorkflowExists`] where the workflow id is taken: [`Transaction::fail_child`] then
    /// answers the parent. [`Error::IllegalEvent`] if `initiated_event_id` initiated no child or
    /// the child was started or refused already, and as [`Transaction::append`].
    pub fn start_child(
        &mut self,
        parent: &RunId,
        initiated_event_id: u32,
        run: Option<RunId>,
    ) -> Result<RunId> {
        let started = self.step(|step| {
            step.start_initiated(parent, initiated_event_id, run, true, Precondition::Found)
        })?;
        match started {
            ChildStart::Started { child, .. } => Ok(child),
            ChildStart::WouldDisplace => Err(not_initiated(*parent, initiated_event_id)),
        }
    }

    /// Records in `parent` that a child it initiated is not started. Returns the event's id.
    ///
    /// # Errors
    /// [`Error::IllegalEvent`] if `initiated_event_id` initiated no child or the child was started
    /// or refused already, and as [`Transaction::append`].
    pub fn fail_child(
        &mut self,
        parent: &RunId,
        initiated_event_id: u32,
        cause: StartChildFailedCause,
    ) -> Result<u32> {
        self.step(|step| step.fail_child(parent, initiated_event_id, cause, Precondition::Found))
    }
}

impl Step<'_> {
    fn spawn_child(&mut self, parent: &RunId, child: &NewChild<'_>) -> Result<SpawnedChild> {
        let run = self.parent_of_new(parent, child)?;
        let conflicting_run = self.conflicting_run(parent, &child.initiated)?;
        let touching: Vec<_> = conflicting_run.into_iter().chain([*parent]).collect();
        self.atomically(&touching, |step| {
            // The child's first event names the Initiated event.
            step.hold(run)?;
            let event = child.event();
            let initiated_id = step.put_event(run, &event, EventSource::Caller)?;
            let starting = StartingChild {
                parent: run,
                initiated_id,
                initiated: child.initiated,
                payload: child.payload,
                id: child.id,
                time: child.time,
                needs: Precondition::Found,
            };
            let (child, started) = step.begin_child(&starting, conflicting_run)?;
            step.record(run, initiated_id, &event.body);
            step.note(&started);
            Ok(SpawnedChild { run: child, initiated_event_id: initiated_id })
        })
    }

    /// Starts a child that was initiated. Unless `may_displace`, one for which another run must be terminated
    /// is not started.
    pub(crate) fn start_initiated(
        &mut self,
        parent: &RunId,
        initiated_id: u32,
        id: Option<RunId>,
        may_displace: bool,
        needs: Precondition,
    ) -> Stepped<ChildStart> {
        let run = self.find_at(parent, needs)?;
        let not_initiated = || not_initiated(*parent, initiated_id);
        self.check_start_of(run, initiated_id)?;
        let own = self.work.initiated.get(&(run, initiated_id));
        let own = own.and_then(|offset| self.work.events.get(*offset..)).map(<[u8]>::to_vec);
        let view;
        let event = if let Some(bytes) = &own {
            let raw = RawEvent::parse(bytes).map_err(|_| not_initiated())?;
            Event::check(initiated_id, raw).map_err(|_| not_initiated())?
        } else {
            // A run that a reset makes here shares the event with its base run.
            let source = self.work.draft.source(*parent).base;
            let (number, found) =
                relation(self.index, &source, initiated_id).ok_or_else(not_initiated)?;
            let batch = found.initiated_batch;
            view = self.view_of(batch)?;
            let spot = EventRef::of(self.index, number, batch, initiated_id);
            BatchCursor::default().read(&view, spot)?
        };
        let Body::StartChildWorkflowExecutionInitiated(initiated) = event.body() else {
            return Err(not_initiated().into());
        };
        let payload = event.payload();
        let conflicting_run = self.conflicting_run(parent, &initiated)?;
        if conflicting_run.is_some() && !may_displace {
            return Ok(ChildStart::WouldDisplace);
        }
        let touching: Vec<_> = conflicting_run.into_iter().chain([*parent]).collect();
        self.atomically(&touching, |step| {
            let time = None;
            let starting =
                StartingChild { parent: run, initiated_id, initiated, payload, id, time, needs };
            let (child, started) = step.begin_child(&starting, conflicting_run)?;
            step.note(&started);
            Ok(ChildStart::Started { child, displaced: conflicting_run })
        })
    }

    pub(crate) fn fail_child(
        &mut self,
        parent: &RunId,
        initiated_event_id: u32,
        cause: StartChildFailedCause,
        needs: Precondition,
    ) -> Result<u32> {
        let run = self.find_at(parent, needs)?;
        let failed = ChildStartFailed { initiated_event_id, cause };
        let event = NewEvent::new(Body::StartChildWorkflowExecutionFailed(failed));
        self.add(run, &event, EventSource::Store)
    }

    /// The parent of a child that is to be initiated.
    fn parent_of_new(&mut self, parent: &RunId, child: &NewChild<'_>) -> Result<usize> {
        let run = self.find(parent)?;
        if self.work.pending(run)?.imported {
            return Err(Error::invalid("an imported run starts no children here"));
        }
        check_policies(child.initiated.reuse_policy, child.initiated.conflict_policy)?;
        if let Some(found) = child.namespace {
            let expected = self.identity(parent)?.namespace;
            if *found != *expected {
                let (expected, found) = (expected.into(), found.to_owned());
                return Err(Error::CrossNamespace { parent: *parent, expected, found });
            }
        }
        Ok(run)
    }

    /// The open run that a child's policies say is to be terminated before it starts.
    pub(crate) fn conflicting_run(
        &mut self,
        parent: &RunId,
        initiated: &ChildInitiated<'_>,
    ) -> Result<Option<RunId>> {
        let namespace = self.identity(parent)?.namespace;
        let (resolution, current) = self.resolve(&as_run(&namespace, initiated))?;
        match (resolution, current) {
            (Resolution::TerminateAndStart, current) => Ok(current),
            // A run that exists is nobody's new child.
            (Resolution::Existing, Some(run)) => Err(Error::WorkflowExists {
                namespace: namespace.into(),
                workflow_id: initiated.workflow_id.to_owned(),
                run,
                open: true,
            }),
            _ => Ok(None),
        }
    }

    /// Checks that the child may start which this event initiated.
    fn check_start_of(&self, parent: usize, initiated_event_id: u32) -> Result<()> {
        let started = ChildStarted { initiated_event_id, ..Default::default() };
        let body = Body::ChildWorkflowExecutionStarted(started);
        let parent = self.work.pending(parent)?;
        if parent.imported {
            return Err(Error::invalid("an imported run starts no children here"));
        }
        Ok(self.work.draft.check(self.index, parent.id, &body)?)
    }

    /// Begins a child's run and writes the parent's ChildStarted, which is to be noted by the
    /// caller.
    fn begin_child(
        &mut self,
        starting: &StartingChild<'_>,
        conflicting_run: Option<RunId>,
    ) -> Result<(RunId, Unrecorded<'static>)> {
        let initiated = &starting.initiated;
        let parent = self.work.pending(starting.parent)?.id;
        let above = self.identity(&parent)?;
        let (id, now) = self.fresh_id(starting.id);
        let root = above.root.clone().unwrap_or_else(|| RootIdentity {
            workflow_id: above.workflow_id.clone(),
            run: parent,
        });
        let started = Started {
            run_id: id,
            first_run_id: id,
            namespace: &above.namespace,
            workflow_id: initiated.workflow_id,
            workflow_type: initiated.workflow_type,
            task_queue: initiated.task_queue,
            parent_workflow_id: &above.workflow_id,
            parent_run_id: Some(parent),
            parent_initiated_event_id: starting.initiated_id,
            root_workflow_id: &root.workflow_id,
            root_run_id: Some(root.run),
            ..Default::default()
        };
        let identity = RunIdentity {
            namespace: above.namespace.clone(),
            workflow_id: initiated.workflow_id.into(),
            first: id,
            parent: Some(ParentIdentity {
                workflow_id: above.workflow_id.clone(),
                run: parent,
                initiated: starting.initiated_id,
            }),
            root: Some(root.clone()),
        };
        self.begin(Beginning {
            id,
            event: first_event(started, starting.payload, starting.time.unwrap_or(now)),
            // The Initiated event, which says all of this, was accepted before.
            source: EventSource::Store,
            identity,
            request_id: "",
            imported: false,
            shares: None,
            origin: RunOrigin {
                parent: Some(ParentEvent { run: parent, initiated: starting.initiated_id }),
                ..Default::default()
            },
        })?;
        let started = ChildStarted { run_id: id, initiated_event_id: starting.initiated_id };
        let body = Body::ChildWorkflowExecutionStarted(started);
        let event = NewEvent { body, payload: &[], time: starting.time, key: None };
        let written = self.put_unruled(starting.parent, &event, EventSource::Store)?;
        if let Some(parent) = self.work.runs.get_mut(starting.parent) {
            parent.ruled = true;
        }
        if let Some(run) = conflicting_run {
            let run = self.find_at(&run, starting.needs)?;
            self.terminate_current(run)?;
        }
        Ok((id, Unrecorded { run: starting.parent, id: written, body }))
    }
}

/// What a child's start asks of its workflow id.
fn as_run<'a>(namespace: &'a str, initiated: &ChildInitiated<'a>) -> NewRun<'a> {
    let run = NewRun::new(namespace, initiated.workflow_id, initiated.workflow_type);
    run.on_reuse(initiated.reuse_policy).on_conflict(initiated.conflict_policy)
}

fn not_initiated(run: RunId, initiated: u32) -> Error {
    let kind = EventKind::CHILD_WORKFLOW_EXECUTION_STARTED;
    let why = "that event initiated no child";
    Error::IllegalEvent { run, kind, refers_to: initiated, why }
}
