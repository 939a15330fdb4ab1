//! Plays a program: takes its steps one by one, and brings the store to rest after each.

use kinlog::{
    Body, Durability, Error, EventKind, NewReset, NewRun, Options, RunFilter, RunId, StartOutcome,
    Store, Transaction,
};
use serde_json::{Value, json};

use crate::Result;
use crate::engine::{self, NAMESPACE, NOTE, TASK_QUEUE, TELL, WORKFLOW_TYPE, told, work};
use crate::portrait::{live_histories, portrait, standing};
use crate::program::{Program, Step};

/// Segments are allocated, hence small.
const SEGMENT_BYTES: u32 = 1 << 20;
/// The limits that the server is started with, too.
const OPEN_MAX: u32 = 12;

/// Plays a program on a store of its own.
pub(crate) fn play(program: &Program) -> Result<Value> {
    let dir = tempfile::tempdir()?;
    let store = Options::new().segment_bytes(SEGMENT_BYTES).open(dir.path())?;
    let mut limits = store.limits(NAMESPACE);
    limits.open_children = OPEN_MAX;
    limits.open_activities = OPEN_MAX;
    limits.open_signals = OPEN_MAX;
    limits.open_cancels = OPEN_MAX;
    store.set_limits(NAMESPACE, limits)?;
    let (mut answers, mut after) = (vec![], vec![]);
    for (number, step) in (1..).zip(&program.steps) {
        answers.push(take(&store, number, step)?);
        rest(&store, &program.steps)?;
        after.push(standing(&store)?);
    }
    store.verify(|_| ())?;
    Ok(json!({
        "answers": answers,
        "after": after,
        "runs": portrait(&store)?,
        "histories": live_histories(&store)?,
    }))
}

/// Does all workflow tasks and settles all duties.
fn rest(store: &Store, steps: &[Step]) -> Result<()> {
    loop {
        let mut worked = store.settle_all()?.duties > 0;
        for run in open_runs(store)? {
            worked |= work(store, &run, steps)?;
        }
        if !worked {
            return Ok(());
        }
    }
}

fn open_runs(store: &Store) -> Result<Vec<RunId>> {
    let filter = RunFilter::all().status(kinlog::RunStatus::Running);
    store.snapshot().runs(filter).map(|run| Ok(run?.id)).collect()
}

/// Takes a step; what a client is answered.
fn take(store: &Store, number: usize, step: &Step) -> Result<String> {
    let mut tx = store.begin();
    match step.verb.as_str() {
        "start" => return start(store, step, None),
        "signal-with-start" => return start(store, step, Some(NOTE)),
        _ => {}
    }
    let Some(run) = run_of(store, step)? else { return Ok("not found".to_owned()) };
    let done = match step.verb.as_str() {
        "tell" => tell(&mut tx, &run, number, &step.text)?,
        "signal" => tx.signal_once(&run, NOTE, &step.options.request, b"").map(drop),
        "terminate" => tx.close_run(&run, kinlog::Close::terminated("judge")).map(drop),
        "cancel" => tx.request_cancel(&run, b"").map(drop),
        "update" => update(&mut tx, &run),
        "time-out" => match store.run(&run)?.status.is_open() {
            true => {
                engine::time_out(&mut tx, store, &run)?;
                Ok(())
            }
            false => Err(Error::RunClosed { run }),
        },
        "reset" => match point(store, &run, step)? {
            Some(last) => tx.reset(&run, NewReset::to(last).reason("judge")).map(drop),
            None => return Ok("no such point".to_owned()),
        },
        other => return Err(format!("no step: {other}").into()),
    };
    match done {
        Ok(()) => {
            tx.commit_with(Durability::Buffered)?;
            Ok("done".to_owned())
        }
        Err(Error::RunClosed { .. }) => Ok("not found".to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn tell(
    tx: &mut Transaction<'_>,
    run: &RunId,
    number: usize,
    step: &str,
) -> Result<kinlog::Result<()>> {
    let told = serde_json::to_vec(&("", number, step))?;
    Ok(tx.signal(run, TELL, &told).map(drop))
}

/// An update that is accepted and completed in a workflow task of its own.
fn update(tx: &mut Transaction<'_>, run: &RunId) -> kinlog::Result<()> {
    engine::empty_task(tx, run)?;
    for kind in [
        EventKind::WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventKind::WORKFLOW_EXECUTION_UPDATE_COMPLETED,
    ] {
        tx.append(run, kinlog::NewEvent::opaque(kind, b""))?;
    }
    Ok(())
}

/// Starts a workflow; with a signal, also where it runs.
fn start(store: &Store, step: &Step, signal: Option<&str>) -> Result<String> {
    let options = &step.options;
    let input = serde_json::to_vec(options)?;
    let new = NewRun::new(NAMESPACE, &step.workflow, WORKFLOW_TYPE)
        .input(&input)
        .task_queue(TASK_QUEUE)
        .request_id(&options.request)
        .on_reuse(options.reuse()?)
        .on_conflict(match signal {
            Some(_) if options.conflict.is_empty() => kinlog::IdConflictPolicy::UseExisting,
            _ => options.conflict()?,
        });
    let mut tx = store.begin();
    let outcome = match tx.start_or_find(new) {
        Ok(outcome) => outcome,
        Err(Error::WorkflowExists { .. }) => return Ok("exists".to_owned()),
        Err(Error::InvalidArgument { .. }) => return Ok("invalid".to_owned()),
        Err(error) => return Err(error.into()),
    };
    if let Some(name) = signal {
        tx.signal(&outcome.run(), name, b"")?;
    }
    tx.commit_with(Durability::Buffered)?;
    Ok(match outcome {
        StartOutcome::Started(_) => "started".to_owned(),
        found => format!("found {}", found.run()),
    })
}

/// The run that a step is about.
fn run_of(store: &Store, step: &Step) -> Result<Option<RunId>> {
    let Some(place) = step.run.checked_sub(1) else {
        return Ok(store.current_run(NAMESPACE, &step.workflow)?);
    };
    let filter = RunFilter::all().namespace(NAMESPACE).workflow_id(&step.workflow);
    store.snapshot().runs(filter).nth(place).map(|run| Ok(run?.id)).transpose()
}

/// The last event that a reset shares: the start of the workflow task in which the step was taken or,
/// after it, of the last one before the next step.
fn point(store: &Store, run: &RunId, step: &Step) -> Result<Option<u32>> {
    let (mut reached, mut found) = (step.point == 0, None);
    for event in &store.history(run)? {
        let event = event?;
        match event.body() {
            Body::WorkflowExecutionSignaled(b) if b.signal_name == TELL => {
                if reached && found.is_some() {
                    break;
                }
                reached |= told(&event)? == step.point;
            }
            Body::WorkflowTaskCompleted(b) if reached => {
                found = Some(b.started_event_id);
                if !step.after {
                    break;
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
