//! Deleted runs that others were made of, continue, or have something of: in chains, imported ones too, and by resets.

use kinlog::error::Moved;
use kinlog::event::{ChildInitiated, ChildStarted, ContinuedAsNew, Started};
use kinlog::retention::Keep;
use kinlog::{
    Body, Close, Error, NewEvent, NewReset, NewRun, NextRun, RunId, RunStatus, Size, Target,
    Timestamp,
};
use kinlog_testing::kinds::*;
use kinlog_testing::steps::recorded;

use super::support::{ABANDON, NAMESPACE, World, note, overtaken, run};

fn delete(world: &World, run: &RunId, keep: Keep) {
    world.commit(|tx| tx.delete_run(run, keep).unwrap());
}

fn reset(world: &World, base: &RunId, to: u32) -> RunId {
    world.commit(|tx| tx.reset(base, NewReset::to(to)).unwrap())
}

fn id(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

/// Records runs that continue each other, in this order of arrival.
fn record(world: &World, started: Started<'_>, next: Option<RunId>) {
    world.commit(|tx| {
        let time = Timestamp::from_unix_nanos(i64::from(started.run_id.as_bytes()[0]));
        let run = tx.start(NewRun::imported(started).at(time)).unwrap();
        let body = match next {
            Some(_) => Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew {
                new_run_id: next,
                ..Default::default()
            }),
            None => Body::WorkflowExecutionCompleted(Default::default()),
        };
        tx.append(&run, NewEvent::new(body)).unwrap();
    });
}

/// Three runs that name each other, and not the first one of them.
fn linked(world: &World) -> [RunId; 3] {
    let runs = [id(1), id(2), id(3)];
    let after = |run, before| Started { continued_run_id: Some(before), ..recorded(run, "order") };
    record(world, recorded(runs[0], "order"), Some(runs[1]));
    record(world, after(runs[1], runs[0]), Some(runs[2]));
    record(world, after(runs[2], runs[1]), None);
    runs
}

#[track_caller]
fn assert_deleted<T: std::fmt::Debug>(found: kinlog::Result<T>, run: RunId, kept: Keep) {
    match found {
        Err(Error::RunDeleted { run: of, kept: keep }) => assert_eq!((of, keep), (run, kept)),
        other => panic!("not deleted: {other:?}"),
    }
}

#[test]
fn imported_runs_that_are_linked_stay_one_chain_whichever_is_deleted() {
    for keep in [Keep::Outcome, Keep::Nothing] {
        for gone in 0..3 {
            let world = World::new();
            let runs = linked(&world);
            let whole: Vec<_> =
                world.chain(&runs[0]).unwrap().runs().map(|run| run.unwrap().id).collect();
            assert_eq!(whole, runs);
            delete(&world, &runs[gone], keep);
            let left = |run: &RunId| keep == Keep::Outcome || *run != runs[gone];
            let left: Vec<RunId> = runs.into_iter().filter(left).collect();
            // What the last one says of the next that is left.
            let next = Some(runs[gone]).filter(|_| keep == Keep::Nothing && gone == 2);
            world.ends(|world| {
                for run in &left {
                    let chain = world.chain(run).unwrap();
                    let found: Vec<_> = chain.runs().map(|run| run.unwrap().id).collect();
                    assert_eq!(found, left, "{keep:?} {gone}");
                    assert_eq!(chain.first_run_id(), runs[0]);
                    assert_eq!(chain.first_is_here(), left.contains(&runs[0]));
                    assert_eq!(chain.links().map(Result::unwrap).count(), left.len());
                    assert_eq!(chain.next_not_here().unwrap(), next);
                    assert_eq!(world.chain_size(run).unwrap().runs, left.len() as u64);
                    assert_eq!(chain.size().unwrap(), world.chain_size(run).unwrap());
                }
            });
        }
    }
}

/// The first one to arrive is the end of the chain, and can be deleted though it has others before it.
#[test]
fn the_end_of_an_imported_chain_is_deleted_if_it_was_not_the_last_to_arrive() {
    let world = World::new();
    let (first, last) = (id(1), id(2));
    let parent = id(9);
    let child = |run: RunId| Started {
        first_run_id: first,
        parent_run_id: Some(parent),
        parent_workflow_id: "p",
        parent_initiated_event_id: 2,
        ..recorded(run, "c")
    };
    record(&world, Started { continued_run_id: Some(first), ..child(last) }, None);
    record(&world, child(first), Some(last));
    world.commit(|tx| {
        tx.start(NewRun::imported(recorded(parent, "p"))).unwrap();
        let initiated =
            ChildInitiated { workflow_id: "c", close_policy: ABANDON, ..Default::default() };
        let started = ChildStarted { run_id: first, initiated_event_id: 2 };
        for body in [
            Body::StartChildWorkflowExecutionInitiated(initiated),
            Body::ChildWorkflowExecutionStarted(started),
        ] {
            tx.append(&parent, NewEvent::new(body)).unwrap();
        }
    });
    let before = world.children(&parent).unwrap().next().unwrap().unwrap();
    assert_eq!(before.current.as_ref().map(|run| run.id), Some(last));
    delete(&world, &last, Keep::Nothing);
    world.ends(|world| {
        let child = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!(child.current.map(|run| (run.id, run.deleted)), Some((first, None)));
        assert_eq!((child.outcome, child.size), (before.outcome, before.size));
        assert!(child.is_here && !child.is_deleted);
        let nodes: Vec<_> = world.tree(&parent).unwrap().map(Result::unwrap).collect();
        assert_eq!(nodes[1].run.as_ref().map(|run| run.id), Some(first));
    });
}

