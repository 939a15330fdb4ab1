//! Stores to damage: with something of everything, the same every time.

use kinlog::event::{ChildClosed, Initiator, StartChildFailedCause, Started};
use kinlog::{
    Body, Close, EventKind, NewChild, NewEvent, NewReset, NewRun, NextRun, Options,
    ParentClosePolicy, RunId, Store, Target, Timestamp, Transaction,
};

use crate::disk::Repeatable;
use crate::look::look;
use crate::{Image, Place, SEGMENT_BYTES};

/// One store, at two moments.
pub struct Template {
    /// Right after the last commit, with the manifest from right after opening: nothing but the
    /// log itself vouches for any commit.
    pub unclosed: Image,
    /// After a close in order.
    pub closed: Image,
}

impl Template {
    pub fn at(&self, closed: bool) -> &Image {
        if closed { &self.closed } else { &self.unclosed }
    }
}

/// A store whose log is in one segment, and one of several.
pub fn templates() -> [Template; 2] {
    [build(0), build(6)]
}

/// What events hold besides their bodies: protobuf, with a field that Temporal does not have, so
/// that runs can be exported as Temporal's.
const PAYLOAD: &[u8] = b"\x80\xf1\x04\x01";

/// The options that all stores of the targets are made and opened with.
pub(crate) fn options(seed: u64) -> Options {
    let segment_bytes = u32::try_from(SEGMENT_BYTES).expect("a small segment");
    Options::new().segment_bytes(segment_bytes).disk(Repeatable::disk(seed))
}

/// Makes a store, with `filling` rows of 20 KiB between the commits that matter.
fn build(filling: usize) -> Template {
    let place = Place::new();
    let store = options(0).open(place.path()).expect("a new store");
    let manifest = place.read().manifest;
    let steps: [fn(&Store); 6] = [limits_and_rows, family, chain, resets, recorded, open_ends];
    for (number, step) in steps.into_iter().enumerate() {
        step(&store);
        if number < filling {
            let row = vec![u8::try_from(number).unwrap_or_default(); 20 << 10];
            commit(&store, |tx| tx.put("filling", b"key", &row).expect("a row"));
        }
    }
    let mut unclosed = place.read();
    unclosed.manifest = manifest;
    assert!(look(&store).sound, "nothing is wrong with a store before it is damaged");
    store.shut_down().expect("a clean close");
    Template { unclosed, closed: place.read() }
}

fn commit<T>(store: &Store, steps: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
    let mut tx = store.begin();
    let done = steps(&mut tx);
    tx.commit().expect("a commit");
    done
}

fn start(store: &Store, workflow_id: &str) -> RunId {
    commit(store, |tx| {
        let run = NewRun::new("shop", workflow_id, "Order").input(PAYLOAD).request_id("r-1");
        tx.start(run.task_queue("a task queue")).expect("a start")
    })
}

fn limits_and_rows(store: &Store) {
    let mut limits = store.limits("shop");
    limits.open_children = 10;
    store.set_limits("shop", limits).expect("limits");
    commit(store, |tx| {
        for key in 0..4u8 {
            tx.put("timers", &[key], &[key; 9]).expect("a row");
        }
        tx.delete("timers", &[2]).expect("a deletion");
        tx.put("names", b"", b"").expect("an empty row");
    });
    commit(store, |tx| tx.put("timers", &[1], b"other").expect("a row"));
}

/// A parent and its children: one that is told of, one refused, one whose end it was not told, and
/// one that a close policy must reach.
fn family(store: &Store) {
    let order = start(store, "order-1");
    let child = |name| NewChild::new(name, "Ship").input(PAYLOAD).decided_by(1);
    let bill = commit(store, |tx| {
        let bill = tx.spawn_child(&order, child("bill-1")).expect("a child").run;
        let refused = tx.initiate_child(&order, child("bill-1")).expect("a wish");
        let cause = StartChildFailedCause::WorkflowAlreadyExists;
        tx.fail_child(&order, refused, cause).expect("a refusal");
        bill
    });
    commit(store, |tx| {
        tx.close_run(&bill, Close::completed(PAYLOAD)).expect("a close");
        tx.report_child(&order, 2).expect("a report");
    });
    let policies = [ParentClosePolicy::RequestCancel, ParentClosePolicy::Abandon];
    for (name, policy) in ["pack-1", "ship-1"].into_iter().zip(policies) {
        let child = child(name).on_parent_close(policy);
        let run = commit(store, |tx| tx.spawn_child(&order, child).expect("a child").run);
        if policy == ParentClosePolicy::Abandon {
            store.close_run(&run, Close::failed(PAYLOAD)).expect("a close");
        }
    }
    store.close_run(&order, Close::timed_out()).expect("a close");
}

