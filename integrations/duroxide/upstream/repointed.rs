//! What duroxide's own tests find where they look for its SQLite provider: kinlog's. Compiled by `upstream/run`
//! only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use duroxide::providers::*;
use duroxide::runtime::Runtime;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{Event, OrchestrationRegistry, SystemStats};
use kinlog::{Durability, EventKind, Expect, NewEvent};
use kinlog_duroxide::{KinlogProvider, NAMESPACE, Options, Polling};
use tempfile::TempDir;

/// A provider of kinlog's under the name of another one.
pub struct SqliteProvider {
    inner: Arc<Opened>,
}

struct Opened {
    provider: KinlogProvider,
    _dir: Option<TempDir>,
}

/// Some tests open one path twice; kinlog is opened once.
static OPENED: Mutex<Option<HashMap<PathBuf, Weak<Opened>>>> = Mutex::new(None);

fn open(path: &Path, dir: Option<TempDir>) -> Arc<Opened> {
    let short = std::env::var("KINLOG_POLLING").is_ok_and(|polling| polling == "short");
    let polling = if short { Polling::Short } else { Polling::Long };
    let options = Options::new().polling(polling).durability(Durability::Buffered);
    let store = kinlog::Options::new().segment_bytes(4 << 20).open(path).unwrap();
    let provider = KinlogProvider::new(store, options).unwrap();
    Arc::new(Opened { provider, _dir: dir })
}

impl SqliteProvider {
    pub async fn new(url: &str, _options: Option<()>) -> Result<Self, ProviderError> {
        let Some(file) = url.strip_prefix("sqlite:").filter(|file| !file.starts_with(':')) else {
            return Self::new_in_memory().await;
        };
        let path = PathBuf::from(format!("{}.kinlog", file.split('?').next().unwrap_or_default()));
        let mut opened = OPENED.lock().unwrap();
        let known = opened.get_or_insert_default();
        if let Some(inner) = known.get(&path).and_then(Weak::upgrade) {
            return Ok(SqliteProvider { inner });
        }
        let inner = open(&path, None);
        known.insert(path, Arc::downgrade(&inner));
        Ok(SqliteProvider { inner })
    }

    pub async fn new_in_memory() -> Result<Self, ProviderError> {
        let dir = tempfile::tempdir().unwrap();
        let inner = open(&dir.path().join("store"), Some(dir));
        Ok(SqliteProvider { inner })
    }

    /// Some tests call this one without the trait.
    pub async fn read_history(&self, instance: &str) -> Result<Vec<Event>, ProviderError> {
        self.inner.provider.read_history(instance).await
    }

    /// An event that cannot be decoded, where a test rewrites rows by SQL.
    pub fn corrupt(&self, instance: &str) {
        let store = self.inner.provider.store();
        let run = store.current_run(NAMESPACE, instance).unwrap().unwrap();
        let mut tx = store.begin();
        tx.expect(&run, Expect::Any).unwrap();
        tx.append(&run, NewEvent::opaque(EventKind::from_number(1024), b"?")).unwrap();
        tx.commit().unwrap();
    }
}

/// In the place of `Runtime::start`, which opens an SQLite database in memory.
pub async fn start(
    activities: ActivityRegistry,
    orchestrations: OrchestrationRegistry,
) -> Arc<Runtime> {
    let store = Arc::new(SqliteProvider::new_in_memory().await.unwrap());
    Runtime::start_with_store(store, activities, orchestrations).await
}

#[async_trait::async_trait]
impl Provider for SqliteProvider {
    async fn fetch_orchestration_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Result<Option<(OrchestrationItem, String, u32)>, ProviderError> {
        self.inner.provider.fetch_orchestration_item(lock_timeout, poll_timeout, filter).await
    }

    async fn ack_orchestration_item(
        &self,
        lock_token: &str,
        execution_id: u64,
        history_delta: Vec<Event>,
        worker_items: Vec<WorkItem>,
        orchestrator_items: Vec<WorkItem>,
        metadata: ExecutionMetadata,
        cancelled: Vec<ScheduledActivityIdentifier>,
    ) -> Result<(), ProviderError> {
        let (events, work, messages) = (history_delta, worker_items, orchestrator_items);
        let provider = &self.inner.provider;
        provider
            .ack_orchestration_item(
                lock_token,
                execution_id,
                events,
                work,
                messages,
                metadata,
                cancelled,
            )
            .await
    }

