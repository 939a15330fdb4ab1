//! Fetching: the lock is taken first; what was fetched is handed out once all that it stands on is in the log.

use std::sync::Arc;
use std::time::Duration;

use duroxide::EventKind;
use duroxide::providers::{
    DispatcherCapabilityFilter, OrchestrationItem, SemverRange, SessionFetchConfig, TagFilter,
    WorkItem,
};
use kinlog::{Durability, Transaction};

use crate::clock;
use crate::commits::Submitted;
use crate::error::{Result, refused};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::state::State;
use crate::tables::WORK;
use crate::waiting::Look;
use crate::{executions, item, kv};

/// What was locked.
pub(crate) struct Locked<T> {
    pub(crate) what: T,
    pub(crate) items: Vec<WorkItem>,
    pub(crate) attempts: u32,
    pub(crate) token: String,
    /// What is to be waited for.
    pub(crate) stands_on: Option<Submitted>,
}

/// An instance, if it has a row.
type Found = (Arc<str>, Option<Instance>);

impl KinlogProvider {
    /// Locks the first instance that can be fetched and that the filter admits.
    pub(crate) fn lock_turn(
        &self,
        timeout: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Result<Look<Locked<Found>>> {
        let range = filter.map(|filter| filter.supported_duroxide_versions.first());
        if range == Some(None) {
            return Ok(Look::Nothing(None));
        }
        let now = clock::now();
        let mut state = self.state.lock();
        state.inboxes.tick(now);
        let mut tx = self.store.begin();
        let Some(what) = find(&mut state, &mut tx, range.flatten(), now)? else {
            tx.submit(Durability::Buffered)?;
            return Ok(Look::Nothing(state.inboxes.next_time()));
        };
        let token = state.draw_token();
        let lock = (token.as_str(), clock::after(now, timeout));
        let (items, attempts, commit) = state.inboxes.lock(&mut tx, &what.0, lock, now)?;
        let stands_on = self.submitted(&state, tx, commit)?;
        Ok(Look::Found(Locked { what, items, attempts, token, stands_on }))
    }

    /// Reads what belongs to an instance that was locked.
    pub(crate) fn read_turn(
        &self,
        (id, instance): Found,
        messages: Vec<WorkItem>,
    ) -> Result<OrchestrationItem> {
        let snapshot = self.store.snapshot();
        let instance = instance.unwrap_or_default();
        let execution = instance.execution.max(1);
        let (history, history_error) = match executions::read(&snapshot, &id, &instance, execution)
        {
            Ok(history) => (history, None),
            Err(fault) => (vec![], Some(format!("{fault:?}"))),
        };
        let kv_snapshot = kv::former(&snapshot, &id)?;
        // An instance without a name is named by its history, or by the message that begins it.
        let started = history.iter().find_map(|event| match &event.kind {
            EventKind::OrchestrationStarted { name, version, .. } => Some((name, Some(version))),
            _ => None,
        });
        let started = started.map(|(name, version)| (name.as_str(), version.map(String::as_str)));
        let named = instance.name.as_deref().map(|name| (name, instance.version.as_deref()));
        let begun = messages.iter().find_map(item::begins);
        let (name, version) = named.or(started).or(begun).unwrap_or_default();
        Ok(OrchestrationItem {
            instance: id.to_string(),
            orchestration_name: name.to_owned(),
            execution_id: execution,
            version: version.unwrap_or("unknown").to_owned(),
            history,
            messages,
            history_error,
            kv_snapshot,
        })
    }

    /// Locks the first activity that the worker may do.
    pub(crate) fn lock_job(
        &self,
        timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tags: &TagFilter,
    ) -> Result<Look<Locked<()>>> {
        let now = clock::now();
        let mut state = self.state.lock();
        let State { work, sessions, .. } = &mut *state;
        work.tick(now);
        let admits =
            |of: &str| session.is_some_and(|session| sessions.admits(of, &session.owner_id, now));
        let fits = |item: &WorkItem| {
            let (tag, session) = item::routing(item);
            tags.matches(tag) && session.is_none_or(admits)
        };
        let mut ready = work.ready_after(None);
        let found = ready.find(|(_, group)| group.visible(now).all(fits));
        let Some(job) = found.map(|((_, job), _)| job.clone()) else {
            drop(ready);
            // A runtime that has all the sessions it may asks for activities without one, until one of its own ends.
            let of_session = |item: &WorkItem| tags.matches(item::routing(item).0);
            let barred = session.is_none()
                && work.ready_after(None).any(|(_, group)| group.visible(now).all(of_session));
            return Ok(if barred { Look::Barred } else { Look::Nothing(work.next_time()) });
        };
        drop(ready);
        let mut tx = self.store.begin();
        let token = state.draw_token();
        let lock = (token.as_str(), clock::after(now, timeout));
        let (items, attempts, commit) = state.work.lock(&mut tx, &job, lock, now)?;
        if let (Some((_, Some(of))), Some(session)) = (items.first().map(item::routing), session) {
            let until = clock::after(now, session.lock_timeout);
            state.sessions.claim(of, &session.owner_id, until, now);
        }
        tx.get(WORK, b"")?;
        let stands_on = self.submitted(&state, tx, commit)?;
        Ok(Look::Found(Locked { what: (), items, attempts, token, stands_on }))
    }
}

/// The first instance that can be fetched. Messages that nobody will take are deleted on the way.
fn find(
    state: &mut State,
    tx: &mut Transaction<'_>,
    range: Option<&SemverRange>,
    now: u64,
) -> Result<Option<Found>> {
    let mut at = None;
    loop {
        let Some((next, inbox)) = state.inboxes.ready_after(at.as_ref()).next() else {
            return Ok(None);
        };
        let id = next.1.clone();
        let instance = Instance::read(tx, &id)?;
        let begins = inbox.visible(now).any(|item| item::begins(item).is_some());
        let orphans = inbox.items().all(|item| matches!(item, WorkItem::QueueMessage { .. }));
        at = Some(next.clone());
        match &instance {
            Some(instance) if !is_pinned_outside(instance, range)? => {}
            None if begins => {}
            Some(_) => continue,
            None if orphans => {
                state.inboxes.delete(tx, &id, false)?;
                state.inboxes.forget(&id, false, now);
                continue;
            }
            None => {
                state.inboxes.park(&id, now);
                continue;
            }
        }
        return Ok(Some((id, instance)));
    }
}

/// Whether an instance is pinned to a version outside a range.
fn is_pinned_outside(instance: &Instance, range: Option<&SemverRange>) -> Result<bool> {
    let (Some(range), Some(pinned)) = (range, &instance.pinned) else { return Ok(false) };
    match pinned.parse() {
        Ok(pinned) => Ok(!range.contains(&pinned)),
        Err(_) => refused(format!("{pinned} is no version")),
    }
}
