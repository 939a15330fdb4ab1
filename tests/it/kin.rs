//! Runs that happened elsewhere and were recorded: what is here of their chains and trees, and
//! what is not.

use kinlog::event::{
    ChildClosed, ChildInitiated, ChildStartFailed, ChildStarted, Closed, ContinuedAsNew,
    StartChildFailedCause, Started,
};
use kinlog::{
    Body, Child, ChildState, Durability, Error, NewEvent, NewRun, Options, ParentClosePolicy,
    RunId, RunStatus, Size, Store, Timestamp, Transaction,
};
use kinlog_testing::steps::recorded;

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(4 << 20).open(dir.path()).unwrap();
    (dir, store)
}

fn id(n: u32) -> RunId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    RunId::from_bytes(bytes)
}

fn started<'a>(run: RunId) -> Started<'a> {
    recorded(run, "order")
}

/// The start of a run that `event` of the run `parent` initiated.
fn child_of<'a>(run: RunId, parent: RunId, event: u32) -> Started<'a> {
    Started {
        parent_workflow_id: "parent",
        parent_run_id: Some(parent),
        parent_initiated_event_id: event,
        ..started(run)
    }
}

fn next_of<'a>(run: RunId, before: RunId, first: RunId) -> Started<'a> {
    Started { first_run_id: first, continued_run_id: Some(before), ..started(run) }
}

fn continues<'a>(next: RunId) -> Body<'a> {
    let continued = ContinuedAsNew { new_run_id: Some(next), ..Default::default() };
    Body::WorkflowExecutionContinuedAsNew(continued)
}

fn completed<'a>() -> Body<'a> {
    Body::WorkflowExecutionCompleted(Closed::default())
}

fn initiated<'a>(workflow_id: &'a str) -> Body<'a> {
    Body::StartChildWorkflowExecutionInitiated(ChildInitiated {
        workflow_id,
        workflow_type: "Shipping",
        close_policy: ParentClosePolicy::Abandon,
        ..Default::default()
    })
}

fn child_started<'a>(run: RunId, initiated_event_id: u32) -> Body<'a> {
    Body::ChildWorkflowExecutionStarted(ChildStarted { run_id: run, initiated_event_id })
}

fn add(tx: &mut Transaction<'_>, started: Started<'_>, time: i64, bodies: &[Body<'_>]) {
    let time = Timestamp::from_unix_nanos(time);
    let run = tx.start(NewRun::imported(started).at(time)).unwrap();
    for body in bodies {
        tx.append(&run, NewEvent::new(*body)).unwrap();
    }
}

fn record(store: &Store, started: Started<'_>, time: i64, bodies: &[Body<'_>]) {
    let mut tx = store.begin();
    add(&mut tx, started, time, bodies);
    tx.commit_with(Durability::Buffered).unwrap();
}

#[test]
fn a_chain_is_in_order_however_it_came_and_shows_what_is_missing() {
    let (_dir, store) = open();
    // Runs 1 to 6; run 3 is missing, and so is run 7, which run 6 names.
    for n in [5, 2, 6, 4, 1] {
        let next = [continues(id(n + 1))];
        let start = if n == 1 { started(id(1)) } else { next_of(id(n), id(n - 1), id(1)) };
        record(&store, start, n.into(), &next);
    }
    let chain = store.chain(&id(5)).unwrap();
    assert!(chain.runs().map(Result::unwrap).map(|run| run.id).eq([1, 2, 4, 5, 6].map(id)));
    assert_eq!((chain.first_run_id(), chain.first_is_here(), chain.len()), (id(1), true, 5));
    assert_eq!(chain.current().id, id(6));
    assert_eq!(chain.next_not_here().unwrap(), Some(id(7)));
    let missing: Vec<_> = chain
        .links()
        .map(Result::unwrap)
        .filter(|link| link.before.is_some() && !link.before_is_here)
        .map(|link| (link.run.id, link.before.unwrap()))
        .collect();
    assert_eq!(missing, [(id(4), id(3))]);
    let events: Vec<_> = chain.events().map(|event| event.unwrap()).collect();
    let ids: Vec<_> = events.iter().map(|(run, event)| (*run, event.id())).collect();
    assert_eq!(ids[..3], [(id(1), 1), (id(1), 2), (id(2), 1)]);
    let bytes = events.iter().map(|(_, event)| u64::from(event.size())).sum();
    assert_eq!(chain.size().unwrap(), Size { runs: 5, events: 10, bytes });
    assert_eq!(store.chain_size(&id(1)).unwrap(), chain.size().unwrap());
    assert_eq!(store.namespace_size("shop"), chain.size().unwrap());
    assert!(matches!(store.chain(&id(3)), Err(Error::RunNotFound { .. })));

    // What a chain holds is what there was when it was asked for.
    record(&store, next_of(id(3), id(2), id(1)), 3, &[continues(id(4))]);
    record(&store, next_of(id(7), id(6), id(1)), 7, &[completed()]);
    assert_eq!((chain.len(), chain.runs().count()), (5, 5));
    let whole = store.chain(&id(1)).unwrap();
    assert!(whole.runs().map(Result::unwrap).map(|run| run.id).eq((1..=7).map(id)));
    assert_eq!(whole.next_not_here().unwrap(), None);
}

