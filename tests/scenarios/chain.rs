//! Chains: the runs of one execution, each begun in the commit that closes the one before.

use kinlog::event::Initiator;
use kinlog::{
    Body, Close, Error, EventKind, IdReusePolicy, NewEvent, NewReset, NextRun, RunStatus,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, World, child, note, run};

/// The close, the next run and the move of the workflow's current run are one commit; everything
/// begins anew but the names, the parent and the root.
#[test]
fn a_run_goes_on_in_one_commit() {
    let world = World::new();
    let first = world.start("p");
    world.note(&first);
    let before = world.snapshot();
    let next = NextRun::new("Other").input(b"in").task_queue("q");
    let second = world.commit(|tx| tx.continue_as_new(&first, next).unwrap());
    assert_eq!(before.current_run("shop", "p").unwrap(), Some(first));
    world.ends(|world| {
        assert_eq!(world.current("p"), Some(second));
        assert_eq!(world.status(&first), RunStatus::ContinuedAsNew);
        world.event(&first, 3, |event| match event.body() {
            Body::WorkflowExecutionContinuedAsNew(body) => {
                assert_eq!((body.new_run_id, body.initiator), (Some(second), Initiator::Workflow));
            }
            other => panic!("{other:?}"),
        });
        world.event(&second, 1, |event| {
            let Body::WorkflowExecutionStarted(started) = event.body() else { panic!() };
            assert_eq!((started.first_run_id, started.continued_run_id), (first, Some(first)));
            let names = (started.namespace, started.workflow_id, started.workflow_type);
            assert_eq!(names, ("shop", "p", "Other"));
            assert_eq!((started.parent_run_id, started.root_run_id), (None, None));
            assert_eq!((event.payload(), started.task_queue), (b"in".as_slice(), "q"));
        });
    });
}

/// Retries count their attempts, a schedule says that it is one, and each names the run that
/// follows.
#[test]
fn retry_and_cron() {
    let world = World::new();
    let first = world.start("p");
    let second = world.commit(|tx| {
        tx.close_and_continue(&first, Close::failed(b"no"), NextRun::retry("P", 2)).unwrap()
    });
    let third = world.commit(|tx| {
        tx.close_and_continue(&second, Close::completed(b""), NextRun::cron("P")).unwrap()
    });
    let fourth = world.commit(|tx| {
        tx.close_and_continue(&third, Close::timed_out(), NextRun::retry("P", 2)).unwrap()
    });
    world.ends(|world| {
        let runs = [first, second, third, fourth];
        let kinds = runs.map(|run| world.kinds(&run));
        assert_eq!(
            kinds,
            [
                vec![STARTED, FAILED],
                vec![STARTED, COMPLETED],
                vec![STARTED, TIMED_OUT],
                vec![STARTED]
            ]
        );
        let begun = [second, third, fourth].map(|run| {
            world.event(&run, 1, |event| match event.body() {
                Body::WorkflowExecutionStarted(started) => (started.initiator, started.attempt),
                other => panic!("{other:?}"),
            })
        });
        let expected = [(Initiator::Retry, 2), (Initiator::CronSchedule, 0), (Initiator::Retry, 2)];
        assert_eq!(begun, expected);
        let chain = world.chain(&third).unwrap();
        assert_eq!(chain.runs().map(Result::unwrap).map(|run| run.id).collect::<Vec<_>>(), runs);
    });
}

/// A run that was canceled or terminated ends its chain.
#[test]
fn no_run_follows_a_cancel_or_a_termination() {
    let world = World::new();
    let id = world.start("p");
    for close in [Close::canceled(b""), Close::terminated("")] {
        let refused = world.begin().close_and_continue(&id, close, NextRun::new("P"));
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    }
    world.ends(|world| world.assert_kinds(&id, [STARTED]));
}

/// A run may go on several times in one commit, also one that begins there.
#[test]
fn several_runs_of_a_chain_in_one_commit() {
    let world = World::new();
    let runs = world.commit(|tx| {
        let first = tx.start(run("p")).unwrap();
        let second = tx.continue_as_new(&first, NextRun::new("P")).unwrap();
        tx.append(&second, note()).unwrap();
        let third = tx.continue_as_new(&second, NextRun::new("P")).unwrap();
        tx.spawn_child(&third, child("c", ABANDON)).unwrap();
        [first, second, third]
    });
    world.ends(|world| {
        assert_eq!(
            runs.map(|run| world.kinds(&run)),
            [
                vec![STARTED, CONTINUED_AS_NEW],
                vec![STARTED, MARKER_RECORDED, CONTINUED_AS_NEW],
                vec![STARTED, START_CHILD_INITIATED, CHILD_STARTED]
            ]
        );
        assert_eq!(world.current("p"), Some(runs[2]));
        assert_eq!(world.chain(&runs[0]).unwrap().len(), 3);
    });
}

/// The workflow id belongs to the chain for as long as it goes on; a new start begins another one.
#[test]
fn a_new_start_is_another_chain() {
    let world = World::new();
    let first = world.start("p");
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("P")).unwrap());
    let taken = world.begin().start(run("p").on_reuse(IdReusePolicy::AllowDuplicateFailedOnly));
    assert!(matches!(taken, Err(Error::WorkflowExists { run, .. }) if run == second));
    world.shut(&second, Close::failed(b""));
    let other = world.start("p");
    world.ends(|world| {
        assert_eq!(world.chain(&first).unwrap().len(), 2);
        assert_eq!(world.chain(&other).unwrap().first_run_id(), other);
        assert_eq!(world.runs_of("p"), 3);
    });
}

/// A chain says how its runs follow each other: by continuing or by a reset.
#[test]
fn links_of_a_chain() {
    let world = World::new();
    let first = world.start("p");
    world.note(&first);
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("P")).unwrap());
    let third = world.commit(|tx| tx.reset(&first, NewReset::to(2)).unwrap());
    let custom = EventKind::from_number(2_000);
    let event = NewEvent::opaque(custom, b"");
    world.commit(|tx| tx.append(&third, event).unwrap());
    world.ends(|world| {
        let chain = world.chain(&second).unwrap();
        let links: Vec<_> = chain.links().map(Result::unwrap).collect();
        let before: Vec<_> = links.iter().map(|link| (link.run.id, link.before)).collect();
        assert_eq!(before, [(first, None), (second, Some(first)), (third, Some(first))]);
        assert_eq!(chain.current().id, third);
        let kinds: Vec<_> = chain.events().map(|event| event.unwrap().1.kind()).collect();
        assert_eq!(
            kinds,
            [
                STARTED, MARKER_RECORDED, CONTINUED_AS_NEW, STARTED, TERMINATED, STARTED,
                MARKER_RECORDED, RESET, custom
            ]
        );
    });
}
