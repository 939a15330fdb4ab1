//! Signals and cancel requests, to a run and between runs: delivered once, or answered why not.

use kinlog::event::{ActivityScheduled, ActivityTask, ExternalFailedCause};
use kinlog::{Body, Close, DutyKind, Error, NewEvent, NewReset, NextRun, RunId, Target};
use kinlog_testing::kinds::*;
use kinlog_testing::steps::recorded;

use super::support::{ABANDON, TERMINATE, World, child, run};

/// Sends a signal, settles it, and says whether it was delivered.
fn delivers(world: &World, sender: &RunId, target: Target<'_>) -> bool {
    let initiated = world.commit(|tx| tx.signal_external(sender, target, "s", b"p").unwrap());
    assert_eq!(world.due(DutyKind::DeliverSignal), 1);
    assert_eq!(world.drain(), 1);
    let answer = world.run(sender).unwrap().events;
    world.event(sender, answer, |event| match event.body() {
        Body::ExternalWorkflowExecutionSignaled(resolved) => {
            assert_eq!(
                (resolved.initiated_event_id, resolved.cause),
                (initiated, ExternalFailedCause::Unspecified)
            );
            true
        }
        Body::SignalExternalWorkflowExecutionFailed(resolved) => {
            assert_eq!(
                (resolved.initiated_event_id, resolved.cause),
                (initiated, ExternalFailedCause::ExternalWorkflowExecutionNotFound)
            );
            false
        }
        other => panic!("{other:?}"),
    })
}

/// A signal arrives with its name, its payload and its sender, in the commit that tells the sender.
#[test]
fn a_signal_arrives_once() {
    let world = World::new();
    let (sender, target) = (world.start("p"), world.start("t"));
    assert!(delivers(&world, &sender, Target::workflow("t")));
    world.ends(|world| {
        world.assert_kinds(&sender, [STARTED, SIGNAL_EXTERNAL_INITIATED, EXTERNAL_SIGNALED]);
        world.assert_kinds(&target, [STARTED, SIGNALED]);
        world.event(&target, 2, |event| {
            let Body::WorkflowExecutionSignaled(signaled) = event.body() else { panic!() };
            assert_eq!((signaled.signal_name, event.payload()), ("s", b"p".as_slice()));
            let from = (signaled.external_run_id, signaled.external_initiated_event_id);
            assert_eq!(from, (Some(sender), 2));
        });
    });
}

/// A run may signal itself and ask itself to cancel.
#[test]
fn a_run_may_be_its_own_target() {
    let world = World::new();
    let itself = world.start("p");
    assert!(delivers(&world, &itself, Target::workflow("p")));
    world.commit(|tx| tx.cancel_external(&itself, Target::workflow("p")).unwrap());
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &itself,
            [
                STARTED, SIGNAL_EXTERNAL_INITIATED, SIGNALED, EXTERNAL_SIGNALED,
                REQUEST_CANCEL_EXTERNAL_INITIATED, CANCEL_REQUESTED, EXTERNAL_CANCEL_REQUESTED,
            ],
        )
    });
}

/// A commit may initiate a child and ask it to cancel: the child starts first.
#[test]
fn a_child_may_be_asked_to_cancel_in_the_commit_that_initiates_it() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", TERMINATE)).unwrap();
        tx.cancel_external(&parent, Target::workflow("c")).unwrap();
    });
    assert_eq!(world.drain(), 2);
    let kid = world.current("c").unwrap();
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, REQUEST_CANCEL_EXTERNAL_INITIATED, CHILD_STARTED,
                EXTERNAL_CANCEL_REQUESTED,
            ],
        );
        world.assert_kinds(&kid, [STARTED, CANCEL_REQUESTED]);
    });
}

/// Without a run, the target is whichever run is current when it arrives; with one, that run alone,
/// and only if it is a run of that workflow.
#[test]
fn a_target_is_found_when_the_signal_arrives() {
    let world = World::new();
    let (sender, first) = (world.start("p"), world.start("t"));
    world.commit(|tx| tx.signal_external(&sender, Target::workflow("t"), "s", b"").unwrap());
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("T")).unwrap());
    assert_eq!(world.drain(), 1);
    assert_eq!(
        (world.kinds(&first), world.kinds(&second)),
        (vec![STARTED, CONTINUED_AS_NEW], vec![STARTED, SIGNALED])
    );
    assert!(delivers(&world, &sender, Target::workflow("t").run(second)));
    assert!(!delivers(&world, &sender, Target::workflow("t").run(first)), "closed");
    assert!(!delivers(&world, &sender, Target::workflow("other").run(second)));
    assert!(!delivers(&world, &sender, Target::workflow("t").run(RunId::from_bytes([7; 16]))));
    assert!(!delivers(&world, &sender, Target::workflow("nobody")));
    world.complete(&second);
    assert!(!delivers(&world, &sender, Target::workflow("t")), "closed");
    world.ends(|world| world.assert_kinds(&second, [STARTED, SIGNALED, SIGNALED, COMPLETED]));
}