/// As earlier servers wrote them: no run says which is the first.
#[test]
fn runs_are_a_chain_by_the_links_that_are_there() {
    let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    // A link is named by both runs, or by one of them; the workflow id may be another one.
    for (by_former, by_next) in [(true, true), (true, false), (false, true)] {
        for (order, same_workflow) in orders.into_iter().zip([true, false].into_iter().cycle()) {
            let (_dir, store) = open();
            // Another run of the workflow, and a chain of its own.
            record(&store, started(id(50)), 1, &[completed()]);
            record(&store, next_of(id(51), id(49), id(49)), 9, &[completed()]);
            for n in order {
                let name = format!("order {n}");
                let before = (n > 1 && by_next).then(|| id(n - 1));
                let start = Started { continued_run_id: before, ..started(id(n)) };
                let workflow_id = if same_workflow { "order" } else { &name };
                let start = Started { workflow_id, ..start };
                let next = [if n < 3 && by_former { continues(id(n + 1)) } else { completed() }];
                record(&store, start, n.into(), &next);
            }
            // A run does not know who names it as the next.
            let asked: &[u32] = if by_next { &[1, 2, 3] } else { &[1] };
            for run in asked {
                let chain = store.chain(&id(*run)).unwrap();
                let runs: Vec<_> = chain.runs().map(Result::unwrap).map(|run| run.id).collect();
                assert_eq!(runs, [1, 2, 3].map(id), "{order:?} {by_former} {by_next} {run}");
                assert_eq!((chain.first_run_id(), chain.first_is_here()), (id(1), true));
                assert_eq!(store.chain_size(&id(*run)).unwrap(), chain.size().unwrap());
            }
            assert_eq!(store.chain(&id(50)).unwrap().len(), 1);
            assert_eq!(store.chain(&id(51)).unwrap().len(), 1);
            store.verify(|_| {}).unwrap();
        }
    }
}

#[test]
fn a_copy_of_a_run_stands_beside_it_and_not_at_the_end() {
    let (_dir, store) = open();
    let next = next_of(id(2), id(1), id(1));
    record(&store, started(id(1)), 10, &[continues(id(2))]);
    record(&store, next, 20, &[continues(id(3))]);
    // The same run once more, under another id, as it is when its history was edited.
    let copy = Started { first_run_id: id(1), ..started(id(9)) };
    record(&store, copy, 10, &[continues(id(2))]);
    for run in [1, 2, 9] {
        let chain = store.chain(&id(run)).unwrap();
        let runs: Vec<_> = chain.runs().map(Result::unwrap).map(|run| run.id).collect();
        assert_eq!(runs, [id(1), id(9), id(2)]);
        assert_eq!(chain.current().id, id(2));
        assert_eq!(chain.next_not_here().unwrap(), Some(id(3)));
    }
}

