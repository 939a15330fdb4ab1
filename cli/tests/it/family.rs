//! Stores of runs that are related, made through the library.

use std::path::{Path, PathBuf};

use kinlog::event::{ChildInitiated, ChildStarted, StartChildFailedCause, Started};
use kinlog::{
    Body, Close, NewChild, NewEvent, NewReset, NewRun, NextRun, ParentClosePolicy, RunId, Store,
    Target,
};
use kinlog_testing::steps::recorded;

use super::common::small_store;

pub(crate) fn id(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

/// A family in which a child of every kind is found:
///
/// - `ship` (run 2, request cancel) continued as new (run 3) and has the child `label` (run 4),
/// - `bill` (run 5, terminate) completed, and the parent knows,
/// - `mail` (run 6, abandon) runs and is asked to cancel,
/// - `pack` is yet to be started: a duty,
/// - `ghost` could not be started,
/// - `late` (run 7, terminate) failed, and the parent does not know: a duty.
pub(crate) fn family(dir: &Path) -> PathBuf {
    let path = small_store(dir);
    let store = Store::open(&path).unwrap();
    let parent = id(1);
    let child = |name, policy| NewChild::new(name, "Step").on_parent_close(policy);
    let spawn = |name, policy, run| {
        let mut tx = store.begin();
        tx.spawn_child(&parent, child(name, policy).id(run)).unwrap();
        tx.commit().unwrap();
    };
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order-42", "Order").id(parent)).unwrap();
    tx.commit().unwrap();
    spawn("ship", ParentClosePolicy::RequestCancel, id(2));
    let mut tx = store.begin();
    tx.continue_as_new(&id(2), NextRun::new("Step").id(id(3))).unwrap();
    tx.spawn_child(&id(3), NewChild::new("label", "Print").id(id(4))).unwrap();
    tx.commit().unwrap();
    spawn("bill", ParentClosePolicy::Terminate, id(5));
    store.close_run(&id(5), Close::completed(b"paid")).unwrap();
    store.settle_all().unwrap();
    spawn("mail", ParentClosePolicy::Abandon, id(6));
    let mut tx = store.begin();
    tx.request_cancel(&id(6), b"").unwrap();
    tx.initiate_child(&parent, child("pack", ParentClosePolicy::Terminate)).unwrap();
    let ghost = tx.initiate_child(&parent, child("ghost", ParentClosePolicy::Terminate)).unwrap();
    tx.fail_child(&parent, ghost, StartChildFailedCause::WorkflowAlreadyExists).unwrap();
    tx.commit().unwrap();
    spawn("late", ParentClosePolicy::Terminate, id(7));
    store.close_run(&id(7), Close::failed(b"lost")).unwrap();
    store.shut_down().unwrap();
    path
}

/// A parent (run 1) with so many children, which are all running.
pub(crate) fn many_children(dir: &Path, count: u32) -> PathBuf {
    let path = small_store(dir);
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new("shop", "wide", "Order").id(id(1))).unwrap();
    for number in 1..=count {
        tx.spawn_child(&parent, NewChild::new(&format!("c-{number}"), "Step")).unwrap();
    }
    tx.commit().unwrap();
    store.shut_down().unwrap();
    path
}

/// A parent with a child, which has a child, and so on.
pub(crate) fn deep(dir: &Path, levels: u32) -> PathBuf {
    let path = dir.join("store");
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    let mut run = tx.start(NewRun::new("shop", "level-0", "Step")).unwrap();
    for level in 1..=levels {
        run = tx.spawn_child(&run, NewChild::new(&format!("level-{level}"), "Step")).unwrap().run;
        if level % 10_000 == 0 {
            tx.commit().unwrap();
            tx = store.begin();
        }
    }
    tx.commit().unwrap();
    store.shut_down().unwrap();
    path
}

/// A chain `poll`: run 1 continues as new (2), fails and is tried again (3), completes and cron
/// starts the next (4), which is reset (5).
pub(crate) fn chain(dir: &Path) -> PathBuf {
    let path = small_store(dir);
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "poll", "Poll").id(id(1))).unwrap();
    tx.continue_as_new(&id(1), NextRun::new("Poll").id(id(2))).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    let retry = NextRun::retry("Poll", 2).id(id(3));
    tx.close_and_continue(&id(2), Close::failed(b""), retry).unwrap();
    let cron = NextRun::cron("Poll").id(id(4));
    tx.close_and_continue(&id(3), Close::completed(b""), cron).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.signal(&id(4), "wake", b"").unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.reset(&id(4), NewReset::to(1).id(id(5))).unwrap();
    tx.commit().unwrap();
    store.shut_down().unwrap();
    path
}

/// Records a run; `first` and `before` need not be in the store.
pub(crate) fn record(store: &Store, run: u8, first: u8, before: Option<u8>, last: &[Body<'_>]) {
    let started = Started {
        first_run_id: id(first),
        continued_run_id: before.map(id),
        workflow_type: "Old",
        parent_workflow_id: "far",
        parent_run_id: Some(id(99)),
        parent_initiated_event_id: 5,
        root_workflow_id: "farther",
        root_run_id: Some(id(98)),
        ..recorded(id(run), "old")
    };
    let mut tx = store.begin();
    let run = tx.start(NewRun::imported(started)).unwrap();
    for body in last {
        tx.append(&run, NewEvent::new(*body)).unwrap();
    }
    tx.commit().unwrap();
}

/// The events of a parent that knows of a child, as they were recorded.
pub(crate) fn told_of(workflow_id: &str, run: u8) -> [Body<'_>; 2] {
    let initiated = ChildInitiated {
        workflow_id,
        workflow_type: "Step",
        close_policy: ParentClosePolicy::Abandon,
        ..Default::default()
    };
    let started = ChildStarted { run_id: id(run), initiated_event_id: 2 };
    [
        Body::StartChildWorkflowExecutionInitiated(initiated),
        Body::ChildWorkflowExecutionStarted(started),
    ]
}

/// Names that a terminal, XML and Graphviz would each act on.
pub(crate) const HOSTILE: &str = "a\n\x1b[2J\u{202e}</text><script>\"x\"];b\\ & 'y'";

/// A family of hostile names.
pub(crate) fn hostile(dir: &Path) -> PathBuf {
    let path = small_store(dir);
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new(HOSTILE, HOSTILE, HOSTILE).id(id(1))).unwrap();
    tx.initiate_child(&id(1), NewChild::new(HOSTILE, HOSTILE)).unwrap();
    tx.signal_external(&id(1), Target::workflow(HOSTILE), HOSTILE, HOSTILE.as_bytes()).unwrap();
    tx.commit().unwrap();
    store.shut_down().unwrap();
    path
}
