//! Two transactions that were built on the same state: the first is committed, the second is
//! refused and writes nothing, unless both can be true. Begun again, it finds the answer.

use kinlog::error::Moved;
use kinlog::event::{ActivityScheduled, CancelRequested};
use kinlog::limits::Limit;
use kinlog::{
    Body, Close, DutyFilter, Error, Expect, NewEvent, NewReset, NextRun, RunId, Store, Transaction,
};
use kinlog_testing::kinds::*;

use super::support::{
    ABANDON, NAMESPACE, REQUEST_CANCEL, TERMINATE, World, assert_illegal, child, note, overtaken,
    run,
};

/// Commits one and the other, built in this order; returns why the other was refused.
fn race<'s, T, U>(
    store: &'s Store,
    one: impl FnOnce(&mut Transaction<'s>) -> T,
    other: impl FnOnce(&mut Transaction<'s>) -> U,
) -> Result<(), Error> {
    let (mut first, mut second) = (store.begin(), store.begin());
    one(&mut first);
    other(&mut second);
    first.commit().unwrap();
    let end = store.end();
    let outcome = second.commit().map(|_| ());
    assert_eq!(outcome.is_err(), store.end() == end, "what is refused writes nothing");
    outcome
}

fn twice<'s, T>(store: &'s Store, step: impl Fn(&mut Transaction<'s>) -> T) -> Result<(), Error> {
    race(store, &step, &step)
}

#[test]
fn two_appends() {
    let world = World::new();
    let id = world.start("p");
    let refused = twice(&world, |tx| tx.append(&id, note()).unwrap());
    let moved = Moved::Run { run: id, expected: 2, found: 3 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    let refused = twice(&world, |tx| {
        tx.expect(&id, Expect::NextEvent(3)).unwrap();
        tx.append(&id, note()).unwrap();
    });
    match refused {
        Err(Error::Conflict { run, expected: 3, found: 4 }) => assert_eq!(run, id),
        other => panic!("{other:?}"),
    }
    let again = world.begin().expect(&id, Expect::NextEvent(3));
    assert!(matches!(again, Err(Error::Conflict { run, expected: 3, found: 4 }) if run == id));
    let anywhere = |tx: &mut Transaction<'_>| {
        tx.expect(&id, Expect::Any).unwrap();
        tx.append(&id, note()).unwrap();
    };
    twice(&world, anywhere).unwrap();
    world.ends(|world| {
        world.assert_kinds(
            &id,
            [STARTED, MARKER_RECORDED, MARKER_RECORDED, MARKER_RECORDED, MARKER_RECORDED],
        )
    });
}

#[test]
fn two_starts_of_one_workflow_id() {
    let world = World::new();
    let (p, q) = (world.start("p"), world.start("q"));
    let taken = |workflow_id: &str| {
        let (namespace, workflow_id) = (NAMESPACE.into(), workflow_id.into());
        Moved::Workflow { namespace, workflow_id }
    };
    let refused = twice(&world, |tx| tx.start(run("new")).unwrap());
    assert_eq!(overtaken(refused.unwrap_err()), taken("new"));
    let again = world.begin().start(run("new"));
    let current = world.current("new");
    assert!(
        matches!(again, Err(Error::WorkflowExists { run, open: true, .. }) if Some(run) == current)
    );
    let spawn = |parent: RunId| {
        move |tx: &mut Transaction<'_>| {
            tx.spawn_child(&parent, child("c", ABANDON)).unwrap();
        }
    };
    let refused = race(&world, spawn(p), spawn(q));
    assert_eq!(overtaken(refused.unwrap_err()), taken("c"));
    let again = world.begin().spawn_child(&q, child("c", ABANDON));
    let current = world.current("c");
    assert!(
        matches!(again, Err(Error::WorkflowExists { run, open: true, .. }) if Some(run) == current)
    );
    world.ends(|world| {
        world.assert_kinds(&p, [STARTED, START_CHILD_INITIATED, CHILD_STARTED]);
        assert_eq!(world.kinds(&q), [STARTED], "no initiation without its start");
    });
}

