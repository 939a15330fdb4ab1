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
        return Some(of_workflow(namespace.clone(), workflow_id.clone()));
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
fn of_workflow(namespace: String, workflow_id: String) -> Source {
    let older = |index: &Index, run| index.runs.look(run, |run| run.older).flatten();
    let mut last = None;
    Box::new(move |index| {
        let next = last.and_then(|last| older(index, last));
        // The first one; or one that was erased since is linked with no other, and later ones were returned before.
        let next = next.or_else(|| {
            let newest = index.namespaces.find(&namespace, &workflow_id)?.newest;
            let mut runs = std::iter::successors(Some(newest), |run| older(index, *run));
            runs.find(|run| last.is_none_or(|last| *run < last))
        });
        last = next.or(last);
        next
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

#[cfg(test)]
mod tests {
    use kinlog_testing::files::directory;

    use super::*;
    use crate::retention::Keep;
    use crate::{Close, NewRun, Store};

    #[test]
    fn runs_of_a_workflow_are_found_where_others_are_erased_meanwhile() {
        let dir = directory();
        let store = Store::open(dir.path()).unwrap();
        let start = || {
            let (run, _) = store.transact(|tx| tx.start(NewRun::new("ns", "w", "T"))).unwrap();
            store.close_run(&run, Close::completed(b"")).unwrap();
            run
        };
        let runs: Vec<_> = (0..5).map(|_| start()).collect();
        for run in &runs[1..4] {
            store.transact(|tx| tx.delete_run(run, Keep::Nothing)).unwrap();
        }
        let mut next = of_workflow("ns".into(), "w".into());
        let mut look = |store: &Store| next(&store.shared.index.read()).map(RunNumber::as_u32);
        assert_eq!((look(&store), look(&store)), (Some(4), Some(3)));
        assert_eq!(store.erase().unwrap().runs, 3);
        assert_eq!((look(&store), look(&store)), (Some(0), None));
    }
}
