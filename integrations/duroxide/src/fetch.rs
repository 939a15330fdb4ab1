//! Fetching: the lock is taken first, what was fetched is waited for until it is in the log, and then read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use duroxide::EventKind;
use duroxide::providers::{
    DispatcherCapabilityFilter, OrchestrationItem, SemverRange, SessionFetchConfig, TagFilter,
    WorkItem,
};
use kinlog::{CommitHandle, Durability, Snapshot, Transaction};

use crate::clock;
use crate::error::{Result, durable, invalid, refused};
use crate::instance::Instance;
use crate::item::{self, Means};
use crate::provider::KinlogProvider;
use crate::state::{Lock, State};
use crate::tables::{INBOX, WORK, number_key};
use crate::waiting::Look;
use crate::{executions, kv};

pub(crate) const ORCHESTRATION: &str = "fetch_orchestration_item";
pub(crate) const WORK_ITEM: &str = "fetch_work_item";

/// An instance that was locked.
pub(crate) struct Turn {
    id: Arc<str>,
    instance: Option<Instance>,
    numbers: Vec<u64>,
    attempts: u32,
    /// Resolves when what was fetched is in the log.
    logged: CommitHandle,
}

/// An activity that was locked.
pub(crate) struct Job {
    row: Vec<u8>,
    attempts: u32,
    logged: CommitHandle,
}

/// A lock that is given back if what it was taken for comes to nothing.
pub(crate) struct Hold<'p> {
    provider: &'p KinlogProvider,
    token: u64,
    kept: bool,
}

impl KinlogProvider {
    /// Locks the first instance that can be fetched and that the filter admits.
    pub(crate) fn lock_turn(
        &self,
        timeout: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Result<Look<(Hold<'_>, Turn)>> {
        let range = filter.map(|filter| filter.supported_duroxide_versions.first());
        if range == Some(None) {
            return Ok(Look::Nothing(None));
        }
        let now = clock::now();
        let mut state = self.state.lock();
        state.inboxes.tick(now);
        let mut tx = self.store.begin();
        let found = self.find_turn(&mut state, &mut tx, range.flatten(), now)?;
        let Some((id, instance)) = found else {
            self.submit(ORCHESTRATION, tx, Durability::Buffered)?;
            return Ok(Look::Nothing(state.inboxes.next_time()));
        };
        let token = state.draw_token();
        let lock = Lock { token, until: clock::after(now, timeout) };
        let locked = state.inboxes.lock(&mut tx, &id, lock, now);
        let (numbers, attempts) = locked.map_err(refused(ORCHESTRATION))?;
        let logged = self.submit(ORCHESTRATION, tx, Durability::Buffered)?;
        let hold = Hold { provider: self, token, kept: false };
        Ok(Look::Found((hold, Turn { id, instance, numbers, attempts, logged })))
    }

    /// The first instance that can be fetched. Messages that nobody will take are deleted on the way.
    fn find_turn(
        &self,
        state: &mut State,
        tx: &mut Transaction<'_>,
        range: Option<&SemverRange>,
        now: u64,
    ) -> Result<Option<(Arc<str>, Option<Instance>)>> {
        let mut at = None;
        while let Some(next) = state.inboxes.ready_after(at.as_ref()) {
            let id = next.1.clone();
            at = Some(next);
            let instance = Instance::read(tx, ORCHESTRATION, &id)?;
            match &instance {
                Some(instance) if !is_pinned_outside(instance, range)? => {}
                Some(_) => continue,
                None => match state.inboxes.means(&id, now) {
                    Means::Start => {}
                    Means::Wait => {
                        state.inboxes.park(&id, now);
                        continue;
                    }
                    Means::Nothing => {
                        state.inboxes.delete_rows(tx, &id).map_err(refused(ORCHESTRATION))?;
                        state.inboxes.forget(&id, now);
                        continue;
                    }
                },
            }
            return Ok(Some((id, instance)));
        }
        Ok(None)
    }

    /// Reads what belongs to an instance that was locked.
    pub(crate) async fn read_turn(&self, turn: Turn) -> Result<(OrchestrationItem, u32)> {
        durable(ORCHESTRATION, turn.logged).await?;
        let snapshot = self.store.snapshot();
        let messages = turn.numbers.iter().map(|number| message(&snapshot, *number));
        let mut found = OrchestrationItem {
            instance: turn.id.to_string(),
            orchestration_name: String::new(),
            execution_id: 1,
            version: "unknown".to_owned(),
            history: vec![],
            messages: messages.collect::<Result<_>>()?,
            history_error: None,
            kv_snapshot: HashMap::new(),
        };
        if let Some(instance) = turn.instance {
            found.execution_id = instance.execution.max(1);
            let (born, execution) = (instance.born, found.execution_id);
            match executions::read(&snapshot, ORCHESTRATION, &turn.id, born, execution) {
                Ok(history) => found.history = history,
                Err(error) => found.history_error = Some(error.to_string()),
            }
            found.orchestration_name = instance.name.unwrap_or_default();
            found.version = instance.version.unwrap_or(found.version);
            if found.history_error.is_none() {
                found.kv_snapshot =
                    kv::former(&snapshot, &turn.id).map_err(refused(ORCHESTRATION))?;
            }
        }
        if found.orchestration_name.is_empty() {
            name(&mut found);
        }
        Ok((found, turn.attempts))
    }

    /// Locks the first activity that the worker may do.
    pub(crate) fn lock_job(
        &self,
        timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tags: &TagFilter,
    ) -> Result<Look<(Hold<'_>, Job)>> {
        let now = clock::now();
        let mut state = self.state.lock();
        state.work.tick(now);
        let admits = |of: &str| {
            session.is_some_and(|session| state.sessions.admits(of, &session.owner_id, now))
        };
        let Some((number, lane)) = state.work.find(tags, admits) else {
            return Ok(Look::Nothing(state.work.next_time()));
        };
        let mut tx = self.store.begin();
        let row = tx.get(WORK, &number_key(number)).map_err(refused(WORK_ITEM))?;
        let row = row.ok_or_else(|| invalid(WORK_ITEM, "an activity has no row"))?;
        let token = state.draw_token();
        let lock = Lock { token, until: clock::after(now, timeout) };
        let locked = state.work.lock(&mut tx, number, lock, now);
        let attempts = locked.map_err(refused(WORK_ITEM))?;
        if let (Some(of), Some(session)) = (&lane.session, session) {
            let until = clock::after(now, session.lock_timeout);
            state.sessions.claim(of, &session.owner_id, until, now);
        }
        let logged = self.submit(WORK_ITEM, tx, Durability::Buffered)?;
        let hold = Hold { provider: self, token, kept: false };
        Ok(Look::Found((hold, Job { row, attempts, logged })))
    }

    /// Reads an activity that was locked.
    pub(crate) async fn read_job(&self, job: Job) -> Result<(WorkItem, u32)> {
        durable(WORK_ITEM, job.logged).await?;
        Ok((item::decode(WORK_ITEM, &job.row)?.0, job.attempts))
    }
}

impl Hold<'_> {
    /// Keeps the lock; its token.
    pub(crate) fn keep(mut self) -> String {
        self.kept = true;
        self.provider.state.lock().token_name(self.token)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.provider.give_back(self.token);
        }
    }
}

