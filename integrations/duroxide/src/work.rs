//! The activities that are to be done: which can be fetched by whom, and who holds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use duroxide::providers::{ScheduledActivityIdentifier, TagFilter, WorkItem};
use kinlog::Transaction;

use crate::state::{Lock, Waiting};
use crate::tables::WORK;

/// All activities that are to be done.
#[derive(Default)]
pub(crate) struct Work {
    jobs: BTreeMap<u64, Job>,
    /// Those that can be fetched, by what decides about who may.
    ready: HashMap<Lane, BTreeSet<u64>>,
    /// When to look at one again: it can be seen then, or its lock expires.
    later: BTreeSet<(u64, u64)>,
    held: HashMap<u64, u64>,
    by_activity: HashMap<Activity, Vec<u64>>,
}

/// An activity of an execution of an instance.
type Activity = (Arc<str>, u64, u64);

/// What decides about who may fetch an activity.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) session: Option<Arc<str>>,
}

struct Job {
    waiting: Waiting,
    lane: Lane,
    activity: Option<Activity>,
    lock: Option<Lock>,
}

impl Work {
    pub(crate) fn add(&mut self, number: u64, item: &WorkItem, waiting: Waiting, now: u64) {
        let (mut activity, mut lane) = (None, Lane { tag: None, session: None });
        if let WorkItem::ActivityExecute { instance, execution_id, id, tag, session_id, .. } = item
        {
            activity = Some((Arc::from(instance.as_str()), *execution_id, *id));
            lane.tag = tag.as_deref().map(Arc::from);
            lane.session = session_id.as_deref().map(Arc::from);
        }
        if let Some(activity) = &activity {
            self.by_activity.entry(activity.clone()).or_default().push(number);
        }
        self.jobs.insert(number, Job { waiting, lane, activity, lock: None });
        self.settle(number, now);
    }

