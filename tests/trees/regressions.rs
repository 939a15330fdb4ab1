//! What the random worlds found, each as small as it gets.

use kinlog::event::{ActivityScheduled, ExternalResolved, StartChildFailedCause};
use kinlog::{
    Body, ChildState, Close, DutyFilter, DutyKind, Error, EventKind, Limits, NewChild, NewEvent,
    NewReset, NewRun, NextRun, ParentClosePolicy, RunId, RunStatus, Store, Target, Transaction,
};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn commit<T>(store: &Store, steps: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
    let mut tx = store.begin();
    let found = steps(&mut tx);
    tx.commit().unwrap();
    found
}

fn start(tx: &mut Transaction<'_>, workflow: &str) -> RunId {
    tx.start(NewRun::new("n", workflow, "T")).unwrap()
}

fn activity(tx: &mut Transaction<'_>, run: &RunId) -> kinlog::Result<u32> {
    tx.append(run, NewEvent::new(Body::ActivityTaskScheduled(ActivityScheduled::default())))
}

fn duties(store: &Store) -> Vec<(DutyKind, RunId, u32)> {
    let all = store.duties(DutyFilter::all()).map(Result::unwrap);
    all.map(|duty| (duty.kind(), duty.run(), duty.initiated_event_id())).collect()
}

#[test]
fn a_new_run_has_nothing_to_answer() {
    let (_dir, store) = store();
    let mut tx = store.begin();
    let run = start(&mut tx, "a");
    let answer = Body::ExternalWorkflowExecutionSignaled(ExternalResolved::default());
    let found = tx.append(&run, NewEvent::new(answer));
    assert!(matches!(found, Err(Error::IllegalEvent { .. })), "{found:?}");
}

#[test]
fn a_run_that_a_reset_makes_spawns_children_in_the_same_commit() {
    let (_dir, store) = store();
    let base = commit(&store, |tx| start(tx, "a"));
    let mut tx = store.begin();
    let run = tx.reset(&base, NewReset::to(1)).unwrap();
    let child = tx.spawn_child(&run, NewChild::new("b", "T")).unwrap().run;
    tx.commit().unwrap();
    assert_eq!(store.parent(&child).unwrap().map(|parent| parent.run), Some(run));
}

#[test]
fn a_run_that_a_reset_makes_starts_children_that_it_shares_in_the_same_commit() {
    let (_dir, store) = store();
    let base = commit(&store, |tx| {
        let base = start(tx, "a");
        tx.initiate_child(&base, NewChild::new("b", "T")).unwrap();
        base
    });
    let mut tx = store.begin();
    let run = tx.reset(&base, NewReset::to(2)).unwrap();
    tx.start_child(&run, 2, None).unwrap();
    tx.commit().unwrap();
}

#[test]
fn a_run_that_a_reset_makes_knows_its_activities_in_the_same_transaction() {
    let (_dir, store) = store();
    let base = commit(&store, |tx| {
        let base = start(tx, "a");
        activity(tx, &base).unwrap();
        base
    });
    let mut tx = store.begin();
    let run = tx.reset(&base, NewReset::to(2)).unwrap();
    assert_eq!(tx.request_cancel(&run, b"").unwrap().open_activities, [2]);
}

#[test]
fn a_request_stays_in_its_namespace() {
    let (_dir, store) = store();
    let stranger = commit(&store, |tx| tx.start(NewRun::new("other", "b", "T")).unwrap());
    commit(&store, |tx| {
        let sender = start(tx, "a");
        start(tx, "b");
        tx.signal_external(&sender, Target::workflow("b").run(stranger), "s", b"").unwrap();
    });
    store.settle_all().unwrap();
    assert_eq!(store.run(&stranger).unwrap().events, 1);
}

#[test]
fn a_child_that_was_not_started_is_held_by_the_run_of_the_last_reset() {
    let (_dir, store) = store();
    let first = commit(&store, |tx| {
        let run = start(tx, "a");
        tx.initiate_child(&run, NewChild::new("b", "T")).unwrap();
        run
    });
    let second = commit(&store, |tx| tx.reset(&first, NewReset::to(2)).unwrap());
    let third = commit(&store, |tx| tx.reset(&second, NewReset::to(2)).unwrap());
    let child = store.children(&first).unwrap().next().unwrap().unwrap();
    assert_eq!((child.state, child.held_by), (ChildState::Moved, Some(third)));
}

/// A run shares a child that ended before the point of its reset: it never has that child, and a
/// reset of it must look elsewhere for how the child stands.
#[test]
fn a_run_that_shares_an_ended_child_does_not_know_how_it_stands() {
    let (_dir, store) = store();
    let (first, child) = commit(&store, |tx| {
        let run = start(tx, "a");
        (run, tx.spawn_child(&run, NewChild::new("b", "T")).unwrap().run)
    });
    store.close_run(&child, Close::completed(b"")).unwrap();
    assert_eq!(store.settle_all().unwrap().duties, 1);
    let second = commit(&store, |tx| tx.reset(&first, NewReset::to(4)).unwrap());
    let again = commit(&store, |tx| tx.reset(&child, NewReset::to(1)).unwrap());
    let third = commit(&store, |tx| tx.reset(&second, NewReset::to(3)).unwrap());
    assert_eq!(store.run(&again).unwrap().status, RunStatus::Running);
    assert_eq!(duties(&store), [], "the child of {third} runs");
    let shared = store.children(&second).unwrap().next().unwrap().unwrap();
    assert_eq!(shared.state, ChildState::Closed);
}

