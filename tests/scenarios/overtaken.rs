//! What a transaction decided about a run, a workflow id, a chain or a duty is compared at the commit: where
//! another commit changed it, the transaction is overtaken, and begun again it comes to the right end.

use kinlog::error::Moved;
use kinlog::{
    Close, DutyFilter, DutyKind, Error, Expect, IdConflictPolicy, NewReset, NextRun, RunId,
    RunStatus, StartOutcome, Target, Transaction,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, TERMINATE, World, child, note, run};

/// Commits `other` after `steps` were taken; returns what of them is overtaken.
#[track_caller]
fn overtaken<T>(
    world: &World,
    steps: impl FnOnce(&mut Transaction<'_>) -> T,
    other: impl FnOnce(&mut Transaction<'_>),
) -> Moved {
    let mut tx = world.begin();
    steps(&mut tx);
    world.commit(other);
    let before = world.end();
    match tx.commit() {
        Err(error @ Error::Overtaken { .. }) => {
            assert!(error.is_retryable());
            assert_eq!(world.end(), before, "what is overtaken writes nothing");
            let Error::Overtaken { moved, .. } = error else { unreachable!() };
            moved
        }
        other => panic!("not overtaken: {other:?}"),
    }
}

fn workflow(workflow_id: &str) -> Moved {
    Moved::Workflow { namespace: "shop".to_owned(), workflow_id: workflow_id.to_owned() }
}

/// Issue: two open runs of one workflow id.
#[test]
fn a_child_displaces_the_run_that_the_workflow_id_stands_for_by_then() {
    let world = World::new();
    let parent = world.start("p");
    let old = world.start("x");
    let spawn = |tx: &mut Transaction<'_>| {
        tx.spawn_child(
            &parent,
            child("x", ABANDON).on_conflict(IdConflictPolicy::TerminateExisting),
        )
    };
    let moved = overtaken(
        &world,
        |tx| spawn(tx).unwrap(),
        |tx| {
            tx.close_run(&old, Close::completed(b"")).unwrap();
            tx.start(run("x")).unwrap();
        },
    );
    assert_eq!(moved, workflow("x"));
    let between = world.current("x").unwrap();
    world.transact(spawn).unwrap();
    world.ends(|world| {
        assert_eq!(world.status(&old), RunStatus::Completed);
        assert_eq!(world.status(&between), RunStatus::Terminated);
        assert_eq!(world.status(&world.current("x").unwrap()), RunStatus::Running);
    });
}

/// Issue: the wrong child is bound. The child's first event names the Initiated event by its number, so the
/// parent must stay where it is, whether the caller says before or after that it may be anywhere.
#[test]
fn a_spawned_child_is_bound_to_its_own_initiation() {
    for first in [true, false] {
        let world = World::new();
        let parent = world.start("p");
        let mine = |tx: &mut Transaction<'_>| {
            if first {
                tx.expect(&parent, Expect::Any)?;
            }
            let mine = tx.spawn_child(&parent, child("mine", ABANDON))?.run;
            tx.expect(&parent, Expect::Any).map(|()| mine)
        };
        let other = |tx: &mut Transaction<'_>| {
            tx.initiate_child(&parent, child("other", ABANDON)).unwrap();
        };
        let moved = overtaken(&world, |tx| mine(tx).unwrap(), other);
        assert_eq!(moved, Moved::Run { run: parent, expected: 2, found: 3 });
        let (mine, _) = world.transact(mine).unwrap();
        let children: Vec<_> = world.children(&parent).unwrap().map(Result::unwrap).collect();
        let bound: Vec<_> = children.iter().map(|c| (&*c.workflow_id, c.first_run)).collect();
        assert_eq!(bound, [("other", None), ("mine", Some(mine))]);
    }
}

/// Issue: a reset forgets what happened meanwhile.
#[test]
fn a_reset_repeats_the_answer_that_came_while_it_was_built() {
    let world = World::new();
    let sender = world.start("sender");
    let target = world.start("target");
    world.commit(|tx| tx.signal_external(&sender, Target::workflow("target"), "s", b"").unwrap());
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let reset = |tx: &mut Transaction<'_>| tx.reset(&sender, NewReset::to(2));
    let moved = overtaken(&world, |tx| reset(tx).unwrap(), |tx| assert!(tx.settle(&duty).unwrap()));
    assert_eq!(moved, Moved::Run { run: sender, expected: 3, found: 4 });
    let (again, _) = world.transact(reset).unwrap();
    world.ends(|world| {
        assert_eq!(
            world.kinds(&again),
            [STARTED, SIGNAL_EXTERNAL_INITIATED, RESET, EXTERNAL_SIGNALED],
            "it hears that its signal arrived"
        );
        assert_eq!(world.kinds(&target), [STARTED, SIGNALED], "once");
    });
}

