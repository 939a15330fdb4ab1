//! What waits, in memory: messages in groups that are locked together. The messages to one instance are a group;
//! an activity is a group of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeBounds;

use duroxide::providers::WorkItem;
use kinlog::{Position, Result, Transaction};

use crate::tables::{ATTEMPTS, number_key};

/// Groups of messages: which can be fetched, and who holds them.
pub(crate) struct Queue<K> {
    /// Where the messages are rows.
    table: &'static str,
    groups: BTreeMap<K, Group>,
    /// Groups that can be fetched, by the number of their first message that can be seen.
    ready: BTreeSet<(u64, K)>,
    /// When to look at a group again: a message can be seen then, or the lock expires.
    later: BTreeSet<(u64, K)>,
    held: HashMap<String, K>,
    /// The last commit.
    pub(crate) commit: Position,
    /// There is something to do, or will be, that those who wait do not know of.
    news: bool,
}

/// The messages of a group by their numbers, and their lock.
#[derive(Default)]
pub(crate) struct Group {
    messages: BTreeMap<u64, Message>,
    /// The token, and when the lock expires.
    lock: Option<(String, u64)>,
    /// It is left alone until something comes for it.
    parked: bool,
    place: Option<Place>,
    /// The last commit that changed it.
    commit: Position,
}

/// A message or an activity.
pub(crate) struct Message {
    pub(crate) item: WorkItem,
    /// From when on it can be seen.
    pub(crate) visible: u64,
    /// How often it was fetched, and whether that is written down.
    pub(crate) attempts: u32,
    pub(crate) noted: bool,
    /// Whether the last lock of its group was on it.
    pub(crate) fetched: bool,
}

#[derive(Clone, Copy)]
enum Place {
    Ready(u64),
    Later(u64),
}

/// A change of how often messages count as fetched.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    /// What can be seen at this time is fetched.
    Fetch(u64),
    /// The last fetch does not count.
    Discount,
}

impl Message {
    /// How often it counts as fetched after this, if this is about it.
    fn counted(&self, count: Count) -> Option<u32> {
        match count {
            Count::Fetch(now) => (self.visible <= now).then(|| self.attempts.saturating_add(1)),
            Count::Discount => self.fetched.then(|| self.attempts.saturating_sub(1)),
        }
    }

    fn count(&mut self, count: Count) {
        self.attempts = self.counted(count).unwrap_or(self.attempts);
        self.noted |= self.attempts > 1;
    }
}

impl Group {
    fn is_locked(&self, now: u64) -> bool {
        self.lock.as_ref().is_some_and(|(_, until)| *until > now)
    }

    /// The messages that can be seen.
    pub(crate) fn visible(&self, now: u64) -> impl Iterator<Item = &WorkItem> {
        self.messages.values().filter(move |m| m.visible <= now).map(|message| &message.item)
    }

    /// All its messages.
    pub(crate) fn items(&self) -> impl Iterator<Item = &WorkItem> {
        self.messages.values().map(|message| &message.item)
    }

    fn place(&self, now: u64) -> Option<Place> {
        if let Some((_, until)) = self.lock.as_ref().filter(|_| self.is_locked(now)) {
            return Some(Place::Later(*until));
        }
        match self.messages.iter().find(|(_, message)| message.visible <= now && !self.parked) {
            Some((number, _)) => Some(Place::Ready(*number)),
            None => {
                let times = self.messages.values().map(|message| message.visible);
                times.filter(|time| *time > now).min().map(Place::Later)
            }
        }
    }
}

impl<K: Clone + Ord> Queue<K> {
    pub(crate) fn new(table: &'static str) -> Self {
        let (groups, held, commit) = (BTreeMap::new(), HashMap::new(), Position::START);
        let (ready, later) = (BTreeSet::new(), BTreeSet::new());
        Queue { table, groups, ready, later, held, commit, news: false }
    }

    pub(crate) fn add(&mut self, key: &K, number: u64, message: Message, now: u64) {
        let group = self.groups.entry(key.clone()).or_default();
        group.messages.insert(number, message);
        (group.parked, group.commit) = (false, self.commit);
        self.news = true;
        self.settle(key, now);
    }

