//! Looking at instances, and deleting them: each method of the trait.

use async_trait::async_trait;
use duroxide::Event;
use duroxide::providers::{
    DeleteInstanceResult, ExecutionInfo, InstanceFilter, InstanceInfo, ProviderAdmin,
    ProviderError, PruneOptions, PruneResult, QueueDepths, SystemMetrics,
};
use kinlog::{Error, Snapshot};

use crate::error::{Result, at, refused};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::tables::{CHILDREN, INSTANCES, pairs_at};
use crate::{NAMESPACE, clock, executions};

type Response<T> = Result<T, ProviderError>;

impl KinlogProvider {
    /// An instance that a turn has made.
    pub(crate) fn instance(&self, snapshot: &Snapshot, id: &str) -> Result<Instance> {
        match Instance::at(snapshot, id)? {
            Some(instance) if instance.name.is_some() => Ok(instance),
            _ => refused(format!("Instance {id} not found")),
        }
    }

    /// All instances that turns have made, the newest first.
    pub(crate) fn instances(&self, snapshot: &Snapshot) -> Result<Vec<(String, Instance)>> {
        let mut instances = vec![];
        for row in snapshot.rows(INSTANCES, ..) {
            let row = row?;
            let instance: Instance = serde_json::from_slice(row.value)?;
            if instance.name.is_some() {
                instances.push((String::from_utf8_lossy(row.key).into_owned(), instance));
            }
        }
        instances.sort_unstable_by_key(|(_, instance)| std::cmp::Reverse(instance.born));
        Ok(instances)
    }

    /// The history of an execution, or of the current one.
    pub(crate) fn history(&self, id: &str, execution: Option<u64>) -> Result<Vec<Event>> {
        let snapshot = self.store.snapshot();
        let Some(instance) = Instance::at(&snapshot, id)? else { return Ok(vec![]) };
        let execution = execution.unwrap_or(instance.execution);
        executions::read(&snapshot, id, &instance, execution)
    }

    fn instance_info(&self, id: &str) -> Result<InstanceInfo> {
        let snapshot = self.store.snapshot();
        let instance = self.instance(&snapshot, id)?;
        let (last, updated_at) = executions::last(&snapshot, id, &instance)?.unwrap_or_default();
        let said =
            last.filter(|_| instance.is_terminal()).and_then(|last| executions::output(&last));
        let output = instance.output.clone().or(said);
        Ok(InstanceInfo {
            instance_id: id.to_owned(),
            current_execution_id: instance.execution,
            status: instance.status().to_owned(),
            created_at: instance.created_at(),
            updated_at,
            orchestration_name: instance.name.unwrap_or_default(),
            orchestration_version: instance.version.unwrap_or_else(|| "unknown".to_owned()),
            output,
            parent_instance_id: instance.parent,
        })
    }

    fn execution_info(&self, id: &str, execution: u64) -> Result<ExecutionInfo> {
        let snapshot = self.store.snapshot();
        let instance = Instance::at(&snapshot, id)?.unwrap_or_default();
        let run = match snapshot.run(&executions::run_id(&instance, execution)) {
            Err(Error::RunNotFound { .. } | Error::RunDeleted { .. }) => {
                return refused(format!("Execution {execution} not found for instance {id}"));
            }
            run => run?,
        };
        let events = executions::read(&snapshot, id, &instance, execution)?;
        let mut info = ExecutionInfo {
            execution_id: execution,
            status: executions::status_of(&run).to_owned(),
            output: events.last().and_then(executions::output),
            started_at: clock::millis(run.started_at),
            completed_at: run.closed_at.map(clock::millis),
            event_count: events.len(),
        };
        // The row knows more: the run of an execution that is to continue as new is open until the next one begins.
        if execution == instance.execution {
            info.status = instance.status().to_owned();
            info.output = info.output.filter(|_| instance.is_terminal());
            info.output = instance.output.or(info.output);
            info.completed_at = instance.ended;
        }
        Ok(info)
    }

    fn metrics(&self) -> Result<SystemMetrics> {
        let snapshot = self.store.snapshot();
        let size = snapshot.namespace_size(NAMESPACE);
        let mut metrics = SystemMetrics {
            total_executions: size.runs,
            total_events: size.events,
            ..Default::default()
        };
        for (_, instance) in self.instances(&snapshot)? {
            metrics.total_instances += 1;
            match instance.status() {
                "Running" => metrics.running_instances += 1,
                "Completed" => metrics.completed_instances += 1,
                "Failed" => metrics.failed_instances += 1,
                _ => {}
            }
        }
        Ok(metrics)
    }
}

#[async_trait]
impl ProviderAdmin for KinlogProvider {
    async fn list_instances(&self) -> Response<Vec<String>> {
        let found = self.instances(&self.store.snapshot()).map_err(at("list_instances"))?;
        Ok(found.into_iter().map(|(id, _)| id).collect())
    }