#[test]
fn runs_that_continue_each_other_are_listed_once() {
    let (_dir, store) = open();
    record(&store, next_of(id(1), id(2), id(9)), 1, &[continues(id(2))]);
    record(&store, next_of(id(2), id(1), id(9)), 2, &[continues(id(1))]);
    record(&store, next_of(id(3), id(3), id(9)), 3, &[]);
    let chain = store.chain(&id(2)).unwrap();
    assert!(chain.runs().map(Result::unwrap).map(|run| run.id).eq([1, 2, 3].map(id)));
    assert_eq!((chain.first_run_id(), chain.first_is_here()), (id(9), false));
}

#[test]
fn children_are_shown_whether_they_are_here_or_not() {
    let (_dir, store) = open();
    let failed = ChildStartFailed {
        initiated_event_id: 4,
        cause: StartChildFailedCause::WorkflowAlreadyExists,
    };
    let told = ChildClosed {
        run_id: id(21),
        initiated_event_id: 3,
        started_event_id: 7,
        ..Default::default()
    };
    let parent = [
        initiated("a"),
        initiated("b"),
        initiated("c"),
        initiated("d"),
        child_started(id(10), 2),
        child_started(id(20), 3),
        Body::StartChildWorkflowExecutionFailed(failed),
        Body::ChildWorkflowExecutionFailed(told),
    ];
    record(&store, started(id(1)), 1, &parent);
    let children =
        || -> Vec<Child> { store.children(&id(1)).unwrap().map(Result::unwrap).collect() };
    let [a, b, c, d] = children().try_into().unwrap();
    assert_eq!((&*a.workflow_id, &*a.workflow_type), ("a", "Shipping"));
    assert_eq!((a.state, a.is_here, a.first_run), (ChildState::Running, false, Some(id(10))));
    assert_eq!((b.state, b.reported), (ChildState::Closed, true));
    assert_eq!((b.outcome, b.is_here), (Some(RunStatus::Failed), false));
    assert_eq!((c.state, c.first_run), (ChildState::StartFailed, None));
    assert_eq!((d.state, d.size), (ChildState::Initiated, Size::default()));

    // The second run of the child's chain comes first.
    let second = Started { first_run_id: id(10), ..child_of(id(11), id(1), 2) };
    let second = Started { continued_run_id: Some(id(10)), ..second };
    record(&store, second, 3, &[completed()]);
    record(&store, child_of(id(10), id(1), 2), 2, &[continues(id(11))]);
    record(&store, child_of(id(20), id(99), 3), 2, &[continues(id(21))]);
    store.append(&id(1), NewEvent::new(completed())).unwrap();
    let [a, b, _, d] = children().try_into().unwrap();
    assert_eq!((a.state, a.outcome), (ChildState::Closed, Some(RunStatus::Completed)));
    assert_eq!((a.reported, a.held_by, a.size.runs), (false, None, 2));
    assert_eq!(a.current.unwrap().id, id(11));
    assert_eq!((b.is_here, b.held_by), (true, Some(id(99))));
    assert_eq!(d.state, ChildState::NeverStarted);
    let open: Vec<_> = store.children(&id(1)).unwrap().open().collect();
    assert!(open.is_empty());
    let closed = store.children(&id(1)).unwrap().state(ChildState::Closed).after(2);
    assert!(closed.map(|child| child.unwrap().initiated_event_id).eq([3]));

    let parent = store.parent(&id(11)).unwrap().unwrap();
    assert_eq!((parent.run, parent.initiated_event_id, parent.is_here), (id(1), 2, true));
    assert!(!store.parent(&id(20)).unwrap().unwrap().is_here);
    assert_eq!(store.root(&id(11)).unwrap().run, id(1));
    assert_eq!(store.root(&id(20)).unwrap().run, id(99));
    assert_eq!(store.root(&id(1)).unwrap().run, id(1));
    assert_eq!(store.parent(&id(1)).unwrap(), None);
    let size = store.tree_size(&id(1)).unwrap();
    assert_eq!(size.runs, 3, "what another run holds is not counted here");
}

