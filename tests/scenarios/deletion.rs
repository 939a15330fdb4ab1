//! Deleting runs: what is free and what is told afterwards, what stays known to others, and what cannot be deleted.

use kinlog::error::{Moved, Undeletable};
use kinlog::retention::Keep;
use kinlog::{
    Close, DutyKind, Error, IdReusePolicy, NewReset, NextRun, RunFilter, RunId, RunStatus, Size,
    Target,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, NAMESPACE, REQUEST_CANCEL, TERMINATE, World, child, overtaken, run};

const KEEPS: [Keep; 2] = [Keep::Outcome, Keep::Nothing];

fn delete(world: &World, run: &RunId, keep: Keep) {
    world.commit(|tx| tx.delete_run(run, keep).unwrap());
}

fn delete_chain(world: &World, run: &RunId, keep: Keep) {
    world.commit(|tx| tx.delete_chain(run, keep).unwrap());
}

fn closed(world: &World, workflow_id: &str) -> RunId {
    let run = world.start(workflow_id);
    world.note(&run);
    world.complete(&run);
    run
}

fn next(world: &World, run: &RunId) -> RunId {
    world.commit(|tx| tx.continue_as_new(run, NextRun::new("Order")).unwrap())
}

#[track_caller]
fn assert_deleted<T: std::fmt::Debug>(found: kinlog::Result<T>, run: RunId, kept: Keep) {
    match found {
        Err(Error::RunDeleted { run: of, kept: keep }) => assert_eq!((of, keep), (run, kept)),
        other => panic!("not deleted: {other:?}"),
    }
}

