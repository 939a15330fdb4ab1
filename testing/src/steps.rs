//! Short words for what many tests do.

use std::path::Path;

use kinlog::event::{ActivityScheduled, Started};
use kinlog::{
    Body, Close, EventKind, NewChild, NewEvent, NewReset, NewRun, NextRun, ParentClosePolicy,
    Result, RunId, Store, Target, Transaction,
};

use crate::files::{SEGMENT, small_segments};

/// An event that relates to nothing.
#[must_use]
pub fn marker(payload: &[u8]) -> NewEvent<'_> {
    NewEvent::opaque(EventKind::MARKER_RECORDED, payload)
}

/// Starts a run of the workflow in the namespace `shop`, in a commit of its own.
pub fn start(store: &Store, workflow_id: &str) -> RunId {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", workflow_id, "Order")).unwrap();
    tx.commit().unwrap();
    run
}

/// The first event of a run that was recorded elsewhere, alone in its chain and without parent: for
/// [`NewRun::imported`], with other fields where they matter.
#[must_use]
pub fn recorded<'a>(run_id: RunId, workflow_id: &'a str) -> Started<'a> {
    Started { run_id, first_run_id: run_id, namespace: "shop", workflow_id, ..Started::default() }
}

/// Makes a store of runs that have everything which an index keeps of some: children of all sorts, activities, requests,
/// chains, resets, and rows that are deleted again. By its directory, as the unit tests of `kinlog` have a `Store` of their
/// own.
pub fn families(dir: &Path, count: u8) {
    let store = small_segments().open(dir).unwrap();
    (0..count).for_each(|number| family(&store, number).unwrap());
    store.shut_down().unwrap();
}

fn family(store: &Store, number: u8) -> Result<()> {
    let [order, ship, late] = ["order", "ship", "late"].map(|name| format!("{name}-{number}"));
    let run = commit(store, |tx| {
        tx.put("orders", &[number], b"new")?;
        tx.put("last", b"order", &[number])?;
        tx.start(NewRun::new("shop", &order, "Order").request_id("once"))
    })?;
    let child = commit(store, |tx| {
        let child = NewChild::new(&ship, "Shipping");
        let child = child.on_parent_close(ParentClosePolicy::RequestCancel);
        let child = tx.spawn_child(&run, child)?;
        tx.initiate_child(&run, NewChild::new(&late, "Late"))?;
        let activity = ActivityScheduled {
            activity_id: "a",
            activity_type: "Reserve",
            workflow_task_completed_event_id: 0,
        };
        tx.append(&run, NewEvent::new(Body::ActivityTaskScheduled(activity)))?;
        Ok(child)
    })?;
    commit(store, |tx| {
        tx.signal_once(&run, "paid", "payment-1", b"9.99")?;
        tx.signal_external(&run, Target::workflow("nobody"), "go", b"")?;
        tx.cancel_external(&run, Target::workflow(&ship))
    })?;
    for _ in 0..9 {
        commit(store, |tx| tx.append(&run, marker(b"")))?;
    }
    commit(store, |tx| tx.continue_as_new(&child.run, NextRun::new("Shipping")))?;
    let again = commit(store, |tx| tx.reset(&run, NewReset::to(4)))?;
    commit(store, |tx| {
        if let Some(before) = number.checked_sub(1) {
            tx.delete("orders", &[before])?;
        }
        tx.close_run(&again, Close::completed(b"ok"))
    })?;
    Ok(())
}

fn commit<T>(store: &Store, step: impl Fn(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
    store.transact(|tx| step(tx)).map(|(made, _)| made)
}

/// Fills the segment that the log ends in, of a store with [small ones](small_segments), so that it can be compacted.
pub fn fill(store: &Store) {
    let segment = |store: &Store| store.end().as_u64() / SEGMENT as u64;
    let filled = segment(store);
    while segment(store) == filled {
        store.transact(|tx| tx.put("filling", b"row", &[7; 10_000])).unwrap();
    }
}