/// Issue: a signal is refused though its workflow was open all the time.
#[test]
fn a_signal_reaches_the_run_that_a_workflow_has_by_then() {
    for signal in [true, false] {
        let world = World::new();
        let sender = world.start("sender");
        let target = world.start("target");
        world.commit(|tx| match signal {
            true => tx.signal_external(&sender, Target::workflow("target"), "s", b"").unwrap(),
            false => tx.cancel_external(&sender, Target::workflow("target")).unwrap(),
        });
        let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
        let moved = overtaken(
            &world,
            |tx| assert!(tx.settle(&duty).unwrap()),
            |tx| assert!(tx.continue_as_new(&target, NextRun::new("T")).is_ok()),
        );
        assert_eq!(moved, workflow("target"));
        assert!(world.settle(&duty).unwrap().is_some());
        let next = world.current("target").unwrap();
        world.ends(|world| {
            assert_eq!(
                world.kinds(&next),
                if signal { [STARTED, SIGNALED] } else { [STARTED, CANCEL_REQUESTED] }
            );
            assert_eq!(
                world.kinds(&sender),
                if signal {
                    [STARTED, SIGNAL_EXTERNAL_INITIATED, EXTERNAL_SIGNALED]
                } else {
                    [STARTED, REQUEST_CANCEL_EXTERNAL_INITIATED, EXTERNAL_CANCEL_REQUESTED]
                }
            );
        });
    }
}

/// Issue: `settle_all` comes back with a policy still due, `settle` says that there is nothing.
#[test]
fn a_policy_reaches_the_run_that_its_child_has_by_then() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&parent);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let goes_on =
        |tx: &mut Transaction<'_>| assert!(tx.continue_as_new(&kid, NextRun::new("C")).is_ok());
    let settles = |tx: &mut Transaction<'_>| assert!(tx.settle(&duty).unwrap());
    let moved = overtaken(&world, settles, goes_on);
    assert_eq!(moved, Moved::Chain { first: kid });
    assert_eq!(world.drain(), 1);
    world.ends(|world| world.assert_kinds(&world.current("c").unwrap(), [STARTED, TERMINATED]));
}

/// The same within one transaction: each step sees those before it.
#[test]
fn a_policy_reaches_the_run_that_the_same_transaction_began() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&parent);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let next = world.commit(|tx| {
        let next = tx.continue_as_new(&kid, NextRun::new("C")).unwrap();
        assert!(tx.settle(&duty).unwrap());
        assert!(!tx.settle(&duty).unwrap(), "once");
        next
    });
    world.ends(|world| world.assert_kinds(&next, [STARTED, TERMINATED]));
}

/// Issue: errors of duties that somebody else settled.
#[test]
fn a_duty_that_somebody_else_settled_is_nothing_to_do() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    let duty = world.duties(DutyFilter::all()).map(Result::unwrap).next().unwrap();
    let settles = |tx: &mut Transaction<'_>| assert!(tx.settle(&duty).unwrap());
    let moved = overtaken(&world, settles, settles);
    assert_eq!(moved, Moved::Duty { run: parent, initiated_event_id: 2 });
    assert!(world.settle(&duty).unwrap().is_none());
    let mut found = world.begin();
    assert!(!found.settle(&duty).unwrap());
    found.commit().unwrap();
    world.ends(|world| {
        world
            .assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED])
    });
}

/// Issue: steps that are accepted and can never be committed.
#[test]
fn a_run_whose_end_is_being_told_is_not_reset_in_the_same_transaction() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.complete(&kid);
    let mut calls = 0;
    let outcome = world.settle_with(&DutyKind::ALL, |tx| {
        calls += 1;
        tx.reset(&kid, NewReset::to(1)).map(|_| ())
    });
    assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
    assert_eq!(calls, 1);
    assert_eq!(world.drain(), 1);
    world.commit(|tx| tx.reset(&kid, NewReset::to(1)).unwrap());
    world.ends(|world| {
        world
            .assert_kinds(&parent, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED])
    });
}

/// Issue: at the limit, `[7, close]` was refused step by step and accepted if it was built earlier.
#[test]
fn closing_a_run_does_not_excuse_the_event_before_it() {
    let world = World::new();
    world.limit(|limits| limits.history_events = 3);
    let id = world.start("p");
    let mut early = world.begin();
    early.expect(&id, Expect::Any).unwrap();
    early.append(&id, note()).unwrap();
    early.close_run(&id, Close::completed(b"")).unwrap();
    world.note(&id);
    world.note(&id);
    assert!(matches!(early.commit(), Err(Error::LimitExceeded { max: 3, .. })));
    let mut late = world.begin();
    assert!(matches!(late.append(&id, note()), Err(Error::LimitExceeded { max: 3, .. })));
    late.close_run(&id, Close::completed(b"")).unwrap();
    late.commit().unwrap();
    world.ends(|world| {
        world.assert_kinds(&id, [STARTED, MARKER_RECORDED, MARKER_RECORDED, COMPLETED])
    });
}

