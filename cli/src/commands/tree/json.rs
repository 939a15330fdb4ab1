//! A tree as JSON: one object a node.

use kinlog::read::TreeNode;
use serde::Serialize;

use super::walk::{Cut, Draw};
use crate::failure::Failure;
use crate::ui::Output;

pub(super) struct Json<'o> {
    out: &'o mut Output,
}

impl<'o> Json<'o> {
    pub(super) fn new(out: &'o mut Output) -> Self {
        Json { out }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    depth: usize,
    workflow_id: &'a str,
    /// The last run that stands here.
    run_id: Option<String>,
    status: Option<&'static str>,
    cancel_requested: bool,
    initiated_event_id: Option<u32>,
    policy: Option<String>,
    state: Option<&'static str>,
    outcome: Option<&'static str>,
    first_run_id: Option<String>,
    is_here: bool,
    held_by: Option<String>,
    runs: u64,
    events: u64,
    bytes: u64,
    children: u64,
    hidden_children: u64,
}

impl Draw for Json<'_> {
    fn node(&mut self, node: &TreeNode, _is_last: bool) -> Result<(), Failure> {
        let (run, child) = (node.run.as_ref(), node.relation.as_ref());
        let workflow_id = child.map(|child| &child.workflow_id);
        let workflow_id = workflow_id.or(run.map(|run| &run.workflow_id));
        // The root is one run, any other node its chain.
        let of_run = run.map(|run| (run.events.into(), run.bytes)).unwrap_or_default();
        let of_chain = child.filter(|_| run.is_some()).map(|it| (it.size.events, it.size.bytes));
        let (events, bytes) = of_chain.unwrap_or(of_run);
        self.out.json(&Line {
            depth: node.depth,
            workflow_id: workflow_id.map(|id| &**id).unwrap_or_default(),
            run_id: run.map(|run| run.id.to_string()),
            status: run.map(|run| run.status.name()),
            cancel_requested: run.is_some_and(|run| run.cancel_requested),
            initiated_event_id: child.map(|child| child.initiated_event_id),
            policy: child.map(|child| format!("{:?}", child.policy)),
            state: child.map(|child| child.state.name()),
            outcome: child.and_then(|child| child.outcome).map(|outcome| outcome.name()),
            first_run_id: child.and_then(|child| child.first_run).map(|run| run.to_string()),
            is_here: child.is_none_or(|child| child.is_here),
            held_by: child.and_then(|child| child.held_by).map(|run| run.to_string()),
            runs: node.runs,
            events,
            bytes,
            children: node.children,
            hidden_children: node.hidden_children,
        })?;
        Ok(())
    }

    /// Each node says how many of its children are hidden.
    fn cut(&mut self, _: Cut) -> Result<(), Failure> {
        Ok(())
    }
}