/// A child that goes on as new, by retry and by cron, with signals and cancel requests.
fn chain(store: &Store) {
    let order = start(store, "order-2");
    let child = NewChild::new("poll-2", "Poll").on_parent_close(ParentClosePolicy::RequestCancel);
    let poll = commit(store, |tx| tx.spawn_child(&order, child).expect("a child").run);
    let retry = |tx: &mut Transaction<'_>, run: &RunId| {
        let next = NextRun::retry("Poll", 2).input(PAYLOAD);
        tx.close_and_continue(run, Close::failed(PAYLOAD), next).expect("a retry")
    };
    let next = commit(store, |tx| {
        tx.continue_as_new(&poll, NextRun::new("Poll").input(PAYLOAD)).expect("a next run")
    });
    let next = commit(store, |tx| retry(tx, &next));
    let next = commit(store, |tx| {
        let cron = NextRun::cron("Poll").task_queue("a queue with a long name");
        tx.close_and_continue(&next, Close::completed(b""), cron).expect("a next run")
    });
    commit(store, |tx| {
        tx.request_cancel(&next, PAYLOAD).expect("a request");
        tx.signal(&next, "a signal with a long name", PAYLOAD).expect("a signal");
        let target = Target::workflow("order-2");
        tx.signal_external(&next, target, "done", b"x").expect("a signal");
        tx.cancel_external(&next, Target::workflow("nobody").run(poll)).expect("a request");
    });
    store.settle_all().expect("settled");
    store.close_run(&next, Close::canceled(b"")).expect("a close");
}

/// Runs with activities and timers, reset twice.
fn resets(store: &Store) {
    let order = start(store, "order-3");
    commit(store, |tx| {
        for name in ["Reserve", "a type with a long name"] {
            tx.append(&order, NewEvent::activity_scheduled(name)).expect("an activity");
        }
        tx.spawn_child(&order, NewChild::new("bill-3", "Bill")).expect("a child");
        tx.append(&order, NewEvent::timer_started()).expect("a timer");
    });
    commit(store, |tx| {
        tx.append(&order, NewEvent::activity_completed(2).payload(PAYLOAD)).expect("an end");
        tx.append(&order, NewEvent::timer_fired(6)).expect("a timer");
    });
    let reset = NewReset::to(6).reason("a bad deployment").request_id("reset-3");
    let again = commit(store, |tx| tx.reset(&order, reset.payload(PAYLOAD)).expect("a reset"));
    commit(store, |tx| tx.append(&again, NewEvent::activity_failed(2)).expect("an end"));
    let third = commit(store, |tx| tx.reset(&again, NewReset::to(5)).expect("a reset"));
    commit(store, |tx| {
        let own = EventKind::from_number(EventKind::FIRST_CUSTOM);
        tx.append(&third, NewEvent::opaque(own, &[7; 100])).expect("an event");
    });
}

/// Runs that happened elsewhere: one that has closed, and one that goes on and may say anything.
fn recorded(store: &Store) {
    for (number, name) in [(1, "here"), (2, "a workflow with a long name")] {
        let run = RunId::from_bytes([number; 16]);
        let started = Started {
            run_id: run,
            first_run_id: RunId::from_bytes([9; 16]),
            continued_run_id: Some(RunId::from_bytes([9; 16])),
            namespace: "elsewhere",
            workflow_id: name,
            workflow_type: "Recorded",
            parent_workflow_id: "here",
            parent_run_id: Some(RunId::from_bytes([1; 16])),
            parent_initiated_event_id: 3,
            attempt: 2,
            initiator: Initiator::Retry,
            ..Default::default()
        };
        commit(store, |tx| {
            tx.start(NewRun::imported(started).input(PAYLOAD)).expect("a recorded run");
            let told = ChildClosed {
                run_id: RunId::from_bytes([2; 16]),
                initiated_event_id: 3,
                ..Default::default()
            };
            let told = NewEvent::new(Body::ChildWorkflowExecutionCompleted(told));
            // Before 1970, which times may well be.
            let time = Timestamp::from_unix_nanos(-1_500_000_000);
            tx.append(&run, told.at(time)).expect("an event");
        });
        if number == 1 {
            store.close_run(&run, Close::terminated("a reason in words")).expect("a close");
        }
    }
}

/// Work that is still to be done.
fn open_ends(store: &Store) {
    let order = start(store, "order-5");
    commit(store, |tx| {
        tx.initiate_child(&order, NewChild::new("late-5", "Late")).expect("a wish");
        tx.spawn_child(&order, NewChild::new("ship-5", "Ship")).expect("a child");
        tx.append(&order, NewEvent::activity_scheduled("Charge")).expect("an activity");
        tx.signal_external(&order, Target::workflow("ship-5").child_only(), "go", PAYLOAD)
            .expect("a signal");
        tx.cancel_external(&order, Target::workflow("order-3")).expect("a request");
    });
    let other = start(store, "order-6");
    let child = commit(store, |tx| {
        tx.spawn_child(&other, NewChild::new("ship-6", "Ship")).expect("a child").run
    });
    store.close_run(&child, Close::completed(PAYLOAD)).expect("a close");
}
