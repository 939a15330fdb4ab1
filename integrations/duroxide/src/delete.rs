//! Deleting instances and pruning executions, which hides them: kinlog cannot delete runs yet.

use std::collections::HashSet;

use duroxide::providers::{DeleteInstanceResult, InstanceFilter, PruneOptions, PruneResult};
use kinlog::{Close, CommitHandle, Error, Transaction};

use crate::clock;
use crate::error::{Result, invalid, not_found, refused};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::tables::{CHILDREN, INSTANCES, PRUNED, delete_pairs, pair_key};
use crate::{executions, kv};

pub(crate) const DELETE: &str = "delete_instances_atomic";
pub(crate) const PRUNE: &str = "prune_executions";

/// How many instances one call takes at most, where it does not say.
const BULK: u32 = 1_000;

impl KinlogProvider {
    /// Hides instances, all or none.
    pub(crate) fn commit_deletion(
        &self,
        ids: &[String],
        force: bool,
    ) -> Result<(DeleteInstanceResult, CommitHandle)> {
        let now = clock::now();
        let mut state = self.state.lock();
        let snapshot = self.store.snapshot();
        let mut tx = self.store.begin();
        let among: HashSet<_> = ids.iter().map(String::as_str).collect();
        let mut deleted = DeleteInstanceResult::default();
        let mut jobs = vec![];
        for id in ids {
            let Some(instance) = Instance::read(&mut tx, DELETE, id)? else { continue };
            self.check_deletable(id, &instance, force, &among, &mut tx)?;
            for execution in self.executions(&snapshot, DELETE, id, &instance)? {
                deleted.executions_deleted += 1;
                deleted.events_deleted += execution.events;
            }
            deleted.instances_deleted += 1;
            let messages = state.inboxes.delete_rows(&mut tx, id).map_err(refused(DELETE))?;
            let own = state.work.numbers_of(id);
            deleted.queue_messages_deleted += (messages + own.len()) as u64;
            for number in &own {
                state.work.delete_rows(&mut tx, *number).map_err(refused(DELETE))?;
            }
            jobs.extend(own);
            hide(&mut tx, id, &instance).map_err(refused(DELETE))?;
        }
        let handle = self.submit(DELETE, tx, self.durability)?;
        jobs.into_iter().for_each(|number| state.work.forget(number));
        ids.iter().for_each(|id| state.inboxes.forget(id, now));
        Ok((deleted, handle))
    }

    fn check_deletable(
        &self,
        id: &str,
        instance: &Instance,
        force: bool,
        among: &HashSet<&str>,
        tx: &mut Transaction<'_>,
    ) -> Result<()> {
        if !force && instance.status() == "Running" {
            let what = format!("Instance {id} is still running: cancel it first, or use force");
            return Err(invalid(DELETE, what));
        }
        let children = crate::tables::pairs(tx, CHILDREN, id).map_err(refused(DELETE))?;
        match children.iter().find(|(child, _)| !among.contains(child.as_str())) {
            None => Ok(()),
            Some((child, _)) => {
                let what = format!("Instance {id} has a child {child} that is not to be deleted");
                Err(invalid(DELETE, what))
            }
        }
    }

    /// Hides former executions of an instance.
    pub(crate) fn commit_pruning(
        &self,
        id: &str,
        options: &PruneOptions,
    ) -> Result<(PruneResult, CommitHandle)> {
        let _state = self.state.lock();
        let snapshot = self.store.snapshot();
        let mut tx = self.store.begin();
        let instance = Instance::read(&mut tx, PRUNE, id)?;
        let Some(instance) = instance.filter(|instance| instance.name.is_some()) else {
            return Err(not_found(PRUNE, id));
        };
        let mut pruned = PruneResult { instances_processed: 1, ..Default::default() };
        let kept = usize::try_from(options.keep_last.unwrap_or(0)).unwrap_or(usize::MAX);
        let executions = self.executions(&snapshot, PRUNE, id, &instance)?;
        for execution in executions.iter().rev().skip(kept) {
            let current = execution.number == instance.execution;
            let before = options.completed_before;
            let late = before.is_some_and(|time| execution.ended.is_none_or(|at| at >= time));
            if current || execution.status == "Running" || late {
                continue;
            }
            pruned.executions_deleted += 1;
            pruned.events_deleted += execution.events;
            tx.put(PRUNED, execution.run.as_bytes(), b"").map_err(refused(PRUNE))?;
        }
        Ok((pruned, self.submit(PRUNE, tx, self.durability)?))
    }

    /// The instances that a filter admits.
    pub(crate) fn admitted(
        &self,
        operation: &'static str,
        filter: &InstanceFilter,
        also: impl Fn(&Instance) -> bool,
    ) -> Result<Vec<String>> {
        let admits = |(id, instance): &(String, Instance)| {
            filter.instance_ids.as_ref().is_none_or(|ids| ids.contains(id))
                && filter
                    .completed_before
                    .is_none_or(|time| instance.ended.is_some_and(|at| at < time))
                && also(instance)
        };
        let limit = usize::try_from(filter.limit.unwrap_or(BULK)).unwrap_or(usize::MAX);
        let instances = self.instances(&self.store.snapshot(), operation)?;
        Ok(instances.into_iter().filter(admits).take(limit).map(|(id, _)| id).collect())
    }
}

/// Deletes the rows of an instance, and frees its id.
fn hide(tx: &mut Transaction<'_>, id: &str, instance: &Instance) -> kinlog::Result<()> {
    let run = executions::run_id(instance.born, instance.execution);
    match tx.close_run(&run, Close::terminated("deleted")) {
        Ok(_) | Err(Error::RunNotFound { .. } | Error::RunClosed { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(parent) = &instance.parent {
        tx.delete(CHILDREN, &pair_key(parent, id))?;
    }
    delete_pairs(tx, CHILDREN, id)?;
    kv::delete(tx, id)?;
    tx.delete(INSTANCES, id.as_bytes())
}
