//! Comparing what a snapshot says with what the model says.

use kinlog::read::TreeNode;
use kinlog::retention::Keep;
use kinlog::{
    Child, ChildState, Error, ParentClosePolicy, RunFilter, RunId, RunInfo, RunStatus, Size,
    Snapshot, Store,
};
use kinlog_testing::Rng;

use crate::body::{TYPE, body, payload};
use crate::draw::WORKFLOWS;
use crate::naive::{NAMESPACES, Relation, State};

/// Everything that there is to say.
pub(crate) fn everything(snapshot: &Snapshot, state: &State, rng: &mut Rng) {
    for number in 0..state.runs.len() {
        run(snapshot, state, number, rng);
    }
    for (number, namespace) in NAMESPACES.into_iter().enumerate() {
        let runs = (0..state.runs.len()).filter(|run| state.runs[*run].namespace == number);
        let kept = runs.clone().filter(|run| state.is_kept(*run)).map(|run| state.runs[run].id);
        let expected = kept_sum(snapshot, state, runs);
        assert_eq!(snapshot.namespace_size(namespace), expected, "namespace {namespace}");
        let found = snapshot.runs(RunFilter::all().namespace(namespace));
        assert!(found.map(|run| run.unwrap().id).eq(kept), "the runs of namespace {namespace}");
        let open = RunFilter::all().namespace(namespace).status(RunStatus::Running);
        let found = snapshot.runs(open.workflow_type(TYPE)).map(Result::unwrap).map(|run| run.id);
        let open = state.runs.iter().filter(|run| run.namespace == number && run.is_open());
        assert!(found.eq(open.map(|run| run.id)), "the open runs of namespace {namespace}");
        for workflow in WORKFLOWS {
            let current = state.current(number, workflow).map(|run| state.runs[run].id);
            assert_eq!(snapshot.current_run(namespace, workflow).unwrap(), current, "{workflow}");
        }
    }
}

/// All that is said about one run.
pub(crate) fn run(snapshot: &Snapshot, state: &State, number: usize, rng: &mut Rng) {
    let it = &state.runs[number];
    match it.deleted {
        None => {
            history(snapshot, state, number, rng);
            if !it.is_open() {
                state.bytes.borrow_mut().insert(number, snapshot.history(&it.id).unwrap().bytes());
            }
            children(snapshot, state, number);
            tree(snapshot, state, number);
        }
        Some(_) if state.is_erased(&it.id) => return run_is_erased(snapshot, it.id),
        Some(keep) => history_is_deleted(snapshot, it.id, keep),
    }
    if it.deleted == Some(Keep::Nothing) {
        return run_is_deleted(snapshot, it.id);
    }
    info(snapshot, state, number);
    closing(snapshot, state, number);
    family(snapshot, state, number);
    chain(snapshot, state, number);
}

fn history_is_deleted(snapshot: &Snapshot, run: RunId, keep: Keep) {
    is_deleted(snapshot.history(&run), run, keep);
    is_deleted(snapshot.children(&run), run, keep);
    is_deleted(snapshot.tree(&run), run, keep);
    is_deleted(snapshot.tree_size(&run), run, keep);
    is_deleted(snapshot.event_by_key(&run, 1), run, keep);
}

fn run_is_deleted(snapshot: &Snapshot, run: RunId) {
    let keep = Keep::Nothing;
    is_deleted(snapshot.run(&run), run, keep);
    is_deleted(snapshot.closing_event(&run), run, keep);
    is_deleted(snapshot.parent(&run), run, keep);
    is_deleted(snapshot.root(&run), run, keep);
    is_deleted(snapshot.chain(&run), run, keep);
    is_deleted(snapshot.chain_size(&run), run, keep);
    is_deleted(snapshot.children_of_chain(&run), run, keep);
}

fn run_is_erased(snapshot: &Snapshot, run: RunId) {
    let gone = [
        snapshot.run(&run).map(drop),
        snapshot.history(&run).map(drop),
        snapshot.chain(&run).map(drop),
        snapshot.parent(&run).map(drop),
        snapshot.children(&run).map(drop),
        snapshot.tree(&run).map(drop),
        snapshot.event_by_key(&run, 1).map(drop),
    ];
    for (which, found) in gone.into_iter().enumerate() {
        let is_gone = matches!(found, Err(Error::RunNotFound { .. }));
        assert!(is_gone, "{run} is erased: {found:?} to question {which}");
    }
}

fn is_deleted<T>(found: kinlog::Result<T>, run: RunId, keep: Keep) {
    match found.map(drop) {
        Err(Error::RunDeleted { run: of, kept }) => assert_eq!((of, kept), (run, keep)),
        other => panic!("{run} is deleted: {other:?}"),
    }
}