#[test]
fn imported_runs_of_one_name_go_in_any_order_but_the_last_to_arrive() {
    let world = World::new();
    let runs = [id(3), id(1), id(2)];
    for run in runs {
        record(&world, Started { first_run_id: id(7), ..recorded(run, "c") }, None);
    }
    let refused = world.begin().delete_run(&runs[2], Keep::Nothing);
    assert!(matches!(refused, Err(Error::NotDeletable { .. })), "{refused:?}");
    delete(&world, &runs[2], Keep::Outcome);
    delete(&world, &runs[1], Keep::Nothing);
    // All that is left, with the last one among them.
    world.commit(|tx| tx.delete_chain(&runs[0], Keep::Nothing).unwrap());
    // Another one of the chain comes when all are gone.
    record(&world, Started { first_run_id: id(7), ..recorded(id(4), "c") }, None);
    delete(&world, &id(4), Keep::Nothing);
    world.ends(|world| assert_eq!(world.namespace_size(NAMESPACE), Size::default()));
}

/// What the run that has the requests has learned of them cannot be told again.
#[test]
fn a_reset_is_refused_whose_requests_went_to_a_run_that_is_deleted() {
    for answered in [true, false] {
        for keep in [Keep::Outcome, Keep::Nothing] {
            let world = World::new();
            let (base, target) = (world.start("p"), world.start("t"));
            world.commit(|tx| tx.signal_external(&base, Target::workflow("t"), "s", b"").unwrap());
            let fork = reset(&world, &base, 2);
            if answered {
                assert_eq!(world.drain(), 1);
            }
            world.complete(&fork);
            let last = reset(&world, &base, 1);
            delete(&world, &fork, keep);
            let refused = world.begin().reset(&base, NewReset::to(2));
            assert_deleted(refused, fork, keep);
            // Before the request, there is nothing to be told.
            let again = reset(&world, &base, 1);
            world.complete(&again);
            world.ends(|world| {
                assert_eq!(world.status(&last), RunStatus::Terminated);
                assert_eq!(world.kinds(&target).len(), 1 + usize::from(answered));
                assert_deleted(world.begin().reset(&base, NewReset::to(2)), fork, keep);
            });
        }
    }
}

/// A request that is on its way when the run that it came from is closed and deleted.
#[test]
fn the_requests_of_a_deleted_run_are_nobodys() {
    let world = World::new();
    let (sender, target) = (world.start("p"), world.start("t"));
    world.commit(|tx| {
        tx.signal_external(&sender, Target::workflow("t"), "s", b"").unwrap();
        tx.cancel_external(&sender, Target::workflow("t")).unwrap();
    });
    world.complete(&sender);
    delete(&world, &sender, Keep::Nothing);
    assert_eq!(world.drain(), 0);
    world.ends(|world| world.assert_kinds(&target, [STARTED]));
}

#[test]
fn a_transaction_meets_its_own_deletions() {
    let world = World::new();
    let gone = world.start("gone");
    world.note(&gone);
    world.complete(&gone);
    for looked_at_before in [true, false] {
        let mut tx = world.begin();
        if looked_at_before {
            assert!(matches!(tx.append(&gone, note()), Err(Error::RunClosed { .. })));
        }
        tx.delete_run(&gone, Keep::Outcome).unwrap();
        assert_deleted(tx.event_by_key(&gone, 1), gone, Keep::Outcome);
        assert!(matches!(tx.signal(&gone, "late", b""), Err(Error::RunClosed { .. })));
        tx.delete_run(&gone, Keep::Nothing).unwrap();
        assert_deleted(tx.append(&gone, note()), gone, Keep::Nothing);
        assert_deleted(tx.close_run(&gone, Close::completed(b"")), gone, Keep::Nothing);
        assert_deleted(tx.event_by_key(&gone, 1), gone, Keep::Nothing);
        assert_deleted(tx.continue_as_new(&gone, NextRun::new("Order")), gone, Keep::Nothing);
        assert!(matches!(tx.start(run("x").id(gone)), Err(Error::RunExists { .. })));
        tx.delete_run(&gone, Keep::Outcome).unwrap();
    }
    delete(&world, &gone, Keep::Nothing);
    world.ends(|world| assert_eq!(world.current("gone"), None));
}

