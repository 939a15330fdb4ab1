//! Duties: from which histories each follows, what settles it, and in which order they come.

use kinlog::event::{
    ChildClosed, ExternalFailedCause, ExternalResolved, RetryState, StartChildFailedCause,
};
use kinlog::{Body, Close, DutyFilter, DutyKind, NewEvent, NextRun, RunId, Target};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, REQUEST_CANCEL, TERMINATE, World, child, note};

/// The open duties, in order: kind, run, Initiated event.
fn due(world: &World) -> Vec<(DutyKind, RunId, u32)> {
    let duties = world.duties(DutyFilter::all()).map(Result::unwrap);
    duties.map(|duty| (duty.kind(), duty.run(), duty.initiated_event_id())).collect()
}

/// StartChild follows from an initiation in an open parent, and ends with a start, a refusal, or
/// the parent.
#[test]
fn start_child_arises_and_is_settled() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| {
        for workflow_id in ["a", "b", "c", "d"] {
            tx.initiate_child(&parent, child(workflow_id, TERMINATE)).unwrap();
        }
    });
    let all = [2, 3, 4, 5].map(|event| (DutyKind::StartChild, parent, event));
    assert_eq!(due(&world), all);
    world.commit(|tx| tx.start_child(&parent, 2, None).unwrap());
    let taken = StartChildFailedCause::WorkflowAlreadyExists;
    world.commit(|tx| tx.fail_child(&parent, 3, taken).unwrap());
    assert_eq!(due(&world), all[2..]);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    assert!(world.settle(&duty).unwrap().is_some());
    assert_eq!(due(&world), all[3..]);
    world.complete(&parent);
    assert_eq!(world.drain(), 2, "the policies of those that started");
    world.ends(|world| assert_eq!(world.runs_of("d"), 0));
}

/// ApplyClosePolicy follows from a closed parent and a child that runs, and ends when that run is
/// terminated or asked to cancel, by whomever, or ends by itself.
#[test]
fn apply_close_policy_arises_and_is_settled() {
    let world = World::new();
    let parent = world.start("p");
    let kids = ["a", "b", "c", "d"].map(|workflow_id| world.spawn(&parent, workflow_id, TERMINATE));
    let asked = world.spawn(&parent, "q", REQUEST_CANCEL);
    world.spawn(&parent, "never", ABANDON);
    assert_eq!(due(&world), []);
    let commit = world.close_run(&parent, Close::timed_out()).unwrap();
    let all = [2, 4, 6, 8, 10].map(|event| (DutyKind::ApplyClosePolicy, parent, event));
    assert_eq!(due(&world), all);
    assert_eq!(commit.duties().count(), 5);
    world.complete(&kids[0]);
    world.shut(&kids[1], Close::terminated("by hand"));
    world.commit(|tx| tx.request_cancel(&kids[2], b"").unwrap());
    world.commit(|tx| tx.request_cancel(&asked, b"").unwrap());
    assert_eq!(due(&world), all[2..4], "asking to cancel is not what Terminate wants");
    assert_eq!(commit.duties().count(), 2);
    assert_eq!(world.drain(), 2);
    world.ends(|world| world.assert_kinds(&kids[2], [STARTED, CANCEL_REQUESTED, TERMINATED]));
}

/// A duty about a child names the run that it reaches: none before the child started, and the current one of
/// its chain, however it is listed.
#[test]
fn a_duty_names_the_current_run_of_its_child() {
    let world = World::new();
    let parent = world.start("p");
    world.commit(|tx| tx.initiate_child(&parent, child("late", TERMINATE)).unwrap());
    let kids: Vec<_> = (0..600)
        .map(|n| {
            let policy = if n % 3 == 0 { REQUEST_CANCEL } else { TERMINATE };
            world.spawn(&parent, &format!("kid-{n}"), policy)
        })
        .collect();
    world.commit(|tx| tx.signal_external(&parent, Target::workflow("t"), "s", b"").unwrap());
    let named: Vec<_> = world
        .duties(DutyFilter::all())
        .map(Result::unwrap)
        .map(|d| (d.child(), d.close_policy()))
        .collect();
    assert_eq!(named, [(None, Some(TERMINATE)), (None, None)]);
    let current: Vec<_> = kids
        .iter()
        .enumerate()
        .map(|(n, kid)| match n % 5 {
            0 => world.commit(|tx| tx.continue_as_new(kid, NextRun::new("Next")).unwrap()),
            _ => *kid,
        })
        .collect();
    let commit = world.close_run(&parent, Close::timed_out()).unwrap();
    let policies = (0..600).map(|n| if n % 3 == 0 { REQUEST_CANCEL } else { TERMINATE });
    let expected: Vec<_> = current.iter().copied().map(Some).zip(policies.map(Some)).collect();
    let of = |duties: kinlog::read::DutyList<'_>| -> Vec<_> {
        duties.map(Result::unwrap).map(|duty| (duty.child(), duty.close_policy())).collect()
    };
    assert_eq!(of(commit.duties()), expected);
    assert_eq!(of(world.duties(DutyFilter::all())), expected);
    assert_eq!(of(world.duties(DutyFilter::all().run(parent))), expected);
}

