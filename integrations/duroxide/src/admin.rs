//! Looking at instances, and deleting them: each method of the trait.

use async_trait::async_trait;
use duroxide::Event;
use duroxide::providers::{
    DeleteInstanceResult, ExecutionInfo, InstanceFilter, InstanceInfo, ProviderAdmin, PruneOptions,
    PruneResult, QueueDepths, SystemMetrics,
};
use kinlog::Snapshot;

use crate::clock;
use crate::error::{Result, durable, invalid, not_found, refused};
use crate::executions::{self, Execution};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::tables::{CHILDREN, INSTANCES, pairs_at};

impl KinlogProvider {
    /// An instance that has a name: one that a turn has made.
    pub(crate) fn instance_at(
        &self,
        snapshot: &Snapshot,
        operation: &'static str,
        id: &str,
    ) -> Result<Option<Instance>> {
        Ok(row_at(snapshot, operation, id)?.filter(|found| found.name.is_some()))
    }

    fn known(&self, snapshot: &Snapshot, operation: &'static str, id: &str) -> Result<Instance> {
        let found = self.instance_at(snapshot, operation, id)?;
        found.ok_or_else(|| not_found(operation, id))
    }

    /// All instances that have a name, the newest first.
    pub(crate) fn instances(
        &self,
        snapshot: &Snapshot,
        operation: &'static str,
    ) -> Result<Vec<(String, Instance)>> {
        let mut instances = vec![];
        for row in snapshot.rows(INSTANCES, ..) {
            let row = row.map_err(refused(operation))?;
            let id = String::from_utf8_lossy(row.key).into_owned();
            let instance = Instance::decode(operation, &id, row.value)?;
            if instance.name.is_some() {
                instances.push((id, instance));
            }
        }
        instances.sort_unstable_by_key(|(_, instance)| std::cmp::Reverse(instance.born));
        Ok(instances)
    }

    /// The history of an instance's current execution.
    pub(crate) fn read_current(&self, operation: &'static str, id: &str) -> Result<Vec<Event>> {
        let snapshot = self.store.snapshot();
        match row_at(&snapshot, operation, id)? {
            None => Ok(vec![]),
            Some(found) => executions::read(&snapshot, operation, id, found.born, found.execution),
        }
    }

    /// The history of one execution.
    pub(crate) fn read_execution(
        &self,
        operation: &'static str,
        id: &str,
        execution: u64,
    ) -> Result<Vec<Event>> {
        let snapshot = self.store.snapshot();
        match row_at(&snapshot, operation, id)? {
            None => Ok(vec![]),
            Some(found) => executions::read(&snapshot, operation, id, found.born, execution),
        }
    }

    /// The executions of an instance that are not pruned.
    pub(crate) fn executions(
        &self,
        snapshot: &Snapshot,
        operation: &'static str,
        id: &str,
        instance: &Instance,
    ) -> Result<Vec<Execution>> {
        executions::list(snapshot, id, instance).map_err(refused(operation))
    }

    /// The ids of an instance's children.
    pub(crate) fn children(
        &self,
        snapshot: &Snapshot,
        operation: &'static str,
        id: &str,
    ) -> Result<Vec<String>> {
        let pairs = pairs_at(snapshot, CHILDREN, id).map_err(refused(operation))?;
        Ok(pairs.into_iter().map(|(child, _)| child.to_owned()).collect())
    }
}

/// The row of an instance.
fn row_at(snapshot: &Snapshot, operation: &'static str, id: &str) -> Result<Option<Instance>> {
    let row = snapshot.get(INSTANCES, id.as_bytes()).map_err(refused(operation))?;
    row.map(|row| Instance::decode(operation, id, row)).transpose()
}

#[async_trait]
impl ProviderAdmin for KinlogProvider {
    async fn list_instances(&self) -> Result<Vec<String>> {
        let instances = self.instances(&self.store.snapshot(), "list_instances")?;
        Ok(instances.into_iter().map(|(id, _)| id).collect())
    }

    async fn list_instances_by_status(&self, status: &str) -> Result<Vec<String>> {
        let instances = self.instances(&self.store.snapshot(), "list_instances_by_status")?;
        let wanted = instances.into_iter().filter(|(_, instance)| instance.status() == status);
        Ok(wanted.map(|(id, _)| id).collect())
    }

    async fn list_executions(&self, instance: &str) -> Result<Vec<u64>> {
        const OPERATION: &str = "list_executions";
        let snapshot = self.store.snapshot();
        let Some(found) = row_at(&snapshot, OPERATION, instance)? else { return Ok(vec![]) };
        let executions = self.executions(&snapshot, OPERATION, instance, &found)?;
        Ok(executions.into_iter().map(|execution| execution.number).collect())
    }

    async fn read_history_with_execution_id(
        &self,
        instance: &str,
        execution: u64,
    ) -> Result<Vec<Event>> {
        self.read_execution("read_history_with_execution_id", instance, execution)
    }

    async fn read_history(&self, instance: &str) -> Result<Vec<Event>> {
        self.read_current("read_history", instance)
    }

