//! How children start: in one commit with what their parent records of it.

use kinlog::event::StartChildFailedCause;
use kinlog::{
    Body, ChildState, Close, DutyKind, Error, EventKind, IdConflictPolicy, IdReusePolicy, NewReset,
    NextRun, Position, RunId, RunStatus,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, TERMINATE, World, assert_illegal, child, run};

/// The runs whose events a commit holds, with their kinds, commit by commit.
fn commits(world: &World) -> Vec<Vec<(RunId, Vec<EventKind>)>> {
    let mut tail = world.tail(Position::START);
    let mut commits = vec![];
    while let Some(commit) = tail.try_next().unwrap() {
        let kinds = |batch: kinlog::read::BatchView<'_>| {
            let kinds = batch.events().map(|event| event.unwrap().kind());
            (batch.run(), kinds.collect())
        };
        commits.push(commit.batches().map(Result::unwrap).map(kinds).collect());
    }
    commits
}

/// A child's first event and its parent's ChildStarted are one commit, so nothing lies between
/// them: starting again is out of turn, and two that try at once start one run.
#[test]
fn s06_no_crash_between_child_and_its_started_event() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
    });
    let begin = || {
        let mut tx = world.begin();
        let run = tx.start_child(&parent, 2, None).unwrap();
        (tx, run)
    };
    let ((one, kid), (other, never)) = (begin(), begin());
    one.commit().unwrap();
    assert!(other.commit().is_err());
    assert_illegal(world.begin().start_child(&parent, 2, None), parent, CHILD_STARTED, 2);
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED]);
        assert!(matches!(world.run(&never), Err(Error::RunNotFound { .. })));
        let all = commits(world);
        assert_eq!(*all.last().unwrap(), [(parent, vec![CHILD_STARTED]), (kid, vec![STARTED])]);
    });
}

/// What a StartChild duty asks is done once: a child that was started meanwhile is not started
/// again.
#[test]
fn s06_a_start_that_was_settled_is_not_settled_again() {
    let world = World::new();
    let parent = world.start("p");
    let mut tx = world.begin();
    let initiated = tx.initiate_child(&parent, child("c", ABANDON).input(b"in")).unwrap();
    let commit = tx.commit().unwrap();
    let duties: Vec<_> = commit.duties().map(Result::unwrap).collect();
    assert_eq!((duties.len(), duties[0].kind()), (1, DutyKind::StartChild));
    assert!(world.settle(&duties[0]).unwrap().is_some());
    assert!(world.settle(&duties[0]).unwrap().is_none());
    world.ends(|world| {
        let kid = world.current("c").unwrap();
        assert_eq!(
            (world.runs_of("c"), world.kinds(&parent)),
            (1, vec![STARTED, START_CHILD_INITIATED, CHILD_STARTED])
        );
        world.event(&kid, 1, |event| {
            let Body::WorkflowExecutionStarted(started) = event.body() else { panic!() };
            assert_eq!((started.parent_run_id, started.first_run_id), (Some(parent), kid));
            assert_eq!(started.parent_initiated_event_id, initiated);
            assert_eq!((started.parent_workflow_id, event.payload()), ("p", b"in".as_slice()));
        });
    });
}

/// A child whose workflow id is taken is refused, in the parent's history; the relation has ended,
/// and the parent may try again.
#[test]
fn s20_conflict_is_a_start_that_failed() {
    let world = World::new();
    let (parent, stranger) = (world.start("p"), world.start("c"));
    let taken = world.begin().spawn_child(&parent, child("c", TERMINATE));
    match taken {
        Err(Error::WorkflowExists { run, open: true, .. }) => assert_eq!(run, stranger),
        other => panic!("{other:?}"),
    }
    world.commit(|tx| tx.initiate_child(&parent, child("c", TERMINATE)).unwrap());
    assert_eq!(world.drain(), 1);
    world.complete(&stranger);
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, START_CHILD_FAILED, START_CHILD_INITIATED,
                CHILD_STARTED,
            ],
        );
        world.event(&parent, 3, |event| {
            let Body::StartChildWorkflowExecutionFailed(failed) = event.body() else { panic!() };
            let cause = StartChildFailedCause::WorkflowAlreadyExists;
            assert_eq!((failed.initiated_event_id, failed.cause), (2, cause));
        });
        let children = world.children(&parent).unwrap().map(|child| child.unwrap());
        let states: Vec<_> = children.map(|child| (child.state, child.first_run)).collect();
        assert_eq!(states, [(ChildState::StartFailed, None), (ChildState::Running, Some(kid))]);
        world.assert_kinds(&stranger, [STARTED, COMPLETED]);
    });
}