/// ReportClose follows from the end of a child's chain while its parent is open, and ends with the
/// outcome in the parent, with the parent, or when the chain goes on by a reset.
#[test]
fn report_close_arises_and_is_settled() {
    let world = World::new();
    let parent = world.start("p");
    let kids = ["a", "b", "c", "d"].map(|workflow_id| world.spawn(&parent, workflow_id, ABANDON));
    kids.iter().for_each(|kid| world.complete(kid));
    let all = [2, 4, 6, 8].map(|event| (DutyKind::ReportClose, parent, event));
    assert_eq!(due(&world), all);
    world.commit(|tx| tx.report_child(&parent, 2).unwrap());
    let (run_id, started_event_id) = (kids[1], 5);
    let told = ChildClosed {
        run_id,
        initiated_event_id: 4,
        started_event_id,
        retry_state: RetryState::Unspecified,
    };
    let told = NewEvent::new(Body::ChildWorkflowExecutionCompleted(told));
    world.commit(|tx| tx.append(&parent, told).unwrap());
    world.commit(|tx| tx.reset(&kids[2], kinlog::NewReset::to(1)).unwrap());
    assert_eq!(due(&world), all[3..]);
    world.complete(&parent);
    world.ends(|world| {
        assert_eq!(world.kinds(&parent)[9..], [CHILD_COMPLETED, CHILD_COMPLETED, COMPLETED])
    });
}

/// DeliverSignal and DeliverCancel follow from their initiation in an open run, and end with an
/// answer or with the run.
#[test]
fn deliveries_arise_and_are_settled() {
    let world = World::new();
    let sender = world.start("p");
    let to = Target::workflow("t");
    world.commit(|tx| {
        tx.signal_external(&sender, to, "s", b"").unwrap();
        tx.cancel_external(&sender, to).unwrap();
        tx.signal_external(&sender, to, "s", b"").unwrap();
    });
    let [signal, cancel, second] =
        [(2, DutyKind::DeliverSignal), (3, DutyKind::DeliverCancel), (4, DutyKind::DeliverSignal)]
            .map(|(event, kind)| (kind, sender, event));
    assert_eq!(due(&world), [signal, second, cancel]);
    let answer =
        ExternalResolved { initiated_event_id: 2, cause: ExternalFailedCause::Unspecified };
    let answer = NewEvent::new(Body::ExternalWorkflowExecutionSignaled(answer));
    world.commit(|tx| tx.append(&sender, answer).unwrap());
    assert_eq!(due(&world), [second, cancel]);
    world.complete(&sender);
    world.ends(|world| assert_eq!(due(world), []));
}

/// A duty is a function of the histories of both runs: after the store was opened again the same
/// duties are open, since the same commits.
#[test]
fn duties_are_the_same_after_opening_again() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let ended = world.spawn(&parent, "d", TERMINATE);
    world.spawn(&kid, "g", TERMINATE);
    world.commit(|tx| {
        tx.initiate_child(&parent, child("e", TERMINATE)).unwrap();
        tx.signal_external(&parent, Target::workflow("c"), "s", b"").unwrap();
        tx.cancel_external(&parent, Target::workflow("c")).unwrap();
    });
    world.complete(&ended);
    world.complete(&kid);
    let before: Vec<_> = world.duties(DutyFilter::all()).map(Result::unwrap).collect();
    assert_eq!(before.len(), 6);
    world.ends_with_duties(|world| {
        assert_eq!(world.duties(DutyFilter::all()).map(Result::unwrap).collect::<Vec<_>>(), before);
        let of_kid = world.duties(DutyFilter::all().run(kid)).map(Result::unwrap);
        assert_eq!(
            of_kid.map(|duty| duty.kind()).collect::<Vec<_>>(),
            [DutyKind::ApplyClosePolicy]
        );
    });
}

/// Oldest commit first; within a commit, starts, then reports, then policies, then requests.
#[test]
fn duties_come_in_order() {
    let world = World::new();
    let top = world.start("top");
    let parent = world.spawn(&top, "p", ABANDON);
    world.spawn(&parent, "c", TERMINATE);
    let sender = world.start("s");
    world.commit(|tx| {
        tx.signal_external(&sender, Target::workflow("top"), "s", b"").unwrap();
        tx.initiate_child(&top, child("x", ABANDON)).unwrap();
        tx.close_run(&parent, Close::completed(b"")).unwrap();
    });
    world.commit(|tx| tx.initiate_child(&top, child("y", ABANDON)).unwrap());
    let kinds: Vec<_> = due(&world).into_iter().map(|(kind, ..)| kind).collect();
    let expected = [
        DutyKind::StartChild,
        DutyKind::ReportClose,
        DutyKind::ApplyClosePolicy,
        DutyKind::DeliverSignal,
        DutyKind::StartChild,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(world.drain(), 5);
    world.ends(|world| {
        world.assert_kinds(
            &top,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED, SIGNALED, CHILD_STARTED,
            ],
        )
    });
}

