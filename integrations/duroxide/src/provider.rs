//! The provider: each method of the trait, in terms of the modules beside this one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duroxide::providers::{
    DispatcherCapabilityFilter, ExecutionMetadata, OrchestrationItem, Provider, ProviderAdmin,
    ProviderError, ScheduledActivityIdentifier, SessionFetchConfig, TagFilter, WorkItem,
};
use duroxide::{Event, EventKind, SystemStats};
use kinlog::{Limits, Store};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::{Result, at, refused};
use crate::instance::Instance;
use crate::options::Options;
use crate::queue::{Count, Queue};
use crate::state::State;
use crate::turn::Outcome;
use crate::{NAMESPACE, clock, executions, kv};

/// duroxide's orchestrations in a store.
pub struct KinlogProvider {
    pub(crate) store: Arc<Store>,
    pub(crate) options: Options,
    /// Whoever commits holds it from the first look to the submission.
    pub(crate) state: Mutex<State>,
    inboxes: Notify,
    work: Notify,
}

type Response<T> = Result<T, ProviderError>;

impl KinlogProvider {
    /// A provider over a store that it has for itself. Lifts kinlog's limits for [`NAMESPACE`], as duroxide has its
    /// own. A commit must fit into a segment of the store: all that one turn of an orchestration writes.
    ///
    /// # Errors
    /// What the store refuses, and messages in it that cannot be decoded.
    pub fn new(store: Store, options: Options) -> Response<Self> {
        Self::over(store, options).map_err(at("open"))
    }

    fn over(store: Store, options: Options) -> Result<Self> {
        let limits = Limits::UNLIMITED;
        if store.limits(NAMESPACE) != limits {
            store.set_limits(NAMESPACE, limits)?;
        }
        store.transact(executions::delete_pruned)?;
        let state = Mutex::new(State::load(&store.snapshot())?);
        let (inboxes, work) = (Notify::new(), Notify::new());
        Ok(KinlogProvider { store: Arc::new(store), options, state, inboxes, work })
    }

    /// The store: to read, to back up, to measure. Whoever writes to it changes what the provider relies on.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The most often that a message that waits for an instance was fetched; 0 if none waits.
    #[must_use]
    pub fn attempts(&self, instance: &str) -> u32 {
        self.state.lock().inboxes.attempts(&Arc::from(instance))
    }

    /// Wakes those who wait, where there is something new.
    pub(crate) fn wake(&self, state: &mut State) {
        for (news, queue) in
            [(state.inboxes.take_news(), &self.inboxes), (state.work.take_news(), &self.work)]
        {
            if news {
                queue.notify_waiters();
            }
        }
    }

