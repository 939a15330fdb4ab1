//! Fetching: the lock is taken first; what was fetched is handed out once all that it stands on is in the log.

use std::sync::Arc;
use std::time::Duration;

use duroxide::EventKind;
use duroxide::providers::{
    DispatcherCapabilityFilter, OrchestrationItem, SemverRange, SessionFetchConfig, TagFilter,
    WorkItem,
};
use kinlog::{Position, Transaction};

use crate::clock;
use crate::error::{Result, refused};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::queue::{Count, Queue};
use crate::state::State;
use crate::waiting::Look;
use crate::{executions, item, kv};

/// What was locked.
pub(crate) struct Locked<T> {
    pub(crate) what: T,
    pub(crate) items: Vec<WorkItem>,
    pub(crate) attempts: u32,
    pub(crate) token: String,
    /// The commit that it stands on.
    pub(crate) commit: Position,
}

/// An instance, if it has a row.
type Found = (Arc<str>, Option<Instance>);

impl KinlogProvider {
    /// Locks the first instance that can be fetched and that the filter admits. Messages that nobody will take are
    /// deleted on the way.
    pub(crate) fn lock_turn(
        &self,
        state: &mut State,
        timeout: Duration,
        filter: Option<&DispatcherCapabilityFilter>,
    ) -> Result<Look<Locked<Found>>> {
        let range = filter.map(|filter| filter.supported_duroxide_versions.first());
        if range == Some(None) {
            return Ok(Look::Nothing(None));
        }
        let now = clock::now();
        state.inboxes.tick(now);
        let mut tx = self.begin();
        let mut passed = vec![];
        let found = find(&state.inboxes, &mut tx, range.flatten(), now, &mut passed)?;
        let mut writes = false;
        for (id, _) in passed.iter().filter(|(_, for_nobody)| *for_nobody) {
            writes |= state.inboxes.delete(&mut tx, id, false)? > 0;
        }
        if let Some((id, _)) = &found {
            writes |= state.inboxes.note(&mut tx, id, Count::Fetch(now))?;
        }
        if writes {
            self.note(state, tx)?;
        }
        for (id, for_nobody) in passed {
            match for_nobody {
                true => state.inboxes.forget(&id, false, now),
                false => state.inboxes.park(&id, now),
            }
        }
        let Some(what) = found else { return Ok(Look::Nothing(state.inboxes.next_time())) };
        let token = state.draw_token();
        let lock = (token.as_str(), clock::after(now, timeout));
        let (items, attempts, commit) = state.inboxes.lock(&what.0, lock, now);
        Ok(Look::Found(Locked { what, items, attempts, token, commit }))
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
        state: &mut State,
        timeout: Duration,
        session: Option<&SessionFetchConfig>,
        tags: &TagFilter,
    ) -> Result<Look<Locked<()>>> {
        let now = clock::now();
        let State { work, sessions, .. } = state;
        work.tick(now);
        let admits =
            |of: &str| session.is_some_and(|session| sessions.admits(of, &session.owner_id, now));
        let fits = |item: &WorkItem| {
            let (tag, session) = item::routing(item);
            tags.matches(tag) && session.is_none_or(admits)
        };
        let found = work.ready().find(|(_, group)| group.visible(now).all(fits));
        let Some(job) = found.map(|(job, _)| job.clone()) else {
            // A runtime that has all the sessions it may asks for activities without one, until one of its own ends.
            let of_session = |item: &WorkItem| tags.matches(item::routing(item).0);
            let barred = session.is_none()
                && work.ready().any(|(_, group)| group.visible(now).all(of_session));
            return Ok(if barred { Look::Barred } else { Look::Nothing(work.next_time()) });
        };
        let mut tx = self.begin();
        if work.note(&mut tx, &job, Count::Fetch(now))? {
            self.note(state, tx)?;
        }
        let token = state.draw_token();
        let lock = (token.as_str(), clock::after(now, timeout));
        let (items, attempts, commit) = state.work.lock(&job, lock, now);
        if let (Some((_, Some(of))), Some(session)) = (items.first().map(item::routing), session) {
            let until = clock::after(now, session.lock_timeout);
            state.sessions.claim(of, &session.owner_id, until, now);
        }
        Ok(Look::Found(Locked { what: (), items, attempts, token, commit }))
    }
}

/// The first instance that can be fetched; and, passed on the way, those that have not begun, and whether all that waits
/// for them is for nobody.
fn find(
    inboxes: &Queue<Arc<str>>,
    tx: &mut Transaction<'_>,
    range: Option<&SemverRange>,
    now: u64,
    passed: &mut Vec<(Arc<str>, bool)>,
) -> Result<Option<Found>> {
    let begins = |item: &WorkItem| item::begins(item).is_some();
    let is_for_nobody = |item: &WorkItem| matches!(item, WorkItem::QueueMessage { .. });
    for (id, inbox) in inboxes.ready() {
        let instance = Instance::read(tx, id)?;
        match &instance {
            Some(instance) if is_pinned_outside(instance, range)? => {}
            None if !inbox.visible(now).any(begins) => {
                passed.push((id.clone(), inbox.items().all(is_for_nobody)));
            }
            _ => return Ok(Some((id.clone(), instance))),
        }
    }
    Ok(None)
}

/// Whether an instance is pinned to a version outside a range.
fn is_pinned_outside(instance: &Instance, range: Option<&SemverRange>) -> Result<bool> {
    let (Some(range), Some(pinned)) = (range, &instance.pinned) else { return Ok(false) };
    match pinned.parse() {
        Ok(pinned) => Ok(!range.contains(&pinned)),
        Err(_) => refused(format!("{pinned} is no version")),
    }
}
