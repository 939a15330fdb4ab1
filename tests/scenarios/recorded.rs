//! Runs recorded from elsewhere: kept as they were, exempt from rules, without duties, and never
//! mixed with runs of this store.

use kinlog::event::{
    ChildClosed, ChildInitiated, ChildStarted, Closed, RetryState, Started, Terminated,
};
use kinlog::{
    Body, Close, Error, EventKind, NewEvent, NewReset, NewRun, NextRun, ParentClosePolicy, RunId,
};
use kinlog_testing::kinds::*;

use super::support::{TERMINATE, World, child, note};

fn id(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

fn started(number: u8, workflow_id: &str) -> Started<'_> {
    kinlog_testing::steps::recorded(id(number), workflow_id)
}

fn initiated(workflow_id: &str) -> NewEvent<'_> {
    let body = ChildInitiated {
        workflow_id,
        close_policy: ParentClosePolicy::Terminate,
        ..ChildInitiated::default()
    };
    NewEvent::new(Body::StartChildWorkflowExecutionInitiated(body))
}

/// A recorded run may say what no rule would allow, and nothing follows from it.
#[test]
fn recorded_runs_are_exempt_from_rules_and_raise_no_duties() {
    let world = World::new();
    world.limit(|limits| (limits.history_events, limits.open_children) = (2, 0));
    let parent = world.commit(|tx| {
        let parent = tx.start(NewRun::imported(started(1, "p"))).unwrap();
        let told = |initiated_event_id| ChildClosed {
            run_id: id(9),
            initiated_event_id,
            started_event_id: 0,
            retry_state: RetryState::Unspecified,
        };
        let events = [
            initiated("a"),
            initiated("b"),
            NewEvent::new(Body::ChildWorkflowExecutionStarted(ChildStarted {
                run_id: id(9),
                initiated_event_id: 2,
            })),
            // An outcome before its start, then the same one again.
            NewEvent::new(Body::ChildWorkflowExecutionCompleted(told(3))),
            NewEvent::new(Body::ChildWorkflowExecutionCompleted(told(3))),
            NewEvent::new(Body::WorkflowExecutionFailed(Closed {
                new_run_id: Some(id(77)),
                ..Closed::default()
            })),
        ];
        for event in events {
            tx.append(&parent, event).unwrap();
        }
        parent
    });
    let child_of_it = Started {
        parent_run_id: Some(parent),
        parent_workflow_id: "p",
        parent_initiated_event_id: 2,
        ..started(9, "a")
    };
    let kid = world.commit(|tx| {
        let kid = tx.start(NewRun::imported(child_of_it)).unwrap();
        for _ in 0..5 {
            tx.append(&kid, note()).unwrap();
        }
        kid
    });
    assert_eq!(world.drain(), 0);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, START_CHILD_INITIATED, CHILD_STARTED,
                CHILD_COMPLETED, CHILD_COMPLETED, FAILED,
            ],
        );
        assert_eq!(
            world.kinds(&kid),
            [
                STARTED, MARKER_RECORDED, MARKER_RECORDED, MARKER_RECORDED, MARKER_RECORDED,
                MARKER_RECORDED
            ],
            "open, and no policy reaches it"
        );
        assert_eq!(world.parent(&kid).unwrap().unwrap().run, parent);
        assert_eq!(world.children(&parent).unwrap().count(), 2);
    });
}

/// What kinlog does to runs of its own it does not do to recorded ones.
#[test]
fn recorded_runs_are_not_continued_reset_or_given_children() {
    let world = World::new();
    let recorded = world.commit(|tx| tx.start(NewRun::imported(started(1, "p"))).unwrap());
    let mut tx = world.begin();
    let refused = [
        tx.spawn_child(&recorded, child("c", TERMINATE)).map(|_| ()),
        tx.initiate_child(&recorded, child("c", TERMINATE)).map(|_| ()),
        tx.continue_as_new(&recorded, NextRun::new("P")).map(|_| ()),
        tx.close_and_continue(&recorded, Close::failed(b""), NextRun::retry("P", 2)).map(|_| ()),
        tx.reset(&recorded, NewReset::to(1)).map(|_| ()),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{refused:?}");
    }
    let initiated = tx.append(&recorded, initiated("c")).unwrap();
    let refused = tx.start_child(&recorded, initiated, None);
    assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    tx.commit().unwrap();
    world.ends(|world| world.assert_kinds(&recorded, [STARTED, START_CHILD_INITIATED]));
}

/// A recorded run that names a run of this store, as its parent, its first run, or the one it
/// continues, changes nothing for that run.
#[test]
fn recorded_and_live_runs_never_mix() {
    let world = World::new();
    let live = world.start("p");
    let kid = world.spawn(&live, "c", TERMINATE);
    let claims = Started {
        first_run_id: kid,
        continued_run_id: Some(kid),
        parent_run_id: Some(live),
        parent_workflow_id: "p",
        parent_initiated_event_id: 2,
        ..started(3, "c")
    };
    let recorded = world.commit(|tx| {
        let recorded = tx.start(NewRun::imported(claims)).unwrap();
        let replaced = Terminated { reason: "", reset_run_id: Some(live) };
        tx.append(&recorded, NewEvent::new(Body::WorkflowExecutionTerminated(replaced))).unwrap();
        recorded
    });
    assert_eq!(world.chain(&kid).unwrap().len(), 1);
    assert_eq!(world.current("c"), Some(kid), "an open run is not displaced");
    world.complete(&kid);
    assert_eq!(world.drain(), 1);
    world.complete(&live);
    world.ends(|world| {
        world.assert_kinds(
            &live,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED, COMPLETED],
        );
        world.assert_kinds(&recorded, [STARTED, TERMINATED]);
        assert_eq!(world.chain(&recorded).unwrap().len(), 1);
        assert_eq!(world.children(&live).unwrap().count(), 1);
    });
}

/// Two recorded runs make a chain in whichever order they come.
#[test]
fn recorded_chains_come_in_any_order() {
    let first = started(1, "p");
    let second = Started { first_run_id: id(1), continued_run_id: Some(id(1)), ..started(2, "p") };
    for order in [[first, second], [second, first]] {
        let world = World::new();
        for run in order {
            world.commit(|tx| tx.start(NewRun::imported(run)).unwrap());
        }
        world.ends(|world| {
            let chain = world.chain(&id(2)).unwrap();
            assert_eq!((chain.first_run_id(), chain.current().id), (id(1), id(2)));
            let runs: Vec<_> = chain.runs().map(Result::unwrap).map(|run| run.id).collect();
            assert_eq!(runs, [id(1), id(2)]);
        });
    }
}

/// A recorded event of a kind that kinlog has rules about may come without its typed record.
#[test]
fn recorded_events_may_be_opaque() {
    let world = World::new();
    let kind = EventKind::CHILD_WORKFLOW_EXECUTION_STARTED;
    let recorded = world.commit(|tx| {
        let recorded = tx.start(NewRun::imported(started(1, "p"))).unwrap();
        tx.append(&recorded, NewEvent::opaque(kind, b"as it was")).unwrap();
        recorded
    });
    world.ends(|world| world.assert_kinds(&recorded, [STARTED, CHILD_STARTED]));
}
