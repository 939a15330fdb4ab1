//! One step of a transaction, done to the model and to the store.

use kinlog::event::StartChildFailedCause;
use kinlog::retention::Keep;
use kinlog::{
    Close, Duty, Error, Expect, NewChild, NewEvent, NewReset, NewRun, NextRun, RunId, RunStatus,
    Target, Transaction,
};

use crate::body::{SIGNAL, TYPE, body, payload};
use crate::draft::{Draft, No, Step};
use crate::naive::{Address, Key, NAMESPACES, What, Wish};
use crate::steps::{Claim, closed};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Start { claim: Claim, id: RunId, note: u64 },
    Spawn { parent: RunId, wish: Wish, foreign: bool, id: RunId, note: u64 },
    Initiate { parent: RunId, wish: Wish, foreign: bool, note: u64 },
    StartChild { parent: RunId, initiated: u32 },
    FailChild { parent: RunId, initiated: u32 },
    Report { parent: RunId, initiated: u32 },
    Close { run: RunId, how: RunStatus, note: u64 },
    GoOn { run: RunId, how: RunStatus, attempt: u32, id: RunId, note: u64 },
    Reset { base: RunId, last: u32, request: &'static str, id: RunId, note: u64 },
    Cancel { run: RunId, note: u64 },
    Ask { sender: RunId, address: Address, signal: bool, note: u64 },
    Signal { run: RunId, note: u64 },
    Append { run: RunId, what: What, note: u64 },
    Expect { run: RunId, next: Option<u32> },
    Settle((Key, Duty)),
    Delete { run: RunId, chain: bool, keep: Keep },
}

/// What a step returns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Out {
    Run(RunId),
    Event(u32),
    Cancel(Option<u32>, Vec<u32>),
    Settled(bool),
    Nothing,
}

pub(crate) fn refusal(error: &Error) -> No {
    match error {
        Error::InvalidArgument { .. } => No::Invalid,
        Error::RunDeleted { kept, .. } => No::Deleted(*kept),
        Error::NotDeletable { why, .. } => No::NotDeletable(*why),
        Error::RunNotFound { .. } => No::NotFound,
        Error::RunClosed { .. } => No::Closed,
        Error::RunExists { .. } => No::RunExists,
        Error::Conflict { .. } => No::Conflict,
        Error::WorkflowExists { open, .. } => No::Taken(*open),
        Error::LimitExceeded { asked, max, .. } => No::Limit { asked: *asked, max: *max },
        Error::IllegalEvent { .. } => No::Illegal,
        Error::CrossNamespace { .. } => No::CrossNamespace,
        other => panic!("the store failed: {other}"),
    }
}

impl Op {
    /// The run that a blind append may go to.
    pub(crate) fn appends_to(&self) -> Option<&RunId> {
        match self {
            Op::FailChild { parent: run, .. }
            | Op::Report { parent: run, .. }
            | Op::Ask { sender: run, .. }
            | Op::Close { run, .. }
            | Op::Signal { run, .. }
            | Op::Append { run, .. } => Some(run),
            _ => None,
        }
    }

    /// In the model. `id` is the run that the store made, where it chooses the id itself.
    pub(crate) fn plan(&self, tx: &mut Draft, id: RunId) -> Step<Out> {
        match self {
            Op::Start { claim, id, note } => tx.start(claim, *id, *note).map(Out::Run),
            Op::Spawn { parent, wish, foreign, id, note } => {
                tx.spawn(parent, wish, *foreign, *id, *note).map(Out::Run)
            }
            Op::Initiate { parent, wish, foreign, note } => {
                tx.initiate(parent, wish, *foreign, *note).map(Out::Event)
            }
            Op::StartChild { parent, initiated } => {
                tx.start_child(parent, *initiated, id).map(Out::Run)
            }
            Op::FailChild { parent, initiated } => {
                let what = What::ChildRefused { initiated: *initiated };
                plan_append(tx, parent, what, 0)
            }
            Op::Report { parent, initiated } => tx.report(parent, *initiated).map(Out::Event),
            Op::Close { run, how, note } => {
                let noted = !matches!(how, RunStatus::TimedOut | RunStatus::Terminated);
                let reason = if *how == RunStatus::Terminated { "why" } else { "" };
                plan_append(tx, run, closed(*how, reason), if noted { *note } else { 0 })
            }
            Op::GoOn { run, how, attempt, id, note } => {
                tx.go_on(run, *how, *attempt, *id, *note).map(Out::Run)
            }
            Op::Reset { base, last, request, id, note } => {
                tx.reset(base, *last, request, *id, *note).map(Out::Run)
            }
            Op::Cancel { run, note } => {
                tx.request_cancel(run, *note).map(|(event, open)| Out::Cancel(event, open))
            }
            Op::Ask { sender, address, signal, note } => {
                let kind = if *signal {
                    kinlog::DutyKind::DeliverSignal
                } else {
                    kinlog::DutyKind::DeliverCancel
                };
                let what = What::Asked { kind, address: *address };
                plan_append(tx, sender, what, if *signal { *note } else { 0 })
            }
            Op::Signal { run, note } => plan_append(tx, run, What::Signaled { from: None }, *note),
            Op::Append { run, what, note } => plan_append(tx, run, what.clone(), *note),
            Op::Expect { run, next } => plan_expect(tx, run, *next),
            Op::Settle((key, _)) => tx.settle(*key, id).map(Out::Settled),
            Op::Delete { run, chain, keep } => tx.delete(run, *chain, *keep).map(|()| Out::Nothing),
        }
    }

