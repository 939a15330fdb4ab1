//! Histories of children, made as their parents tell: hardly any was recorded beside its parent's.

use std::collections::HashSet;

use kinlog::RunId;
use kinlog_temporal::History;
use serde_json::json;

use super::told::{Told, ToldChild};

/// A history for each child that has none; every third child continued as new.
pub(super) fn made_children(told: &[Told]) -> Vec<Told> {
    let mut here: HashSet<_> = told.iter().filter_map(|it| it.first).collect();
    let mut made = vec![];
    for parent in told.iter().filter(|it| it.run.is_some()) {
        for (child, place) in parent.children.iter().zip(0..) {
            let Some(first) = child.first_run.filter(|first| here.insert(*first)) else { continue };
            let second = (place % 3 == 0).then(|| {
                let mut id = *first.as_bytes();
                id[0] ^= 0xff;
                RunId::from_bytes(id)
            });
            made.push(made_run(parent, child, first, None, second));
            made.extend(second.map(|second| made_run(parent, child, second, Some(first), None)));
        }
    }
    made
}

fn made_run(
    parent: &Told,
    child: &ToldChild,
    run: RunId,
    before: Option<RunId>,
    next: Option<RunId>,
) -> Told {
    let first = child.first_run.expect("a child that was started");
    let say = |id: Option<RunId>| id.map(|id| id.to_string()).unwrap_or_default();
    let started = json!({
        "workflowId": child.workflow_id,
        "workflowType": {"name": child.workflow_type},
        "originalExecutionRunId": run.to_string(),
        "firstExecutionRunId": first.to_string(),
        "continuedExecutionRunId": say(before),
        "parentWorkflowExecution": {"workflowId": "parent", "runId": say(parent.run)},
        "parentInitiatedEventId": child.initiated.to_string(),
    });
    let (kind, key) = match next {
        Some(_) => ("ContinuedAsNew", "workflowExecutionContinuedAsNewEventAttributes"),
        None => ("Completed", "workflowExecutionCompletedEventAttributes"),
    };
    let events = json!([
        {"eventId": "1", "eventType": "WorkflowExecutionStarted",
            "workflowExecutionStartedEventAttributes": started},
        {"eventId": "2", "eventType": format!("WorkflowExecution{kind}"),
            key: {"newExecutionRunId": say(next)}},
    ]);
    Told {
        file: format!("a child of {}", parent.file),
        history: History::from_json(&events.to_string()).expect("a history"),
        run: Some(run),
        first: Some(first),
        before,
        next,
        parent: parent.run,
        children: vec![],
    }
}
