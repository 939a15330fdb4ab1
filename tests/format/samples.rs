//! Stores with something of everything in them.

use kinlog::event::{
    ActivityScheduled, ActivityTask, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, ExternalFailedCause, ExternalInitiated,
    ExternalResolved, Initiator, RetryState, Signaled, StartChildFailedCause, Started, Terminated,
    TimerEnded, TimerStarted, WorkflowTask,
};
use kinlog::{
    Body, Close, Durability, EventKind, Expect, IdConflictPolicy, IdReusePolicy, NewChild,
    NewEvent, NewReset, NewRun, NextRun, ParentClosePolicy, RunId, Store, Timestamp,
};

/// What the fields of the bodies are filled with.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) text: &'a str,
    pub(crate) other: &'a str,
    pub(crate) run: Option<RunId>,
    pub(crate) number: u32,
    pub(crate) small: u8,
}

pub(crate) const fn id(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

/// One body of every typed kind that a run recorded elsewhere can go on after.
pub(crate) fn bodies(with: Filling<'_>) -> Vec<Body<'_>> {
    let Filling { text, other, run, number, small } = with;
    let task = WorkflowTask { scheduled_event_id: number, started_event_id: number / 2 };
    let activity = ActivityTask { scheduled_event_id: number / 3, started_event_id: number };
    let timer = TimerEnded { timer_id: text, started_event_id: number };
    let resolved = ExternalResolved {
        initiated_event_id: number,
        cause: ExternalFailedCause::from_number(small),
    };
    let external = ExternalInitiated {
        workflow_id: text,
        run_id: run,
        signal_name: other,
        workflow_task_completed_event_id: number,
        child_workflow_only: small != 0,
    };
    let closed = ChildClosed {
        run_id: run.unwrap_or(id(7)),
        initiated_event_id: number,
        started_event_id: number + 1,
        retry_state: RetryState::from_number(small),
    };
    vec![
        Body::WorkflowTaskStarted(task),
        Body::WorkflowTaskCompleted(task),
        Body::WorkflowTaskTimedOut(task),
        Body::WorkflowTaskFailed(task),
        Body::ActivityTaskScheduled(ActivityScheduled {
            activity_id: text,
            activity_type: other,
            workflow_task_completed_event_id: number,
        }),
        Body::ActivityTaskStarted(activity),
        Body::ActivityTaskCompleted(activity),
        Body::ActivityTaskFailed(activity),
        Body::ActivityTaskTimedOut(activity),
        Body::ActivityTaskCancelRequested(activity),
        Body::ActivityTaskCanceled(activity),
        Body::TimerStarted(TimerStarted {
            timer_id: text,
            workflow_task_completed_event_id: number,
        }),
        Body::TimerFired(timer),
        Body::TimerCanceled(timer),
        Body::WorkflowExecutionCancelRequested(CancelRequested {
            external_workflow_id: text,
            external_run_id: run,
            external_initiated_event_id: number,
        }),
        Body::RequestCancelExternalWorkflowExecutionInitiated(external),
        Body::RequestCancelExternalWorkflowExecutionFailed(resolved),
        Body::ExternalWorkflowExecutionCancelRequested(resolved),
        Body::WorkflowExecutionSignaled(Signaled {
            signal_name: text,
            request_id: other,
            external_run_id: run,
            external_initiated_event_id: number,
        }),
        Body::StartChildWorkflowExecutionInitiated(ChildInitiated {
            workflow_id: text,
            workflow_type: other,
            task_queue: text,
            workflow_task_completed_event_id: number,
            close_policy: ParentClosePolicy::from_number(small),
            reuse_policy: IdReusePolicy::from_number(small),
            conflict_policy: IdConflictPolicy::from_number(small),
        }),
        Body::StartChildWorkflowExecutionFailed(ChildStartFailed {
            initiated_event_id: number,
            cause: StartChildFailedCause::from_number(small),
        }),
        Body::ChildWorkflowExecutionStarted(ChildStarted {
            run_id: run.unwrap_or_default(),
            initiated_event_id: number,
        }),
        Body::ChildWorkflowExecutionCompleted(closed),
        Body::ChildWorkflowExecutionFailed(closed),
        Body::ChildWorkflowExecutionCanceled(closed),
        Body::ChildWorkflowExecutionTimedOut(closed),
        Body::ChildWorkflowExecutionTerminated(closed),
        Body::SignalExternalWorkflowExecutionInitiated(external),
        Body::SignalExternalWorkflowExecutionFailed(resolved),
        Body::ExternalWorkflowExecutionSignaled(resolved),
    ]
}

/// One body of every kind that ends a run; those that name another run, and the last two whatever
/// they name, only one recorded elsewhere.
pub(crate) fn closings(with: Filling<'_>) -> Vec<Body<'_>> {
    let Filling { text, run, number, small, .. } = with;
    let closed = Closed {
        new_run_id: run,
        workflow_task_completed_event_id: number,
        retry_state: RetryState::from_number(small),
    };
    vec![
        Body::WorkflowExecutionCompleted(closed),
        Body::WorkflowExecutionFailed(closed),
        Body::WorkflowExecutionTimedOut(closed),
        Body::WorkflowExecutionCanceled(Canceled { workflow_task_completed_event_id: number }),
        Body::WorkflowExecutionTerminated(Terminated { reason: text, reset_run_id: run }),
        Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew {
            new_run_id: run,
            workflow_task_completed_event_id: number,
            initiator: Initiator::from_number(small),
        }),
        Body::Opaque(EventKind::WORKFLOW_EXECUTION_TERMINATED),
    ]
}

/// A run that says something in every field of its Started record, and one event of each body.
pub(crate) fn recorded<'a>(with: Filling<'a>, run: RunId, workflow_id: &'a str) -> NewRun<'a> {
    NewRun::imported(Started {
        run_id: run,
        first_run_id: id(9),
        continued_run_id: with.run,
        namespace: "ns",
        workflow_id,
        workflow_type: with.text,
        task_queue: with.other,
        request_id: with.text,
        parent_workflow_id: with.other,
        parent_run_id: with.run,
        root_workflow_id: with.text,
        root_run_id: with.run,
        parent_initiated_event_id: with.number,
        attempt: with.number,
        initiator: Initiator::from_number(with.small),
        imported: true,
    })
}

/// Commits of one to four events each to two dozen runs in turn, with rows in between.
pub(crate) fn interleave(store: &Store, commits: u32) {
    let runs: Vec<RunId> = (0..24)
        .map(|n| {
            let mut tx = store.begin();
            let run = tx.start(NewRun::new("ns", &format!("w-{n}"), "T").id(id(100 + n))).unwrap();
            tx.commit().unwrap();
            run
        })
        .collect();
    for i in 0..commits {
        let mut tx = store.begin();
        for j in 0..1 + i % 4 {
            let run = &runs[((i * 7 + j * 5) % 24) as usize];
            let payload = vec![b'a' + (i % 26) as u8; (i * 37 % 900) as usize];
            let time = Timestamp::from_unix_nanos(-5_000_000_000 + i64::from(i) * 1_000_000_007);
            tx.expect(run, Expect::Any).unwrap();
            tx.append(run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload).at(time))
                .unwrap();
        }
        if i % 3 == 0 {
            tx.put("timers", &i.to_le_bytes(), &vec![1; (i % 50) as usize]).unwrap();
            tx.delete("timers", &(i / 2).to_le_bytes()).unwrap();
        }
        let durability = if i % 5 == 0 { Durability::Sync } else { Durability::Buffered };
        tx.commit_with(durability).unwrap();
    }
}

pub(crate) const fn time(n: i64) -> Timestamp {
    Timestamp::from_unix_nanos(1_700_000_000_000_000_000 + n)
}

/// A parent, its children, what passes between them, and its resets. Ids and times are the same
/// every time.
pub(crate) fn family(store: &Store) {
    let (order, bill, pack, ship) = (id(0x40), id(0x41), id(0x42), id(0x43));
    let at = |n: i64| time(1000 + n);
    let event = |body, n| NewEvent::new(body).at(at(n));
    let decided = WorkflowTask { scheduled_event_id: 2, started_event_id: 3 };

    // Events 1 to 6: one child is there at once, one is to come.
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order-43", "Order").id(order).at(at(0)).input(b"43")).unwrap();
    tx.append(&order, event(Body::WorkflowTaskCompleted(decided), 1)).unwrap();
    let child = NewChild::new("bill-43", "Bill").id(bill).input(b"9.99").decided_by(2);
    tx.spawn_child(&order, child.on_parent_close(ParentClosePolicy::RequestCancel).at(at(2)))
        .unwrap();
    let child = NewChild::new("bill-43", "Bill").on_reuse(IdReusePolicy::RejectDuplicate);
    let refused = tx.initiate_child(&order, child.task_queue("a long task queue").at(at(3)));
    let activity = ActivityScheduled { activity_id: "a", activity_type: "Reserve", ..EMPTY };
    let activity = tx.append(&order, event(Body::ActivityTaskScheduled(activity), 4)).unwrap();
    tx.commit().unwrap();
    let refused = refused.unwrap();

    // Events 7 to 9.
    let mut tx = store.begin();
    let failed = ChildStartFailed {
        initiated_event_id: refused,
        cause: StartChildFailedCause::WorkflowAlreadyExists,
    };
    tx.append(&order, event(Body::StartChildWorkflowExecutionFailed(failed), 5)).unwrap();
    let child = NewChild::new("pack-43", "Pack").on_parent_close(ParentClosePolicy::Abandon);
    tx.spawn_child(&order, child.id(pack).at(at(6))).unwrap();
    tx.commit().unwrap();

    // The first child signals its parent, asks an unknown workflow to cancel, and goes on as new;
    // then it fails, tries again, and completes.
    let mut tx = store.begin();
    let signal = ExternalInitiated { workflow_id: "order-43", signal_name: "paid", ..TO_NOBODY };
    let signal = Body::SignalExternalWorkflowExecutionInitiated(signal);
    let signal = tx.append(&bill, event(signal, 7)).unwrap();
    let cancel = ExternalInitiated { workflow_id: "nobody", run_id: Some(id(1)), ..TO_NOBODY };
    let cancel = Body::RequestCancelExternalWorkflowExecutionInitiated(cancel);
    let cancel = tx.append(&bill, event(cancel, 8)).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    let signaled = Signaled {
        signal_name: "paid",
        request_id: "",
        external_run_id: Some(bill),
        external_initiated_event_id: signal,
    };
    tx.append(&order, event(Body::WorkflowExecutionSignaled(signaled), 9)).unwrap();
    let answer =
        ExternalResolved { initiated_event_id: signal, cause: ExternalFailedCause::Unspecified };
    tx.append(&bill, event(Body::ExternalWorkflowExecutionSignaled(answer), 9)).unwrap();
    let answer = ExternalResolved {
        initiated_event_id: cancel,
        cause: ExternalFailedCause::ExternalWorkflowExecutionNotFound,
    };
    let answer = Body::RequestCancelExternalWorkflowExecutionFailed(answer);
    tx.append(&bill, event(answer, 10)).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.continue_as_new(&bill, NextRun::new("Bill").id(id(0x51)).input(b"2").at(at(11))).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    let retry = NextRun::retry("Bill", 2).id(id(0x52)).at(at(12));
    tx.close_and_continue(&id(0x51), Close::failed(b"no").at(at(12)), retry).unwrap();
    tx.commit().unwrap();

    // The parent is reset into its second batch; the children stay children, in the new run.
    let reset = NewReset::to(activity + 1).reason("a bad deployment").request_id("reset-1");
    let mut tx = store.begin();
    tx.reset(&order, reset.id(id(0x53)).payload(b"why").at(at(13))).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.close_run(&id(0x52), Close::completed(b"paid").at(at(14))).unwrap();
    let closed = ChildClosed {
        run_id: id(0x52),
        initiated_event_id: 3,
        started_event_id: 4,
        retry_state: RetryState::Unspecified,
    };
    let closed = Body::ChildWorkflowExecutionCompleted(closed);
    tx.append(&id(0x53), event(closed, 15).payload(b"paid")).unwrap();
    let done = ActivityTask { scheduled_event_id: activity, started_event_id: 0 };
    tx.append(&id(0x53), event(Body::ActivityTaskCompleted(done), 16)).unwrap();
    tx.commit().unwrap();

    // A reset of the reset, to within what it shares with the first run: the activity is open
    // again, and the refusal is said again.
    let mut tx = store.begin();
    tx.reset(&id(0x53), NewReset::to(activity).id(id(0x54)).at(at(17))).unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    let cancel = CancelRequested { external_workflow_id: "", ..Default::default() };
    tx.append(&id(0x54), event(Body::WorkflowExecutionCancelRequested(cancel), 18)).unwrap();
    tx.spawn_child(&id(0x54), NewChild::new("ship-43", "Ship").id(ship).at(at(19))).unwrap();
    tx.commit().unwrap();
    store.close_run(&id(0x54), Close::canceled(b"").at(at(20))).unwrap();
    store.close_run(&ship, Close::terminated("by parent close policy").at(at(21))).unwrap();
}

const EMPTY: ActivityScheduled<'_> =
    ActivityScheduled { activity_id: "", activity_type: "", workflow_task_completed_event_id: 0 };
const TO_NOBODY: ExternalInitiated<'_> = ExternalInitiated {
    workflow_id: "",
    run_id: None,
    signal_name: "",
    workflow_task_completed_event_id: 0,
    child_workflow_only: false,
};

