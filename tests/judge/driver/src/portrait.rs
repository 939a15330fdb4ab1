//! All that a store knows of its runs, as JSON.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinlog::{Body, Event, RunFilter, RunId, RunInfo, Snapshot, Store};
use kinlog_temporal::export_live;
use serde_json::{Map, Value, json};

use crate::Result;

/// The kinds of each run's events, in no order, but for those of workflow tasks.
pub(crate) fn standing(store: &Store) -> Result<BTreeMap<String, Vec<u16>>> {
    let snapshot = store.snapshot();
    let mut standing = BTreeMap::new();
    for run in snapshot.runs(RunFilter::all()) {
        let run = run?;
        let mut kinds = vec![];
        for event in &snapshot.history(&run.id)? {
            let event = event?;
            kinds.extend((!is_task(&event)).then_some(event.kind().number()));
        }
        kinds.sort_unstable();
        standing.insert(run.id.to_string(), kinds);
    }
    Ok(standing)
}

/// Whether an event is one of a workflow task; the mark of a reset is none.
fn is_task(event: &Event<'_>) -> bool {
    matches!(event.kind().number(), 5..=8) || matches!(event.body(), Body::WorkflowTaskFailed(_))
}

/// Every run.
pub(crate) fn portrait(store: &Store) -> Result<Vec<Value>> {
    let snapshot = store.snapshot();
    snapshot.runs(RunFilter::all()).map(|run| of_run(store, &snapshot, &run?)).collect()
}

/// Every run as a history of Temporal's, in protobuf as base64.
pub(crate) fn live_histories(store: &Store) -> Result<Vec<String>> {
    let snapshot = store.snapshot();
    let runs = snapshot.runs(RunFilter::all());
    runs.map(|run| {
        let history = export_live(&snapshot.history(&run?.id)?)?;
        Ok(STANDARD.encode(history.to_proto()))
    })
    .collect()
}

fn of_run(store: &Store, snapshot: &Snapshot, run: &RunInfo) -> Result<Value> {
    let chain = snapshot.chain(&run.id)?;
    let history = snapshot.history(&run.id)?;
    let events: Result<Vec<Value>> = history.iter().map(|event| Ok(of_event(&event?))).collect();
    let children: Result<Vec<Value>> =
        snapshot.children(&run.id)?.map(|child| Ok(of_child(&child?))).collect();
    let parent = snapshot.parent(&run.id)?;
    let root = snapshot.root(&run.id)?;
    let runs: Result<Vec<String>> = chain.runs().map(|run| Ok(run?.id.to_string())).collect();
    Ok(json!({
        "run": run.id.to_string(),
        "workflow": &*run.workflow_id,
        "status": run.status.name(),
        "cancel_requested": run.cancel_requested,
        "is_current": run.is_current,
        "first_run": run.first_run_id.to_string(),
        "chain": runs?,
        "parent_run": parent.map(|parent| parent.run.to_string()),
        "root_run": root.run.to_string(),
        "children": children?,
        "open_activities": store.open_activities(&run.id)?.len(),
        "events": events?,
    }))
}

fn of_child(child: &kinlog::Child) -> Value {
    json!({
        "initiated_event": child.initiated_event_id,
        "workflow": &*child.workflow_id,
        "policy": child.policy.name(),
        "state": child.state.name(),
        "outcome": child.outcome.map(|outcome| outcome.name()),
        "reported": child.reported,
        "first_run": child.first_run.map(|run| run.to_string()),
        "current_run": child.current.as_ref().map(|run| run.id.to_string()),
    })
}

/// The fields of an event that speak of relations, by the names that the judge gives them.
fn of_event(event: &Event<'_>) -> Value {
    let mut fields = Fields(Map::new());
    put_fields(&mut fields, &event.body());
    let kind = event.kind().number();
    let is_task = is_task(event);
    json!({ "id": event.id(), "kind": kind, "is_task": is_task, "fields": fields.0 })
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn run(&mut self, name: &str, run: Option<RunId>) {
        self.put(name, run.map(|run| run.to_string()));
    }
}

