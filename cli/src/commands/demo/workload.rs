//! A parent workflow, its children and their activities, as an engine would commit them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use kinlog::{
    ActivityScheduled, ActivityTask, Body, ChildClosed, ChildInitiated, ChildStarted, Close,
    Durability, Expect, NewEvent, NewRun, ParentClosePolicy, Result, RunId, Store, Transaction,
};

/// The parent's workflow id.
pub(super) const PARENT: &str = "fulfilment";
const NAMESPACE: &str = "demo";
const TASK_QUEUE: &str = "orders";
/// How many children run at a time; their commits share the syncs of the disk.
const WORKERS: u32 = 64;

pub(super) struct Workload {
    pub(super) children: u32,
    pub(super) activities: u32,
    pub(super) durability: Durability,
}

impl Workload {
    /// How many events it comes to.
    pub(super) fn events(&self) -> u64 {
        let child = 2 + 3 * u64::from(self.activities);
        2 + u64::from(self.children) * (3 + child)
    }

    /// What its commits wait for, in words.
    pub(super) fn how_durable(&self) -> &'static str {
        match self.durability {
            Durability::Sync => "each commit waited until it was on the device",
            Durability::Buffered => "no commit waited for the device",
        }
    }

    /// Runs it all; `progress` is told of events that were committed.
    pub(super) fn run(&self, store: &Store, progress: impl Fn(u64) + Sync) -> Result<()> {
        self.make_room(store)?;
        let mut tx = store.begin();
        let new = NewRun::new(NAMESPACE, PARENT, "FulfilOrders").task_queue(TASK_QUEUE);
        let input = format!(r#"{{"orders":{}}}"#, self.children);
        let parent = tx.start(new.input(input.as_bytes()))?;
        self.commit(tx)?;
        progress(1);

        let next = AtomicU32::new(1);
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > self.children {
                    return Ok(());
                }
                self.run_child(store, &parent, number, &progress)?;
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..WORKERS.min(self.children)).map(|_| scope.spawn(work)).collect();
            let panicked = kinlog::Error::InvalidArgument { what: "a worker panicked" };
            workers.into_iter().try_for_each(|it| it.join().unwrap_or(Err(panicked.clone())))
        })?;

        let mut tx = store.begin();
        tx.close(&parent, Close::completed(br#"{"shipped":true}"#))?;
        self.commit(tx)?;
        progress(1);
        Ok(())
    }

    /// Lifts the limits of the namespace to what the parent needs.
    fn make_room(&self, store: &Store) -> Result<()> {
        let mut limits = store.limits(NAMESPACE);
        let (events, bytes) = (limits.history_events, limits.history_bytes);
        limits.history_events = events.max(self.children.saturating_mul(4));
        limits.history_events = limits.history_events.max(self.activities.saturating_mul(4));
        limits.history_bytes = limits.history_events.saturating_mul(256).max(bytes);
        if (events, bytes) != (limits.history_events, limits.history_bytes) {
            store.set_limits(NAMESPACE, limits)?;
        }
        Ok(())
    }

    fn run_child(
        &self,
        store: &Store,
        parent: &RunId,
        number: u32,
        progress: &impl Fn(u64),
    ) -> Result<()> {
        let child = self.start_child(store, parent, number)?;
        progress(3);
        for activity in 1..=self.activities {
            self.run_activity(store, &child.run, activity)?;
            progress(3);
        }
        self.close_child(store, parent, &child)?;
        progress(2);
        Ok(())
    }

    /// The child begins, and its parent knows of it: one commit.
    fn start_child(&self, store: &Store, parent: &RunId, number: u32) -> Result<Child> {
        loop {
            match self.try_start_child(store, parent, number) {
                // The parent got another event meanwhile, and the ids are others now.
                Err(error) if error.is_conflict() => {}
                started => return started,
            }
        }
    }

    fn try_start_child(&self, store: &Store, parent: &RunId, number: u32) -> Result<Child> {
        let workflow_id = format!("order-{number}");
        let (workflow_id, workflow_type) = (workflow_id.as_str(), "Order");
        let mut tx = store.begin();
        let initiated = ChildInitiated {
            workflow_id,
            workflow_type,
            task_queue: TASK_QUEUE,
            close_policy: ParentClosePolicy::Terminate,
            ..Default::default()
        };
        let body = Body::StartChildWorkflowExecutionInitiated(initiated);
        let initiated_event_id = tx.append(parent, NewEvent::new(body))?;
        let input = format!(r#"{{"order":{number},"items":3}}"#);
        let run = tx.start(
            NewRun::new(NAMESPACE, workflow_id, workflow_type)
                .task_queue(TASK_QUEUE)
                .parent(PARENT, *parent, initiated_event_id)
                .input(input.as_bytes()),
        )?;
        let started = ChildStarted { run_id: run, initiated_event_id };
        let body = Body::ChildWorkflowExecutionStarted(started);
        let started_event_id = tx.append(parent, NewEvent::new(body))?;
        self.commit(tx)?;
        Ok(Child { run, initiated_event_id, started_event_id })
    }

    /// Scheduled before it is run, and then what came of it: two commits.
    fn run_activity(&self, store: &Store, run: &RunId, number: u32) -> Result<()> {
        let id = number.to_string();
        let scheduled =
            ActivityScheduled { activity_id: &id, activity_type: "ShipItem", ..Default::default() };
        let input = format!(r#"{{"item":{number},"carrier":"post"}}"#);
        let mut tx = store.begin();
        let body = Body::ActivityTaskScheduled(scheduled);
        let scheduled_event_id = tx.append(run, NewEvent::new(body).payload(input.as_bytes()))?;
        self.commit(tx)?;

        let mut tx = store.begin();
        let task = ActivityTask { scheduled_event_id, started_event_id: 0 };
        let started_event_id = tx.append(run, NewEvent::new(Body::ActivityTaskStarted(task)))?;
        let body = Body::ActivityTaskCompleted(ActivityTask { started_event_id, ..task });
        let result = format!(r#"{{"tracking":"KL{number:08}"}}"#);
        tx.append(run, NewEvent::new(body).payload(result.as_bytes()))?;
        self.commit(tx)
    }

    /// The child closes, and its parent knows of it: one commit.
    fn close_child(&self, store: &Store, parent: &RunId, child: &Child) -> Result<()> {
        let result = br#"{"status":"shipped"}"#;
        let mut tx = store.begin();
        tx.close(&child.run, Close::completed(result))?;
        // Other children close meanwhile; the order does not matter.
        tx.expect(parent, Expect::Any)?;
        let closed = ChildClosed {
            run_id: child.run,
            initiated_event_id: child.initiated_event_id,
            started_event_id: child.started_event_id,
            retry_state: 0,
        };
        let body = Body::ChildWorkflowExecutionCompleted(closed);
        tx.append(parent, NewEvent::new(body).payload(result))?;
        self.commit(tx)
    }

    fn commit(&self, tx: Transaction<'_>) -> Result<()> {
        tx.commit_with(self.durability).map(drop)
    }
}

/// A child that runs, and its two events in the parent.
struct Child {
    run: RunId,
    initiated_event_id: u32,
    started_event_id: u32,
}