/// A run that closes answers its parent before it turns to its children.
#[test]
fn a_report_goes_before_the_policies() {
    let world = World::new();
    let top = world.start("top");
    let parent = world.spawn(&top, "p", ABANDON);
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&parent);
    let first = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    assert_eq!(first.kind(), DutyKind::ReportClose);
    assert!(world.settle(&first).unwrap().is_some());
    world.assert_kinds(&top, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED]);
    world.assert_kinds(&kid, [STARTED]);
    assert_eq!(world.drain(), 1);
    world.ends(|world| world.assert_kinds(&kid, [STARTED, TERMINATED]));
}

/// Duties of some kinds can be settled and others left.
#[test]
fn kinds_are_settled_by_themselves() {
    let world = World::new();
    let top = world.start("top");
    let parent = world.spawn(&top, "p", ABANDON);
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&parent);
    let settled = world.settle_kinds(&[DutyKind::ApplyClosePolicy]).unwrap();
    assert_eq!(settled.duties, 1);
    world.assert_kinds(&kid, [STARTED, TERMINATED]);
    world.ends_with_duties(|world| {
        assert_eq!(due(world), [(DutyKind::ReportClose, top, 2)]);
    });
}

/// A commit lists the duties that it opened and that are still open, and no others.
#[test]
fn a_commit_knows_its_duties() {
    let world = World::new();
    let parent = world.start("p");
    world.spawn(&parent, "c", TERMINATE);
    let mut tx = world.begin();
    tx.initiate_child(&parent, child("d", TERMINATE)).unwrap();
    let initiating = tx.commit().unwrap();
    let quiet = world.append(&parent, note()).unwrap();
    let mut tx = world.begin();
    tx.continue_as_new(&parent, NextRun::new("P")).unwrap();
    let closing = tx.commit().unwrap();
    let counts = || [&initiating, &quiet, &closing].map(|commit| commit.duties().count());
    assert_eq!(counts(), [0, 0, 1], "the parent closed: the start is due no more");
    assert_eq!(world.drain(), 1);
    assert_eq!(counts(), [0, 0, 0]);
    world.ends(|world| assert_eq!(world.runs_of("d"), 0));
}

/// A parent that closed cannot be left behind by anything but its duty: the policy stays open
/// until it is done, however often the store is opened. (That deletion waits for it is checked
/// when there is deletion.)
#[test]
fn s28_the_policy_outlives_everything() {
    let mut world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&parent);
    let again = world.start("p");
    world.complete(&again);
    for _ in 0..3 {
        world.reopen();
        assert_eq!(due(&world), [(DutyKind::ApplyClosePolicy, parent, 2)]);
    }
    assert_eq!(world.drain(), 1);
    world.ends(|world| world.assert_kinds(&kid, [STARTED, TERMINATED]));
}

/// A running parent ends as terminated first, then its policies are applied, and only then is
/// nothing due that stands against deleting it. (The deletion itself waits for deletion.)
#[test]
fn s29_terminate_then_policy_then_nothing_is_due() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let commit = world.close_run(&parent, Close::terminated("delete")).unwrap();
    assert_eq!(commit.duties().count(), 1);
    assert_eq!(world.drain(), 1);
    assert_eq!(commit.duties().count(), 0);
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED]);
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
        let of_parent = world.duties(DutyFilter::all().run(parent)).map(Result::unwrap);
        assert_eq!(of_parent.count(), 0);
    });
}

/// What a transaction has settled, or made pointless by closing the run that was to be told, it
/// finds settled.
#[test]
fn a_transaction_settles_a_duty_once() {
    let family = || {
        let world = World::new();
        let (parent, gone) = (world.start("p"), world.start("gone"));
        let kid = world.spawn(&parent, "c", TERMINATE);
        world.spawn(&gone, "k", REQUEST_CANCEL);
        world.start("t");
        world.complete(&gone);
        world.complete(&kid);
        world.commit(|tx| {
            tx.initiate_child(&parent, child("d", TERMINATE)).unwrap();
            tx.signal_external(&parent, Target::workflow("t"), "s", b"").unwrap();
            tx.cancel_external(&parent, Target::workflow("t")).unwrap();
        });
        let duties: Vec<_> = world.duties(DutyFilter::all()).map(Result::unwrap).collect();
        assert_eq!(duties.len(), DutyKind::ALL.len());
        (world, parent, duties)
    };
    let (world, _, duties) = family();
    world.commit(|tx| {
        for expected in [true, false] {
            assert!(duties.iter().all(|duty| tx.settle(duty).unwrap() == expected));
        }
    });
    world.ends(|_| ());

    let (world, parent, duties) = family();
    world.commit(|tx| {
        tx.close_run(&parent, Close::completed(b"")).unwrap();
        for duty in &duties {
            let expected = duty.kind() == DutyKind::ApplyClosePolicy;
            assert_eq!(tx.settle(duty).unwrap(), expected, "{}", duty.kind());
        }
    });
    world.ends(|_| ());
}