    /// Looks again at those whose time has come.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some((time, number)) = self.later.first().copied().filter(|(t, _)| *t <= now) {
            self.later.remove(&(time, number));
            self.settle(number, now);
        }
    }

    /// When something changes by itself.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.later.first().map(|(time, _)| *time)
    }

    /// The oldest activity that a worker may fetch, by tag and by what `admits` says of sessions.
    pub(crate) fn find(
        &self,
        tags: &TagFilter,
        admits: impl Fn(&str) -> bool,
    ) -> Option<(u64, Lane)> {
        let fits = |lane: &Lane| {
            tags.matches(lane.tag.as_deref()) && lane.session.as_deref().is_none_or(&admits)
        };
        let lanes = self.ready.iter().filter(|(lane, _)| fits(lane));
        let firsts = lanes.filter_map(|(lane, numbers)| Some((*numbers.first()?, lane)));
        firsts.min_by_key(|(number, _)| *number).map(|(number, lane)| (number, lane.clone()))
    }

    /// Locks an activity; how often it was fetched.
    pub(crate) fn lock(
        &mut self,
        tx: &mut Transaction<'_>,
        number: u64,
        lock: Lock,
        now: u64,
    ) -> kinlog::Result<u32> {
        self.unsettle(number);
        let Some(job) = self.jobs.get_mut(&number) else { return Ok(0) };
        job.waiting.count(tx, number)?;
        let attempts = job.waiting.attempts;
        self.held.insert(lock.token, number);
        let former = job.lock.replace(lock);
        former.map(|former| self.held.remove(&former.token));
        self.settle(number, now);
        Ok(attempts)
    }

    /// Which activity is held with this token, and its session; whether the lock has not expired.
    pub(crate) fn holder(&self, token: u64, now: u64) -> Option<(u64, Option<Arc<str>>, bool)> {
        let number = *self.held.get(&token)?;
        let job = self.jobs.get(&number)?;
        let live = job.lock.as_ref().is_some_and(|lock| lock.until > now);
        Some((number, job.lane.session.clone(), live))
    }

    /// Holds an activity for longer.
    pub(crate) fn extend(&mut self, number: u64, until: u64, now: u64) {
        self.unsettle(number);
        if let Some(lock) = self.jobs.get_mut(&number).and_then(|job| job.lock.as_mut()) {
            lock.until = until;
        }
        self.settle(number, now);
    }

    /// Takes an attempt back.
    pub(crate) fn discount(&mut self, tx: &mut Transaction<'_>, number: u64) -> kinlog::Result<()> {
        self.jobs.get_mut(&number).map_or(Ok(()), |job| job.waiting.discount(tx, number))
    }

    /// Gives back the lock; the activity can be seen again, then or now.
    pub(crate) fn release(&mut self, number: u64, visible: Option<u64>, now: u64) {
        self.unsettle(number);
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.waiting.visible = visible.unwrap_or(job.waiting.visible);
        let lock = job.lock.take();
        lock.map(|lock| self.held.remove(&lock.token));
        self.settle(number, now);
    }

    /// The numbers under which activities are to be done.
    pub(crate) fn numbers(&self, activities: &[ScheduledActivityIdentifier]) -> Vec<u64> {
        let key = |a: &ScheduledActivityIdentifier| {
            (Arc::from(a.instance.as_str()), a.execution_id, a.activity_id)
        };
        activities.iter().filter_map(|a| self.by_activity.get(&key(a))).flatten().copied().collect()
    }

    /// The numbers of an instance's activities. Looks at all there are.
    pub(crate) fn numbers_of(&self, id: &str) -> Vec<u64> {
        let own = self.by_activity.iter().filter(|((instance, ..), _)| **instance == *id);
        own.flat_map(|(_, numbers)| numbers).copied().collect()
    }

    /// Deletes the rows of an activity.
    pub(crate) fn delete_rows(&self, tx: &mut Transaction<'_>, number: u64) -> kinlog::Result<()> {
        self.jobs.get(&number).map_or(Ok(()), |job| job.waiting.delete(tx, WORK, number))
    }

    /// Forgets an activity and its lock.
    pub(crate) fn forget(&mut self, number: u64) {
        self.unsettle(number);
        let Some(job) = self.jobs.remove(&number) else { return };
        job.lock.map(|lock| self.held.remove(&lock.token));
        if let Some(activity) = job.activity
            && let Some(numbers) = self.by_activity.get_mut(&activity)
        {
            numbers.retain(|known| *known != number);
            if numbers.is_empty() {
                self.by_activity.remove(&activity);
            }
        }
    }

    /// Whether a session has activities.
    pub(crate) fn uses(&self, session: &str) -> bool {
        self.jobs.values().any(|job| job.lane.session.as_deref() == Some(session))
    }

    /// How many activities nobody holds.
    pub(crate) fn depth(&self, now: u64) -> usize {
        let free = |job: &&Job| job.lock.as_ref().is_none_or(|lock| lock.until <= now);
        self.jobs.values().filter(free).count()
    }

    /// Puts an activity where it belongs.
    fn settle(&mut self, number: u64, now: u64) {
        let Some(job) = self.jobs.get(&number) else { return };
        let time = job.time();
        if time > now {
            self.later.insert((time, number));
        } else {
            self.ready.entry(job.lane.clone()).or_default().insert(number);
        }
    }

    /// Takes an activity from where it is.
    fn unsettle(&mut self, number: u64) {
        let Some(job) = self.jobs.get(&number) else { return };
        if self.later.remove(&(job.time(), number)) {
            return;
        }
        if let Some(numbers) = self.ready.get_mut(&job.lane) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.ready.remove(&job.lane);
            }
        }
    }
}

impl Job {
    /// From when on it can be fetched.
    fn time(&self) -> u64 {
        self.lock.as_ref().map_or(0, |lock| lock.until).max(self.waiting.visible)
    }
}