#[test]
fn two_ways_to_go_on() {
    let world = World::new();
    let id = world.start("p");
    let goes_on = |tx: &mut Transaction<'_>| tx.continue_as_new(&id, NextRun::new("P")).unwrap();
    let resets = |tx: &mut Transaction<'_>| tx.reset(&id, NewReset::to(1)).unwrap();
    let stands_for_another =
        || Moved::Workflow { namespace: NAMESPACE.into(), workflow_id: "p".into() };
    let refused = race(&world, goes_on, resets);
    assert_eq!(overtaken(refused.unwrap_err()), stands_for_another());
    let again = world.begin().continue_as_new(&id, NextRun::new("P"));
    assert!(matches!(again, Err(Error::RunClosed { run }) if run == id));
    let id = world.current("p").unwrap();
    let resets = |tx: &mut Transaction<'_>| tx.reset(&id, NewReset::to(1)).unwrap();
    let refused = twice(&world, resets);
    assert_eq!(overtaken(refused.unwrap_err()), stands_for_another());
    assert!(world.begin().reset(&id, NewReset::to(1)).is_ok(), "of a run that was reset before");
    world.ends(|world| assert_eq!(world.runs_of("p"), 3));
}

/// The parent closes while its child is being started: the child never starts.
#[test]
fn a_start_and_the_parents_close() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| tx.initiate_child(&parent, child("c", ABANDON)).unwrap());
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let refused = race(
        &world,
        |tx| tx.close_run(&parent, Close::completed(b"")).unwrap(),
        |tx| assert!(tx.settle(&duty).unwrap()),
    );
    let moved = Moved::Duty { run: parent, initiated_event_id: 2 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    assert!(world.settle(&duty).unwrap().is_none());
    world.ends(|world| assert_eq!(world.runs_of("c"), 0));
}

/// The child continues as new while a policy is on its way to it: the policy is built again and
/// reaches the next run.
#[test]
fn a_policy_and_the_childs_continue_as_new() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&parent);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let refused = race(
        &world,
        |tx| tx.continue_as_new(&kid, NextRun::new("C")).unwrap(),
        |tx| assert!(tx.settle(&duty).unwrap()),
    );
    assert_eq!(overtaken(refused.unwrap_err()), Moved::Chain { first: kid });
    assert!(world.settle(&duty).unwrap().is_some());
    world.ends(|world| {
        world.assert_kinds(&kid, [STARTED, CONTINUED_AS_NEW]);
        world.assert_kinds(&world.current("c").unwrap(), [STARTED, TERMINATED]);
    });
}

/// The child is reset while its end is on its way to the parent: it has not ended after all.
#[test]
fn a_report_and_the_childs_reset() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let refused = race(
        &world,
        |tx| tx.reset(&kid, NewReset::to(1)).unwrap(),
        |tx| assert!(tx.settle(&duty).unwrap()),
    );
    let moved = Moved::Duty { run: parent, initiated_event_id: 2 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    assert!(world.settle(&duty).unwrap().is_none());
    assert_illegal(world.begin().report_child(&parent, 2), parent, CHILD_COMPLETED, 2);
    world
        .ends(|world| world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED]));
}

/// The parent is reset while its child's end is on its way to it: the new run is told.
#[test]
fn a_report_and_the_parents_reset() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let refused = race(
        &world,
        |tx| tx.reset(&parent, NewReset::to(3)).unwrap(),
        |tx| assert!(tx.settle(&duty).unwrap()),
    );
    let moved = Moved::Duty { run: parent, initiated_event_id: 2 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    assert!(world.settle(&duty).unwrap().is_none(), "this run has no such duty any more");
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &world.current("p").unwrap(),
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, RESET, CHILD_COMPLETED],
        );
    });
}