    /// Gives back what is held with a token, in one of the queues.
    async fn abandon<K: Clone + Ord>(
        &self,
        queue: impl Fn(&mut State) -> &mut Queue<K>,
        token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Result<()> {
        let now = clock::now();
        let attempt = |state: &mut State| {
            let Some(key) = queue(state).held(token).cloned() else {
                return refused("Invalid lock token");
            };
            if ignore_attempt {
                let mut tx = self.begin();
                if queue(state).note(&mut tx, &key, Count::Discount)? {
                    self.note(state, tx)?;
                }
                queue(state).discount(&key);
            }
            queue(state).release(&key, delay.map(|delay| clock::after(now, delay)), now);
            self.wake(state);
            Ok(())
        };
        self.attempt(attempt).await
    }

    /// Locks a turn, and hands it out when all that it stands on is as durable as was asked.
    async fn fetch_turn(
        &self,
        timeouts: (Duration, Duration),
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Result<Option<(OrchestrationItem, String, u32)>> {
        let look = |state: &mut State| self.lock_turn(state, timeouts.1, filter);
        let Some(locked) = self.look(&self.inboxes, timeouts, look).await? else {
            return Ok(None);
        };
        self.reached(locked.commit).await?;
        let item = self.read_turn(locked.what, locked.items);
        if item.is_err() {
            // Nothing is held where an error is returned. The error says why, not that this failed, too.
            let _ = self.abandon(|state| &mut state.inboxes, &locked.token, None, true).await;
        }
        Ok(Some((item?, locked.token, locked.attempts)))
    }

    /// Locks an activity, and hands it out the same way.
    async fn fetch_job(
        &self,
        timeouts: (Duration, Duration),
        session: Option<&SessionFetchConfig>,
        tags: &TagFilter,
    ) -> Result<Option<(WorkItem, String, u32)>> {
        let look = |state: &mut State| self.lock_job(state, timeouts.1, session, tags);
        let Some(locked) = self.look(&self.work, timeouts, look).await? else { return Ok(None) };
        self.reached(locked.commit).await?;
        let item = locked.items.into_iter().next();
        Ok(item.map(|item| (item, locked.token, locked.attempts)))
    }

    fn stats(&self, id: &str) -> Result<Option<SystemStats>> {
        let snapshot = self.store.snapshot();
        let Some(instance) = Instance::at(&snapshot, id)? else { return Ok(None) };
        let run = executions::run_id(&instance, instance.execution);
        let history = executions::read(&snapshot, id, &instance, instance.execution)?;
        let carried = history.iter().find_map(|event| match &event.kind {
            EventKind::OrchestrationStarted { carry_forward_events, .. } => {
                carry_forward_events.as_ref().map(Vec::len)
            }
            _ => None,
        });
        let values = kv::all(&snapshot, id)?;
        Ok(Some(SystemStats {
            history_event_count: history.len() as u64,
            history_size_bytes: snapshot.run(&run)?.bytes,
            queue_pending_count: carried.unwrap_or(0) as u64,
            kv_user_key_count: values.len() as u64,
            kv_total_value_bytes: values.values().map(|value| value.len() as u64).sum(),
        }))
    }
}

impl State {
    /// Something was done in the session of an activity.
    pub(crate) fn touch(&mut self, job: &crate::item::Job, now: u64) {
        for (_, group) in self.work.groups(job.clone()..=job.clone()) {
            let sessions = group.visible(now).filter_map(|item| crate::item::routing(item).1);
            sessions.for_each(|session| self.sessions.touch(session, now));
        }
    }
}

#[async_trait]
impl Provider for KinlogProvider {
    fn name(&self) -> &str {
        "kinlog"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    async fn fetch_orchestration_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Response<Option<(OrchestrationItem, String, u32)>> {
        let fetched = self.fetch_turn((poll_timeout, lock_timeout), filter).await;
        fetched.map_err(at("fetch_orchestration_item"))
    }

    async fn ack_orchestration_item(
        &self,
        lock_token: &str,
        execution: u64,
        events: Vec<Event>,
        mut items: Vec<WorkItem>,
        messages: Vec<WorkItem>,
        metadata: ExecutionMetadata,
        cancelled: Vec<ScheduledActivityIdentifier>,
    ) -> Response<()> {
        items.extend(messages);
        let mut outcome = Outcome { execution, events, items, metadata, cancelled };
        let committed = self.commit(|state| self.commit_turn(state, lock_token, &mut outcome));
        committed.await.map_err(at("ack_orchestration_item"))
    }

    async fn abandon_orchestration_item(
        &self,
        lock_token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Response<()> {
        let abandoned = self.abandon(|state| &mut state.inboxes, lock_token, delay, ignore_attempt);
        abandoned.await.map_err(at("abandon_orchestration_item"))
    }

    async fn renew_orchestration_item_lock(&self, token: &str, extend: Duration) -> Response<()> {
        let now = clock::now();
        let mut state = self.state.lock();
        let Some(id) = state.inboxes.holds(token, now) else {
            let what = "the lock is not held, or has expired";
            return Err(ProviderError::permanent("renew_orchestration_item_lock", what));
        };
        state.inboxes.extend(&id, clock::after(now, extend), now);
        Ok(())
    }

    async fn read(&self, instance: &str) -> Response<Vec<Event>> {
        self.history(instance, None).map_err(at("read"))
    }

    async fn read_with_execution(&self, instance: &str, execution: u64) -> Response<Vec<Event>> {
        self.history(instance, Some(execution)).map_err(at("read_with_execution"))
    }

    async fn append_with_execution(
        &self,
        instance: &str,
        execution: u64,
        events: Vec<Event>,
    ) -> Response<()> {
        let outcome = Outcome { execution, events, ..Outcome::default() };
        let committed = self.commit(|state| self.commit_events(state, instance, &outcome));
        committed.await.map_err(at("append_with_execution"))
    }

    async fn enqueue_for_worker(&self, item: WorkItem) -> Response<()> {
        let mut items = vec![item];
        let committed = self.commit(|state| self.commit_items(state, &mut items, 0));
        committed.await.map_err(at("enqueue_for_worker"))
    }

    async fn fetch_work_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tag_filter: &TagFilter,
    ) -> Response<Option<(WorkItem, String, u32)>> {
        let fetched = self.fetch_job((poll_timeout, lock_timeout), session, tag_filter).await;
        fetched.map_err(at("fetch_work_item"))
    }

    async fn ack_work_item(&self, token: &str, completion: Option<WorkItem>) -> Response<()> {
        self.report(token, completion).await.map_err(at("ack_work_item"))
    }

    async fn renew_work_item_lock(&self, token: &str, extend_for: Duration) -> Response<()> {
        let now = clock::now();
        let mut state = self.state.lock();
        let Some(job) = state.work.holds(token, now) else {
            let what = "the activity was cancelled, or its lock has expired";
            return Err(ProviderError::permanent("renew_work_item_lock", what));
        };
        state.work.extend(&job, clock::after(now, extend_for), now);
        state.touch(&job, now);
        Ok(())
    }

    async fn abandon_work_item(
        &self,
        token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Response<()> {
        let abandoned = self.abandon(|state| &mut state.work, token, delay, ignore_attempt);
        abandoned.await.map_err(at("abandon_work_item"))
    }

    async fn renew_session_lock(
        &self,
        owner_ids: &[&str],
        extend_for: Duration,
        idle_timeout: Duration,
    ) -> Response<usize> {
        let now = clock::now();
        let idle = now.saturating_sub(clock::after(0, idle_timeout));
        let until = clock::after(now, extend_for);
        Ok(self.state.lock().sessions.renew(owner_ids, until, idle, now))
    }

    async fn cleanup_orphaned_sessions(&self, _idle_timeout: Duration) -> Response<usize> {
        let State { sessions, work, .. } = &mut *self.state.lock();
        let used = work.groups(..).flat_map(|(_, group)| group.items());
        let used = used.filter_map(|item| crate::item::routing(item).1).collect();
        Ok(sessions.clean(clock::now(), &used))
    }

    async fn enqueue_for_orchestrator(
        &self,
        item: WorkItem,
        delay: Option<Duration>,
    ) -> Response<()> {
        let visible = delay.map_or(0, |delay| clock::after(clock::now(), delay));
        let mut items = vec![item];
        let committed = self.commit(|state| self.commit_items(state, &mut items, visible));
        committed.await.map_err(at("enqueue_for_orchestrator"))
    }

    fn as_management_capability(&self) -> Option<&dyn ProviderAdmin> {
        Some(self)
    }

    async fn get_custom_status(
        &self,
        instance: &str,
        last_seen_version: u64,
    ) -> Response<Option<(Option<String>, u64)>> {
        let found = Instance::at(&self.store.snapshot(), instance);
        let custom = found.map_err(at("get_custom_status"))?.and_then(|found| found.custom);
        Ok(custom.filter(|(_, version)| *version > last_seen_version))
    }

    async fn get_kv_value(&self, instance: &str, key: &str) -> Response<Option<String>> {
        kv::get(&self.store.snapshot(), instance, key).map_err(at("get_kv_value"))
    }

    async fn get_kv_all_values(&self, instance: &str) -> Response<HashMap<String, String>> {
        kv::all(&self.store.snapshot(), instance).map_err(at("get_kv_all_values"))
    }

    async fn get_instance_stats(&self, instance: &str) -> Response<Option<SystemStats>> {
        self.stats(instance).map_err(at("get_instance_stats"))
    }
}
