//! Taking a step in a transaction.

use std::ops::Bound;

use kinlog::event::{ActivityTask, StartChildFailedCause};
use kinlog::{
    Body, Close, Duty, DutyFilter, DutyKind, Error, EventKind, Expect, NewChild, NewEvent,
    NewReset, NewRun, NextRun, Result, RunId, RunStatus, Store, Target, Transaction,
};

use crate::answer::{Answer, No};
use crate::api;
use crate::op::{Op, What, Wish};

pub(crate) const NAMESPACE: &str = "ns";
pub(crate) const TABLE: &str = "rows";
const TYPE: &str = "T";

/// A step with runs and events as they are.
pub(crate) type Real = Op<RunId, u32>;

/// The payload for a note.
fn payload(note: u64) -> [u8; 8] {
    note.to_le_bytes()
}

pub(crate) fn key(number: u8) -> Vec<u8> {
    format!("k{number:02}").into_bytes()
}

/// The duty that a step settles, as of now.
pub(crate) fn duty(store: &Store, kind: DutyKind, run: RunId, event: u32) -> Option<Duty> {
    let mut duties = store.duties(DutyFilter::all().kind(kind).run(run)).map(Result::unwrap);
    duties.find(|duty| duty.initiated_event_id() == event)
}

/// Takes a step. `due` is the duty if it settles one and there is one.
pub(crate) fn take(tx: &mut Transaction<'_>, op: &Real, due: Option<&Duty>) -> Answer {
    let answer = match *op {
        Op::Settle { .. } => match due {
            Some(due) => tx.settle(due).map(Answer::Settled),
            None => Ok(Answer::Settled(false)),
        },
        Op::Put { .. }
        | Op::Delete { .. }
        | Op::Get { .. }
        | Op::Remove { .. }
        | Op::Rows(_)
        | Op::Prefix { .. }
        | Op::Require { .. } => row(tx, op),
        Op::Append { .. }
        | Op::Expect { .. }
        | Op::Signal { .. }
        | Op::Ask { .. }
        | Op::RequestCancel { .. }
        | Op::Close { .. } => event(tx, op),
        _ => run(tx, op),
    };
    answer.unwrap_or_else(|error| Answer::No(No::of(&error)))
}

fn row(tx: &mut Transaction<'_>, op: &Real) -> Result<Answer> {
    match *op {
        Op::Put { key: k, value } => tx.put(TABLE, &key(k), &payload(value))?,
        Op::Delete { key: k } => {
            // A row that is not there is deleted without a trace, and a record says beforehand what is a commit.
            tx.put("deletes", &key(k), b"")?;
            tx.delete(TABLE, &key(k))?;
        }
        Op::Remove { run, chain, keep } => {
            match chain {
                true => tx.delete_chain(&run, keep)?,
                false => tx.delete_run(&run, keep)?,
            }
            // The same for a run that was deleted before.
            tx.put("deletes", b"run", b"")?;
        }
        Op::Get { key: k } => return tx.get(TABLE, &key(k)).map(Answer::Value),
        Op::Rows(part) => {
            let (from, to) = (key(part.from), key(part.to));
            let range = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
            let rows = api::rows(tx, TABLE, range, part.back, part.most);
            return rows.map(Answer::Rows);
        }
        Op::Prefix { tens, most } => {
            let prefix = format!("k{tens}").into_bytes();
            return api::rows_with_prefix(tx, TABLE, &prefix, most).map(Answer::Rows);
        }
        Op::Require { key: k, is } => api::require(tx, TABLE, &key(k), &is)?,
        _ => {}
    }
    Ok(Answer::Nothing)
}

