//! The messages of each instance: which instance can be fetched, and who holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use kinlog::Transaction;

use crate::item::Means;
use crate::state::{Lock, Waiting};
use crate::tables::INBOX;

/// The messages of all instances that have some.
#[derive(Default)]
pub(crate) struct Inboxes {
    by_id: HashMap<Arc<str>, Inbox>,
    /// Those that can be fetched, by the number of the first message that can be seen.
    ready: BTreeSet<(u64, Arc<str>)>,
    /// When to look at an instance again: a message can be seen then, or a lock expires.
    later: BTreeSet<(u64, Arc<str>)>,
    held: HashMap<u64, Arc<str>>,
}

#[derive(Default)]
struct Inbox {
    messages: BTreeMap<u64, Message>,
    lock: Option<Lock>,
    /// Whether it waits for the instance to begin.
    parked: bool,
    place: Option<Place>,
}

struct Message {
    waiting: Waiting,
    means: Means,
    /// Whether whoever holds the lock got it, or the last one who did.
    fetched: bool,
}

#[derive(Clone, Copy)]
enum Place {
    Ready(u64),
    Later(u64),
}

impl Inbox {
    fn is_locked(&self, now: u64) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.until > now)
    }

    fn place(&self, now: u64) -> Option<Place> {
        if let Some(lock) = self.lock.as_ref().filter(|lock| lock.until > now) {
            return Some(Place::Later(lock.until));
        }
        let visible = |message: &Message| message.waiting.visible <= now;
        if !self.parked
            && let Some((number, _)) = self.messages.iter().find(|(_, message)| visible(message))
        {
            return Some(Place::Ready(*number));
        }
        let times = self.messages.values().map(|message| message.waiting.visible);
        times.filter(|time| *time > now).min().map(Place::Later)
    }
}

impl Inboxes {
    pub(crate) fn add(
        &mut self,
        id: Arc<str>,
        number: u64,
        waiting: Waiting,
        means: Means,
        now: u64,
    ) {
        let inbox = self.by_id.entry(id.clone()).or_default();
        inbox.messages.insert(number, Message { waiting, means, fetched: false });
        inbox.parked = false;
        self.settle(&id, now);
    }