/// Both ways to delete the run are refused for this reason.
#[track_caller]
fn assert_kept(world: &World, run: &RunId, reason: Undeletable) {
    for keep in KEEPS {
        match world.begin().delete_run(run, keep) {
            Err(Error::NotDeletable { run: of, why }) => assert_eq!((of, why), (*run, reason)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_deleted_run_is_told_as_such_and_its_workflow_id_is_free() {
    let world = World::new();
    let gone = closed(&world, "order");
    let before = world.snapshot();
    let size = world.namespace_size(NAMESPACE);
    delete(&world, &gone, Keep::Nothing);
    let again = world.commit(|tx| {
        let only = run("order").on_reuse(IdReusePolicy::RejectDuplicate);
        tx.start(only).unwrap()
    });
    assert_eq!(before.history(&gone).unwrap().len(), 3, "a snapshot from before has it");
    assert_eq!(before.current_run(NAMESPACE, "order").unwrap(), Some(gone));
    assert_eq!(before.namespace_size(NAMESPACE), size);
    assert_eq!(before.runs(RunFilter::all()).count(), 1);
    drop(before);
    world.ends(|world| {
        assert_deleted(world.history(&gone), gone, Keep::Nothing);
        assert_deleted(world.run(&gone), gone, Keep::Nothing);
        assert_deleted(world.chain(&gone), gone, Keep::Nothing);
        assert_deleted(world.children(&gone), gone, Keep::Nothing);
        assert_deleted(world.tree(&gone), gone, Keep::Nothing);
        assert_deleted(world.parent(&gone), gone, Keep::Nothing);
        assert_deleted(world.outcome(&gone), gone, Keep::Nothing);
        assert_deleted(world.event_by_key(&gone, 1), gone, Keep::Nothing);
        assert_deleted(world.begin().signal(&gone, "late", b""), gone, Keep::Nothing);
        assert_eq!((world.current("order"), world.runs_of("order")), (Some(again), 1));
        assert_eq!(world.snapshot().runs(RunFilter::all()).count(), 1);
        let stats = world.stats().unwrap();
        let deleted = Size { runs: 1, events: size.events, bytes: size.bytes };
        assert_eq!((stats.runs, stats.deleted_runs), (1, 1));
        assert_eq!(stats.deleted_histories, deleted);
        let now = world.run(&again).unwrap();
        let left = Size { runs: 1, events: now.events.into(), bytes: now.bytes };
        assert_eq!(world.namespace_size(NAMESPACE), left);
        let taken = world.begin().start(run("other").id(gone));
        assert!(matches!(taken, Err(Error::RunExists { .. })), "its id is not used again");
    });
}

#[test]
fn an_outcome_that_is_kept_goes_on_to_answer_repeated_starts() {
    let world = World::new();
    let first = || run("order").request_id("5f3a").on_reuse(IdReusePolicy::RejectDuplicate);
    let order = world.commit(|tx| tx.start(first()).unwrap());
    world.complete(&order);
    let was = world.run(&order).unwrap();
    delete(&world, &order, Keep::Outcome);
    world.ends(|world| {
        let is = world.run(&order).unwrap();
        assert_eq!(is.deleted, Some(Keep::Outcome));
        let mut as_it_was = is.clone();
        as_it_was.deleted = None;
        assert_eq!(as_it_was, was);
        assert_eq!(world.outcome(&order).unwrap().unwrap(), b"done");
        assert_deleted(world.history(&order), order, Keep::Outcome);
        assert_deleted(world.children(&order), order, Keep::Outcome);
        assert_deleted(world.event_by_key(&order, 1), order, Keep::Outcome);
        assert_deleted(world.begin().event_by_key(&order, 1), order, Keep::Outcome);
        let reset = world.begin().reset(&order, NewReset::to(1));
        assert_deleted(reset, order, Keep::Outcome);
        assert_eq!(world.begin().start(first()).unwrap(), order);
        let refused = world.begin().start(run("order").on_reuse(IdReusePolicy::RejectDuplicate));
        assert!(matches!(refused, Err(Error::WorkflowExists { run, .. }) if run == order));
        assert_eq!(world.namespace_size(NAMESPACE), Size { runs: 1, ..Size::default() });
        assert_eq!(world.chain_size(&order).unwrap(), Size { runs: 1, ..Size::default() });
        assert_eq!(world.runs_of("order"), 1);
    });
}

#[test]
fn what_was_deleted_is_deleted_once_and_only_further() {
    let world = World::new();
    let order = closed(&world, "order");
    for keep in [Keep::Outcome, Keep::Outcome, Keep::Nothing, Keep::Outcome, Keep::Nothing] {
        delete(&world, &order, keep);
    }
    // Both in one transaction, and more than once.
    let other = closed(&world, "other");
    world.commit(|tx| {
        tx.delete_run(&other, Keep::Outcome).unwrap();
        tx.delete_run(&other, Keep::Nothing).unwrap();
        tx.delete_run(&other, Keep::Nothing).unwrap();
        // The id is free within the transaction, too.
        tx.start(run("other").on_reuse(IdReusePolicy::RejectDuplicate)).unwrap();
    });
    let nothing = world.begin();
    let end = world.end();
    let mut again = world.begin();
    again.delete_run(&order, Keep::Nothing).unwrap();
    again.commit().unwrap();
    drop(nothing);
    assert_eq!(world.end(), end, "a repeated deletion logs nothing");
    world.ends(|world| {
        assert_deleted(world.run(&order), order, Keep::Nothing);
        assert_deleted(world.run(&other), other, Keep::Nothing);
        assert_eq!(world.stats().unwrap().deleted_histories.runs, 2);
        assert_eq!(world.runs_of("other"), 1);
    });
}

#[test]
fn open_runs_are_not_deleted_also_where_the_transaction_closes_or_starts_them() {
    let world = World::new();
    let open = world.start("open");
    assert_kept(&world, &open, Undeletable::Open);
    let mut tx = world.begin();
    tx.close_run(&open, Close::completed(b"")).unwrap();
    let refused = tx.delete_run(&open, Keep::Nothing);
    assert!(matches!(refused, Err(Error::NotDeletable { why: Undeletable::Open, .. })));
    let new = tx.start(run("new")).unwrap();
    let refused = tx.delete_run(&new, Keep::Nothing);
    assert!(matches!(refused, Err(Error::NotDeletable { why: Undeletable::Open, .. })));
    let unknown = RunId::from_bytes([7; 16]);
    let refused = tx.delete_run(&unknown, Keep::Nothing);
    assert!(matches!(refused, Err(Error::RunNotFound { run }) if run == unknown));
    tx.commit().unwrap();
    world.ends(|world| assert_eq!(world.status(&open), RunStatus::Completed));
}

#[test]
fn a_parent_is_deleted_once_its_policies_are_settled() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let asked = world.spawn(&parent, "a", REQUEST_CANCEL);
    let free = world.spawn(&parent, "f", ABANDON);
    world.complete(&parent);
    assert_kept(&world, &parent, Undeletable::Unsettled);
    assert_eq!(world.drain(), 2);
    delete(&world, &parent, Keep::Nothing);
    // Those that are open go on, and their ends are nobody's.
    for child in [asked, free] {
        world.complete(&child);
    }
    world.ends(|world| {
        assert_eq!(world.status(&kid), RunStatus::Terminated);
        for child in [kid, asked, free] {
            let found = world.parent(&child).unwrap().unwrap();
            assert_eq!((found.run, found.is_here), (parent, false));
            assert!(!world.root(&child).unwrap().is_here);
        }
    });
}

#[test]
fn a_parent_keeps_outcome_and_size_of_a_child_that_is_deleted() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.note(&kid);
    let last = next(&world, &kid);
    world.shut(&last, Close::failed(b"no stock"));
    assert!(matches!(
        world.begin().delete_run(&last, Keep::Nothing),
        Err(Error::NotDeletable { run, why: Undeletable::LastOfChain }) if run == last
    ));
    assert!(matches!(
        world.begin().delete_chain(&kid, Keep::Nothing),
        Err(Error::NotDeletable { run, why: Undeletable::Untold }) if run == last
    ));
    assert_eq!(world.drain(), 1);
    let was = world.children(&parent).unwrap().next().unwrap().unwrap();
    let below = world.tree_size(&parent).unwrap();
    delete_chain(&world, &kid, Keep::Nothing);
    world.ends(|world| {
        let is = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!((is.outcome, is.reported), (Some(RunStatus::Failed), true));
        assert_eq!((is.size, is.first_run, is.state), (was.size, was.first_run, was.state));
        assert!(is.is_deleted && !is.is_here && is.current.is_none() && !was.is_deleted);
        let nodes: Vec<_> = world.tree(&parent).unwrap().map(Result::unwrap).collect();
        assert_eq!(nodes.len(), 2);
        assert!(nodes[1].run.is_none() && nodes[1].size == Size::default());
        let (own, kin) = (world.run(&parent).unwrap().bytes, was.size.bytes);
        assert_eq!((below.bytes, world.tree_size(&parent).unwrap().bytes), (own + kin, own));
        for run in [kid, last] {
            assert_deleted(world.run(&run), run, Keep::Nothing);
        }
        assert_eq!(world.current("c"), None);
    });
}

#[test]
fn any_run_of_a_chain_is_deleted_but_the_last() {
    let world = World::new();
    let first = world.start("order");
    let second = next(&world, &first);
    let third = next(&world, &second);
    delete(&world, &second, Keep::Nothing);
    delete(&world, &first, Keep::Outcome);
    assert_kept(&world, &third, Undeletable::Open);
    world.complete(&third);
    let refused = world.begin().delete_run(&third, Keep::Nothing);
    assert!(matches!(refused, Err(Error::NotDeletable { why: Undeletable::LastOfChain, .. })));
    let chain = world.chain(&third).unwrap();
    let runs: Vec<_> = chain.runs().map(|run| run.unwrap().id).collect();
    assert_eq!((runs, chain.first_run_id()), (vec![first, third], first));
    let events: Vec<_> = chain.events().collect();
    assert_deleted(events.into_iter().next().unwrap(), first, Keep::Outcome);
    let whole = world.run(&third).unwrap();
    let size = Size { runs: 2, events: whole.events.into(), bytes: whole.bytes };
    assert_eq!((chain.size().unwrap(), world.chain_size(&first).unwrap()), (size, size));
    world.commit(|tx| {
        tx.delete_run(&first, Keep::Nothing).unwrap();
        tx.delete_run(&third, Keep::Nothing).unwrap();
    });
    world.ends(|world| {
        for run in [first, second, third] {
            assert_deleted(world.chain(&run), run, Keep::Nothing);
        }
        assert_eq!((world.current("order"), world.runs_of("order")), (None, 0));
    });
}

/// Scenario 25: a run and one that shares its events are deleted in any order.
#[test]
fn what_a_reset_shares_outlives_the_run_that_it_came_from() {
    let world = World::new();
    for base_first in [true, false] {
        let name = format!("base first: {base_first}");
        let base = world.start(&name);
        world.note(&base);
        let fork = world.commit(|tx| tx.reset(&base, NewReset::to(2)).unwrap());
        world.complete(&fork);
        let size = world.run(&fork).unwrap().bytes;
        if base_first {
            delete(&world, &base, Keep::Nothing);
            world.assert_kinds(&fork, [STARTED, MARKER_RECORDED, RESET, COMPLETED]);
            assert_eq!(world.run(&fork).unwrap().base, Some((base, 2)));
            assert_eq!(world.run(&fork).unwrap().bytes, size);
            let again = world.commit(|tx| tx.reset(&fork, NewReset::to(1)).unwrap());
            world.assert_kinds(&again, [STARTED, RESET]);
            world.complete(&again);
            delete_chain(&world, &again, Keep::Nothing);
        } else {
            delete_chain(&world, &base, Keep::Nothing);
        }
        assert_deleted(world.history(&fork), fork, Keep::Nothing);
        assert_deleted(world.history(&base), base, Keep::Nothing);
    }
    world.ends(|world| assert_eq!(world.namespace_size(NAMESPACE), Size::default()));
}

/// A run that a reset makes would wait for the outcome of a child that nobody knows any more.
#[test]
fn a_parent_is_not_reset_to_wait_for_a_child_that_is_deleted() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", ABANDON);
    world.complete(&parent);
    world.complete(&kid);
    delete(&world, &kid, Keep::Outcome);
    let again = world.commit(|tx| tx.reset(&parent, NewReset::to(3)).unwrap());
    assert!(matches!(
        world.begin().delete_run(&kid, Keep::Nothing),
        Err(Error::NotDeletable { run, why: Undeletable::Untold }) if run == kid
    ));
    assert_eq!(world.drain(), 1, "the outcome was kept, and is told");
    delete(&world, &kid, Keep::Nothing);
    assert_deleted(world.begin().reset(&parent, NewReset::to(3)).map(drop), kid, Keep::Nothing);
    // Where the end is among the shared events, nobody waits.
    world.complete(&again);
    let told = world.commit(|tx| tx.reset(&again, NewReset::to(5)).unwrap());
    world.complete(&told);
    world.ends(|world| assert_eq!(world.due(DutyKind::ReportClose), 0));
}

#[test]
fn a_workflow_without_current_run_is_reset_and_found_free() {
    let world = World::new();
    let kept = closed(&world, "order");
    let gone = closed(&world, "order");
    delete(&world, &gone, Keep::Nothing);
    assert_eq!(world.current("order"), None);
    let again = world.commit(|tx| tx.reset(&kept, NewReset::to(1)).unwrap());
    world.complete(&again);
    world.ends(|world| assert_eq!(world.current("order"), Some(again)));
}

#[test]
fn a_signal_to_a_run_that_is_deleted_fails_like_one_to_a_stranger() {
    let world = World::new();
    let gone = closed(&world, "target");
    let sender = world.start("sender");
    world.commit(|tx| {
        tx.signal_external(&sender, Target::workflow("target").run(gone), "s", b"").unwrap();
        tx.signal_external(&sender, Target::workflow("target"), "s", b"").unwrap();
    });
    delete(&world, &gone, Keep::Nothing);
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        let kinds = world.kinds(&sender);
        let failed = kinds.iter().filter(|kind| **kind == SIGNAL_EXTERNAL_FAILED).count();
        assert_eq!(failed, 2);
    });
}