/// Children and requests that move from reset to reset, are answered in between, and begin in the
/// commit of a reset.
pub(crate) fn movers(store: &Store) {
    let signal = |tx: &mut kinlog::Transaction<'_>, run: &RunId| {
        let to = ExternalInitiated { workflow_id: "nobody", signal_name: "go", ..TO_NOBODY };
        let body = Body::SignalExternalWorkflowExecutionInitiated(to);
        tx.append(run, NewEvent::new(body)).unwrap()
    };
    let mut tx = store.begin();
    let first = tx.start(NewRun::new("ns", "moves", "T")).unwrap();
    let asked = [(); 3].map(|()| signal(&mut tx, &first));
    let late = tx.initiate_child(&first, NewChild::new("late", "Late")).unwrap();
    tx.spawn_child(&first, NewChild::new("soon", "Soon")).unwrap();
    let last = tx.append(&first, NewEvent::opaque(EventKind::MARKER_RECORDED, b"")).unwrap();
    tx.commit().unwrap();
    let answer = |run: &RunId, initiated_event_id| {
        let answer =
            ExternalResolved { initiated_event_id, cause: ExternalFailedCause::Unspecified };
        let mut tx = store.begin();
        let body = Body::ExternalWorkflowExecutionSignaled(answer);
        tx.append(run, NewEvent::new(body)).unwrap();
        tx.commit().unwrap();
    };
    answer(&first, asked[0]);
    let reset = |base: &RunId, to: u32, child: &str| {
        let mut tx = store.begin();
        let run = tx.reset(base, NewReset::to(to)).unwrap();
        tx.spawn_child(&run, NewChild::new(child, "Here")).unwrap();
        tx.commit().unwrap();
        run
    };
    let second = reset(&first, last, "a");
    answer(&second, asked[1]);
    let mut tx = store.begin();
    tx.start_child(&second, late, None).unwrap();
    tx.commit().unwrap();
    // What the second run answered and began is repeated in the third, which is based on the first.
    let third = reset(&first, last, "b");
    let fourth = reset(&second, late, "c");
    answer(&fourth, asked[2]);
    reset(&third, last, "d");
}

