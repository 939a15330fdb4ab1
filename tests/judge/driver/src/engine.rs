//! A small engine: workflow tasks, and what a workflow is told to do in them.

use kinlog::event::RetryState;
use kinlog::event::{ActivityScheduled, Started, WorkflowTask};
use kinlog::{
    Body, Close, Error, Event, EventKind, NewChild, NewEvent, NextRun, RunId, Store, Target,
    Transaction,
};

use crate::Result;
use crate::program::{Command, Options, Step};

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const WORKFLOW_TYPE: &str = "Judged";
pub(crate) const TASK_QUEUE: &str = "judge";
/// The signal that tells a workflow a step of the program; its payload is what workflow ids begin with, the
/// step's number, and the step.
pub(crate) const TELL: &str = "tell";
/// Any other signal.
pub(crate) const NOTE: &str = "note";
/// How often a workflow with a retry policy is tried.
const ATTEMPTS: u32 = 2;

/// What the next workflow task of a run has to do.
struct News {
    /// Something happened that the workflow was not told of.
    any: bool,
    /// The steps that it was told, by number, and has not taken.
    told: Vec<usize>,
}

/// Does the workflow task that is due in a run, if there is one.
pub(crate) fn work(store: &Store, run: &RunId, steps: &[Step]) -> Result<bool> {
    let news = news(store, run)?;
    if !news.any || !store.run(run)?.status.is_open() {
        return Ok(false);
    }
    let told = news.told.iter().filter_map(|number| steps.get(number.checked_sub(1)?));
    let commands: Vec<&Command> = told.flat_map(|step| &step.commands).collect();
    let mut tx = store.begin();
    let decided_by = empty_task(&mut tx, run)?;
    let mut turn = Turn { store, run, decided_by, activities: activities(store, run)? };
    for command in commands {
        match turn.take(&mut tx, command) {
            Ok(true) => break,
            Ok(false) => {}
            // None of its commands is done, as in Temporal.
            Err(error) => match error.downcast_ref::<Error>() {
                Some(Error::LimitExceeded { .. }) => return fail_task(store, run),
                _ => return Err(error),
            },
        }
    }
    tx.commit_with(kinlog::Durability::Buffered)?;
    Ok(true)
}

/// Writes what a run schedules and starts a workflow task with; returns the first event.
fn begin_task(tx: &mut Transaction<'_>, run: &RunId) -> kinlog::Result<u32> {
    let task = tx.append(run, NewEvent::opaque(EventKind::WORKFLOW_TASK_SCHEDULED, b""))?;
    let started = WorkflowTask { scheduled_event_id: task, started_event_id: 0 };
    tx.append(run, NewEvent::new(Body::WorkflowTaskStarted(started)))?;
    Ok(task)
}

/// Writes a workflow task; returns its last event.
pub(crate) fn empty_task(tx: &mut Transaction<'_>, run: &RunId) -> kinlog::Result<u32> {
    let task = begin_task(tx, run)?;
    tx.append(run, NewEvent::new(Body::WorkflowTaskCompleted(finished(task))))
}

fn finished(task: u32) -> WorkflowTask {
    WorkflowTask { scheduled_event_id: task, started_event_id: task + 1 }
}

fn fail_task(store: &Store, run: &RunId) -> Result<bool> {
    let mut tx = store.begin();
    let task = begin_task(&mut tx, run)?;
    tx.append(run, NewEvent::new(Body::WorkflowTaskFailed(finished(task))))?;
    tx.commit_with(kinlog::Durability::Buffered)?;
    Ok(false)
}

/// What happened in a run since its last workflow task.
fn news(store: &Store, run: &RunId) -> Result<News> {
    let mut news = News { any: false, told: vec![] };
    for event in store.history(run)?.rev() {
        let event = event?;
        match event.body() {
            Body::WorkflowTaskCompleted(_) | Body::WorkflowTaskFailed(_) => break,
            Body::WorkflowExecutionSignaled(signaled) if signaled.signal_name == TELL => {
                news.told.insert(0, told(&event)?);
            }
            _ => {}
        }
        news.any |= is_news(event.kind());
    }
    Ok(news)
}

/// The number of the step that a signal tells.
pub(crate) fn told(event: &Event<'_>) -> Result<usize> {
    let (_, number, _): (&str, usize, String) = serde_json::from_slice(event.payload())?;
    Ok(number)
}

/// Whether an event is a reason for a workflow task.
fn is_news(kind: EventKind) -> bool {
    matches!(kind.number(), 1 | 9 | 20 | 23 | 24 | 26 | 30..=36 | 38 | 39)
}

fn activities(store: &Store, run: &RunId) -> Result<usize> {
    let mut found = 0;
    for event in &store.history(run)? {
        found += usize::from(event?.kind() == EventKind::ACTIVITY_TASK_SCHEDULED);
    }
    Ok(found)
}

/// A workflow task in which commands are taken.
struct Turn<'a> {
    store: &'a Store,
    run: &'a RunId,
    decided_by: u32,
    /// How many activities there were before; their ids count them.
    activities: usize,
}

