//! The next run of a chain: continue-as-new, retry, cron.

use super::new_run::Close;
use super::start::{Beginning, first_event};
use crate::error::{Error, Result};
use crate::event::{Body, ContinuedAsNew, Initiator, NewEvent, Started};
use crate::id::{RunId, Timestamp};
use crate::index::{ParentEvent, RunOrigin};
use crate::store::pending::EventSource;
use crate::store::tx::{Step, Stepped, Transaction};

/// The run that follows another one in its chain. Borrowed; nothing is copied before the event is
/// written.
///
/// It keeps the namespace, the workflow id, the parent and the root; everything else begins anew:
/// children, activities, requests and sizes of the run before are not carried over.
#[derive(Clone, Copy, Debug)]
pub struct NextRun<'a> {
    workflow_type: &'a str,
    task_queue: &'a str,
    payload: &'a [u8],
    initiator: Initiator,
    attempt: u32,
    workflow_task_completed_event_id: u32,
    id: Option<RunId>,
    time: Option<Timestamp>,
}

impl<'a> NextRun<'a> {
    /// A run of the type `workflow_type`, because the workflow continues as new.
    #[must_use]
    pub fn new(workflow_type: &'a str) -> Self {
        NextRun {
            workflow_type,
            task_queue: "",
            payload: &[],
            initiator: Initiator::Workflow,
            attempt: 0,
            workflow_task_completed_event_id: 0,
            id: None,
            time: None,
        }
    }

    /// A run that tries again after a failure or a timeout; attempts count from 1.
    #[must_use]
    pub fn retry(workflow_type: &'a str, attempt: u32) -> Self {
        NextRun { initiator: Initiator::Retry, attempt, ..Self::new(workflow_type) }
    }

    /// The next run of a cron schedule.
    #[must_use]
    pub fn cron(workflow_type: &'a str) -> Self {
        NextRun { initiator: Initiator::CronSchedule, ..Self::new(workflow_type) }
    }