/// What others see before and after one commit that frees a workflow id and uses it.
#[test]
fn a_snapshot_from_before_a_deletion_and_a_start_in_one_commit() {
    let mut world = World::new();
    let old = world.start("order");
    world.complete(&old);
    let size = world.namespace_size(NAMESPACE);
    let before = world.snapshot();
    let new = world.commit(|tx| {
        tx.delete_run(&old, Keep::Nothing).unwrap();
        tx.start(run("order")).unwrap()
    });
    assert_eq!(before.namespace_size(NAMESPACE), size);
    assert_eq!(before.current_run(NAMESPACE, "order").unwrap(), Some(old));
    assert_eq!(before.run(&old).unwrap().deleted, None);
    drop(before);
    for _ in 0..2 {
        assert_eq!(world.current("order"), Some(new));
        let now = world.run(&new).unwrap();
        let left = Size { runs: 1, events: now.events.into(), bytes: now.bytes };
        assert_eq!(world.namespace_size(NAMESPACE), left);
        world.reopen();
    }
}

/// Runs of a chain are deleted when the disk is full, as rows are.
#[test]
fn a_transaction_that_deletes_runs_may_use_the_reserve() {
    let world = World::new();
    let gone = world.start("gone");
    world.complete(&gone);
    let mut tx = world.begin();
    tx.delete_run(&gone, Keep::Nothing).unwrap();
    assert!(tx.may_use_reserve());
    tx.put("t", b"key", b"value").unwrap();
    assert!(!tx.may_use_reserve());
}

/// The order in which a transaction says it is the order in which it is checked, now and at every opening.
#[test]
fn the_last_run_of_a_chain_is_deleted_between_two_looks_at_it() {
    let world = World::new();
    let first = world.start("order");
    let last = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("Order")).unwrap());
    world.complete(&last);
    world.commit(|tx| {
        tx.delete_run(&last, Keep::Outcome).unwrap();
        let refused = tx.delete_run(&last, Keep::Nothing);
        assert!(matches!(refused, Err(Error::NotDeletable { .. })), "{refused:?}");
        tx.delete_run(&first, Keep::Nothing).unwrap();
        tx.delete_run(&last, Keep::Nothing).unwrap();
    });
    world.ends(|world| {
        assert_eq!(world.stats().unwrap().deleted_histories.runs, 2);
        assert_eq!(world.current("order"), None);
    });
}

/// The child was open when the reset looked at it: nobody was told how it ended then, and nobody could be now.
#[test]
fn a_child_that_ends_and_is_deleted_overtakes_a_reset_of_its_parent() {
    for continues in [false, true] {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", ABANDON);
        world.complete(&parent);
        let mut late = world.begin();
        late.reset(&parent, NewReset::to(3)).unwrap();
        let last = match continues {
            true => world.commit(|tx| tx.continue_as_new(&kid, NextRun::new("T")).unwrap()),
            false => kid,
        };
        world.complete(&last);
        world.commit(|tx| tx.delete_chain(&kid, Keep::Nothing).unwrap());
        let moved = overtaken(late.commit().unwrap_err());
        assert_eq!(moved, Moved::Deletion { run: last });
        world.ends(|world| {
            assert_deleted(world.begin().reset(&parent, NewReset::to(3)), last, Keep::Nothing);
        });
    }
}

/// What a transaction was told of a closed run, or builds on it, holds no more once that is deleted.
#[test]
fn a_deletion_overtakes_who_found_the_run_whole() {
    for keep in [Keep::Outcome, Keep::Nothing] {
        let world = World::new();
        let order = world.start("order");
        world.complete(&order);
        // Its workflow id is of another run, which stays.
        let current = world.start("order");
        let (mut told, mut based) = (world.begin(), world.begin());
        assert!(matches!(told.signal(&order, "late", b""), Err(Error::RunClosed { .. })));
        told.put("seen", b"key", b"closed").unwrap();
        based.reset(&order, NewReset::to(1)).unwrap();
        delete(&world, &order, keep);
        for late in [told, based] {
            let moved = overtaken(late.commit().unwrap_err());
            assert_eq!(moved, Moved::Deletion { run: order }, "{keep:?}");
        }
        world.ends(|world| assert_eq!(world.current("order"), Some(current)));
    }
}

/// Deleted runs have no children any more, and are not counted as if they had.
#[test]
fn the_children_of_a_chain_are_those_of_the_runs_with_a_history() {
    let world = World::new();
    let first = world.start("p");
    let kid = world.spawn(&first, "c", ABANDON);
    let last = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("Order")).unwrap());
    let other = world.spawn(&last, "d", ABANDON);
    let of_chain = |world: &World| {
        let found = world.children_of_chain(&last).unwrap().map(Result::unwrap);
        found.map(|(run, child)| (run, child.first_run)).collect::<Vec<_>>()
    };
    assert_eq!(of_chain(&world), [(first, Some(kid)), (last, Some(other))]);
    delete(&world, &first, Keep::Outcome);
    world.ends(|world| {
        assert_eq!(of_chain(world), [(last, Some(other))]);
        assert_eq!(world.stats().unwrap().relations, 1);
    });
}