impl Turn<'_> {
    /// Takes a command; whether it ends the run.
    fn take(&mut self, tx: &mut Transaction<'_>, command: &Command) -> Result<bool> {
        let (run, target) = (self.run, command.target.as_str());
        match command.verb.as_str() {
            "child" => {
                let options = serde_json::to_vec(&command.options)?;
                let child = NewChild::new(target, WORKFLOW_TYPE)
                    .input(&options)
                    .task_queue(TASK_QUEUE)
                    .on_parent_close(command.close_policy()?)
                    .on_reuse(command.options.reuse()?)
                    .on_conflict(command.options.conflict()?)
                    .decided_by(self.decided_by);
                tx.initiate_child(run, child)?;
            }
            "signal" => drop(tx.signal_external(run, Target::workflow(target), NOTE, b"")?),
            "cancel" => drop(tx.cancel_external(run, Target::workflow(target))?),
            "signal-child" => {
                if self.child(target)?.is_some() {
                    // Of a child, whichever run there is.
                    let target = Target::workflow(target).child_only();
                    tx.signal_external(run, target, NOTE, b"")?;
                }
            }
            "cancel-child" => {
                if let Some(child) = self.child(target)?.filter(|child| !child.has_ended) {
                    let target = Target::workflow(target).run(child.first_run).child_only();
                    tx.cancel_external(run, target)?;
                }
            }
            "activity" => {
                self.activities += 1;
                let scheduled = ActivityScheduled {
                    activity_id: &self.activities.to_string(),
                    activity_type: "nothing",
                    workflow_task_completed_event_id: self.decided_by,
                };
                tx.append(run, NewEvent::new(Body::ActivityTaskScheduled(scheduled)))?;
            }
            "complete" | "fail" => {
                close(tx, self.store, run, command.verb == "fail")?;
                return Ok(true);
            }
            "canceled" if self.store.run(run)?.cancel_requested => {
                tx.close_run(run, Close::canceled(b""))?;
                return Ok(true);
            }
            "continue" => {
                let options = options(self.store, run)?;
                let next = NextRun::new(WORKFLOW_TYPE).task_queue(TASK_QUEUE);
                let input = serde_json::to_vec(&options)?;
                tx.continue_as_new(run, next.input(&input).decided_by(self.decided_by))?;
                return Ok(true);
            }
            "canceled" => {}
            other => return Err(format!("no command: {other}").into()),
        }
        Ok(false)
    }

    /// The child that the workflow holds, as the run's own history has it.
    fn child(&self, workflow_id: &str) -> Result<Option<Held>> {
        let (mut initiated, mut found) = (0, None);
        for event in &self.store.history(self.run)? {
            let event = event?;
            match event.body() {
                Body::StartChildWorkflowExecutionInitiated(b) if b.workflow_id == workflow_id => {
                    initiated = event.id();
                }
                Body::ChildWorkflowExecutionStarted(b) if b.initiated_event_id == initiated => {
                    found = Some(Held { first_run: b.run_id, has_ended: false });
                }
                body if body.outcome_of() == Some(initiated) => {
                    found.iter_mut().for_each(|held| held.has_ended = true);
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// A child that was started.
struct Held {
    first_run: RunId,
    has_ended: bool,
}

/// The relation whose outcome an event tells.
trait OutcomeOf {
    fn outcome_of(&self) -> Option<u32>;
}

impl OutcomeOf for Body<'_> {
    fn outcome_of(&self) -> Option<u32> {
        match self {
            Body::ChildWorkflowExecutionCompleted(b)
            | Body::ChildWorkflowExecutionFailed(b)
            | Body::ChildWorkflowExecutionCanceled(b)
            | Body::ChildWorkflowExecutionTimedOut(b)
            | Body::ChildWorkflowExecutionTerminated(b) => Some(b.initiated_event_id),
            _ => None,
        }
    }
}

/// Completes or fails a run, as its retry policy and its schedule say.
fn close(tx: &mut Transaction<'_>, store: &Store, run: &RunId, failed: bool) -> Result<()> {
    let close = if failed { Close::failed(b"told to fail") } else { Close::completed(b"") };
    end(tx, store, run, close, failed)
}

/// Ends a run for want of time.
pub(crate) fn time_out(tx: &mut Transaction<'_>, store: &Store, run: &RunId) -> Result<()> {
    end(tx, store, run, Close::timed_out(), true)
}

fn end(
    tx: &mut Transaction<'_>,
    store: &Store,
    run: &RunId,
    close: Close<'_>,
    retryable: bool,
) -> Result<()> {
    let options = options(store, run)?;
    let attempt = started(store, run, |started| started.attempt)?.max(1);
    let input = serde_json::to_vec(&options)?;
    let exhausted = if options.retry {
        RetryState::MaximumAttemptsReached
    } else {
        RetryState::RetryPolicyNotSet
    };
    let next = if retryable && options.retry && attempt < ATTEMPTS {
        Some((NextRun::retry(WORKFLOW_TYPE, attempt + 1), RetryState::InProgress))
    } else if options.cron {
        Some((NextRun::cron(WORKFLOW_TYPE), exhausted))
    } else {
        None
    };
    match next {
        Some((next, state)) => {
            let next = next.input(&input).task_queue(TASK_QUEUE);
            tx.close_and_continue(run, close.retry_state(state), next)?;
        }
        None => drop(tx.close_run(run, close.retry_state(exhausted))?),
    }
    Ok(())
}

/// How a run was started: its input.
fn options(store: &Store, run: &RunId) -> Result<Options> {
    let history = store.history(run)?;
    let first = history.event(1)?.ok_or("a run has a first event")?;
    Ok(serde_json::from_slice(first.payload())?)
}

fn started<T>(store: &Store, run: &RunId, look: impl FnOnce(&Started<'_>) -> T) -> Result<T> {
    Ok(look(&store.history(run)?.started()?))
}
