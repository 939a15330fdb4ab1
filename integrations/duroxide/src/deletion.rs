//! Deleting instances and pruning executions.

use duroxide::providers::{DeleteInstanceResult, InstanceFilter, PruneOptions, PruneResult};
use kinlog::retention::Keep;
use kinlog::{Close, Error, Transaction};

use crate::clock;
use crate::error::{Result, refused};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::state::State;
use crate::tables::{CHANGES, CHILDREN, INSTANCES, PRUNED, VALUES, pair_key, pairs};
use crate::{executions, tables};

/// How many instances one call takes at most, where it does not say.
const BULK: u32 = 1_000;

impl KinlogProvider {
    /// Deletes instances, all or none, and ends their executions, which [`Self::commit_pruned`] then deletes.
    pub(crate) fn commit_deletion(
        &self,
        state: &mut State,
        ids: &[String],
        force: bool,
    ) -> Result<DeleteInstanceResult> {
        let now = clock::now();
        let snapshot = self.store.snapshot();
        let mut tx = self.begin();
        let mut deleted = DeleteInstanceResult::default();
        for id in ids {
            let Some(instance) = Instance::read(&mut tx, id)? else { continue };
            if !force && instance.status() == "Running" {
                return refused(format!("{id} is still running: cancel it first, or use force"));
            }
            for (key, _) in pairs(&mut tx, CHILDREN, id)? {
                if !ids.iter().any(|child| key == pair_key(id, child)) {
                    return refused(format!("{id} has a child that is not to be deleted"));
                }
            }
            for (_, run) in executions::list(&snapshot, id, &instance)? {
                deleted.executions_deleted += 1;
                deleted.events_deleted += u64::from(run.events);
                tx.put(PRUNED, run.id.as_bytes(), b"")?;
            }
            deleted.instances_deleted += 1;
            let mut messages = state.inboxes.delete(&mut tx, &id.as_str().into(), false)?;
            for job in state.jobs_of(id) {
                messages += state.work.delete(&mut tx, &job, false)?;
            }
            deleted.queue_messages_deleted += messages as u64;
            forget(&mut tx, id, &instance)?;
        }
        self.submit(state, tx, &mut vec![], 0)?;
        for id in ids {
            state.inboxes.forget(&id.as_str().into(), false, now);
            state.jobs_of(id).iter().for_each(|job| state.work.forget(job, false, now));
        }
        Ok(deleted)
    }

    /// Deletes the executions of instances that were deleted.
    pub(crate) fn commit_pruned(&self, state: &mut State) -> Result<()> {
        let mut tx = self.begin();
        executions::delete_pruned(&mut tx)?;
        self.submit(state, tx, &mut vec![], 0)
    }

    /// Deletes former executions of an instance.
    pub(crate) fn commit_pruning(
        &self,
        state: &mut State,
        id: &str,
        options: &PruneOptions,
    ) -> Result<PruneResult> {
        let snapshot = self.store.snapshot();
        let mut tx = self.begin();
        let instance = self.instance(&snapshot, id)?;
        let mut pruned = PruneResult { instances_processed: 1, ..Default::default() };
        let kept = usize::try_from(options.keep_last.unwrap_or(0)).unwrap_or(usize::MAX);
        let executions = executions::list(&snapshot, id, &instance)?;
        let former = executions.len().saturating_sub(kept);
        for (number, run) in executions.iter().take(former) {
            let ended = run.closed_at.map(clock::millis);
            let late = options
                .completed_before
                .is_some_and(|before| ended.is_none_or(|ended| ended >= before));
            if *number != instance.execution && ended.is_some() && !late {
                pruned.executions_deleted += 1;
                pruned.events_deleted += u64::from(run.events);
                tx.delete_run(&run.id, Keep::Nothing)?;
            }
        }
        self.submit(state, tx, &mut vec![], 0)?;
        Ok(pruned)
    }

    /// The instances that a filter admits.
    pub(crate) fn admitted(
        &self,
        filter: &InstanceFilter,
        also: impl Fn(&Instance) -> bool,
    ) -> Result<Vec<String>> {
        let limit = usize::try_from(filter.limit.unwrap_or(BULK)).unwrap_or(usize::MAX);
        let mut instances = self.instances(&self.store.snapshot())?;
        instances.retain(|(id, instance)| {
            let before = |time| instance.ended.is_some_and(|ended| ended < time);
            filter.instance_ids.as_ref().is_none_or(|ids| ids.contains(id))
                && filter.completed_before.is_none_or(before)
                && also(instance)
        });
        Ok(instances.into_iter().take(limit).map(|(id, _)| id).collect())
    }
}

/// Deletes the rows of an instance, and ends its current execution.
fn forget(tx: &mut Transaction<'_>, id: &str, instance: &Instance) -> Result<()> {
    // As the last commit has left it, which the list of executions may lack.
    let run = executions::run_id(instance, instance.execution);
    match tx.close_run(&run, Close::terminated("deleted")) {
        Ok(_) | Err(Error::RunClosed { .. }) => tx.put(PRUNED, run.as_bytes(), b"")?,
        Err(Error::RunNotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(parent) = &instance.parent {
        tx.delete(CHILDREN, &pair_key(parent, id))?;
    }
    for table in [CHILDREN, VALUES, CHANGES] {
        for (key, _) in tables::pairs(tx, table, id)? {
            tx.delete(table, &key)?;
        }
    }
    Ok(tx.delete(INSTANCES, id.as_bytes())?)
}