#[test]
fn a_transaction_deletes_runs_or_resets_some() {
    let world = World::new();
    let (one, other) = (closed(&world, "one"), closed(&world, "other"));
    let mut tx = world.begin();
    tx.delete_run(&one, Keep::Nothing).unwrap();
    let refused = tx.reset(&other, NewReset::to(1));
    assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{refused:?}");
    let mut tx = world.begin();
    tx.reset(&other, NewReset::to(1)).unwrap();
    let refused = tx.delete_run(&one, Keep::Nothing);
    assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{refused:?}");
}

/// What a deletion and others decided by is compared at the commit, whoever comes first.
#[test]
fn deletions_and_those_who_count_on_the_run_overtake_each_other() {
    let world = World::new();
    let order = closed(&world, "order");
    let moved = Moved::Deletion { run: order };
    let mut reset = world.begin();
    reset.reset(&order, NewReset::to(1)).unwrap();
    let mut repeated = world.begin();
    let start = run("order").on_reuse(IdReusePolicy::RejectDuplicate);
    assert!(matches!(repeated.start(start), Err(Error::WorkflowExists { .. })));
    repeated.put("seen", b"key", b"refused").unwrap();
    let mut found = world.begin();
    assert_eq!(found.event_by_key(&order, 1).unwrap(), None);
    found.put("seen", b"key", b"no event").unwrap();
    let mut twice = world.begin();
    twice.delete_run(&order, Keep::Outcome).unwrap();
    delete(&world, &order, Keep::Nothing);
    let workflow = Moved::Workflow { namespace: NAMESPACE.into(), workflow_id: "order".into() };
    assert_eq!(overtaken(reset.commit().unwrap_err()), workflow);
    assert_eq!(overtaken(repeated.commit().unwrap_err()), workflow);
    assert_eq!(overtaken(found.commit().unwrap_err()), moved);
    assert_eq!(overtaken(twice.commit().unwrap_err()), moved);

    // A reset of the parent comes between, and somebody waits for the outcome again.
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", ABANDON);
    world.complete(&parent);
    world.complete(&kid);
    let mut late = world.begin();
    late.delete_run(&kid, Keep::Nothing).unwrap();
    world.commit(|tx| tx.reset(&parent, NewReset::to(3)).unwrap());
    assert_eq!(overtaken(late.commit().unwrap_err()), Moved::Deletion { run: kid });
    // And the other way round.
    world.drain();
    let parent = world.start("q");
    let kid = world.spawn(&parent, "d", ABANDON);
    world.complete(&parent);
    world.complete(&kid);
    let mut late = world.begin();
    late.reset(&parent, NewReset::to(3)).unwrap();
    delete(&world, &kid, Keep::Nothing);
    assert_eq!(overtaken(late.commit().unwrap_err()), Moved::Deletion { run: kid });

    // A refusal is part of what was seen.
    let open = world.start("open");
    let mut late = world.begin();
    let refused = late.delete_run(&open, Keep::Nothing);
    assert!(matches!(refused, Err(Error::NotDeletable { .. })));
    late.put("seen", b"key", b"open").unwrap();
    world.complete(&open);
    assert!(late.commit().unwrap_err().is_retryable());
    world.ends(|_| ());
}