    async fn abandon_orchestration_item(
        &self,
        token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Result<(), ProviderError> {
        self.inner.provider.abandon_orchestration_item(token, delay, ignore_attempt).await
    }

    async fn read(&self, instance: &str) -> Result<Vec<Event>, ProviderError> {
        self.inner.provider.read(instance).await
    }

    async fn read_with_execution(
        &self,
        instance: &str,
        execution_id: u64,
    ) -> Result<Vec<Event>, ProviderError> {
        self.inner.provider.read_with_execution(instance, execution_id).await
    }

    async fn append_with_execution(
        &self,
        instance: &str,
        execution_id: u64,
        events: Vec<Event>,
    ) -> Result<(), ProviderError> {
        self.inner.provider.append_with_execution(instance, execution_id, events).await
    }

    async fn enqueue_for_worker(&self, item: WorkItem) -> Result<(), ProviderError> {
        self.inner.provider.enqueue_for_worker(item).await
    }

    async fn fetch_work_item(
        &self,
        lock_timeout: Duration,
        poll_timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tags: &TagFilter,
    ) -> Result<Option<(WorkItem, String, u32)>, ProviderError> {
        self.inner.provider.fetch_work_item(lock_timeout, poll_timeout, session, tags).await
    }

    async fn ack_work_item(
        &self,
        token: &str,
        completion: Option<WorkItem>,
    ) -> Result<(), ProviderError> {
        self.inner.provider.ack_work_item(token, completion).await
    }

    async fn renew_work_item_lock(&self, token: &str, by: Duration) -> Result<(), ProviderError> {
        self.inner.provider.renew_work_item_lock(token, by).await
    }

    async fn renew_session_lock(
        &self,
        owners: &[&str],
        by: Duration,
        idle: Duration,
    ) -> Result<usize, ProviderError> {
        self.inner.provider.renew_session_lock(owners, by, idle).await
    }

    async fn cleanup_orphaned_sessions(&self, idle: Duration) -> Result<usize, ProviderError> {
        self.inner.provider.cleanup_orphaned_sessions(idle).await
    }

    async fn abandon_work_item(
        &self,
        token: &str,
        delay: Option<Duration>,
        ignore_attempt: bool,
    ) -> Result<(), ProviderError> {
        self.inner.provider.abandon_work_item(token, delay, ignore_attempt).await
    }

    async fn renew_orchestration_item_lock(
        &self,
        token: &str,
        by: Duration,
    ) -> Result<(), ProviderError> {
        self.inner.provider.renew_orchestration_item_lock(token, by).await
    }

    async fn enqueue_for_orchestrator(
        &self,
        item: WorkItem,
        delay: Option<Duration>,
    ) -> Result<(), ProviderError> {
        self.inner.provider.enqueue_for_orchestrator(item, delay).await
    }

    fn as_management_capability(&self) -> Option<&dyn ProviderAdmin> {
        self.inner.provider.as_management_capability()
    }

    async fn get_custom_status(
        &self,
        instance: &str,
        last_seen: u64,
    ) -> Result<Option<(Option<String>, u64)>, ProviderError> {
        self.inner.provider.get_custom_status(instance, last_seen).await
    }

    async fn get_kv_value(
        &self,
        instance: &str,
        key: &str,
    ) -> Result<Option<String>, ProviderError> {
        self.inner.provider.get_kv_value(instance, key).await
    }

    async fn get_kv_all_values(
        &self,
        instance: &str,
    ) -> Result<HashMap<String, String>, ProviderError> {
        self.inner.provider.get_kv_all_values(instance).await
    }

    async fn get_instance_stats(
        &self,
        instance: &str,
    ) -> Result<Option<SystemStats>, ProviderError> {
        self.inner.provider.get_instance_stats(instance).await
    }
}