/// Resets of resets, cut at every event of batches of several, with texts of many lengths.
pub(crate) fn resets(store: &Store, text: &str) -> RunId {
    let mut tx = store.begin();
    let first = tx.start(NewRun::new("ns", "reset", "T")).unwrap();
    tx.commit().unwrap();
    let mut runs = vec![first];
    for (n, len) in (0..).zip([1, 3, 4, 2, 1]) {
        let mut tx = store.begin();
        for i in 0..len {
            let scheduled = ActivityScheduled { activity_type: "A", ..EMPTY };
            let body = Body::ActivityTaskScheduled(scheduled);
            let payload = vec![7; n * 10 + i];
            tx.append(&first, NewEvent::new(body).payload(&payload)).unwrap();
        }
        tx.commit().unwrap();
    }
    for (n, last) in (1..=12).chain([12, 5, 1, 9, 12]).enumerate() {
        // Of the first run, of the last one, of one between.
        let base = [first, runs[n], runs[n / 2]][n % 3];
        let len = (n * 7) % (text.len() + 1);
        let cut = (0..=len).rev().find(|cut| text.is_char_boundary(*cut)).unwrap();
        let mut tx = store.begin();
        let reset = NewReset::to(last.min(store.history(&base).unwrap().len() - 1));
        let request_id = format!("{n} {}", &text[..cut]);
        let run = tx
            .reset(&base, reset.reason(&text[..cut]).request_id(&request_id).payload(&[n as u8]))
            .unwrap();
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"with the reset")).unwrap();
        tx.commit().unwrap();
        let mut tx = store.begin();
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"after")).unwrap();
        tx.commit().unwrap();
        runs.push(run);
    }
    first
}