    async fn latest_execution_id(&self, instance: &str) -> Result<u64> {
        let found = row_at(&self.store.snapshot(), "latest_execution_id", instance)?;
        Ok(found.map_or(1, |found| found.execution.max(1)))
    }

    async fn get_instance_info(&self, instance: &str) -> Result<InstanceInfo> {
        const OPERATION: &str = "get_instance_info";
        let snapshot = self.store.snapshot();
        let found = self.known(&snapshot, OPERATION, instance)?;
        let run = executions::run_id(found.born, found.execution);
        let updated = executions::updated_at(&snapshot, &run).map_err(refused(OPERATION))?;
        Ok(InstanceInfo {
            instance_id: instance.to_owned(),
            current_execution_id: found.execution,
            status: found.status().to_owned(),
            created_at: found.created_at(),
            updated_at: updated.unwrap_or_else(|| found.created_at()),
            orchestration_name: found.name.unwrap_or_default(),
            orchestration_version: found.version.unwrap_or_else(|| "unknown".to_owned()),
            output: found.output,
            parent_instance_id: found.parent,
        })
    }

    async fn get_execution_info(&self, instance: &str, execution: u64) -> Result<ExecutionInfo> {
        const OPERATION: &str = "get_execution_info";
        let snapshot = self.store.snapshot();
        let found = self.known(&snapshot, OPERATION, instance)?;
        let executions = self.executions(&snapshot, OPERATION, instance, &found)?;
        let Some(wanted) = executions.into_iter().find(|wanted| wanted.number == execution) else {
            let what = format!("Execution {execution} not found for instance {instance}");
            return Err(invalid(OPERATION, what));
        };
        let measure = executions::measure(&snapshot, &wanted.run).map_err(refused(OPERATION))?;
        let output = match execution == found.execution {
            true => found.output,
            false => executions::output(&snapshot, &wanted.run).map_err(refused(OPERATION))?,
        };
        Ok(ExecutionInfo {
            execution_id: execution,
            status: wanted.status,
            output,
            started_at: wanted.started,
            completed_at: wanted.ended,
            event_count: usize::try_from(measure.events).unwrap_or(usize::MAX),
        })
    }

    async fn get_system_metrics(&self) -> Result<SystemMetrics> {
        const OPERATION: &str = "get_system_metrics";
        let snapshot = self.store.snapshot();
        let mut metrics = SystemMetrics::default();
        for (id, instance) in self.instances(&snapshot, OPERATION)? {
            metrics.total_instances += 1;
            match instance.status() {
                "Running" => metrics.running_instances += 1,
                "Completed" => metrics.completed_instances += 1,
                "Failed" => metrics.failed_instances += 1,
                _ => {}
            }
            for execution in self.executions(&snapshot, OPERATION, &id, &instance)? {
                metrics.total_executions += 1;
                metrics.total_events += execution.events;
            }
        }
        Ok(metrics)
    }

    async fn get_queue_depths(&self) -> Result<QueueDepths> {
        let now = clock::now();
        let state = self.state.lock();
        Ok(QueueDepths {
            orchestrator_queue: state.inboxes.depth(now),
            worker_queue: state.work.depth(now),
            // Timers are messages.
            timer_queue: 0,
        })
    }

    async fn list_children(&self, instance: &str) -> Result<Vec<String>> {
        self.children(&self.store.snapshot(), "list_children", instance)
    }

    async fn get_parent_id(&self, instance: &str) -> Result<Option<String>> {
        Ok(self.known(&self.store.snapshot(), "get_parent_id", instance)?.parent)
    }

    async fn delete_instances_atomic(
        &self,
        ids: &[String],
        force: bool,
    ) -> Result<DeleteInstanceResult> {
        let (deleted, handle) = self.commit_deletion(ids, force)?;
        durable(crate::delete::DELETE, handle).await?;
        Ok(deleted)
    }

    async fn delete_instance_bulk(&self, filter: InstanceFilter) -> Result<DeleteInstanceResult> {
        let mut all = DeleteInstanceResult::default();
        let roots = self.admitted("delete_instance_bulk", &filter, |instance| {
            instance.parent.is_none() && instance.is_terminal()
        })?;
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

    async fn prune_executions(&self, instance: &str, options: PruneOptions) -> Result<PruneResult> {
        let (pruned, handle) = self.commit_pruning(instance, &options)?;
        durable(crate::delete::PRUNE, handle).await?;
        Ok(pruned)
    }

    async fn prune_executions_bulk(
        &self,
        filter: InstanceFilter,
        options: PruneOptions,
    ) -> Result<PruneResult> {
        let mut all = PruneResult::default();
        for instance in self.admitted("prune_executions_bulk", &filter, |_| true)? {
            let pruned = self.prune_executions(&instance, options.clone()).await?;
            all.instances_processed += pruned.instances_processed;
            all.executions_deleted += pruned.executions_deleted;
            all.events_deleted += pruned.events_deleted;
        }
        Ok(all)
    }
}