    /// Looks again at those whose time has come.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some((_, key)) = self.later.first().filter(|(time, _)| *time <= now).cloned() {
            self.change(&key, now, |group| group.parked = false);
        }
    }

    /// When something changes by itself.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.later.first().map(|(time, _)| *time)
    }

    /// Groups that can be fetched, the one with the oldest message first.
    pub(crate) fn ready(&self) -> impl Iterator<Item = (&K, &Group)> {
        self.ready.iter().filter_map(|(_, key)| Some((key, self.groups.get(key)?)))
    }

    /// All groups of a range of keys.
    pub(crate) fn groups(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &Group)> {
        self.groups.range(range)
    }

    /// Leaves a group alone until something comes for it.
    pub(crate) fn park(&mut self, key: &K, now: u64) {
        self.change(key, now, |group| group.parked = true);
    }

    /// Writes down how often messages count as fetched after this, where that must be. Whether it is anywhere.
    pub(crate) fn note(&self, tx: &mut Transaction<'_>, key: &K, count: Count) -> Result<bool> {
        let mut written = false;
        for (number, message) in self.groups.get(key).into_iter().flat_map(|group| &group.messages)
        {
            let attempts = message.counted(count).filter(|n| message.noted || *n > 1);
            if let Some(attempts) = attempts {
                tx.put(ATTEMPTS, &number_key(*number), &attempts.to_le_bytes())?;
                written = true;
            }
        }
        Ok(written)
    }

    /// Takes back an attempt of what was fetched.
    pub(crate) fn discount(&mut self, key: &K) {
        let messages = self.groups.get_mut(key).into_iter();
        let messages = messages.flat_map(|group| group.messages.values_mut());
        messages.for_each(|message| message.count(Count::Discount));
    }

    /// Locks a group with the messages that can be seen: these, the most attempts of one, and the commit that they
    /// stand on.
    pub(crate) fn lock(
        &mut self,
        key: &K,
        (token, until): (&str, u64),
        now: u64,
    ) -> (Vec<WorkItem>, u32, Position) {
        let Some(group) = self.groups.get_mut(key) else { return (vec![], 0, self.commit) };
        let (mut items, mut most) = (vec![], 0);
        for message in group.messages.values_mut() {
            message.count(Count::Fetch(now));
            message.fetched = message.visible <= now;
            if message.fetched {
                most = most.max(message.attempts);
                items.push(message.item.clone());
            }
        }
        let commit = group.commit;
        if let Some((former, _)) = group.lock.replace((token.to_owned(), until)) {
            self.held.remove(&former);
        }
        self.held.insert(token.to_owned(), key.clone());
        self.settle(key, now);
        (items, most, commit)
    }

    /// What is held with this token, be the lock expired or not.
    pub(crate) fn held(&self, token: &str) -> Option<&K> {
        self.held.get(token)
    }

    /// What is held with this token, as long as the lock has not expired.
    pub(crate) fn holds(&self, token: &str, now: u64) -> Option<K> {
        let key = self.held.get(token)?;
        self.groups.get(key)?.is_locked(now).then(|| key.clone())
    }

    /// Holds a group for longer.
    pub(crate) fn extend(&mut self, key: &K, until: u64, now: u64) {
        self.change(key, now, |group| {
            group.lock = group.lock.take().map(|(token, _)| (token, until));
        });
    }

    /// Gives back the lock; what was fetched can be seen again, then or now.
    pub(crate) fn release(&mut self, key: &K, visible: Option<u64>, now: u64) {
        let lock = self.groups.get_mut(key).and_then(|group| group.lock.take());
        lock.and_then(|(token, _)| self.held.remove(&token));
        self.change(key, now, |group| {
            for message in group.messages.values_mut().filter(|message| message.fetched) {
                message.visible = visible.unwrap_or(message.visible);
            }
        });
        self.news |= self.groups.contains_key(key);
    }

    /// Whether those who wait are to look again; asked once.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Deletes the rows of a group, or of what of it was fetched. How many there are.
    pub(crate) fn delete(
        &self,
        tx: &mut Transaction<'_>,
        key: &K,
        fetched_only: bool,
    ) -> Result<usize> {
        let messages = self.groups.get(key).into_iter().flat_map(|group| &group.messages);
        let mut deleted = 0;
        for (number, message) in messages.filter(|(_, m)| m.fetched || !fetched_only) {
            tx.delete(self.table, &number_key(*number))?;
            if message.noted {
                tx.delete(ATTEMPTS, &number_key(*number))?;
            }
            deleted += 1;
        }
        Ok(deleted)
    }

    /// Forgets the lock of a group and its messages, or what of them was fetched.
    pub(crate) fn forget(&mut self, key: &K, fetched_only: bool, now: u64) {
        if let Some(group) = self.groups.get_mut(key) {
            group.messages.retain(|_, message| fetched_only && !message.fetched);
            group.commit = self.commit;
        }
        self.release(key, None, now);
    }

    /// The most attempts of a message of a group.
    pub(crate) fn attempts(&self, key: &K) -> u32 {
        let messages = self.groups.get(key).into_iter().flat_map(|group| group.messages.values());
        messages.map(|message| message.attempts).max().unwrap_or(0)
    }

    /// How many messages nobody holds.
    pub(crate) fn depth(&self, now: u64) -> usize {
        let free = |group: &Group| {
            let locked = group.is_locked(now);
            group.messages.values().filter(|message| !(locked && message.fetched)).count()
        };
        self.groups.values().map(free).sum()
    }

    fn change(&mut self, key: &K, now: u64, change: impl FnOnce(&mut Group)) {
        self.groups.get_mut(key).map(change);
        self.settle(key, now);
    }

    /// Finds the place of a group anew.
    fn settle(&mut self, key: &K, now: u64) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let place = group.place(now);
        match std::mem::replace(&mut group.place, place) {
            Some(Place::Ready(number)) => self.ready.remove(&(number, key.clone())),
            Some(Place::Later(time)) => self.later.remove(&(time, key.clone())),
            None => false,
        };
        match place {
            Some(Place::Ready(number)) => self.ready.insert((number, key.clone())),
            Some(Place::Later(time)) => self.later.insert((time, key.clone())),
            None if group.messages.is_empty() => self.groups.remove(key).is_some(),
            None => false,
        };
    }
}