/// Of two that ask a run to cancel, wherever it is by then, one does.
#[test]
fn two_cancel_requests() {
    let world = World::new();
    let id = world.start("p");
    let refused = twice(&world, |tx| {
        tx.expect(&id, Expect::Any).unwrap();
        tx.request_cancel(&id, b"").unwrap();
    });
    let moved = Moved::Run { run: id, expected: 2, found: 3 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    assert_eq!(world.begin().request_cancel(&id, b"").unwrap().event_id, None);
    let asked = Body::WorkflowExecutionCancelRequested(CancelRequested::default());
    assert_illegal(world.begin().append(&id, NewEvent::new(asked)), id, CANCEL_REQUESTED, 0);
    let parent = world.start("q");
    let kid = world.spawn(&parent, "c", REQUEST_CANCEL);
    world.complete(&parent);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let refused = twice(&world, |tx| assert!(tx.settle(&duty).unwrap()));
    let moved = Moved::Duty { run: parent, initiated_event_id: 2 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    assert!(world.settle(&duty).unwrap().is_none());
    world.ends(|world| {
        world.assert_kinds(&id, [STARTED, CANCEL_REQUESTED]);
        world.assert_kinds(&kid, [STARTED, CANCEL_REQUESTED]);
    });
}

/// Limits hold for what two transactions add up to, also where any place will do.
#[test]
fn limits_hold_over_both() {
    let world = World::new();
    world.limit(|limits| (limits.open_activities, limits.history_events) = (1, 5));
    let id = world.start("p");
    let activity = NewEvent::new(Body::ActivityTaskScheduled(ActivityScheduled::default()));
    let refused = twice(&world, |tx| {
        tx.expect(&id, Expect::Any).unwrap();
        tx.append(&id, activity).unwrap();
    });
    assert!(matches!(refused, Err(Error::LimitExceeded { max: 1, .. })), "{refused:?}");
    let refused = twice(&world, |tx| {
        tx.expect(&id, Expect::Any).unwrap();
        tx.append(&id, note()).unwrap();
        tx.append(&id, note()).unwrap();
    });
    let full = Error::LimitExceeded {
        limit: Limit::HistoryEvents,
        run: Some(id),
        now: 4,
        asked: 6,
        max: 5,
    };
    assert_eq!(format!("{:?}", refused.unwrap_err()), format!("{full:?}"));
    world.ends(|world| {
        world
            .assert_kinds(&id, [STARTED, ACTIVITY_TASK_SCHEDULED, MARKER_RECORDED, MARKER_RECORDED])
    });
}

/// The same for requests that are on their way.
#[test]
fn limits_on_requests_hold_over_both() {
    let world = World::new();
    world.limit(|limits| (limits.open_signals, limits.open_cancels) = (1, 1));
    let id = world.start("p");
    let target = kinlog::Target::workflow("somebody");
    let refused = twice(&world, |tx| {
        tx.expect(&id, Expect::Any).unwrap();
        tx.signal_external(&id, target, "s", b"").unwrap();
    });
    let signals = Limit::OpenSignals;
    assert!(matches!(refused, Err(Error::LimitExceeded { limit, max: 1, .. }) if limit == signals));
    let refused = twice(&world, |tx| {
        tx.expect(&id, Expect::Any).unwrap();
        tx.cancel_external(&id, target).unwrap();
    });
    let cancels = Limit::OpenCancels;
    assert!(matches!(refused, Err(Error::LimitExceeded { limit, max: 1, .. }) if limit == cancels));
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(
            &id,
            [
                STARTED, SIGNAL_EXTERNAL_INITIATED, REQUEST_CANCEL_EXTERNAL_INITIATED,
                SIGNAL_EXTERNAL_FAILED, REQUEST_CANCEL_EXTERNAL_FAILED,
            ],
        )
    });
}

/// Both can be true: a child ends while another one of the same parent is reported.
#[test]
fn reports_do_not_stand_in_each_others_way() {
    let world = World::new();
    let parent = world.start("p");
    let kids = ["c", "d"].map(|workflow_id| world.spawn(&parent, workflow_id, TERMINATE));
    kids.iter().for_each(|kid| world.complete(kid));
    let duties: Vec<_> = world.duties(DutyFilter::all()).map(Result::unwrap).collect();
    race(
        &world,
        |tx| assert!(tx.settle(&duties[0]).unwrap()),
        |tx| assert!(tx.settle(&duties[1]).unwrap()),
    )
    .unwrap();
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, CHILD_COMPLETED, CHILD_COMPLETED,
            ],
        )
    });
}

/// The ids that `append` gives out hold, also in a transaction that settled a duty of that run
/// before: settling alone goes anywhere.
#[test]
fn ids_hold_after_settling() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let refused = race(
        &world,
        |tx| tx.append(&parent, note()).unwrap(),
        |tx| {
            assert!(tx.settle(&duty).unwrap());
            assert_eq!(tx.append(&parent, note()).unwrap(), 5);
        },
    );
    let moved = Moved::Run { run: parent, expected: 4, found: 5 };
    assert_eq!(overtaken(refused.unwrap_err()), moved);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, MARKER_RECORDED, CHILD_COMPLETED],
        )
    });
}