/// Namespaces keep signals in.
#[test]
fn a_target_is_in_the_senders_namespace() {
    let world = World::new();
    let sender = world.start("p");
    let abroad = kinlog::NewRun::new("abroad", "t", "T");
    let target = world.commit(|tx| tx.start(abroad).unwrap());
    assert!(!delivers(&world, &sender, Target::workflow("t")));
    world.ends(|world| world.assert_kinds(&target, [STARTED]));
}

/// Only a child: whichever run of its chain is current, and whoever of the sender's chain of resets
/// holds it now.
#[test]
fn child_only_reaches_children_alone() {
    let world = World::new();
    let sender = world.start("p");
    let stranger = world.start("t");
    let kid = world.spawn(&sender, "c", ABANDON);
    let to = |workflow_id| Target::workflow(workflow_id).child_only();
    assert!(!delivers(&world, &sender, to("t")));
    assert!(!delivers(&world, &sender, to("p")), "it is not its own child");
    assert!(delivers(&world, &sender, to("c")));
    let next = world.commit(|tx| tx.continue_as_new(&kid, NextRun::new("C")).unwrap());
    assert!(delivers(&world, &sender, to("c")));
    let again = world.commit(|tx| tx.reset(&sender, NewReset::to(3)).unwrap());
    assert!(delivers(&world, &again, to("c")));
    world.complete(&next);
    assert_eq!(world.drain(), 1);
    let usurper = world.start("c");
    assert!(!delivers(&world, &again, to("c")), "a stranger with the child's name");
    world.ends(|world| {
        world.assert_kinds(&stranger, [STARTED]);
        world.assert_kinds(&usurper, [STARTED]);
        world.assert_kinds(&next, [STARTED, SIGNALED, SIGNALED, COMPLETED]);
    });
}

/// A sender that closes, in whichever way, takes back what was not delivered.
#[test]
fn requests_of_a_sender_that_closed_lapse() {
    for goes_on in [false, true] {
        let world = World::new();
        let (sender, target) = (world.start("p"), world.start("t"));
        let to = Target::workflow("t");
        world.commit(|tx| {
            tx.signal_external(&sender, to, "s", b"").unwrap();
            tx.cancel_external(&sender, to).unwrap();
        });
        let due: Vec<_> = world.duties(kinlog::DutyFilter::all()).map(Result::unwrap).collect();
        assert_eq!(due.len(), 2);
        if goes_on {
            world.commit(|tx| tx.continue_as_new(&sender, NextRun::new("P")).unwrap());
        } else {
            world.complete(&sender);
        }
        for duty in &due {
            assert!(world.settle(duty).unwrap().is_none());
        }
        // Initiated and closed in one commit: never a duty at all.
        let other = world.start("q");
        world.commit(|tx| {
            tx.signal_external(&other, to, "s", b"").unwrap();
            tx.close_run(&other, Close::completed(b"")).unwrap();
        });
        world.ends(|world| world.assert_kinds(&target, [STARTED]));
    }
}

/// A cancel request reaches an open run once; one that has closed, or was asked before, needs no
/// other event, and its sender is told that it was asked.
#[test]
fn cancel_requests_between_runs() {
    let world = World::new();
    let (one, other) = (world.start("p"), world.start("q"));
    let (target, closed) = (world.start("t"), world.start("closed"));
    world.complete(&closed);
    world.commit(|tx| {
        for sender in [&one, &other] {
            tx.cancel_external(sender, Target::workflow("t")).unwrap();
        }
        tx.cancel_external(&one, Target::workflow("closed")).unwrap();
        tx.cancel_external(&one, Target::workflow("nobody")).unwrap();
    });
    assert_eq!(world.drain(), 4);
    world.ends(|world| {
        world.assert_kinds(&target, [STARTED, CANCEL_REQUESTED]);
        world.assert_kinds(
            &one,
            [
                STARTED, REQUEST_CANCEL_EXTERNAL_INITIATED, REQUEST_CANCEL_EXTERNAL_INITIATED,
                REQUEST_CANCEL_EXTERNAL_INITIATED, EXTERNAL_CANCEL_REQUESTED,
                EXTERNAL_CANCEL_REQUESTED, REQUEST_CANCEL_EXTERNAL_FAILED,
            ],
        );
        world.assert_kinds(
            &other,
            [STARTED, REQUEST_CANCEL_EXTERNAL_INITIATED, EXTERNAL_CANCEL_REQUESTED],
        );
        world.assert_kinds(&closed, [STARTED, COMPLETED]);
        assert!(world.run(&target).unwrap().cancel_requested);
        world.event(&target, 2, |event| match event.body() {
            Body::WorkflowExecutionCancelRequested(body) => {
                let from = (body.external_workflow_id, body.external_run_id);
                assert_eq!(from, ("p", Some(one)));
                assert_eq!(body.external_initiated_event_id, 2);
            }
            other => panic!("{other:?}"),
        });
    });
}