/// The event that closed a run, which is kept with its outcome.
fn closing(snapshot: &Snapshot, state: &State, number: usize) {
    let it = &state.runs[number];
    let found = snapshot.closing_event(&it.id).unwrap();
    assert_eq!(found.is_some(), !it.is_open(), "{}", it.id);
    if let Some(found) = found {
        let last = it.events.last().unwrap();
        assert_eq!(found.body(), body(state, number, &last.what), "{}", it.id);
        assert!(found.payload() == payload(last.note), "the outcome of {}", it.id);
    }
}

/// What the store counts.
pub(crate) fn stats(store: &Store, state: &State) {
    let stats = store.stats().unwrap();
    let erased = state.erased.borrow().len() as u64;
    let gone = (0..state.runs.len()).filter(|run| !state.is_kept(*run)).count() as u64 - erased;
    let all = state.runs.len() as u64 - erased;
    assert_eq!((stats.runs, stats.deleted_runs), (all - gone, gone), "runs");
    let is_deleted = |run: &usize| state.runs[*run].deleted.is_some();
    let deleted = (0..state.runs.len()).filter(is_deleted);
    let deleted = deleted.filter(|run| !state.is_erased(&state.runs[*run].id));
    assert_eq!(
        stats.deleted_histories,
        sum(&store.snapshot(), state, deleted),
        "deleted histories"
    );
    let whole = state.runs.iter().filter(|run| run.deleted.is_none());
    let relations: usize = whole.map(|run| run.relations().len()).sum();
    assert_eq!(stats.relations, relations as u64, "relations");
}

fn history(snapshot: &Snapshot, state: &State, number: usize, rng: &mut Rng) {
    let it = &state.runs[number];
    let history = snapshot.history(&it.id).unwrap();
    let mut sizes = vec![0];
    for ((id, expected), found) in it.numbered().zip(&history) {
        let found = found.unwrap();
        assert_eq!(found.id(), id, "{}", it.id);
        let writer = state.origin(number, id);
        let body = body(state, writer, &expected.what);
        assert_eq!(found.body(), body, "event {id} of {}", it.id);
        assert!(
            found.payload() == payload(expected.note),
            "the payload of event {id} of {}",
            it.id
        );
        sizes.push(sizes.last().unwrap() + u64::from(found.size()));
    }
    assert_eq!(history.len(), it.len(), "{}", it.id);
    assert_eq!(sizes.len() - 1, it.events.len(), "{}", it.id);
    assert_eq!(history.bytes(), *sizes.last().unwrap(), "{}", it.id);
    let k = rng.below(sizes.len());
    let found = history.size_at(u32::try_from(k).unwrap()).unwrap();
    assert_eq!(found, sizes[k], "the size of {} at {k}", it.id);
    let from = rng.below(it.events.len() + 2);
    let found = history.from(u32::try_from(from).unwrap()).count();
    assert_eq!(found, it.events.len() + 1 - from.max(1), "{} from {from}", it.id);
    let back = history.rev().map(|event| event.unwrap().id());
    assert!(back.eq((1..=it.len()).rev()), "{} backwards", it.id);
}

fn info(snapshot: &Snapshot, state: &State, number: usize) {
    let it = &state.runs[number];
    let found = snapshot.run(&it.id).unwrap();
    let base = it.base.map(|(base, shared)| (state.runs[base].id, shared));
    let current = state.current(it.namespace, it.workflow) == Some(number);
    assert_eq!((found.id, found.first_run_id), (it.id, state.runs[it.first].id));
    assert_eq!((&*found.namespace, &*found.workflow_id), (NAMESPACES[it.namespace], it.workflow));
    assert_eq!((found.status, found.events), (it.status(), it.len()), "{}", it.id);
    assert_eq!((found.base, found.is_current, found.is_imported), (base, current, false));
    assert_eq!(found.cancel_requested, it.cancel_requested(), "{}", it.id);
    assert_eq!(found.closed_at.is_some(), !it.is_open(), "{}", it.id);
    assert_eq!(found.deleted, it.deleted, "{}", it.id);
    assert_eq!(found.bytes, sum(snapshot, state, [number]).bytes, "{}", it.id);
}

fn children(snapshot: &Snapshot, state: &State, number: usize) {
    let it = &state.runs[number];
    let found: Vec<Child> = snapshot.children(&it.id).unwrap().map(Result::unwrap).collect();
    let relations = it.relations();
    assert_eq!(found.len(), relations.len(), "the children of {}", it.id);
    for (found, relation) in found.iter().zip(&relations) {
        child(snapshot, state, number, relation, found);
    }
    let open = found.iter().filter(|child| child.state.is_open()).count();
    assert_eq!(snapshot.children(&it.id).unwrap().open().count(), open, "{}", it.id);
}