/// A child in a transaction that names it: its start was refused while its id was taken.
#[test]
fn a_child_starts_under_the_id_of_a_run_that_is_deleted() {
    let world = World::new();
    let gone = closed(&world, "c");
    let parent = world.start("p");
    delete(&world, &gone, Keep::Nothing);
    let kid = world.commit(|tx| {
        let only = child("c", ABANDON).on_reuse(IdReusePolicy::RejectDuplicate);
        tx.spawn_child(&parent, only).unwrap().run
    });
    world.complete(&kid);
    world.drain();
    world.ends(|world| assert_eq!(world.current("c"), Some(kid)));
}

#[test]
fn a_tree_is_closed_by_the_rules_and_deleted_from_below() {
    let world = World::new();
    let root = world.start("root");
    let kid = world.spawn(&root, "kid", TERMINATE);
    let grandkid = world.spawn(&kid, "grandkid", TERMINATE);
    let done = world.spawn(&root, "done", TERMINATE);
    world.complete(&done);
    let asked = world.spawn(&root, "asked", REQUEST_CANCEL);
    let free = world.spawn(&root, "free", ABANDON);
    let root = next(&world, &root);
    let later = world.spawn(&root, "later", TERMINATE);
    let other = world.start("other");
    let deleted = world.delete_tree(&root, Keep::Nothing, "asked for").unwrap();
    assert_eq!((deleted.chains, deleted.left), (5, 2));
    for run in [root, kid, grandkid, done, later] {
        assert_deleted(world.run(&run), run, Keep::Nothing);
    }
    assert!(world.run(&asked).unwrap().cancel_requested);
    for run in [asked, free, other] {
        assert_eq!(world.status(&run), RunStatus::Running);
    }
    assert_deleted(world.delete_tree(&root, Keep::Nothing, ""), root, Keep::Nothing);
    world.ends(|world| assert_eq!(world.stats().unwrap().runs, 3));
}