#[test]
fn limits_that_were_lowered_let_a_run_go_on_with_what_it_has() {
    let (_dir, store) = store();
    let (run, child) = commit(&store, |tx| {
        let run = start(tx, "a");
        for name in ["b", "c"] {
            tx.spawn_child(&run, NewChild::new(name, "T")).unwrap();
        }
        (run, tx.spawn_child(&run, NewChild::new("d", "T")).unwrap().run)
    });
    let mut limits = Limits::default();
    limits.open_children = 1;
    store.set_limits("n", limits).unwrap();
    store.close_run(&child, Close::completed(b"")).unwrap();
    assert_eq!(store.settle_all().unwrap().duties, 1, "one end less, though two are left");
    let mut tx = store.begin();
    tx.request_cancel(&run, b"").unwrap();
    tx.commit().unwrap();
}

/// Where one request of a base run was answered by a run that shares it, that run's other answers
/// are about requests of its own.
#[test]
fn an_answer_to_another_request_of_the_same_number_is_not_repeated() {
    let (_dir, store) = store();
    let ask = |tx: &mut Transaction<'_>, run: &RunId, name: &str| {
        tx.signal_external(run, Target::workflow("b"), name, b"").unwrap()
    };
    let base = commit(&store, |tx| {
        let base = start(tx, "a");
        assert_eq!(ask(tx, &base, "one"), 2);
        tx.append(&base, NewEvent::opaque(EventKind::MARKER_RECORDED, b"")).unwrap();
        assert_eq!(ask(tx, &base, "two"), 4);
        base
    });
    let second = commit(&store, |tx| tx.reset(&base, NewReset::to(2)).unwrap());
    commit(&store, |tx| assert_eq!(ask(tx, &second, "three"), 4));
    assert_eq!(store.settle_all().unwrap().duties, 2);
    let third = commit(&store, |tx| tx.reset(&base, NewReset::to(4)).unwrap());
    assert_eq!(duties(&store), [(DutyKind::DeliverSignal, third, 4)]);
}

/// The same for children that were refused.
#[test]
fn a_refusal_of_another_child_of_the_same_number_is_not_repeated() {
    let (_dir, store) = store();
    let base = commit(&store, |tx| {
        let base = start(tx, "a");
        tx.signal_external(&base, Target::workflow("nobody"), "s", b"").unwrap();
        tx.append(&base, NewEvent::opaque(EventKind::MARKER_RECORDED, b"")).unwrap();
        assert_eq!(tx.initiate_child(&base, NewChild::new("b", "T")).unwrap(), 4);
        base
    });
    let second = commit(&store, |tx| tx.reset(&base, NewReset::to(2)).unwrap());
    commit(&store, |tx| {
        assert_eq!(tx.initiate_child(&second, NewChild::new("c", "T")).unwrap(), 4);
        tx.fail_child(&second, 4, StartChildFailedCause::WorkflowAlreadyExists).unwrap();
    });
    let third = commit(&store, |tx| tx.reset(&base, NewReset::to(4)).unwrap());
    let wanted = (DutyKind::StartChild, third, 4);
    assert!(duties(&store).contains(&wanted), "{:?}", duties(&store));
}

#[test]
fn a_full_run_is_asked_to_cancel_by_the_commit_that_fills_it() {
    let (_dir, store) = store();
    let run = commit(&store, |tx| start(tx, "a"));
    let mut limits = Limits::default();
    limits.history_events = 2;
    store.set_limits("n", limits).unwrap();
    let mut tx = store.begin();
    tx.signal(&run, "s", b"").unwrap();
    tx.request_cancel(&run, b"").unwrap();
    tx.commit().unwrap();
}

/// A close policy wants a child to be asked to cancel: a reset to a point after such a request is enough, and
/// no duty stays that nothing settles.
#[test]
fn a_run_that_shares_a_cancel_request_needs_no_close_policy() {
    let (_dir, store) = store();
    let (parent, child) = commit(&store, |tx| {
        let parent = start(tx, "a");
        let policy = ParentClosePolicy::RequestCancel;
        let child = NewChild::new("b", "T").on_parent_close(policy);
        (parent, tx.spawn_child(&parent, child).unwrap().run)
    });
    commit(&store, |tx| tx.request_cancel(&child, b"").unwrap());
    commit(&store, |tx| tx.continue_as_new(&child, NextRun::new("T")).unwrap());
    store.close_run(&parent, Close::completed(b"")).unwrap();
    assert_eq!(duties(&store), [(DutyKind::ApplyClosePolicy, parent, 2)]);
    let again = commit(&store, |tx| tx.reset(&child, NewReset::to(2)).unwrap());
    assert!(store.run(&again).unwrap().cancel_requested);
    assert_eq!(duties(&store), []);
}

/// Whether a run began before or in the same transaction, the next run of its chain names the parent that a
/// reset among the steps before gave it.
#[test]
fn a_run_that_goes_on_after_two_resets_names_its_last_parent() {
    let (_dir, store) = store();
    let (parent, child) = commit(&store, |tx| {
        let parent = start(tx, "a");
        (parent, tx.spawn_child(&parent, NewChild::new("b", "T")).unwrap().run)
    });
    let mut tx = store.begin();
    let again = tx.reset(&child, NewReset::to(1)).unwrap();
    let above = tx.reset(&parent, NewReset::to(3)).unwrap();
    let next = tx.continue_as_new(&again, NextRun::new("T")).unwrap();
    tx.commit().unwrap();
    let history = store.history(&next).unwrap();
    let first = history.iter().next().unwrap().unwrap();
    let Body::WorkflowExecutionStarted(started) = first.body() else { panic!("{first:?}") };
    assert_eq!(started.parent_run_id, Some(above));
}