fn child(snapshot: &Snapshot, state: &State, number: usize, relation: &Relation, found: &Child) {
    let (it, wish) = (&state.runs[number], &relation.wish);
    let name = format!("child {} of {}", relation.initiated, it.id);
    let (initiated, policy): (u32, ParentClosePolicy) = (relation.initiated, wish.policy);
    assert_eq!((found.initiated_event_id, found.policy), (initiated, policy), "{name}");
    assert_eq!((&*found.workflow_id, &*found.workflow_type), (wish.workflow, TYPE), "{name}");
    let first = relation.started.map(|(_, run)| run);
    assert_eq!(found.first_run, first, "{name}");
    let chain = first.map(|first| state.find(&first).unwrap());
    let last = chain.map(|chain| state.newest(chain));
    let kept = last.filter(|last| state.is_kept(*last));
    assert_eq!(id_of(found.current.as_ref()), kept.map(|last| state.runs[last].id), "{name}");
    let deleted = last.is_some() && kept.is_none();
    assert_eq!((found.is_here, found.is_deleted), (kept.is_some(), deleted), "{name}");
    let told = relation.ended.flatten();
    let ended = chain.and_then(|chain| state.end_of_chain(chain)).map(|(_, how)| how);
    assert_eq!((found.outcome, found.reported), (told.or(ended), told.is_some()), "{name}");
    assert_eq!(found.state, state_of(state, number, relation, found), "{name}");
    let size = chain.map(|chain| sum(snapshot, state, state.chain(chain)));
    assert_eq!(found.size, size.unwrap_or_default(), "{name}");
    // A child that was never started is nobody's, unless a reset asked another run to start it.
    let held = chain.is_some() || found.state == ChildState::Moved;
    let holder = Some(state.holder(number, initiated)).filter(|run| held && *run != number);
    assert_eq!(found.held_by, holder.map(|holder| state.runs[holder].id), "{name}");
}

fn state_of(state: &State, number: usize, relation: &Relation, found: &Child) -> ChildState {
    match (relation.started, relation.ended) {
        (_, Some(None)) => ChildState::StartFailed,
        (_, Some(Some(_))) => ChildState::Closed,
        _ if state.is_moved(number, relation.initiated) => ChildState::Moved,
        (Some(_), None) if found.outcome.is_some() => ChildState::Closed,
        (Some(_), None) => ChildState::Running,
        (None, None) if state.runs[number].is_open() => ChildState::Initiated,
        (None, None) => ChildState::NeverStarted,
    }
}

fn id_of(info: Option<&RunInfo>) -> Option<RunId> {
    info.map(|info| info.id)
}

fn family(snapshot: &Snapshot, state: &State, number: usize) {
    let it = &state.runs[number];
    let found = snapshot.parent(&it.id).unwrap();
    let here = state.parent(number).map(|(run, _)| state.is_kept(run));
    assert_eq!(found.as_ref().map(|it| it.is_here), here, "the parent of {}", it.id);
    let found = found.map(|it| (it.run, it.initiated_event_id));
    let parent = state.parent(number).map(|(run, event)| (state.runs[run].id, event));
    assert_eq!(found, parent, "the parent of {}", it.id);
    let info = snapshot.run(&it.id).unwrap();
    let told = (parent, state.told_root(number));
    assert_eq!((info.parent, info.root), told, "what is known of {}", it.id);
    let root = state.told_root(number).unwrap_or(it.id);
    let here = state.is_kept(state.find(&root).unwrap());
    let found = snapshot.root(&it.id).unwrap();
    assert_eq!((found.run, found.is_here), (root, here), "the root of {}", it.id);
}

fn chain(snapshot: &Snapshot, state: &State, number: usize) {
    let it = &state.runs[number];
    let found = snapshot.chain(&it.id).unwrap();
    let mut runs = state.chain(number);
    runs.retain(|run| state.is_kept(*run));
    let ids: Vec<RunId> = runs.iter().map(|run| state.runs[*run].id).collect();
    assert_eq!(
        found.runs().map(Result::unwrap).map(|run| run.id).collect::<Vec<_>>(),
        ids,
        "the chain of {}",
        it.id
    );
    let first = state.runs[it.first].id;
    assert_eq!((found.first_run_id(), Some(&found.current().id)), (first, ids.last()));
    assert_eq!(found.first_is_here(), state.is_kept(it.first));
    assert_eq!(found.len(), ids.len());
    let whole = |run: &&usize| state.runs[**run].deleted.is_none();
    children_of_chain(
        snapshot,
        state,
        number,
        &runs.iter().filter(whole).copied().collect::<Vec<_>>(),
    );
    let size = kept_sum(snapshot, state, runs);
    assert_eq!(
        (found.size().unwrap(), snapshot.chain_size(&it.id).unwrap()),
        (size, size),
        "{}",
        it.id
    );
}

