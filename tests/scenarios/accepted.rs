//! What was accepted once is not asked again: repeated requests, lowered limits, policies.

use kinlog::event::Signaled;
use kinlog::{
    Body, Close, DutyFilter, Error, IdConflictPolicy, IdReusePolicy, NewEvent, NewReset, NextRun,
    Target,
};
use kinlog_testing::kinds::*;

use super::support::{NAMESPACE, TERMINATE, World, child, run};

#[test]
fn a_repeated_signal_counts_once_within_its_run() {
    let mut world = World::new();
    let id = world.start("p");
    let signal = |world: &World, request: &str| {
        world.commit(|tx| tx.signal_once(&id, "paid", request, b"30 EUR").unwrap())
    };
    assert_eq!([signal(&world, "a"), signal(&world, "b"), signal(&world, "a")], [2, 3, 2]);
    let typed = Signaled { signal_name: "paid", request_id: "b", ..Default::default() };
    let typed = NewEvent::new(Body::WorkflowExecutionSignaled(typed));
    assert_eq!(world.commit(|tx| tx.append(&id, typed).unwrap()), 3);
    assert_eq!([signal(&world, ""), signal(&world, "")], [4, 5], "no request id, no repetition");
    world.reopen();
    assert_eq!(signal(&world, "a"), 2);
    // A reset shares the first of them and has never seen the other.
    let again = world.commit(|tx| {
        let again = tx.reset(&id, NewReset::to(2)).unwrap();
        assert_eq!(tx.signal_once(&again, "paid", "a", b"").unwrap(), 2);
        assert_eq!(tx.signal_once(&again, "paid", "b", b"").unwrap(), 4);
        again
    });
    let next = world.commit(|tx| tx.continue_as_new(&again, NextRun::new("P")).unwrap());
    assert_eq!(world.commit(|tx| tx.signal_once(&next, "paid", "a", b"").unwrap()), 2);
    assert_eq!(world.commit(|tx| tx.signal_once(&again, "paid", "b", b"").unwrap()), 4, "late");
    world.ends(|world| {
        world.assert_kinds(&again, [STARTED, SIGNALED, RESET, SIGNALED, CONTINUED_AS_NEW]);
        assert_eq!(world.kinds(&next), [STARTED, SIGNALED], "another run");
    });
}

#[test]
fn of_two_blind_signals_with_one_request_id_one_counts() {
    let world = World::new();
    let id = world.start("p");
    let mut late = world.begin();
    late.expect(&id, kinlog::Expect::Any).unwrap();
    late.signal_once(&id, "paid", "a", b"").unwrap();
    world.commit(|tx| tx.signal_once(&id, "paid", "a", b"").unwrap());
    assert!(matches!(late.commit(), Err(Error::Overtaken { .. })));
    world.ends(|world| world.assert_kinds(&id, [STARTED, SIGNALED]));
}

#[test]
fn policies_on_workflow_ids_must_be_known_and_agree() {
    let world = World::new();
    let parent = world.start("p");
    let refused = [
        (IdReusePolicy::RejectDuplicate, IdConflictPolicy::TerminateExisting),
        (IdReusePolicy::TerminateIfRunning, IdConflictPolicy::UseExisting),
        (IdReusePolicy::from_number(9), IdConflictPolicy::Fail),
        (IdReusePolicy::AllowDuplicate, IdConflictPolicy::from_number(9)),
    ];
    for (reuse, conflict) in refused {
        let mut tx = world.begin();
        let starts = tx.start(run("x").on_reuse(reuse).on_conflict(conflict));
        assert!(matches!(starts, Err(Error::InvalidArgument { .. })));
        let kid = child("x", TERMINATE).on_reuse(reuse).on_conflict(conflict);
        assert!(matches!(tx.spawn_child(&parent, kid), Err(Error::InvalidArgument { .. })));
        assert!(matches!(tx.initiate_child(&parent, kid), Err(Error::InvalidArgument { .. })));
    }
    world.ends(|world| world.assert_kinds(&parent, [STARTED]));
}

/// A run with room for one more event that has sent itself a signal: the signal cannot be delivered, as the
/// answer would have no room then; the answer can.
#[test]
fn a_signal_to_itself_gets_an_answer_where_there_is_room_for_one_event() {
    let world = World::new();
    let id = world.start("p");
    world.commit(|tx| tx.signal_external(&id, Target::workflow("p"), "s", b"").unwrap());
    world.limit(|limits| limits.history_events = 3);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(&id, [STARTED, SIGNAL_EXTERNAL_INITIATED, SIGNAL_EXTERNAL_FAILED])
    });
}

/// Limits on payloads and names stand against what is said anew.
#[test]
fn lowered_limits_do_not_block_what_was_accepted_before() {
    let world = World::new();
    let (long, large) = ("a-rather-long-workflow-id-of-a-child", [7; 500]);
    let parent = world.start("a-rather-long-workflow-id");
    let (reported, policy) = world.commit(|tx| {
        let reported = tx.spawn_child(&parent, child("reported", TERMINATE)).unwrap().run;
        tx.initiate_child(&parent, child(long, TERMINATE).input(&large)).unwrap();
        tx.close_run(&reported, Close::completed(&large)).unwrap();
        let target = Target::workflow("a-rather-long-workflow-id-of-a-target");
        tx.signal_external(&parent, target, "a-rather-long-name-of-a-signal", &large).unwrap();
        let target = tx.start(run("a-rather-long-workflow-id-of-a-target")).unwrap();
        (reported, target)
    });
    world.limit(|limits| (limits.payload_bytes, limits.id_bytes) = (100, 10));
    assert_eq!(world.drain(), 3, "a start, a report and a signal");
    let kid = world.current(long).unwrap();
    let next = world.commit(|tx| tx.continue_as_new(&parent, NextRun::new("P")).unwrap());
    assert_eq!(world.drain(), 1, "a policy");
    let refused = world.begin().append(&next, NewEvent::activity_scheduled("longer than ten"));
    assert!(matches!(refused, Err(Error::LimitExceeded { max: 10, .. })));
    let refused = world.begin().continue_as_new(&next, NextRun::new("P").input(&large));
    assert!(matches!(refused, Err(Error::LimitExceeded { max: 100, .. })));
    assert_eq!(world.duties(DutyFilter::all()).count(), 0);
    assert_eq!(world.namespace_size(NAMESPACE).runs, 5);
    world.ends(|world| {
        world.assert_kinds(&kid, [STARTED, TERMINATED]);
        world.assert_kinds(&policy, [STARTED, SIGNALED]);
        world.event(&kid, 1, |event| assert_eq!(event.payload(), large));
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                SIGNAL_EXTERNAL_INITIATED, CHILD_STARTED, CHILD_COMPLETED, EXTERNAL_SIGNALED,
                CONTINUED_AS_NEW,
            ],
        );
        world.assert_kinds(&reported, [STARTED, COMPLETED]);
    });
}