fn put_fields(f: &mut Fields, body: &Body<'_>) {
    match body {
        Body::WorkflowExecutionStarted(b) => {
            f.put("workflow", b.workflow_id);
            f.run("first_run", Some(b.first_run_id));
            f.run("original_run", Some(b.run_id));
            f.run("continued_run", b.continued_run_id);
            f.put("parent_workflow", b.parent_workflow_id);
            f.run("parent_run", b.parent_run_id);
            f.put("parent_initiated", b.parent_initiated_event_id);
            f.put("root_workflow", b.root_workflow_id);
            f.run("root_run", b.root_run_id);
            f.put("initiator", b.initiator.number());
            f.put("attempt", b.attempt.max(1));
        }
        Body::WorkflowExecutionCompleted(b) => f.run("new_run", b.new_run_id),
        Body::WorkflowExecutionFailed(b) | Body::WorkflowExecutionTimedOut(b) => {
            f.run("new_run", b.new_run_id);
            f.put("retry_state", b.retry_state.number());
        }
        Body::WorkflowExecutionTerminated(b) => f.put("reason", b.reason),
        Body::WorkflowExecutionContinuedAsNew(b) => {
            f.run("new_run", b.new_run_id);
            f.put("initiator", b.initiator.number());
        }
        Body::WorkflowReset(b) => {
            f.run("base_run", Some(b.base_run_id));
            f.run("new_run", Some(b.run_id));
            f.put("reason", b.reason);
        }
        Body::WorkflowExecutionCancelRequested(b) => {
            f.put("external_workflow", b.external_workflow_id);
            f.run("external_run", b.external_run_id);
            f.put("external_initiated", b.external_initiated_event_id);
        }
        Body::WorkflowExecutionSignaled(b) => {
            f.put("signal", b.signal_name);
            f.put("request", b.request_id);
            f.run("external_run", b.external_run_id);
        }
        Body::SignalExternalWorkflowExecutionInitiated(b)
        | Body::RequestCancelExternalWorkflowExecutionInitiated(b) => {
            f.put("target", b.workflow_id);
            f.run("target_run", b.run_id);
            f.put("signal", b.signal_name);
            f.put("child_only", b.child_workflow_only);
        }
        Body::SignalExternalWorkflowExecutionFailed(b)
        | Body::ExternalWorkflowExecutionSignaled(b)
        | Body::RequestCancelExternalWorkflowExecutionFailed(b)
        | Body::ExternalWorkflowExecutionCancelRequested(b) => {
            f.put("initiated_event", b.initiated_event_id);
            f.put("cause", b.cause.number());
        }
        Body::StartChildWorkflowExecutionInitiated(b) => {
            f.put("target", b.workflow_id);
            f.put("policy", b.close_policy.number());
            f.put("reuse", b.reuse_policy.number());
        }
        Body::StartChildWorkflowExecutionFailed(b) => {
            f.put("initiated_event", b.initiated_event_id);
            f.put("cause", b.cause.number());
        }
        Body::ChildWorkflowExecutionStarted(b) => {
            f.put("initiated_event", b.initiated_event_id);
            f.run("child_run", Some(b.run_id));
        }
        Body::ChildWorkflowExecutionCompleted(b)
        | Body::ChildWorkflowExecutionFailed(b)
        | Body::ChildWorkflowExecutionCanceled(b)
        | Body::ChildWorkflowExecutionTimedOut(b)
        | Body::ChildWorkflowExecutionTerminated(b) => {
            f.put("initiated_event", b.initiated_event_id);
            f.put("started_event", b.started_event_id);
            f.run("child_run", Some(b.run_id));
            f.put("retry_state", b.retry_state.number());
        }
        _ => {}
    }
}