/// Each Initiated event once, by the last run that has it.
fn children_of_chain(snapshot: &Snapshot, state: &State, number: usize, runs: &[usize]) {
    let mut expected = vec![];
    for (place, run) in runs.iter().enumerate() {
        for relation in state.runs[*run].relations() {
            let event = relation.initiated;
            let has = |other: &usize| {
                state.runs[*other].len() >= event
                    && state.origin(*other, event) == state.origin(*run, event)
            };
            if !runs[place + 1..].iter().any(has) {
                expected.push((state.runs[*run].id, event));
            }
        }
    }
    let id = state.runs[number].id;
    let found = snapshot.children_of_chain(&id).unwrap().map(Result::unwrap);
    let found: Vec<_> = found.map(|(run, child)| (run, child.initiated_event_id)).collect();
    assert_eq!(found, expected, "the children of the chain of {id}");
}

/// One line of a tree: how deep, by which event of which run, and the runs that stand there.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    depth: usize,
    initiated: u32,
    runs: Vec<usize>,
}

fn tree(snapshot: &Snapshot, state: &State, number: usize) {
    let it = &state.runs[number];
    let mut lines = vec![Line { depth: 0, initiated: 0, runs: vec![number] }];
    below(state, &[number], 1, &mut lines);
    let nodes: Vec<TreeNode> = snapshot.tree(&it.id).unwrap().map(Result::unwrap).collect();
    assert_eq!(nodes.len(), lines.len(), "the tree of {}", it.id);
    for (node, line) in nodes.iter().zip(&lines) {
        let last = line.runs.last().map(|run| state.runs[*run].id);
        let whole = line.runs.iter().filter(|run| state.runs[**run].deleted.is_none());
        let children: usize = whole.map(|run| state.runs[*run].relations().len()).sum();
        assert_eq!(node.children, children as u64, "the tree of {}", it.id);
        assert_eq!(
            node.size,
            kept_sum(snapshot, state, line.runs.iter().copied()),
            "the tree of {}",
            it.id
        );
        let initiated = node.relation.as_ref().map_or(0, |child| child.initiated_event_id);
        let found = (node.depth, initiated, id_of(node.run.as_ref()));
        assert_eq!(found, (line.depth, line.initiated, last), "the tree of {}", it.id);
        assert_eq!(node.runs, u64::try_from(line.runs.len()).unwrap(), "the tree of {}", it.id);
    }
    let runs = lines.into_iter().flat_map(|line| line.runs);
    assert_eq!(snapshot.tree_size(&it.id).unwrap(), kept_sum(snapshot, state, runs), "{}", it.id);
}

fn below(state: &State, above: &[usize], depth: usize, lines: &mut Vec<Line>) {
    for run in above.iter().filter(|run| state.runs[**run].deleted.is_none()) {
        for relation in state.runs[*run].relations() {
            let initiated = relation.initiated;
            let held = state.holder(*run, initiated) == *run;
            let first = relation.started.filter(|_| held).map(|(_, run)| run);
            let runs = first.map(|first| state.chain(state.find(&first).unwrap()));
            let mut runs = runs.unwrap_or_default();
            runs.retain(|run| state.is_kept(*run));
            lines.push(Line { depth, initiated, runs: runs.clone() });
            below(state, &runs, depth + 1, lines);
        }
    }
}

/// What runs add up to, by reading them; deleted ones as they were.
fn sum(snapshot: &Snapshot, state: &State, runs: impl IntoIterator<Item = usize>) -> Size {
    let mut size = Size::default();
    for run in runs {
        let it = &state.runs[run];
        let bytes = match it.deleted {
            Some(_) => state.bytes.borrow()[&run],
            None => {
                let history = snapshot.history(&it.id).unwrap();
                history.iter().map(|event| u64::from(event.unwrap().size())).sum()
            }
        };
        size += Size { runs: 1, events: it.len().into(), bytes };
    }
    size
}

/// What is kept of runs, in sum.
fn kept_sum(snapshot: &Snapshot, state: &State, runs: impl IntoIterator<Item = usize>) -> Size {
    let (mut outcomes, mut whole) = (0, vec![]);
    for run in runs {
        match state.runs[run].deleted {
            None => whole.push(run),
            Some(Keep::Outcome) => outcomes += 1,
            Some(Keep::Nothing) => {}
        }
    }
    let mut size = sum(snapshot, state, whole);
    size.runs += outcomes;
    size
}