/// A cancel request names the activities that are open, which are canceled with the run; children
/// follow their policies when the run closes.
#[test]
fn a_cancel_request_names_open_activities() {
    let world = World::new();
    let schedule = || NewEvent::new(Body::ActivityTaskScheduled(ActivityScheduled::default()));
    let end = |scheduled_event_id| {
        let task = ActivityTask { scheduled_event_id, ..ActivityTask::default() };
        NewEvent::new(Body::ActivityTaskFailed(task))
    };
    let id = world.commit(|tx| {
        let id = tx.start(run("p")).unwrap();
        for _ in 0..4 {
            tx.append(&id, schedule()).unwrap();
        }
        tx.append(&id, end(3)).unwrap();
        assert_eq!(tx.request_cancel(&id, b"").unwrap().open_activities, [2, 4, 5]);
        id
    });
    let kid = world.spawn(&id, "c", TERMINATE);
    let (first, second) = world.commit(|tx| {
        tx.append(&id, end(4)).unwrap();
        let first = tx.append(&id, schedule()).unwrap();
        let asked = tx.request_cancel(&id, b"").unwrap();
        assert_eq!((asked.event_id, asked.open_activities), (None, vec![2, 5, first]));
        (first, tx.append(&id, schedule()).unwrap())
    });
    // Open at the point of a reset is open in the new run, whatever happened later.
    let again = world.commit(|tx| tx.reset(&id, NewReset::to(6)).unwrap());
    world.assert_kinds(&kid, [STARTED]);
    world.ends(|world| {
        assert_eq!(world.open_activities(&again).unwrap(), [2, 4, 5]);
        assert_eq!(world.open_activities(&id).unwrap(), [2, 5, first, second]);
        let asked = world.begin().request_cancel(&again, b"").unwrap();
        assert_eq!(asked.event_id, Some(8), "asked after the point: the new run was not");
        assert_eq!(asked.open_activities, [2, 4, 5]);
    });
}

/// A run that has closed is not asked, and neither it nor one recorded from elsewhere is signaled.
#[test]
fn closed_and_recorded_runs_are_no_targets() {
    let world = World::new();
    let (sender, closed) = (world.start("p"), world.start("t"));
    world.complete(&closed);
    let refused = world.begin().request_cancel(&closed, b"");
    assert!(matches!(refused, Err(Error::RunClosed { .. })));
    let recorded = recorded(RunId::from_bytes([8; 16]), "elsewhere");
    let recorded = world.commit(|tx| tx.start(kinlog::NewRun::imported(recorded)).unwrap());
    assert!(!delivers(&world, &sender, Target::workflow("elsewhere")));
    world.ends(|world| world.assert_kinds(&recorded, [STARTED]));
}

/// A signal and the run it is for may begin in one commit.
#[test]
fn a_target_that_begins_in_the_same_commit() {
    let world = World::new();
    let (sender, kid) = world.commit(|tx| {
        let sender = tx.start(run("p")).unwrap();
        let initiated = tx.signal_external(&sender, Target::workflow("c").child_only(), "s", b"");
        assert_eq!(initiated.unwrap(), 2);
        (sender, tx.spawn_child(&sender, child("c", ABANDON)).unwrap().run)
    });
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &sender,
            [
                STARTED, SIGNAL_EXTERNAL_INITIATED, START_CHILD_INITIATED, CHILD_STARTED,
                EXTERNAL_SIGNALED,
            ],
        );
        world.assert_kinds(&kid, [STARTED, SIGNALED]);
    });
}

/// A start and a signal to the workflow that it starts, settled in one commit.
#[test]
fn a_start_and_a_signal_are_settled_in_order() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| {
        tx.initiate_child(&parent, child("c", ABANDON)).unwrap();
        tx.signal_external(&parent, Target::workflow("c").child_only(), "s", b"").unwrap();
    });
    let settled = world.settle_all().unwrap();
    assert_eq!((settled.duties, settled.commits), (2, 1));
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, SIGNAL_EXTERNAL_INITIATED, CHILD_STARTED,
                EXTERNAL_SIGNALED,
            ],
        );
        world.assert_kinds(&world.current("c").unwrap(), [STARTED, SIGNALED]);
    });
}
