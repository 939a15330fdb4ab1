//! Stores with something of everything in them.

use kinlog::{
    ActivityScheduled, ActivityTask, Body, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, Durability, EventKind, Expect,
    ExternalInitiated, ExternalResolved, IdReusePolicy, Initiator, NewEvent, NewRun,
    ParentClosePolicy, RunId, Signaled, Started, Store, Terminated, TimerEnded, TimerStarted,
    Timestamp, WorkflowTask,
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

/// One body of every typed kind that a run can go on after.
pub(crate) fn bodies(with: Filling<'_>) -> Vec<Body<'_>> {
    let Filling { text, other, run, number, small } = with;
    let task = WorkflowTask { scheduled_event_id: number, started_event_id: number / 2 };
    let activity = ActivityTask { scheduled_event_id: number / 3, started_event_id: number };
    let timer = TimerEnded { timer_id: text, started_event_id: number };
    let resolved = ExternalResolved { initiated_event_id: number, cause: small };
    let external = ExternalInitiated {
        workflow_id: text,
        run_id: run,
        signal_name: other,
        workflow_task_completed_event_id: number,
        child_workflow_only: small,
    };
    let closed = ChildClosed {
        run_id: run.unwrap_or(id(7)),
        initiated_event_id: number,
        started_event_id: number + 1,
        retry_state: small,
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
        }),
        Body::StartChildWorkflowExecutionFailed(ChildStartFailed {
            initiated_event_id: number,
            cause: small,
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

/// One body of every kind that ends a run.
pub(crate) fn closings(with: Filling<'_>) -> Vec<Body<'_>> {
    let Filling { text, run, number, small, .. } = with;
    let closed =
        Closed { new_run_id: run, workflow_task_completed_event_id: number, retry_state: small };
    vec![
        Body::WorkflowExecutionCompleted(closed),
        Body::WorkflowExecutionFailed(closed),
        Body::WorkflowExecutionTimedOut(closed),
        Body::WorkflowExecutionCanceled(Canceled { workflow_task_completed_event_id: number }),
        Body::WorkflowExecutionTerminated(Terminated { reason: text }),
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
    NewRun::recorded(Started {
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
        recorded: 1,
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
