//! Tests of reading related runs that began in this store: children, chains, resets, duties.

use super::handmade::{
    Step, begin, child_of, child_started, commit, id, initiated, marker, reset, started, terminated,
};
use super::*;
use crate::bytes::wide;
use crate::event::{Body, ChildClosed, Closed, ContinuedAsNew, Started};
use crate::index::{DutyKind, RunStatus, Size};

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
    (dir, store)
}

/// Reads a history in every way; returns the kinds and sizes of its events.
fn read(store: &Store, run: RunId) -> Vec<(u16, u32)> {
    let history = store.history(&run).unwrap();
    let told = |event: Result<crate::Event<'_>>| {
        let event = event.unwrap();
        (event.id(), event.kind().number(), event.size())
    };
    let events: Vec<_> = history.iter().map(told).collect();
    assert!(events.iter().map(|(id, ..)| *id).eq(1..=history.len()));
    let mut back: Vec<_> = history.rev().map(told).collect();
    back.reverse();
    assert_eq!(back, events);
    let mut bytes = 0;
    assert_eq!(history.size_at(0).unwrap(), 0);
    for (i, (id, _, size)) in events.iter().enumerate() {
        assert_eq!(history.from(*id).map(told).collect::<Vec<_>>(), events[i..]);
        bytes += u64::from(*size);
        assert_eq!(history.size_at(*id).unwrap(), bytes);
    }
    assert_eq!(history.bytes(), bytes);
    assert!(history.size_at(history.len() + 1).is_err());
    assert_eq!(history.from(history.len() + 1).count(), 0);
    assert_eq!(history.started().unwrap().workflow_id, "order");
    events.into_iter().map(|(_, kind, size)| (kind, size)).collect()
}

#[test]
fn a_run_made_by_a_reset_reads_as_one_history() {
    let (dir, store) = open();
    commit(&store, &[Step::Begin(vec![begin(id(1), "order"), marker(), marker()])]);
    commit(&store, &[Step::Add(id(1), vec![marker(), initiated("a"), marker()])]);
    commit(&store, &[Step::Add(id(1), vec![marker()])]);
    let mut naive = vec![(1, read(&store, id(1)))];
    let resets = [(1, 5), (2, 6), (3, 4), (2, 3), (3, 7), (6, 8), (7, 2), (7, 8), (8, 1), (9, 1)];
    for (n, (base, shared)) in (2..).zip(resets) {
        let mut expected = naive[base as usize - 1].1[..shared as usize].to_vec();
        let take_over = Step::Reset(id(base), shared, vec![reset(id(n), id(base)), marker()]);
        let ends = terminated((base == n - 1).then_some(id(n)));
        commit(&store, &[Step::Add(id(n - 1), vec![ends]), take_over]);
        commit(&store, &[Step::Add(id(n), vec![initiated("b"), marker(), marker()])]);
        let found = read(&store, id(n));
        assert_eq!(found[..shared as usize], expected[..]);
        expected.extend(&found[shared as usize..]);
        assert_eq!(expected.len(), shared as usize + 5);
        naive.push((n, expected));
        let info = store.run(&id(n)).unwrap();
        assert_eq!((info.base, info.first_run_id), (Some((id(base), shared)), id(1)));
    }
    store.verify(|_| {}).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    for (n, expected) in &naive {
        assert_eq!(read(&store, id(*n))[..expected.len() - 1], expected[..expected.len() - 1]);
    }
    let chain = store.chain(&id(4)).unwrap();
    assert!(chain.runs().map(|run| run.id).eq((1..=11).map(id)));
    assert!(chain.links().skip(1).all(|link| link.unwrap().before_is_here));
    let read: Vec<_> = chain.events().map(|event| event.unwrap().0).collect();
    assert_eq!(wide(read.len()), chain.size().events);
    assert_eq!(chain.size(), store.namespace_size("shop"));
}

/// What a listing of children says: workflow id, state, outcome, first and last run.
type Listed = (String, ChildState, Option<RunStatus>, Option<RunId>, Option<RunId>);

fn listed(children: Children) -> Vec<Listed> {
    let told = |child: Result<Child>| {
        let child = child.unwrap();
        assert_eq!(child.is_here, child.current.is_some());
        assert_eq!(child.size.runs > 0, child.is_here);
        let current = child.current.map(|run| run.id);
        (child.workflow_id.to_string(), child.state, child.outcome, child.first_run, current)
    };
    children.map(told).collect()
}

/// The nodes of a tree: depth, last run, how many runs stand there.
fn shape(tree: Tree) -> Vec<(usize, Option<RunId>, u64)> {
    let nodes = tree.map(Result::unwrap);
    nodes.map(|node| (node.depth, node.run.map(|run| run.id), node.runs)).collect()
}