    /// Looks again at those whose time has come.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some((_, id)) = self.later.first().filter(|(time, _)| *time <= now).cloned() {
            if let Some(inbox) = self.by_id.get_mut(&id) {
                inbox.parked = false;
            }
            self.settle(&id, now);
        }
    }

    /// When something changes by itself.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.later.first().map(|(time, _)| *time)
    }

    /// The instance that can be fetched after this one, or the first one: in the order of the oldest message.
    pub(crate) fn ready_after(&self, former: Option<&(u64, Arc<str>)>) -> Option<(u64, Arc<str>)> {
        let from = former.map_or(Bound::Unbounded, Bound::Excluded);
        self.ready.range((from, Bound::Unbounded)).next().cloned()
    }

    /// What the messages that can be seen mean for an instance that does not exist.
    pub(crate) fn means(&self, id: &str, now: u64) -> Means {
        let messages = self.by_id.get(id).into_iter().flat_map(|inbox| inbox.messages.values());
        let visible = messages.filter(|message| message.waiting.visible <= now);
        visible.map(|message| message.means).fold(Means::Nothing, Means::and)
    }

    /// Leaves an instance alone until something comes for it.
    pub(crate) fn park(&mut self, id: &str, now: u64) {
        if let Some(inbox) = self.by_id.get_mut(id) {
            inbox.parked = true;
        }
        self.settle(id, now);
    }

    /// Locks an instance with the messages that can be seen. Their numbers, and the most attempts of one.
    pub(crate) fn lock(
        &mut self,
        tx: &mut Transaction<'_>,
        id: &Arc<str>,
        lock: Lock,
        now: u64,
    ) -> kinlog::Result<(Vec<u64>, u32)> {
        let Some(inbox) = self.by_id.get_mut(id) else { return Ok((vec![], 0)) };
        let (mut numbers, mut attempts) = (vec![], 0);
        for (number, message) in &mut inbox.messages {
            message.fetched = message.waiting.visible <= now;
            if message.fetched {
                message.waiting.count(tx, *number)?;
                attempts = attempts.max(message.waiting.attempts);
                numbers.push(*number);
            }
        }
        self.held.insert(lock.token, id.clone());
        let former = inbox.lock.replace(lock);
        former.map(|former| self.held.remove(&former.token));
        self.settle(id, now);
        Ok((numbers, attempts))
    }

    /// Which instance is held with this token; whether the lock has not expired.
    pub(crate) fn holder(&self, token: u64, now: u64) -> Option<(Arc<str>, bool)> {
        let id = self.held.get(&token)?;
        Some((id.clone(), self.by_id.get(id)?.is_locked(now)))
    }

    /// Holds an instance for longer.
    pub(crate) fn extend(&mut self, id: &str, until: u64, now: u64) {
        if let Some(lock) = self.by_id.get_mut(id).and_then(|inbox| inbox.lock.as_mut()) {
            lock.until = until;
        }
        self.settle(id, now);
    }

    /// Deletes the rows of the messages that were fetched.
    pub(crate) fn delete_fetched(&self, tx: &mut Transaction<'_>, id: &str) -> kinlog::Result<()> {
        let messages = self.by_id.get(id).into_iter().flat_map(|inbox| &inbox.messages);
        messages
            .filter(|(_, message)| message.fetched)
            .try_for_each(|(number, message)| message.waiting.delete(tx, INBOX, *number))
    }

    /// Takes an attempt back from the messages that were fetched.
    pub(crate) fn discount(&mut self, tx: &mut Transaction<'_>, id: &str) -> kinlog::Result<()> {
        let messages = self.by_id.get_mut(id).into_iter().flat_map(|inbox| &mut inbox.messages);
        messages
            .filter(|(_, message)| message.fetched)
            .try_for_each(|(number, message)| message.waiting.discount(tx, *number))
    }

    /// The messages that were fetched are gone, and the lock with them.
    pub(crate) fn acknowledge(&mut self, id: &str, now: u64) {
        if let Some(inbox) = self.by_id.get_mut(id) {
            inbox.messages.retain(|_, message| !message.fetched);
        }
        self.release(id, None, now);
    }

    /// Gives back the lock; what was fetched can be seen again, then or now.
    pub(crate) fn release(&mut self, id: &str, visible: Option<u64>, now: u64) {
        let Some(inbox) = self.by_id.get_mut(id) else { return };
        for message in inbox.messages.values_mut().filter(|message| message.fetched) {
            message.fetched = false;
            message.waiting.visible = visible.unwrap_or(message.waiting.visible);
        }
        let lock = inbox.lock.take();
        lock.map(|lock| self.held.remove(&lock.token));
        self.settle(id, now);
    }

    /// Deletes the rows of all messages to an instance; how many there are.
    pub(crate) fn delete_rows(&self, tx: &mut Transaction<'_>, id: &str) -> kinlog::Result<usize> {
        let Some(inbox) = self.by_id.get(id) else { return Ok(0) };
        for (number, message) in &inbox.messages {
            message.waiting.delete(tx, INBOX, *number)?;
        }
        Ok(inbox.messages.len())
    }

    /// Forgets an instance's messages and lock.
    pub(crate) fn forget(&mut self, id: &str, now: u64) {
        if let Some(inbox) = self.by_id.get_mut(id) {
            inbox.messages.clear();
        }
        self.release(id, None, now);
    }

    /// The most often that a message to an instance was fetched.
    pub(crate) fn attempts(&self, id: &str) -> u32 {
        let messages = self.by_id.get(id).into_iter().flat_map(|inbox| inbox.messages.values());
        messages.map(|message| message.waiting.attempts).max().unwrap_or(0)
    }

    /// How many messages nobody holds.
    pub(crate) fn depth(&self, now: u64) -> usize {
        let held = |inbox: &Inbox, message: &Message| inbox.is_locked(now) && message.fetched;
        let count = |inbox: &Inbox| inbox.messages.values().filter(|m| !held(inbox, m)).count();
        self.by_id.values().map(count).sum()
    }

    /// Finds the place of an instance anew.
    fn settle(&mut self, id: &str, now: u64) {
        let Some((id, inbox)) = self.by_id.get_key_value(id) else { return };
        let id = id.clone();
        let place = inbox.place(now);
        match inbox.place {
            Some(Place::Ready(number)) => self.ready.remove(&(number, id.clone())),
            Some(Place::Later(time)) => self.later.remove(&(time, id.clone())),
            None => false,
        };
        if inbox.messages.is_empty() && inbox.lock.is_none() {
            self.by_id.remove(&id);
            return;
        }
        if let Some(inbox) = self.by_id.get_mut(&id) {
            inbox.place = place;
        }
        match place {
            Some(Place::Ready(number)) => self.ready.insert((number, id)),
            Some(Place::Later(time)) => self.later.insert((time, id)),
            None => false,
        };
    }
}
