//! What is volatile: who holds what, and what can be seen when. It goes with the log: it changes under one lock
//! with each commit, in the order of the commits, and is built from the tables when the store is opened.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use duroxide::providers::{ProviderError, WorkItem};
use kinlog::{Snapshot, Transaction};

use crate::error::{OpenError, Result, invalid};
use crate::inbox::Inboxes;
use crate::item;
use crate::sessions::Sessions;
use crate::tables::{ATTEMPTS, INBOX, WORK, number_key, number_of};
use crate::work::Work;

/// Everything volatile.
pub(crate) struct State {
    pub(crate) inboxes: Inboxes,
    pub(crate) work: Work,
    pub(crate) sessions: Sessions,
    /// The number of the next message or activity.
    next: u64,
    /// Sets the tokens and births of this process apart from those of others.
    salt: u64,
    drawn: u64,
}

/// A message or an activity that waits.
#[derive(Clone)]
pub(crate) struct Waiting {
    /// From when on it can be seen.
    pub(crate) visible: u64,
    /// How often it was fetched.
    pub(crate) attempts: u32,
    /// Whether it came before this process did.
    pub(crate) old: bool,
    /// Whether there is a row that says how often it was fetched.
    pub(crate) noted: bool,
}

/// The lock on what was fetched.
pub(crate) struct Lock {
    pub(crate) token: u64,
    pub(crate) until: u64,
}

impl Waiting {
    pub(crate) fn new(visible: u64) -> Self {
        Waiting { visible, attempts: 0, old: false, noted: false }
    }

    /// Counts an attempt, and writes it down where it must be.
    pub(crate) fn count(&mut self, tx: &mut Transaction<'_>, number: u64) -> kinlog::Result<()> {
        self.attempts = self.attempts.saturating_add(1);
        self.noted |= self.old || self.attempts > 1;
        self.note(tx, number)
    }

    /// Takes an attempt back.
    pub(crate) fn discount(&mut self, tx: &mut Transaction<'_>, number: u64) -> kinlog::Result<()> {
        self.attempts = self.attempts.saturating_sub(1);
        self.note(tx, number)
    }

    fn note(&self, tx: &mut Transaction<'_>, number: u64) -> kinlog::Result<()> {
        match self.noted {
            true => tx.put(ATTEMPTS, &number_key(number), &self.attempts.to_le_bytes()),
            false => Ok(()),
        }
    }

    /// Deletes its rows.
    pub(crate) fn delete(
        &self,
        tx: &mut Transaction<'_>,
        table: &str,
        number: u64,
    ) -> kinlog::Result<()> {
        if self.noted {
            tx.delete(ATTEMPTS, &number_key(number))?;
        }
        tx.delete(table, &number_key(number))
    }
}

impl State {
    /// As the tables say.
    pub(crate) fn load(snapshot: &Snapshot, now: u64) -> std::result::Result<Self, OpenError> {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(now);
        let mut state = State {
            inboxes: Inboxes::default(),
            work: Work::default(),
            sessions: Sessions::default(),
            next: 1,
            salt: hasher.finish(),
            drawn: 0,
        };
        for table in [INBOX, WORK] {
            for row in snapshot.rows(table, ..) {
                let row = row?;
                let number = number_of(row.key).unwrap_or(0);
                let unreadable =
                    |e: ProviderError| OpenError::Unreadable { table, number, what: e.message };
                let (item, visible) = item::decode("open", row.value).map_err(unreadable)?;
                let noted = snapshot.get(ATTEMPTS, row.key)?;
                let attempts = noted.and_then(|row| row.try_into().ok()).map(u32::from_le_bytes);
                let (attempts, noted) = (attempts.unwrap_or(0), noted.is_some());
                state.next = state.next.max(number.saturating_add(1));
                state.add(number, &item, Waiting { visible, attempts, old: true, noted }, now);
            }
        }
        Ok(state)
    }

    /// Takes in a message or an activity.
    pub(crate) fn add(&mut self, number: u64, item: &WorkItem, waiting: Waiting, now: u64) {
        match item::instance_of(item) {
            Some(id) => {
                let id = Arc::from(id);
                self.inboxes.add(id, number, waiting, item::Means::of(item), now);
            }
            None => self.work.add(number, item, waiting, now),
        }
    }

    /// The activity that is held with this token, and its session.
    pub(crate) fn held_job(
        &self,
        operation: &'static str,
        token: &str,
        now: u64,
    ) -> Result<(u64, Option<Arc<str>>)> {
        let held = self.token(token).and_then(|token| self.work.holder(token, now));
        match held {
            Some((number, session, true)) => Ok((number, session)),
            _ => Err(invalid(operation, "the activity was cancelled, or its lock has expired")),
        }
    }

    /// The number of the next message or activity.
    pub(crate) fn draw_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// A token that no other lock of this process has.
    pub(crate) fn draw_token(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    /// The birth of an instance.
    pub(crate) fn draw_birth(&mut self, now: u64) -> u64 {
        self.drawn += 1;
        crate::instance::birth(now, self.salt.wrapping_add(self.drawn))
    }

    /// A token as duroxide gets it.
    pub(crate) fn token_name(&self, token: u64) -> String {
        format!("{:016x}-{token}", self.salt)
    }

    /// The token of that name, if this process gave it.
    pub(crate) fn token(&self, name: &str) -> Option<u64> {
        let (salt, token) = name.split_once('-')?;
        (u64::from_str_radix(salt, 16) == Ok(self.salt)).then(|| token.parse().ok())?
    }
}