/// A child that may take the place of an open run terminates it in the commit in which it starts.
#[test]
fn s20_terminate_if_running_is_one_commit() {
    let by_reuse = child("c", TERMINATE).on_reuse(IdReusePolicy::TerminateIfRunning);
    let by_conflict = child("c", TERMINATE).on_conflict(IdConflictPolicy::TerminateExisting);
    for new in [by_reuse, by_conflict] {
        let world = World::new();
        let (parent, stranger) = (world.start("p"), world.start("c"));
        world.commit(|tx| tx.initiate_child(&parent, new).unwrap());
        assert_eq!(world.drain(), 1);
        let kid = world.current("c").unwrap();
        world.ends(|world| {
            let started =
                [(parent, vec![CHILD_STARTED]), (stranger, vec![TERMINATED]), (kid, vec![STARTED])];
            assert_eq!(*commits(world).last().unwrap(), started);
            assert_eq!(world.parent(&kid).unwrap().unwrap().run, parent);
        });
    }
}

type Closing = fn() -> Close<'static>;

/// The reuse policy asks how the run before closed.
#[test]
fn s20_reuse_policy_of_a_child() {
    let (once, failed_only) =
        (IdReusePolicy::RejectDuplicate, IdReusePolicy::AllowDuplicateFailedOnly);
    let cases: [(IdReusePolicy, Closing, bool); 4] = [
        (once, || Close::completed(b""), false),
        (once, || Close::terminated(""), false),
        (failed_only, || Close::terminated(""), true),
        (failed_only, || Close::completed(b""), false),
    ];
    for (policy, close, starts) in cases {
        let world = World::new();
        let (parent, before) = (world.start("p"), world.start("c"));
        world.shut(&before, close());
        let new = child("c", TERMINATE).on_reuse(policy);
        assert_eq!(world.begin().spawn_child(&parent, new).is_ok(), starts);
        world.commit(|tx| tx.initiate_child(&parent, new).unwrap());
        assert_eq!(world.drain(), 1);
        world.ends(|world| {
            world.assert_kinds(
                &parent,
                [
                    STARTED,
                    START_CHILD_INITIATED,
                    if starts { CHILD_STARTED } else { START_CHILD_FAILED },
                ],
            );
        });
    }
}

/// A run that exists is nobody's new child.
#[test]
fn s20_use_existing_does_not_adopt() {
    let world = World::new();
    let (parent, stranger) = (world.start("p"), world.start("c"));
    let new = child("c", TERMINATE).on_conflict(IdConflictPolicy::UseExisting);
    world.commit(|tx| tx.initiate_child(&parent, new).unwrap());
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, START_CHILD_FAILED]);
        assert_eq!(world.parent(&stranger).unwrap(), None);
    });
}

/// A child is in its parent's namespace; any other is refused, and nothing has changed.
#[test]
fn s26_cross_namespace_child_is_refused() {
    let world = World::new();
    let parent = world.start("p");
    let abroad = child("c", TERMINATE).namespace("abroad");
    let mut tx = world.begin();
    for refused in [
        tx.spawn_child(&parent, abroad).map(|_| ()),
        tx.initiate_child(&parent, abroad).map(|_| ()),
    ] {
        match refused {
            Err(Error::CrossNamespace { parent: run, expected, found }) => {
                assert_eq!((run, &*expected, &*found), (parent, "shop", "abroad"));
            }
            other => panic!("{other:?}"),
        }
    }
    tx.spawn_child(&parent, child("c", TERMINATE).namespace("shop")).unwrap();
    tx.commit().unwrap();
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED]);
        assert_eq!(world.namespaces(), ["shop"]);
    });
}

