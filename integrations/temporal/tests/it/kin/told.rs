//! What a recorded history says of its kin: read from the manifest, and from the history as JSON, by name.

use std::collections::BTreeMap;

use kinlog::{ParentClosePolicy, RunId, RunStatus};
use kinlog_temporal::History;
use serde_json::Value;

use crate::histories::{self, Recorded};

/// A recorded history and what it says of its kin.
pub(super) struct Told {
    pub(super) file: String,
    pub(super) history: History,
    /// Its run, and the runs it goes back and on to, as in the manifest.
    pub(super) run: Option<RunId>,
    pub(super) first: Option<RunId>,
    pub(super) before: Option<RunId>,
    pub(super) next: Option<RunId>,
    pub(super) parent: Option<RunId>,
    pub(super) children: Vec<ToldChild>,
}

/// A child, as its parent's history tells it.
#[derive(Debug, Clone)]
pub(super) struct ToldChild {
    pub(super) initiated: u32,
    pub(super) workflow_id: String,
    pub(super) workflow_type: String,
    pub(super) policy: ParentClosePolicy,
    pub(super) first_run: Option<RunId>,
    pub(super) failed: bool,
    pub(super) outcome: Option<RunStatus>,
}

/// No id for what is not said, nor for what somebody put in its place by hand.
fn id(text: &str) -> Option<RunId> {
    text.parse().ok()
}

/// All Temporal histories, or none if the folder is missing.
pub(super) fn told() -> Option<Vec<Told>> {
    let recorded = histories::recorded()?;
    let temporal = recorded.iter().filter_map(|it| Some((it, it.canonical.as_ref()?)));
    Some(temporal.map(|(it, proto)| tell(it, proto)).collect())
}

fn tell(it: &Recorded, proto: &[u8]) -> Told {
    let history = History::from_proto(proto).expect("a canonical history");
    let run = id(&it.run_id);
    Told {
        file: it.file.clone(),
        run,
        // Those that do not say are the first.
        first: id(&it.first_run_id).or(run),
        before: id(&it.prev_run_id),
        next: id(&it.next_run_id),
        parent: id(&it.parent_run_id),
        children: children(&history),
        history,
    }
}

fn number(value: &Value) -> u32 {
    value.as_str().and_then(|text| text.parse().ok()).expect("an event id")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The children of a history: its Initiated events, and what later ones say about each.
fn children(history: &History) -> Vec<ToldChild> {
    let json: Value =
        serde_json::from_str(&history.to_json().expect("as JSON")).expect("it is JSON");
    let mut children: BTreeMap<u32, ToldChild> = BTreeMap::new();
    for event in json["events"].as_array().expect("events") {
        let kind = event["eventType"].as_str().unwrap_or_default();
        let outcome = match kind {
            "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED" => {
                let it = &event["startChildWorkflowExecutionInitiatedEventAttributes"];
                let policy = match it["parentClosePolicy"].as_str() {
                    Some("PARENT_CLOSE_POLICY_TERMINATE") => ParentClosePolicy::Terminate,
                    Some("PARENT_CLOSE_POLICY_ABANDON") => ParentClosePolicy::Abandon,
                    Some("PARENT_CLOSE_POLICY_REQUEST_CANCEL") => ParentClosePolicy::RequestCancel,
                    None => ParentClosePolicy::Unspecified,
                    other => panic!("{other:?}"),
                };
                let child = ToldChild {
                    initiated: number(&event["eventId"]),
                    workflow_id: text(&it["workflowId"]),
                    workflow_type: text(&it["workflowType"]["name"]),
                    policy,
                    first_run: None,
                    failed: false,
                    outcome: None,
                };
                children.insert(child.initiated, child);
                continue;
            }
            "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED" => {
                let it = &event["startChildWorkflowExecutionFailedEventAttributes"];
                children.get_mut(&number(&it["initiatedEventId"])).expect("initiated").failed =
                    true;
                continue;
            }
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED" => {
                let it = &event["childWorkflowExecutionStartedEventAttributes"];
                let child = children.get_mut(&number(&it["initiatedEventId"])).expect("initiated");
                child.first_run = id(it["workflowExecution"]["runId"].as_str().expect("a run"));
                continue;
            }
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED" => ("Completed", RunStatus::Completed),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED" => ("Failed", RunStatus::Failed),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED" => ("Canceled", RunStatus::Canceled),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT" => ("TimedOut", RunStatus::TimedOut),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED" => {
                ("Terminated", RunStatus::Terminated)
            }
            _ => continue,
        };
        let it = &event[format!("childWorkflowExecution{}EventAttributes", outcome.0)];
        let child = children.get_mut(&number(&it["initiatedEventId"])).expect("initiated");
        assert!(child.outcome.replace(outcome.1).is_none(), "one outcome");
    }
    children.into_values().collect()
}