    async fn list_instances_by_status(&self, status: &str) -> Response<Vec<String>> {
        let found = self.instances(&self.store.snapshot());
        let mut found = found.map_err(at("list_instances_by_status"))?;
        found.retain(|(_, instance)| instance.status() == status);
        Ok(found.into_iter().map(|(id, _)| id).collect())
    }

    async fn list_executions(&self, instance: &str) -> Response<Vec<u64>> {
        let snapshot = self.store.snapshot();
        let found = Instance::at(&snapshot, instance).map(Option::unwrap_or_default);
        let listed = found.and_then(|found| executions::list(&snapshot, instance, &found));
        let listed = listed.map_err(at("list_executions"))?;
        Ok(listed.into_iter().map(|(number, _)| number).collect())
    }

    async fn read_history_with_execution_id(
        &self,
        instance: &str,
        execution: u64,
    ) -> Response<Vec<Event>> {
        let history = self.history(instance, Some(execution));
        history.map_err(at("read_history_with_execution_id"))
    }

    async fn read_history(&self, instance: &str) -> Response<Vec<Event>> {
        self.history(instance, None).map_err(at("read_history"))
    }

    async fn latest_execution_id(&self, instance: &str) -> Response<u64> {
        let found = Instance::at(&self.store.snapshot(), instance);
        Ok(found.map_err(at("latest_execution_id"))?.map_or(1, |found| found.execution.max(1)))
    }

    async fn get_instance_info(&self, instance: &str) -> Response<InstanceInfo> {
        self.instance_info(instance).map_err(at("get_instance_info"))
    }

    async fn get_execution_info(&self, instance: &str, execution: u64) -> Response<ExecutionInfo> {
        self.execution_info(instance, execution).map_err(at("get_execution_info"))
    }

    async fn get_system_metrics(&self) -> Response<SystemMetrics> {
        self.metrics().map_err(at("get_system_metrics"))
    }

    async fn get_queue_depths(&self) -> Response<QueueDepths> {
        let (now, state) = (clock::now(), self.state.lock());
        let (orchestrator_queue, worker_queue) = (state.inboxes.depth(now), state.work.depth(now));
        // Timers are messages to instances.
        Ok(QueueDepths { orchestrator_queue, worker_queue, timer_queue: 0 })
    }

    async fn list_children(&self, instance: &str) -> Response<Vec<String>> {
        let snapshot = self.store.snapshot();
        let pairs = pairs_at(&snapshot, CHILDREN, instance);
        let pairs = pairs.map_err(|error| at("list_children")(error.into()))?;
        Ok(pairs.into_iter().map(|(child, _)| child.to_owned()).collect())
    }

    async fn get_parent_id(&self, instance: &str) -> Response<Option<String>> {
        let found = self.instance(&self.store.snapshot(), instance);
        Ok(found.map_err(at("get_parent_id"))?.parent)
    }

    async fn delete_instances_atomic(
        &self,
        ids: &[String],
        force: bool,
    ) -> Response<DeleteInstanceResult> {
        let deleted = self.commit(|state| self.commit_deletion(state, ids, force)).await;
        let deleted = deleted.map_err(at("delete_instances_atomic"))?;
        // They are deleted; what is left of them goes with the next deletion or opening, if not now.
        let _ = self.commit(|state| self.commit_pruned(state)).await;
        Ok(deleted)
    }

    async fn delete_instance_bulk(&self, filter: InstanceFilter) -> Response<DeleteInstanceResult> {
        let mut all = DeleteInstanceResult::default();
        let is_ended_root = |found: &Instance| found.parent.is_none() && found.is_terminal();
        let roots = self.admitted(&filter, is_ended_root).map_err(at("delete_instance_bulk"))?;
        for root in roots {
            let tree = self.get_instance_tree(&root).await?;
            let deleted = self.delete_instances_atomic(&tree.all_ids, true).await?;
            all.instances_deleted += deleted.instances_deleted;
            all.executions_deleted += deleted.executions_deleted;
            all.events_deleted += deleted.events_deleted;
            all.queue_messages_deleted += deleted.queue_messages_deleted;
        }
        Ok(all)
    }

    async fn prune_executions(
        &self,
        instance: &str,
        options: PruneOptions,
    ) -> Response<PruneResult> {
        let pruned = self.commit(|state| self.commit_pruning(state, instance, &options)).await;
        pruned.map_err(at("prune_executions"))
    }

    async fn prune_executions_bulk(
        &self,
        filter: InstanceFilter,
        options: PruneOptions,
    ) -> Response<PruneResult> {
        let mut all = PruneResult::default();
        let found = self.admitted(&filter, |_| true).map_err(at("prune_executions_bulk"))?;
        for instance in found {
            let pruned = self.prune_executions(&instance, options.clone()).await?;
            all.instances_processed += pruned.instances_processed;
            all.executions_deleted += pruned.executions_deleted;
            all.events_deleted += pruned.events_deleted;
        }
        Ok(all)
    }
}
