//! The few runs among which those of a filter are, where the index knows them.

use super::run_filter::RunFilter;
use super::runs::OpenRuns;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::RunNumber;
use crate::index::{Index, RunStatus};

/// How many runs a page looks at, whether the filter admits them or not.
pub(super) const EXAMINED_MAX: usize = 10_000;
/// How many of them under one look at the index, which writers wait for.
pub(super) const TOGETHER: usize = 256;

/// Returns one run after the other.
type Source = Box<dyn FnMut(&Index) -> Option<RunNumber>>;

/// The runs of the filter's workflow, or those below its parent, or those that are open; `None` if it asks for neither, or
/// if there are more than a page looks at.
pub(super) fn candidates(
    snapshot: &Snapshot,
    filter: &RunFilter,
) -> Result<Option<Vec<RunNumber>>> {
    let Some(mut next) = snapshot.look(|index| source(index, filter))? else { return Ok(None) };
    let mut found = vec![];
    while found.len() <= EXAMINED_MAX {
        let before = found.len();
        snapshot.look(|index| found.extend((0..TOGETHER).map_while(|_| next(index))))?;
        if found.len() < before + TOGETHER {
            return Ok(Some(found).filter(|found| found.len() <= EXAMINED_MAX));
        }
    }
    Ok(None)
}

fn source(index: &Index, filter: &RunFilter) -> Option<Source> {
    if let (Some(namespace), Some(workflow_id)) = (&filter.namespace, &filter.workflow_id) {
        let newest = index.namespaces.find(namespace, workflow_id).map(|found| found.newest);
        return Some(of_workflow(newest));
    }
    if let Some(parent) = &filter.parent {
        let links = index.runs.number(parent).and_then(|number| index.runs.links(number));
        let children = links.iter().flat_map(|links| &links.children);
        return Some(of_children(children.filter_map(|relation| relation.child).collect()));
    }
    let is_open = filter.status == Some(RunStatus::Running);
    is_open.then(|| {
        let mut open = OpenRuns::of(index, filter);
        let next: Source = Box::new(move |index| open.next(index));
        next
    })
}

/// The runs of a workflow, which are linked from the newest one on.
fn of_workflow(newest: Option<RunNumber>) -> Source {
    let mut next = newest;
    Box::new(move |index| {
        let number = next?;
        next = index.runs.look(number, |run| run.older).flatten();
        Some(number)
    })
}

/// The runs of the chains of some children.
fn of_children(children: Vec<RunNumber>) -> Source {
    let mut children = children.into_iter();
    let mut chain = vec![].into_iter();
    Box::new(move |index| {
        loop {
            if let Some(number) = chain.next() {
                return Some(number);
            }
            let of = index.runs.look(children.next()?, |run| run.chain);
            let runs = of.and_then(|of| Some(index.chains.get(of)?.runs().to_vec()));
            chain = runs.unwrap_or_default().into_iter();
        }
    })
}
