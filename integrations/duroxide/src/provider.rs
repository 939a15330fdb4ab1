//! The provider: each method of the trait, in terms of the modules beside this one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duroxide::providers::{
    DispatcherCapabilityFilter, ExecutionMetadata, OrchestrationItem, Provider, ProviderAdmin,
    ScheduledActivityIdentifier, SessionFetchConfig, TagFilter, WorkItem,
};
use duroxide::{Event, SystemStats};
use kinlog::{CommitHandle, Durability, Limits, Store, Transaction};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::{OpenError, Result, durable, invalid, refused};
use crate::options::{Options, Polling};
use crate::state::State;
use crate::turn::Outcome;
use crate::{NAMESPACE, clock, executions, kv, turn, waiting};

/// A store of duroxide's orchestrations. One process at a time opens a directory.
pub struct KinlogProvider {
    pub(crate) store: Arc<Store>,
    pub(crate) durability: Durability,
    polling: Polling,
    /// Changes with each commit: whoever commits holds it from the first look to the submission.
    pub(crate) state: Mutex<State>,
    inboxes: Notify,
    work: Notify,
}

impl KinlogProvider {
    /// Opens the store in the directory `path`, and makes it if it is not there; with the default [`Options`].
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> std::result::Result<Self, OpenError> {
        Options::new().open(path)
    }

    pub(crate) fn over(store: Store, options: &Options) -> std::result::Result<Self, OpenError> {
        let limits = unlimited();
        if store.limits(NAMESPACE) != limits {
            store.set_limits(NAMESPACE, limits)?;
        }
        let state = State::load(&store.snapshot(), clock::now())?;
        Ok(KinlogProvider {
            store: Arc::new(store),
            durability: options.durability,
            polling: options.polling,
            state: Mutex::new(state),
            inboxes: Notify::new(),
            work: Notify::new(),
        })
    }

    /// The store, to read histories, to back it up, to look at its statistics. Whoever writes to it changes
    /// what the provider relies on.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The most often that a message that waits for an instance was fetched; 0 if none waits.
    #[must_use]
    pub fn attempts(&self, instance: &str) -> u32 {
        self.state.lock().inboxes.attempts(instance)
    }

    pub(crate) fn submit(
        &self,
        operation: &'static str,
        tx: Transaction<'_>,
        durability: Durability,
    ) -> Result<CommitHandle> {
        tx.submit(durability).map_err(refused(operation))
    }

    /// Wakes those who wait for work.
    pub(crate) fn wake(&self) {
        self.inboxes.notify_waiters();
        self.work.notify_waiters();
    }

    /// Gives back what was locked for nothing.
    pub(crate) fn give_back(&self, token: u64) {
        let held = self.state.lock().token_name(token);
        // Whichever it is; and if it is neither any more, there is nothing to give back.
        if self.abandon_turn(&held, None, true).is_err() {
            self.abandon_job(&held, None, true).unwrap_or_default();
        }
    }

    fn abandon_turn(&self, token: &str, delay: Option<Duration>, ignore: bool) -> Result<()> {
        const OPERATION: &str = "abandon_orchestration_item";
        let now = clock::now();
        let mut state = self.state.lock();
        let held = state.token(token).and_then(|token| state.inboxes.holder(token, now));
        let Some((id, _)) = held else { return Err(invalid(OPERATION, "Invalid lock token")) };
        if ignore {
            let mut tx = self.store.begin();
            state.inboxes.discount(&mut tx, &id).map_err(refused(OPERATION))?;
            self.submit(OPERATION, tx, Durability::Buffered)?;
        }
        state.inboxes.release(&id, delay.map(|delay| clock::after(now, delay)), now);
        drop(state);
        self.wake();
        Ok(())
    }