/// Issue: a repeated start in one transaction was an error.
#[test]
fn a_start_finds_the_run_that_the_same_transaction_began() {
    let world = World::new();
    let ids = world.commit(|tx| {
        let first = tx.start(run("x").request_id("r")).unwrap();
        let again = tx.start_or_find(run("x").request_id("r")).unwrap();
        assert_eq!(again, StartOutcome::Repeated(first));
        let uses = run("x").on_conflict(IdConflictPolicy::UseExisting);
        assert_eq!(tx.start_or_find(uses).unwrap(), StartOutcome::Existing(first));
        assert!(matches!(tx.start(run("x")), Err(Error::WorkflowExists { open: true, .. })));
        let second = run("x").on_conflict(IdConflictPolicy::TerminateExisting);
        let second = tx.start(second).unwrap();
        tx.close_run(&second, Close::completed(b"")).unwrap();
        [first, second, tx.start(run("x")).unwrap()]
    });
    world.ends(|world| {
        assert_eq!(
            ids.map(|id| world.kinds(&id)),
            [vec![STARTED, TERMINATED], vec![STARTED, COMPLETED], vec![STARTED]]
        );
        assert_eq!(world.current("x"), Some(ids[2]));
    });
}

/// A refusal is an answer, too.
#[test]
fn a_refused_step_must_be_refused_at_the_commit_as_well() {
    let world = World::new();
    let (x, other) = (world.start("x"), world.start("other"));
    let taken = |tx: &mut Transaction<'_>| {
        assert!(matches!(tx.start(run("x")), Err(Error::WorkflowExists { .. })));
        tx.append(&other, note()).unwrap();
    };
    let closes =
        |tx: &mut Transaction<'_>| assert!(tx.close_run(&x, Close::completed(b"")).is_ok());
    assert_eq!(overtaken(&world, taken, closes), workflow("x"));
    let mut tx = world.begin();
    let unknown = RunId::from_bytes([7; 16]);
    assert!(matches!(tx.append(&unknown, note()), Err(Error::RunNotFound { .. })));
    tx.append(&other, note()).unwrap();
    world.commit(|tx| tx.start(run("late").id(unknown)).unwrap());
    let moved = Moved::Run { run: unknown, expected: 0, found: 2 };
    assert!(matches!(tx.commit(), Err(Error::Overtaken { moved: found, .. }) if found == moved));
}

#[test]
fn a_transaction_that_is_overtaken_each_time_is_given_up_and_says_why() {
    let world = World::new();
    let id = world.start("p");
    let mut attempts = 0;
    let outcome = world.transact(|tx| {
        attempts += 1;
        tx.append(&id, note())?;
        world.note(&id);
        Ok(())
    });
    match outcome {
        Err(Error::Overtaken { moved: Moved::Run { run, .. }, attempts: told }) => {
            assert_eq!((run, told, attempts), (id, 100, 100));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(world.transact(|tx| tx.close_run(&id, Close::completed(b""))), Ok((102, _))));
    let refused = world.transact(|tx| tx.append(&id, note()));
    assert!(matches!(refused, Err(Error::RunClosed { .. })), "an answer, not to be asked again");
}

/// Limits that were set meanwhile hold for what is committed after.
#[test]
fn limits_are_part_of_what_a_transaction_saw() {
    let world = World::new();
    let id = world.start("p");
    let mut tx = world.begin();
    tx.expect(&id, Expect::Any).unwrap();
    tx.append(&id, note()).unwrap();
    world.limit(|limits| limits.history_events = 1);
    assert!(matches!(tx.commit(), Err(Error::Overtaken { moved: Moved::Limits, .. })));
    assert!(matches!(world.append(&id, note()), Err(Error::LimitExceeded { max: 1, .. })));
}

/// A run that was found, and closed before it got its first event: where the transaction goes on at the
/// present, it is closed.
#[test]
fn a_run_that_closed_since_it_was_found_takes_no_blind_append() {
    let world = World::new();
    let (closes, moves) = (world.start("closes"), world.start("moves"));
    let mut tx = world.begin();
    tx.expect(&closes, Expect::Any).unwrap();
    world.complete(&closes);
    world.note(&moves);
    tx.append(&moves, note()).unwrap();
    assert!(matches!(tx.append(&closes, note()), Err(Error::RunClosed { .. })));
    tx.commit().unwrap();
    world.ends(|world| world.assert_kinds(&closes, [STARTED, COMPLETED]));
}