    /// The payload of its Started event: the input, in the engine's own encoding.
    #[must_use]
    pub fn input(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// The task queue.
    #[must_use]
    pub fn task_queue(mut self, task_queue: &'a str) -> Self {
        self.task_queue = task_queue;
        self
    }

    /// The workflow task that decided to continue as new.
    #[must_use]
    pub fn decided_by(mut self, workflow_task_completed_event_id: u32) -> Self {
        self.workflow_task_completed_event_id = workflow_task_completed_event_id;
        self
    }

    /// The run's id; by default a fresh one.
    #[must_use]
    pub fn id(mut self, id: RunId) -> Self {
        self.id = Some(id);
        self
    }

    /// When it starts; by default now.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }
}

impl Transaction<'_> {
    /// Continues a run as a new one: the run closes, the next one of its chain begins, and the
    /// workflow's current run moves, in the same commit. Its close policies apply to its children.
    /// Possible however long the run has grown. Returns the next run.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{NewRun, NextRun};
    ///
    /// let mut tx = store.begin();
    /// let first = tx.start(NewRun::new("shop", "poll", "Poll").input(b"0"))?;
    /// let second = tx.continue_as_new(&first, NextRun::new("Poll").input(b"1"))?;
    /// tx.commit()?;
    /// assert_eq!(store.current_run("shop", "poll")?, Some(second));
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunClosed`], [`Error::LimitExceeded`] for names and input
    /// that are too long, [`Error::InvalidArgument`] for an imported run.
    pub fn continue_as_new(&mut self, run: &RunId, next: NextRun<'_>) -> Result<RunId> {
        let continued = ContinuedAsNew {
            new_run_id: None,
            workflow_task_completed_event_id: next.workflow_task_completed_event_id,
            initiator: next.initiator,
        };
        let event = NewEvent::new(Body::WorkflowExecutionContinuedAsNew(continued));
        self.step(|step| step.go_on(run, NewEvent { time: next.time, ..event }, &next))
    }

    /// Closes a run and begins the next one of its chain, by retry or cron, in the same commit.
    /// Returns the next run.
    ///
    /// # Errors
    /// As [`Transaction::continue_as_new`], and [`Error::InvalidArgument`] for a close after which
    /// no run follows: a run that was canceled or terminated ends its chain.
    pub fn close_and_continue(
        &mut self,
        run: &RunId,
        close: Close<'_>,
        next: NextRun<'_>,
    ) -> Result<RunId> {
        self.step(|step| step.go_on(run, close.0, &next))
    }
}

impl Step<'_> {
    fn go_on(&mut self, run: &RunId, event: NewEvent<'_>, next: &NextRun<'_>) -> Stepped<RunId> {
        let run_id = *run;
        let run = self.find(&run_id)?;
        let pending = self.work.pending(run)?;
        if pending.imported {
            return Err(Error::invalid("an imported run is not continued here").into());
        }
        if !pending.progress.status.is_open() {
            return Err(Error::RunClosed { run: run_id }.into());
        }
        let (id, now) = self.fresh_id(next.id);
        let event = NewEvent { body: followed_by(event.body, id)?, ..event };
        let identity = self.identity(&run_id)?;
        let (parent, root) = (identity.parent.as_ref(), identity.root.as_ref());
        let started = Started {
            run_id: id,
            first_run_id: identity.first,
            continued_run_id: Some(run_id),
            namespace: &identity.namespace,
            workflow_id: &identity.workflow_id,
            workflow_type: next.workflow_type,
            task_queue: next.task_queue,
            parent_workflow_id: parent.map_or("", |parent| &parent.workflow_id),
            parent_run_id: parent.map(|parent| parent.run),
            parent_initiated_event_id: parent.map_or(0, |parent| parent.initiated),
            root_workflow_id: root.map_or("", |root| &root.workflow_id),
            root_run_id: root.map(|root| root.run),
            attempt: next.attempt,
            initiator: next.initiator,
            ..Default::default()
        };
        let origin = RunOrigin {
            parent: parent
                .map(|parent| ParentEvent { run: parent.run, initiated: parent.initiated }),
            continued: Some(run_id),
            base: None,
        };
        let first = first_event(started, next.payload, next.time.unwrap_or(now));
        // The names that the run before had were accepted then.
        let said = Started {
            workflow_type: next.workflow_type,
            task_queue: next.task_queue,
            ..Default::default()
        };
        self.work.pending(run)?.check_content(&first_event(said, next.payload, now))?;
        let go_on = |step: &mut Self| {
            let closing = step.put_event(run, &event, EventSource::Caller)?;
            step.begin(Beginning {
                id,
                event: first,
                source: EventSource::Store,
                identity: identity.clone(),
                request_id: "",
                imported: false,
                shares: None,
                origin,
            })?;
            step.record(run, closing, &event.body);
            Ok((closing, id))
        };
        self.keyed(run, event.key, |step| step.atomically(&[run_id], go_on))
    }
}

/// The closing event with the run that follows.
fn followed_by(body: Body<'_>, next: RunId) -> Result<Body<'_>> {
    let new_run_id = Some(next);
    Ok(match body {
        Body::WorkflowExecutionCompleted(closed) => {
            Body::WorkflowExecutionCompleted(crate::event::Closed { new_run_id, ..closed })
        }
        Body::WorkflowExecutionFailed(closed) => {
            Body::WorkflowExecutionFailed(crate::event::Closed { new_run_id, ..closed })
        }
        Body::WorkflowExecutionTimedOut(closed) => {
            Body::WorkflowExecutionTimedOut(crate::event::Closed { new_run_id, ..closed })
        }
        Body::WorkflowExecutionContinuedAsNew(continued) => {
            Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew { new_run_id, ..continued })
        }
        _ => return Err(Error::invalid("no run follows one that was canceled or terminated")),
    })
}