/// Whether an instance is pinned to a version outside a range.
fn is_pinned_outside(instance: &Instance, range: Option<&SemverRange>) -> Result<bool> {
    let (Some(range), Some(pinned)) = (range, &instance.pinned) else { return Ok(false) };
    let pinned = pinned.parse().map_err(|_| invalid(ORCHESTRATION, "a pinned version"))?;
    Ok(!range.contains(&pinned))
}

fn message(snapshot: &Snapshot, number: u64) -> Result<WorkItem> {
    let row = snapshot.get(INBOX, &number_key(number)).map_err(refused(ORCHESTRATION))?;
    let row = row.ok_or_else(|| invalid(ORCHESTRATION, "a message has no row"))?;
    Ok(item::decode(ORCHESTRATION, row)?.0)
}

/// Names an instance that has no name yet: by its history, or by the message that begins it.
fn name(found: &mut OrchestrationItem) {
    let started = found.history.iter().find_map(|event| match &event.kind {
        EventKind::OrchestrationStarted { name, version, .. } => {
            Some((name.clone(), Some(version.clone())))
        }
        _ => None,
    });
    let begins = found.messages.iter().find_map(|item| match item {
        WorkItem::StartOrchestration { orchestration, version, .. }
        | WorkItem::ContinueAsNew { orchestration, version, .. } => {
            Some((orchestration.clone(), version.clone()))
        }
        _ => None,
    });
    if let Some((name, version)) = started.or(begins) {
        found.orchestration_name = name;
        found.version = version.unwrap_or_else(|| "unknown".to_owned());
    }
}