    /// In the store. The model stands before the step.
    pub(crate) fn take(&self, tx: &mut Transaction<'_>, model: &Draft) -> Result<Out, Error> {
        match self {
            Op::Start { claim, id, note } => {
                let input = payload(*note);
                let run =
                    NewRun::new(NAMESPACES[claim.namespace], claim.workflow, TYPE).input(&input);
                let run = run.id(*id).request_id(claim.request);
                tx.start(run.on_reuse(claim.reuse).on_conflict(claim.conflict)).map(Out::Run)
            }
            Op::Spawn { parent, wish, foreign, id, note } => {
                let input = payload(*note);
                let child = new_child(wish, *foreign, model, parent).input(&input).id(*id);
                tx.spawn_child(parent, child).map(|spawned| Out::Run(spawned.run))
            }
            Op::Initiate { parent, wish, foreign, note } => {
                let input = payload(*note);
                let child = new_child(wish, *foreign, model, parent).input(&input);
                tx.initiate_child(parent, child).map(Out::Event)
            }
            Op::StartChild { parent, initiated } => {
                tx.start_child(parent, *initiated, None).map(Out::Run)
            }
            Op::FailChild { parent, initiated } => {
                let cause = StartChildFailedCause::WorkflowAlreadyExists;
                tx.fail_child(parent, *initiated, cause).map(Out::Event)
            }
            Op::Report { parent, initiated } => tx.report_child(parent, *initiated).map(Out::Event),
            Op::Close { run, how, note } => {
                tx.close_run(run, new_close(*how, &payload(*note))).map(Out::Event)
            }
            Op::GoOn { run, how, attempt, id, note } => {
                let input = payload(*note);
                let next = match (how, attempt) {
                    (RunStatus::ContinuedAsNew, _) => NextRun::new(TYPE),
                    (_, 0) => NextRun::cron(TYPE),
                    _ => NextRun::retry(TYPE, *attempt),
                };
                let next = next.input(&input).id(*id);
                let run = match how {
                    RunStatus::ContinuedAsNew => tx.continue_as_new(run, next),
                    _ => tx.close_and_continue(run, new_close(*how, &input), next),
                };
                run.map(Out::Run)
            }
            Op::Reset { base, last, request, id, note } => {
                let input = payload(*note);
                let reset = NewReset::to(*last).request_id(request).payload(&input).id(*id);
                tx.reset(base, reset).map(Out::Run)
            }
            Op::Cancel { run, note } => {
                let asked = tx.request_cancel(run, &payload(*note))?;
                Ok(Out::Cancel(asked.event_id, asked.open_activities))
            }
            Op::Ask { sender, address, signal, note } => {
                let target = Target::workflow(address.workflow);
                let target = address.run.map_or(target, |run| target.run(run));
                let target = if address.child_only { target.child_only() } else { target };
                match signal {
                    true => tx.signal_external(sender, target, SIGNAL, &payload(*note)),
                    false => tx.cancel_external(sender, target),
                }
                .map(Out::Event)
            }
            Op::Signal { run, note } => tx.signal(run, SIGNAL, &payload(*note)).map(Out::Event),
            Op::Append { run, what, note } => {
                let input = payload(*note);
                let body = body(&model.now, 0, what);
                tx.append(run, NewEvent::new(body).payload(&input)).map(Out::Event)
            }
            Op::Expect { run, next } => {
                tx.expect(run, next.map_or(Expect::Any, Expect::NextEvent)).map(|()| Out::Nothing)
            }
            Op::Settle((_, duty)) => tx.settle(duty).map(Out::Settled),
            Op::Delete { run, chain, keep } => match chain {
                true => tx.delete_chain(run, *keep),
                false => tx.delete_run(run, *keep),
            }
            .map(|()| Out::Nothing),
        }
    }
}

fn plan_append(tx: &mut Draft, run: &RunId, what: What, note: u64) -> Step<Out> {
    let run = tx.find(run)?;
    tx.put(run, what, note).map(Out::Event)
}

fn plan_expect(tx: &mut Draft, run: &RunId, next: Option<u32>) -> Step<Out> {
    let run = tx.find(run)?;
    if next.is_some_and(|next| next != tx.now.runs[run].len() + 1) {
        return Err(vec![No::Conflict]);
    }
    Ok(Out::Nothing)
}

fn new_child<'a>(wish: &Wish, foreign: bool, model: &Draft, parent: &RunId) -> NewChild<'a> {
    let child = NewChild::new(wish.workflow, TYPE).on_parent_close(wish.policy);
    let child = child.on_reuse(wish.reuse).on_conflict(wish.conflict);
    let namespace = model.now.find(parent).map_or(0, |run| model.now.runs[run].namespace);
    if foreign { child.namespace(NAMESPACES[1 - namespace]) } else { child }
}

fn new_close(how: RunStatus, note: &[u8]) -> Close<'_> {
    match how {
        RunStatus::Completed => Close::completed(note),
        RunStatus::Failed => Close::failed(note),
        RunStatus::TimedOut => Close::timed_out(),
        RunStatus::Canceled => Close::canceled(note),
        _ => Close::terminated("why"),
    }
}