#[test]
fn a_tree_shows_what_its_limits_leave_out() {
    let (_dir, store) = open();
    let many: Vec<_> = (0..600).map(|_| initiated("c")).collect();
    let begun = (0..600).map(|n| child_started(id(1000 + n), n + 2));
    record(&store, started(id(1)), 1, &many.into_iter().chain(begun).collect::<Vec<_>>());
    let mut tx = store.begin();
    for n in 0..600 {
        let grandchild = [initiated("g")];
        add(&mut tx, child_of(id(1000 + n), id(1), n + 2), 2, &grandchild);
    }
    tx.commit().unwrap();
    let tree = |depth, children| {
        let tree = store.tree(&id(1)).unwrap().max_depth(depth).max_children(children);
        tree.map(Result::unwrap).collect::<Vec<_>>()
    };
    let all = tree(usize::MAX, u64::MAX);
    assert_eq!(all.len(), 1 + 600 * 2);
    assert!(all.iter().all(|node| node.hidden_children == 0));
    assert_eq!(all.iter().filter(|node| node.is_last).count(), 1 + 1 + 600);
    let some = tree(1, 7);
    assert_eq!(some.len(), 8);
    assert_eq!((some[0].children, some[0].hidden_children), (600, 593));
    assert_eq!((some[7].is_last, some[7].hidden_children), (true, 1));
    assert_eq!(tree(0, 7).len(), 1);
    assert_eq!(store.tree_size(&id(1)).unwrap(), store.namespace_size("shop"));
}

#[test]
fn a_run_that_claims_to_be_its_own_ancestor_ends_the_tree() {
    let (_dir, store) = open();
    for n in 1..=3 {
        let (above, below) = ((n + 1) % 3 + 1, n % 3 + 1);
        let bodies = [initiated("c"), child_started(id(below), 2)];
        record(&store, child_of(id(n), id(above), 2), n.into(), &bodies);
    }
    let depths = store.tree(&id(2)).unwrap().map(|node| node.unwrap().depth);
    assert!(depths.eq([0, 1, 2, 3]));
    assert_eq!(store.tree_size(&id(2)).unwrap().runs, 3);
    assert_eq!(store.root(&id(2)).unwrap().run, id(2));
    // Many that claim the same child: it stands below the one that it names.
    let both = [initiated("c"), initiated("c"), child_started(id(1), 2), child_started(id(1), 3)];
    record(&store, started(id(9)), 9, &both);
    assert_eq!(store.tree(&id(9)).unwrap().count(), 3);
    assert_eq!(store.tree_size(&id(9)).unwrap().runs, 1);
}

#[test]
fn depth_and_length_take_neither_stack_nor_patience() {
    const DEEP: u32 = 100_000;
    let (_dir, store) = open();
    for page in (0..DEEP).step_by(1000) {
        let mut tx = store.begin();
        for n in (page..page + 1000).rev() {
            let start = if n == 0 { started(id(0)) } else { child_of(id(n), id(n - 1), 2) };
            add(&mut tx, start, 1, &[initiated("c"), child_started(id(n + 1), 2)]);
            let (run, first) = (id(DEEP * 2 + n), id(DEEP * 2));
            let before = id(DEEP * 2 + n - u32::from(n > 0));
            let start = if n == 0 { started(run) } else { next_of(run, before, first) };
            add(&mut tx, start, n.into(), &[continues(id(DEEP * 2 + n + 1))]);
        }
        tx.commit_with(Durability::Buffered).unwrap();
    }
    let deepest = store.tree(&id(0)).unwrap().map(|node| node.unwrap().depth).max();
    assert_eq!(deepest, Some(DEEP as usize));
    assert_eq!(store.tree_size(&id(0)).unwrap().runs, u64::from(DEEP));
    assert_eq!(store.root(&id(DEEP - 1)).unwrap().run, id(0));
    let chain = store.chain(&id(DEEP * 2 + 7)).unwrap();
    assert!(chain.runs().map(Result::unwrap).map(|run| run.id).eq((DEEP * 2..DEEP * 3).map(id)));
    assert_eq!(chain.events().count(), 2 * DEEP as usize);
}
