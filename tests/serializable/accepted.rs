//! What a transaction accepts, it can commit, and says what is so: transactions with nobody beside
//! them, or with others that came before.

use kinlog::{
    Close, Duty, DutyFilter, DutyKind, EventKind, Expect, Limits, NewChild, NewEvent, NewReset,
    NewRun, NextRun, RunId, Store,
};

use crate::mix::EVERYTHING;
use crate::place;
use crate::take::{NAMESPACE, duty};

/// A parent and its child.
fn family(store: &Store) -> (RunId, RunId) {
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new(NAMESPACE, "parent", "T")).unwrap();
    let child = tx.spawn_child(&parent, NewChild::new("child", "T")).unwrap().run;
    tx.commit().unwrap();
    (parent, child)
}

fn only(store: &Store, kind: DutyKind) -> Duty {
    store.duties(DutyFilter::all().kind(kind)).map(Result::unwrap).next().unwrap()
}

#[test]
fn a_child_that_is_reported_and_reset_is_refused_by_the_step_or_not_at_all() {
    let (_dir, store) = place::fresh(&EVERYTHING);
    let (_, child) = family(&store);
    store.close_run(&child, Close::completed(b"")).unwrap();
    let mut tx = store.begin();
    assert!(tx.settle(&only(&store, DutyKind::ReportClose)).unwrap());
    if tx.reset(&child, NewReset::to(1)).is_ok() {
        tx.commit().unwrap();
    }
}

#[test]
fn settling_builds_a_commit_that_can_never_be_made_not_over_and_over() {
    let (_dir, store) = place::fresh(&EVERYTHING);
    let (_, child) = family(&store);
    store.close_run(&child, Close::completed(b"")).unwrap();
    let mut calls = 0;
    let settled = store.settle_with(&DutyKind::ALL, |tx| {
        calls += 1;
        tx.reset(&child, NewReset::to(1)).map(drop)
    });
    assert!(calls == 1, "called {calls} times: {settled:?}");
}

#[test]
fn a_policy_that_is_not_settled_is_not_due() {
    let (_dir, store) = place::fresh(&EVERYTHING);
    let (parent, child) = family(&store);
    store.close_run(&parent, Close::completed(b"")).unwrap();
    let due = only(&store, DutyKind::ApplyClosePolicy);
    let mut tx = store.begin();
    tx.continue_as_new(&child, NextRun::new("T")).unwrap();
    // Whether the step is refused or taken: false says that there is nothing left to do.
    let Ok(settled) = tx.settle(&due) else { return };
    tx.commit().unwrap();
    let left = duty(&store, due.kind(), due.run(), due.initiated_event_id());
    assert!(left.is_none(), "settled {settled}, and still due");
}

#[test]
fn a_run_that_others_filled_takes_no_event_before_its_close() {
    let (_dir, store) = place::fresh(&EVERYTHING);
    let mut limits = Limits::default();
    limits.history_events = 10;
    store.set_limits(NAMESPACE, limits).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new(NAMESPACE, "full", "T")).unwrap();
    tx.commit().unwrap();
    let seven = NewEvent::opaque(EventKind::WORKFLOW_TASK_COMPLETED, b"");
    let mut built = store.begin();
    built.expect(&run, Expect::Any).unwrap();
    built.append(&run, seven).unwrap();
    built.close_run(&run, Close::completed(b"")).unwrap();
    while store.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"")).is_ok() {}
    let mut late = store.begin();
    late.expect(&run, Expect::Any).unwrap();
    let step = late.append(&run, seven);
    let commit = built.commit();
    assert_eq!(step.is_err(), commit.is_err(), "the step: {step:?}, the commit: {commit:?}");
}
