//! What is said about a node of a tree.

use kinlog::RunStatus;
use kinlog::read::TreeNode;

use crate::commands::standing::{Standing, child_notes, policy, run_notes};
use crate::ui;

pub(super) struct Words {
    /// The workflow id, on one line.
    pub(super) name: String,
    pub(super) standing: Standing,
    /// What happens to it when the node above closes; none for the root.
    pub(super) policy: Option<&'static str>,
    /// What its runs that stand here add up to, and whatever else there is to say.
    pub(super) notes: Vec<String>,
}

impl Words {
    pub(super) fn of(node: &TreeNode) -> Self {
        let Some(child) = &node.relation else { return Self::of_root(node) };
        let mut notes = vec![];
        if node.run.is_some() {
            notes.push(sizes(child.size.events, child.size.bytes));
        }
        notes.extend(child_notes(child));
        if node.run.is_none() && child.is_here && child.held_by.is_none() {
            notes.push("stands at the root".to_owned());
        }
        Words {
            name: ui::plain(&child.workflow_id).into_owned(),
            standing: Standing::of(child),
            policy: Some(policy(child.policy)),
            notes,
        }
    }

    fn of_root(node: &TreeNode) -> Self {
        let (mut name, mut notes, mut status) = (String::new(), vec![], RunStatus::Running);
        if let Some(run) = &node.run {
            (name, status) = (ui::plain(&run.workflow_id).into_owned(), run.status);
            notes.push(sizes(run.events.into(), run.bytes));
            notes.extend(run_notes(run));
            notes.push(format!("run {}", run.id));
        }
        Words { name, standing: Standing::Run(status), policy: None, notes }
    }
}

fn sizes(events: u64, bytes: u64) -> String {
    format!("{}, {}", ui::many(events, "event"), ui::bytes(bytes))
}