    fn abandon_job(&self, token: &str, delay: Option<Duration>, ignore: bool) -> Result<()> {
        const OPERATION: &str = "abandon_work_item";
        let now = clock::now();
        let mut state = self.state.lock();
        let held = state.token(token).and_then(|token| state.work.holder(token, now));
        let Some((number, ..)) = held else { return Err(invalid(OPERATION, "Invalid lock token")) };
        if ignore {
            let mut tx = self.store.begin();
            state.work.discount(&mut tx, number).map_err(refused(OPERATION))?;
            self.submit(OPERATION, tx, Durability::Buffered)?;
        }
        state.work.release(number, delay.map(|delay| clock::after(now, delay)), now);
        drop(state);
        self.wake();
        Ok(())
    }
}

/// duroxide has limits of its own.
fn unlimited() -> Limits {
    let mut limits = Limits::default();
    let of_bytes = [
        &mut limits.history_bytes,
        &mut limits.payload_bytes,
        &mut limits.id_bytes,
        &mut limits.warn_bytes,
        &mut limits.suggest_bytes,
    ];
    of_bytes.into_iter().for_each(|limit| *limit = u32::MAX);
    let of_events =
        [&mut limits.history_events, &mut limits.warn_events, &mut limits.suggest_events];
    of_events.into_iter().for_each(|limit| *limit = u32::MAX);
    limits
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
    ) -> Result<Option<(OrchestrationItem, String, u32)>> {
        let look = || self.lock_turn(lock_timeout, filter);
        let found = waiting::look(self.polling, poll_timeout, &self.inboxes, look).await?;
        let Some((hold, turn)) = found else { return Ok(None) };
        let (item, attempts) = self.read_turn(turn).await?;
        Ok(Some((item, hold.keep(), attempts)))
    }

    async fn ack_orchestration_item(
        &self,
        lock_token: &str,
        execution: u64,
        events: Vec<Event>,
        work: Vec<WorkItem>,
        messages: Vec<WorkItem>,
        metadata: ExecutionMetadata,
        cancelled: Vec<ScheduledActivityIdentifier>,
    ) -> Result<()> {
        let outcome = Outcome { execution, events, work, messages, metadata, cancelled };
        durable(turn::TURN, self.commit_turn(lock_token, outcome)?).await
    }

    async fn abandon_orchestration_item(
        &self,
        lock_token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Result<()> {
        self.abandon_turn(lock_token, delay, ignore_attempt)
    }

    async fn renew_orchestration_item_lock(&self, token: &str, extend_for: Duration) -> Result<()> {
        let now = clock::now();
        let mut state = self.state.lock();
        let held = state.token(token).and_then(|token| state.inboxes.holder(token, now));
        let Some((id, true)) = held else {
            return Err(invalid("renew_orchestration_item_lock", "Lock token invalid or expired"));
        };
        state.inboxes.extend(&id, clock::after(now, extend_for), now);
        Ok(())
    }

    async fn read(&self, instance: &str) -> Result<Vec<Event>> {
        self.read_current("read", instance)
    }

    async fn read_with_execution(&self, instance: &str, execution: u64) -> Result<Vec<Event>> {
        self.read_execution("read_with_execution", instance, execution)
    }

    async fn append_with_execution(
        &self,
        instance: &str,
        execution: u64,
        events: Vec<Event>,
    ) -> Result<()> {
        let handle = self.commit_events(instance, execution, &events)?;
        durable("append_with_execution", handle).await
    }

    async fn enqueue_for_worker(&self, item: WorkItem) -> Result<()> {
        const OPERATION: &str = "enqueue_for_worker";
        if !matches!(item, WorkItem::ActivityExecute { .. }) {
            return Err(invalid(OPERATION, "only activities go to workers"));
        }
        durable(OPERATION, self.commit_item(OPERATION, item, 0)?).await
    }

    async fn fetch_work_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tag_filter: &TagFilter,
    ) -> Result<Option<(WorkItem, String, u32)>> {
        let look = || self.lock_job(lock_timeout, session, tag_filter);
        let found = waiting::look(self.polling, poll_timeout, &self.work, look).await?;
        let Some((hold, job)) = found else { return Ok(None) };
        let (item, attempts) = self.read_job(job).await?;
        Ok(Some((item, hold.keep(), attempts)))
    }

    async fn ack_work_item(&self, token: &str, completion: Option<WorkItem>) -> Result<()> {
        durable(turn::WORK_ITEM, self.commit_work(token, completion)?).await
    }

    async fn renew_work_item_lock(&self, token: &str, extend_for: Duration) -> Result<()> {
        let now = clock::now();
        let mut state = self.state.lock();
        let (number, session) = state.held_job("renew_work_item_lock", token, now)?;
        state.work.extend(number, clock::after(now, extend_for), now);
        if let Some(session) = session {
            state.sessions.touch(&session, now);
        }
        Ok(())
    }

    async fn abandon_work_item(
        &self,
        token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Result<()> {
        self.abandon_job(token, delay, ignore_attempt)
    }

    async fn renew_session_lock(
        &self,
        owner_ids: &[&str],
        extend_for: Duration,
        idle_timeout: Duration,
    ) -> Result<usize> {
        let now = clock::now();
        let idle = now.saturating_sub(clock::after(0, idle_timeout));
        let until = clock::after(now, extend_for);
        Ok(self.state.lock().sessions.renew(owner_ids, until, idle, now))
    }

    async fn cleanup_orphaned_sessions(&self, _idle_timeout: Duration) -> Result<usize> {
        let state = &mut *self.state.lock();
        Ok(state.sessions.clean(clock::now(), |session| state.work.uses(session)))
    }

    async fn enqueue_for_orchestrator(
        &self,
        item: WorkItem,
        delay: Option<Duration>,
    ) -> Result<()> {
        const OPERATION: &str = "enqueue_for_orchestrator";
        if matches!(item, WorkItem::ActivityExecute { .. }) {
            return Err(invalid(OPERATION, "activities go to workers"));
        }
        let delayed = delay.map_or(0, |delay| clock::after(clock::now(), delay));
        durable(OPERATION, self.commit_item(OPERATION, item, delayed)?).await
    }

    fn as_management_capability(&self) -> Option<&dyn ProviderAdmin> {
        Some(self)
    }

    async fn get_custom_status(
        &self,
        instance: &str,
        last_seen_version: u64,
    ) -> Result<Option<(Option<String>, u64)>> {
        let found = self.instance_at(&self.store.snapshot(), "get_custom_status", instance)?;
        let found = found.filter(|found| found.custom_version > last_seen_version);
        Ok(found.map(|found| (found.custom, found.custom_version)))
    }

    async fn get_kv_value(&self, instance: &str, key: &str) -> Result<Option<String>> {
        kv::get(&self.store.snapshot(), instance, key).map_err(refused("get_kv_value"))
    }

    async fn get_kv_all_values(&self, instance: &str) -> Result<HashMap<String, String>> {
        kv::all(&self.store.snapshot(), instance).map_err(refused("get_kv_all_values"))
    }

    async fn get_instance_stats(&self, instance: &str) -> Result<Option<SystemStats>> {
        const OPERATION: &str = "get_instance_stats";
        let snapshot = self.store.snapshot();
        let Some(found) = self.instance_at(&snapshot, OPERATION, instance)? else {
            return Ok(None);
        };
        let values = kv::all(&snapshot, instance).map_err(refused(OPERATION))?;
        let run = executions::run_id(found.born, found.execution);
        let history = executions::measure(&snapshot, &run).map_err(refused(OPERATION))?;
        Ok(Some(SystemStats {
            history_event_count: history.events,
            history_size_bytes: history.bytes,
            queue_pending_count: history.carried,
            kv_user_key_count: values.len() as u64,
            kv_total_value_bytes: values.values().map(|value| value.len() as u64).sum(),
        }))
    }
}
