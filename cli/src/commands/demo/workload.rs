//! A parent workflow, its children and their activities, as an engine would commit them.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kinlog::event::{ActivityScheduled, ActivityTask};
use kinlog::{
    Body, Close, Commit, Durability, Error, NewChild, NewEvent, NewRun, ParentClosePolicy, Result,
    RunId, Store, Transaction,
};

/// The parent's workflow id.
pub(super) const PARENT: &str = "fulfilment";
pub(super) const NAMESPACE: &str = "demo";
const TASK_QUEUE: &str = "orders";
/// How many children one workflow task of the parent starts.
const CHILDREN_AT_ONCE: u32 = 1000;
/// How many activities one workflow task of a child schedules.
const ACTIVITIES_AT_ONCE: u32 = 25;
/// How many children run at a time; their commits share the syncs of the disk.
const WORKERS: u32 = 32;
/// Every so many children one completes before its parent does.
const COMPLETES: usize = 10;

/// What happens to the children when the parent closes, in turn.
const POLICIES: [ParentClosePolicy; 3] =
    [ParentClosePolicy::Terminate, ParentClosePolicy::RequestCancel, ParentClosePolicy::Abandon];

pub(super) struct Workload {
    pub(super) children: u32,
    pub(super) activities: u32,
    pub(super) durability: Durability,
}

impl Workload {
    /// How many events it comes to before the fan-out.
    pub(super) fn events(&self) -> u64 {
        let children = u64::from(self.children);
        let complete = children.div_ceil(COMPLETES as u64);
        2 + children * (3 + 3 * u64::from(self.activities)) + 2 * complete
    }

    /// What its commits wait for, in words.
    pub(super) fn how_durable(&self) -> &'static str {
        match self.durability {
            Durability::Sync => "each commit waited until it was on the device",
            Durability::Buffered => "no commit waited for the device",
        }
    }

    /// Starts the parent and its children, and runs the children's activities; `progress` is told
    /// of events that were committed. The parent stays open.
    pub(super) fn run(&self, store: &Store, progress: impl Fn(u64) + Sync) -> Result<RunId> {
        self.make_room(store)?;
        let mut tx = store.begin();
        let new = NewRun::new(NAMESPACE, PARENT, "FulfilOrders").task_queue(TASK_QUEUE);
        let input = format!(r#"{{"orders":{}}}"#, self.children);
        let parent = tx.start(new.input(input.as_bytes()))?;
        self.commit(tx)?;
        progress(1);

        let mut children = vec![];
        for first in (1..=self.children).step_by(CHILDREN_AT_ONCE as usize) {
            let last = self.children.min(first.saturating_add(CHILDREN_AT_ONCE - 1));
            self.start_children(store, &parent, first..=last, &mut children)?;
            progress(3 * u64::from(last - first + 1));
        }
        if self.activities > 0 {
            self.run_children(store, &children, &progress)?;
        }
        let completed: Vec<_> = children.iter().step_by(COMPLETES).collect();
        for page in completed.chunks(CHILDREN_AT_ONCE as usize) {
            let mut tx = store.begin();
            for child in page {
                tx.close_run(child, Close::completed(br#"{"status":"shipped"}"#))?;
            }
            self.commit(tx)?;
            // Their outcomes are what the parent is owed now.
            let reported = store.settle_all()?.duties;
            progress(page.len() as u64 + reported);
        }
        Ok(parent)
    }

    /// The parent completes while most of its children still run.
    pub(super) fn close(&self, store: &Store, parent: &RunId) -> Result<Commit> {
        store.close_run(parent, Close::completed(br#"{"shipped":true}"#))
    }

    /// Lifts the limits of the namespace to what is asked for.
    fn make_room(&self, store: &Store) -> Result<()> {
        let before = store.limits(NAMESPACE);
        let mut limits = before;
        limits.open_children = limits.open_children.max(self.children);
        let longest = self.children.max(self.activities).saturating_add(10).saturating_mul(3);
        if longest > limits.history_events {
            limits.history_events = longest;
            limits.history_bytes = limits.history_bytes.max(longest.saturating_mul(256));
        }
        if limits != before {
            store.set_limits(NAMESPACE, limits)?;
        }
        Ok(())
    }

    /// One workflow task of the parent: the children begin and it knows of them, in one commit.
    fn start_children(
        &self,
        store: &Store,
        parent: &RunId,
        numbers: RangeInclusive<u32>,
        children: &mut Vec<RunId>,
    ) -> Result<()> {
        let mut tx = store.begin();
        for (number, policy) in numbers.zip(POLICIES.into_iter().cycle()) {
            let workflow_id = format!("order-{number}");
            let input = format!(r#"{{"order":{number},"items":3}}"#);
            let child = NewChild::new(&workflow_id, "Order").task_queue(TASK_QUEUE);
            let child = child.on_parent_close(policy).input(input.as_bytes());
            children.push(tx.spawn_child(parent, child)?.run);
        }
        self.commit(tx)
    }

    /// Runs the activities of all children, many children at a time.
    fn run_children(
        &self,
        store: &Store,
        children: &[RunId],
        progress: &(impl Fn(u64) + Sync),
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some(child) = children.get(next.fetch_add(1, Ordering::Relaxed)) {
                for first in (1..=self.activities).step_by(ACTIVITIES_AT_ONCE as usize) {
                    let last = self.activities.min(first.saturating_add(ACTIVITIES_AT_ONCE - 1));
                    self.run_activities(store, child, first..=last)?;
                    progress(3 * u64::from(last - first + 1));
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..WORKERS.min(self.children)).map(|_| scope.spawn(work)).collect();
            let panicked = Error::InvalidArgument { what: "a worker panicked" };
            workers.into_iter().try_for_each(|it| it.join().unwrap_or(Err(panicked.clone())))
        })
    }

    /// One workflow task of a child schedules activities; the next commit has what came of them.
    fn run_activities(
        &self,
        store: &Store,
        run: &RunId,
        numbers: RangeInclusive<u32>,
    ) -> Result<()> {
        let mut tx = store.begin();
        let mut scheduled = Vec::with_capacity(ACTIVITIES_AT_ONCE as usize);
        for number in numbers {
            let id = number.to_string();
            let input = format!(r#"{{"item":{number},"carrier":"post"}}"#);
            let body = Body::ActivityTaskScheduled(ActivityScheduled {
                activity_id: &id,
                activity_type: "ShipItem",
                ..Default::default()
            });
            scheduled.push(tx.append(run, NewEvent::new(body).payload(input.as_bytes()))?);
        }
        self.commit(tx)?;

        let mut tx = store.begin();
        for scheduled_event_id in scheduled {
            let task = ActivityTask { scheduled_event_id, started_event_id: 0 };
            let started_event_id =
                tx.append(run, NewEvent::new(Body::ActivityTaskStarted(task)))?;
            let body = Body::ActivityTaskCompleted(ActivityTask { started_event_id, ..task });
            let result = format!(r#"{{"tracking":"KL{scheduled_event_id:08}"}}"#);
            tx.append(run, NewEvent::new(body).payload(result.as_bytes()))?;
        }
        self.commit(tx)
    }

    fn commit(&self, tx: Transaction<'_>) -> Result<()> {
        tx.commit_with(self.durability).map(drop)
    }
}
