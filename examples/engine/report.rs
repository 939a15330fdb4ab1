//! What came of it all, as text.

use std::fmt::Write;

use kinlog::read::TreeNode;
use kinlog::{RunFilter, Snapshot, Store};

use super::Result;
use super::flow::text;

/// The tree, then every event of every run.
pub(crate) fn all(store: &Store) -> Result<String> {
    let mut out = tree(store)?;
    let snapshot = store.snapshot();
    for run in snapshot.runs(RunFilter::all()) {
        let run = run?;
        writeln!(out, "\n{} {}", run.workflow_id, run.id)?;
        for event in &snapshot.history(&run.id)? {
            let event = event?;
            let seconds = event.time().unix_nanos() / 1_000_000_000;
            writeln!(out, "{:>4} {seconds:>7} s  {}  {}", event.id(), event.kind(), text(&event))?;
        }
    }
    Ok(out)
}

/// Every workflow under its parent, with how it ended.
pub(crate) fn tree(store: &Store) -> Result<String> {
    let snapshot = store.snapshot();
    let mut out = String::new();
    for run in snapshot.runs(RunFilter::all()) {
        let run = run?;
        if run.is_current && snapshot.parent(&run.id)?.is_none() {
            for node in snapshot.tree(&run.id)? {
                writeln!(out, "{}", line(&snapshot, &node?)?.trim_end())?;
            }
        }
    }
    Ok(out)
}

fn line(snapshot: &Snapshot, node: &TreeNode) -> Result<String> {
    let Some(run) = &node.run else { return Ok(String::new()) };
    let name = format!("{:1$}{2}", "", 2 * node.depth, run.workflow_id);
    let policy = node.relation.as_ref().map_or("", |child| child.policy.name());
    let history = snapshot.history(&run.id)?;
    let last = history.rev().next().transpose()?;
    let result = match (last, node.runs) {
        (Some(last), 1) => text(&last),
        (_, runs) => format!("{runs} runs"),
    };
    Ok(format!("{name:<13}  {:<10}  {policy:<13}  {result}", run.status.name()))
}