#[test]
fn children_are_told_as_of_each_snapshot() {
    use ChildState::{Initiated, Moved, NeverStarted, Running};
    let (_dir, store) = open();
    let (parent, child, next, fork, late) = (id(1), id(2), id(3), id(4), id(5));
    let a = |state, outcome, first, current| ("a".to_owned(), state, outcome, first, current);
    let b = |state| ("b".to_owned(), state, None, None, None);
    let c = |state| ("c".to_owned(), state, None, None, None);

    commit(&store, &[Step::Begin(vec![begin(parent, "order"), initiated("a"), initiated("b")])]);
    let one = store.snapshot();
    commit(
        &store,
        &[
            Step::Add(parent, vec![child_started(child, 2)]),
            Step::Begin(vec![child_of(child, "a", parent, 2), marker()]),
        ],
    );
    let two = store.snapshot();
    let continued = ContinuedAsNew { new_run_id: Some(next), ..Default::default() };
    let follows = Started {
        first_run_id: child,
        continued_run_id: Some(child),
        parent_run_id: Some(parent),
        parent_initiated_event_id: 2,
        root_run_id: Some(parent),
        ..started(next, "a")
    };
    commit(
        &store,
        &[
            Step::Add(child, vec![Body::WorkflowExecutionContinuedAsNew(continued)]),
            Step::Begin(vec![Body::WorkflowExecutionStarted(follows)]),
        ],
    );
    commit(&store, &[Step::Add(parent, vec![initiated("c")])]);
    let three = store.snapshot();
    commit(
        &store,
        &[
            Step::Add(parent, vec![terminated(Some(fork))]),
            Step::Reset(parent, 4, vec![reset(fork, parent)]),
        ],
    );
    let four = store.snapshot();
    let started_first = Some(child);
    for _ in 0..2 {
        let at = |snapshot: &Snapshot, run| listed(snapshot.children(&run).unwrap());
        let runs = a(Running, None, started_first, Some(next));
        assert_eq!(at(&one, parent), [a(Initiated, None, None, None), b(Initiated)]);
        assert_eq!(at(&two, parent), [a(Running, None, started_first, Some(child)), b(Initiated)]);
        assert_eq!(at(&three, parent), [runs.clone(), b(Initiated), c(Initiated)]);
        let moved = a(Moved, None, started_first, Some(next));
        assert_eq!(at(&four, parent), [moved, b(Moved), c(NeverStarted)]);
        assert_eq!(at(&four, fork), [runs, b(Initiated)]);
        assert!(three.children(&fork).is_err());
        let above = |snapshot: &Snapshot| snapshot.parent(&child).unwrap().unwrap().run;
        assert_eq!((above(&two), above(&three), above(&four)), (parent, parent, fork));
        assert_eq!(four.root(&next).unwrap().run, parent);
        assert_eq!(four.root(&fork).unwrap().run, fork);
        assert_eq!(
            shape(three.tree(&parent).unwrap()),
            [(0, Some(parent), 1), (1, Some(next), 2), (1, None, 0), (1, None, 0)]
        );
        assert_eq!(shape(four.tree(&parent).unwrap())[1], (1, None, 0));
        assert_eq!(shape(four.tree(&fork).unwrap())[1], (1, Some(next), 2));
        assert_eq!(four.namespace_size("shop"), {
            let mut size = four.tree_size(&parent).unwrap();
            size += four.tree_size(&fork).unwrap();
            size
        });
        assert_eq!(one.namespace_size("shop").runs, 1);
        assert_eq!(three.chain_size(&child).unwrap(), three.chain(&next).unwrap().size());
        if store.run(&next).unwrap().status.is_open() {
            // The child ends, is reported, and a reset goes back to before it was started.
            let ended = Body::WorkflowExecutionCompleted(Closed::default());
            commit(&store, &[Step::Add(next, vec![ended])]);
            let told = listed(store.children(&fork).unwrap());
            assert_eq!(
                told[0],
                a(ChildState::Closed, Some(RunStatus::Completed), started_first, Some(next))
            );
            assert!(!store.children(&fork).unwrap().next().unwrap().unwrap().reported);
            let duty = store.duties(DutyFilter::all().kind(DutyKind::ReportClose)).next().unwrap();
            assert_eq!((duty.run(), duty.initiated_event_id()), (fork, 2));
            let reported = ChildClosed {
                run_id: next,
                initiated_event_id: 2,
                started_event_id: 4,
                ..Default::default()
            };
            let reported = Body::ChildWorkflowExecutionCompleted(reported);
            commit(&store, &[Step::Add(fork, vec![reported])]);
            commit(
                &store,
                &[
                    Step::Add(fork, vec![terminated(Some(late))]),
                    Step::Reset(fork, 6, vec![reset(late, fork)]),
                ],
            );
        }
    }
    let told: Vec<_> = store.children(&late).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        (told[0].state, told[0].reported, told[0].held_by),
        (ChildState::Closed, true, Some(fork))
    );
    assert_eq!((told[1].state, told[1].held_by), (Initiated, None));
    assert_eq!(listed(store.children(&late).unwrap().open()).len(), 1);
    assert_eq!(listed(store.children(&late).unwrap().after(2)).len(), 1);
    assert_eq!(listed(store.children(&fork).unwrap().state(Moved)), [b(Moved)]);
    let sizes = [parent, fork, late].map(|run| store.tree_size(&run).unwrap());
    let sum = sizes.into_iter().fold(Size::default(), |mut sum, size| {
        sum += size;
        sum
    });
    assert_eq!(sum, store.namespace_size("shop"), "each run stands in one place");
    store.verify(|_| {}).unwrap();
}