/// A child has the root of its parent, and so have the runs that continue it and those that resets
/// make of it. A run without parent is its own root, each run of its chain.
#[test]
fn s27_root_through_continue_as_new_and_reset() {
    let world = World::new();
    let top = world.start("top");
    let middle = world.spawn(&top, "middle", ABANDON);
    let low = world.spawn(&middle, "low", ABANDON);
    let next = world.commit(|tx| tx.continue_as_new(&low, NextRun::new("C")).unwrap());
    let again = world.commit(|tx| tx.reset(&next, NewReset::to(1)).unwrap());
    let after = world.commit(|tx| tx.continue_as_new(&again, NextRun::new("C")).unwrap());
    let below = world.spawn(&after, "below", ABANDON);
    let other_top = world.commit(|tx| tx.continue_as_new(&top, NextRun::new("T")).unwrap());
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        for run in [middle, low, next, again, after, below] {
            let root = world.root(&run).unwrap();
            assert_eq!((root.run, &*root.workflow_id), (top, "top"));
        }
        assert_eq!(world.root(&top).unwrap().run, top);
        assert_eq!(world.root(&other_top).unwrap().run, other_top);
        for run in [low, next, after] {
            world.event(&run, 1, |event| {
                let Body::WorkflowExecutionStarted(started) = event.body() else { panic!() };
                assert_eq!((started.root_workflow_id, started.root_run_id), ("top", Some(top)));
                assert_eq!(started.parent_run_id, Some(middle));
                assert_eq!(started.first_run_id, low);
            });
        }
    });
}

/// A child may be initiated, started and told to close in the commit that begins its parent.
#[test]
fn a_whole_family_in_one_commit() {
    let world = World::new();
    let (parent, kid, grandchild) = world.commit(|tx| {
        let parent = tx.start(run("p")).unwrap();
        let initiated = tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
        let kid = tx.start_child(&parent, initiated, None).unwrap();
        let grandchild = tx.spawn_child(&kid, child("g", TERMINATE)).unwrap().run;
        tx.close_run(&parent, Close::completed(b"")).unwrap();
        (parent, kid, grandchild)
    });
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, COMPLETED]);
        world.assert_kinds(&kid, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED]);
        assert_eq!(world.status(&grandchild), RunStatus::Terminated);
    });
}

/// A child may take the place of any open run, also of its parent, a sibling or an ancestor: that
/// run ends in the commit in which the child starts, and what follows from its end follows.
#[test]
fn a_relative_in_the_way() {
    let takes = |workflow_id| {
        child(workflow_id, TERMINATE).on_conflict(IdConflictPolicy::TerminateExisting)
    };
    let world = World::new();
    let parent = world.start("p");
    let kid = world.commit(|tx| tx.spawn_child(&parent, takes("p")).unwrap().run);
    assert_eq!(world.drain(), 1, "its parent closed");
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED]);
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
    });

    let world = World::new();
    let parent = world.start("p");
    let sibling = world.spawn(&parent, "c", TERMINATE);
    let kid = world.commit(|tx| tx.spawn_child(&parent, takes("c")).unwrap().run);
    assert_eq!(world.drain(), 1, "the sibling's end is told");
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, CHILD_TERMINATED,
            ],
        );
        assert_eq!(
            (world.kinds(&sibling), world.kinds(&kid)),
            (vec![STARTED, TERMINATED], vec![STARTED])
        );
    });

    let world = World::new();
    let top = world.start("top");
    let parent = world.spawn(&top, "p", TERMINATE);
    let kid = world.commit(|tx| tx.spawn_child(&parent, takes("top")).unwrap().run);
    assert_eq!(world.drain(), 2, "all the way down again");
    world.ends(|world| {
        world.assert_kinds(&top, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED]);
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED]);
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
    });
}

/// A run id in use is refused, wherever a run begins, and no half of the step is left.
#[test]
fn a_run_id_in_use() {
    let world = World::new();
    let parent = world.start("p");
    let mut tx = world.begin();
    let refused = [
        tx.spawn_child(&parent, child("c", TERMINATE).id(parent)).map(|kid| kid.run),
        tx.continue_as_new(&parent, NextRun::new("P").id(parent)),
        tx.reset(&parent, NewReset::to(1).id(parent)),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::RunExists { run }) if run == parent));
    }
    let nil = tx.spawn_child(&parent, child("c", TERMINATE).id(RunId::NIL));
    assert!(matches!(nil, Err(Error::InvalidArgument { .. })));
    assert_eq!(
        tx.spawn_child(&parent, child("c", TERMINATE)).map(|kid| tx.starts(&kid.run)).ok(),
        Some(true)
    );
    tx.commit().unwrap();
    world
        .ends(|world| world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED]));
}