fn event(tx: &mut Transaction<'_>, op: &Real) -> Result<Answer> {
    let id = match *op {
        Op::Append { run, what, note } => {
            let input = payload(note);
            let event = match what {
                What::Opaque(kind) => NewEvent::opaque(EventKind::from_number(kind), &input),
                What::Scheduled => NewEvent::activity_scheduled(TYPE).payload(&input),
                What::Ended(kind, of) => NewEvent::new(ended(kind, of)).payload(&input),
            };
            tx.append(&run, event)?
        }
        Op::Signal { run, note } => tx.signal(&run, "s", &payload(note))?,
        Op::Ask { sender, workflow, to, kin, signal, note } => {
            let target = Target::workflow(workflow);
            let target = to.map_or(target, |run| target.run(run));
            let target = if kin { target.child_only() } else { target };
            match signal {
                true => tx.signal_external(&sender, target, "s", &payload(note))?,
                false => tx.cancel_external(&sender, target)?,
            }
        }
        Op::Close { run, how, note } => tx.close_run(&run, close(how, &payload(note)))?,
        Op::RequestCancel { run, note } => {
            let asked = tx.request_cancel(&run, &payload(note))?;
            return Ok(Answer::Cancel(asked.event_id, asked.open_activities));
        }
        Op::Expect { run, next } => {
            tx.expect(&run, next.map_or(Expect::Any, Expect::NextEvent))?;
            return Ok(Answer::Nothing);
        }
        _ => return Err(not_here()),
    };
    Ok(Answer::Event(id))
}

fn run(tx: &mut Transaction<'_>, op: &Real) -> Result<Answer> {
    let id = match *op {
        Op::Start { claim, id, note } => {
            let input = payload(note);
            let run = NewRun::new(NAMESPACE, claim.workflow, TYPE).input(&input).id(id);
            let run = run.request_id(claim.request).on_reuse(claim.reuse);
            let (run, begins) = api::start_or_find(tx, run.on_conflict(claim.conflict))?;
            return Ok(Answer::Run(run, begins));
        }
        Op::Spawn { parent, wish, id, note } => {
            tx.spawn_child(&parent, child(&wish).input(&payload(note)).id(id))?.run
        }
        Op::Initiate { parent, wish, note } => {
            let input = payload(note);
            return tx.initiate_child(&parent, child(&wish).input(&input)).map(Answer::Event);
        }
        Op::StartChild { parent, initiated } => tx.start_child(&parent, initiated, None)?,
        Op::FailChild { parent, initiated } => {
            let cause = StartChildFailedCause::WorkflowAlreadyExists;
            return tx.fail_child(&parent, initiated, cause).map(Answer::Event);
        }
        Op::Report { parent, initiated } => {
            return tx.report_child(&parent, initiated).map(Answer::Event);
        }
        Op::GoOn { run, how, id, note } => {
            let input = payload(note);
            let retries = matches!(how, RunStatus::Failed | RunStatus::TimedOut);
            match how {
                RunStatus::ContinuedAsNew => {
                    tx.continue_as_new(&run, NextRun::new(TYPE).input(&input).id(id))?
                }
                _ => {
                    let next = if retries { NextRun::retry(TYPE, 2) } else { NextRun::cron(TYPE) };
                    tx.close_and_continue(&run, close(how, &input), next.input(&input).id(id))?
                }
            }
        }
        Op::Reset { base, last, request, id } => {
            tx.reset(&base, NewReset::to(last).request_id(request).id(id))?
        }
        _ => return Err(not_here()),
    };
    Ok(Answer::Run(id, tx.starts(&id)))
}

fn child(wish: &Wish) -> NewChild<'static> {
    let child = NewChild::new(wish.workflow, TYPE).on_parent_close(wish.policy);
    child.on_reuse(wish.reuse).on_conflict(wish.conflict)
}

fn close(how: RunStatus, note: &[u8]) -> Close<'_> {
    match how {
        RunStatus::Completed => Close::completed(note),
        RunStatus::Failed => Close::failed(note),
        RunStatus::TimedOut => Close::timed_out(),
        RunStatus::Canceled => Close::canceled(note),
        _ => Close::terminated("why"),
    }
}

fn ended(kind: EventKind, scheduled_event_id: u32) -> Body<'static> {
    let task = ActivityTask { scheduled_event_id, started_event_id: 0 };
    match kind {
        EventKind::ACTIVITY_TASK_COMPLETED => Body::ActivityTaskCompleted(task),
        EventKind::ACTIVITY_TASK_FAILED => Body::ActivityTaskFailed(task),
        EventKind::ACTIVITY_TASK_TIMED_OUT => Body::ActivityTaskTimedOut(task),
        _ => Body::ActivityTaskCanceled(task),
    }
}

fn not_here() -> Error {
    Error::InvalidArgument { what: "the test takes this step elsewhere" }
}