#[test]
fn a_tree_below_an_open_parent_is_deleted_once_that_was_told() {
    let world = World::new();
    let parent = world.start("p");
    let kid = world.spawn(&parent, "c", TERMINATE);
    let refused = world.delete_tree(&kid, Keep::Outcome, "asked for");
    assert!(matches!(refused, Err(Error::NotDeletable { why: Undeletable::Untold, .. })));
    assert_eq!(world.status(&kid), RunStatus::Terminated, "it was closed first");
    world.drain();
    // The same call goes on.
    assert_eq!(world.delete_tree(&kid, Keep::Outcome, "asked for").unwrap().chains, 1);
    assert_eq!(world.delete_tree(&kid, Keep::Nothing, "asked for").unwrap().chains, 1);
    world.ends(|world| {
        assert_deleted(world.run(&kid), kid, Keep::Nothing);
        let child = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!(child.outcome, Some(RunStatus::Terminated));
    });
}

#[test]
fn a_wide_and_deep_tree_is_deleted_in_pages() {
    let world = World::with_segments(4 << 20);
    let root = world.start("root");
    let mut above = root;
    for depth in 0..20 {
        for n in 0..10 {
            world.spawn(&above, &format!("{depth}-{n}"), TERMINATE);
        }
        above = world.spawn(&above, &format!("{depth}"), TERMINATE);
    }
    let deleted = world.delete_tree(&root, Keep::Nothing, "asked for").unwrap();
    assert_eq!((deleted.chains, deleted.left), (221, 0));
    world.ends(|world| assert_eq!(world.stats().unwrap().runs, 0));
}

#[test]
fn what_is_due_in_runs_that_a_deleted_tree_leaves_open_is_left_to_the_engine() {
    let world = World::new();
    let root = world.start("root");
    let free = world.spawn(&root, "free", ABANDON);
    world.commit(|tx| tx.initiate_child(&free, child("later", ABANDON)).unwrap());
    let deleted = world.delete_tree(&root, Keep::Nothing, "asked for").unwrap();
    assert_eq!((deleted.chains, deleted.left), (1, 1));
    world.ends_with_duties(|world| {
        assert_eq!(world.due(DutyKind::StartChild), 1);
        assert_eq!(world.current("later"), None);
    });
}