#[test]
fn duties_are_listed_by_age_kind_run_and_commit() {
    let (_dir, store) = open();
    let mut commits = vec![];
    for n in 1..=3 {
        let many = std::iter::repeat_n(initiated("a"), 300);
        let bodies = std::iter::once(begin(id(n), ["o", "p", "q"][usize::from(n) - 1])).chain(many);
        commits.push(commit(&store, &[Step::Begin(bodies.collect())]));
    }
    let all: Vec<_> = store.duties(DutyFilter::all()).collect();
    assert_eq!(wide(all.len()), store.duty_count(DutyKind::StartChild));
    assert_eq!(all.len(), 900);
    assert!(all.is_sorted_by_key(|duty| (duty.since(), duty.initiated_event_id())));
    let list = |filter| store.duties(filter).collect::<Vec<_>>();
    assert_eq!(list(DutyFilter::all().run(id(2))), all[300..600]);
    assert_eq!(list(DutyFilter::all().opened_by(commits[1])), all[300..600]);
    assert_eq!(list(DutyFilter::all().since(commits[1])), all[300..]);
    assert_eq!(list(DutyFilter::all().run(id(3)).opened_by(commits[1])), []);
    assert_eq!(list(DutyFilter::all().kind(DutyKind::ReportClose)), []);
    assert_eq!(list(DutyFilter::all().run(id(9))), []);
    commit(&store, &[Step::Add(id(1), vec![terminated(None)])]);
    assert_eq!(list(DutyFilter::all()), all[300..]);
}

#[test]
fn a_reset_to_before_an_outcome_that_was_only_inherited_takes_the_child() {
    let (_dir, store) = open();
    let (parent, child, fork, late) = (id(1), id(2), id(3), id(4));
    commit(&store, &[Step::Begin(vec![begin(parent, "order"), initiated("a")])]);
    commit(
        &store,
        &[
            Step::Add(parent, vec![child_started(child, 2)]),
            Step::Begin(vec![child_of(child, "a", parent, 2)]),
        ],
    );
    let closed = ChildClosed {
        run_id: child,
        initiated_event_id: 2,
        started_event_id: 3,
        ..Default::default()
    };
    commit(
        &store,
        &[
            Step::Add(parent, vec![Body::ChildWorkflowExecutionTerminated(closed)]),
            Step::Add(child, vec![terminated(None)]),
        ],
    );
    let mut held = vec![];
    for (base, run, shared) in [(parent, fork, 4), (fork, late, 3)] {
        let ends = Step::Add(base, vec![terminated(Some(run))]);
        commit(&store, &[ends, Step::Reset(base, shared, vec![reset(run, base)])]);
        held.push(store.parent(&child).unwrap().unwrap().run);
        let trees = [parent, fork, late].map(|run| store.tree_size(&run).unwrap_or_default());
        assert_eq!(
            trees.iter().map(|size| size.runs).sum::<u64>(),
            store.namespace_size("shop").runs
        );
    }
    assert_eq!(held, [parent, late]);
    let child = store.children(&late).unwrap().next().unwrap().unwrap();
    assert_eq!((child.state, child.reported), (ChildState::Closed, false));
    assert_eq!(child.outcome, Some(RunStatus::Terminated));
    let duty = store.duties(DutyFilter::all()).next().unwrap();
    assert_eq!((duty.kind(), duty.run()), (DutyKind::ReportClose, late));
}
