//! What is volatile: who holds what, and what can be seen when. It goes with the log: it changes under one lock
//! with each commit, in the order of the commits, and is built from the tables when the store is opened.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use duroxide::providers::WorkItem;
use kinlog::{Position, Snapshot};

use crate::clock;
use crate::error::Result;
use crate::item::{self, Job};
use crate::queue::{Message, Queue};
use crate::reports::Report;
use crate::sessions::Sessions;
use crate::tables::{ATTEMPTS, INBOX, WORK, number_of};

/// Everything volatile.
pub(crate) struct State {
    pub(crate) inboxes: Queue<Arc<str>>,
    pub(crate) work: Queue<Job>,
    pub(crate) sessions: Sessions,
    /// What workers have reported and nobody has submitted.
    pub(crate) reports: Vec<Report>,
    /// The number of the last message or activity.
    pub(crate) last: u64,
    /// Sets the tokens of this process apart from those of others, and its births most likely.
    salt: u64,
    drawn: u64,
}

impl State {
    /// As the tables say.
    pub(crate) fn load(snapshot: &Snapshot) -> Result<Self> {
        let mut state = State {
            inboxes: Queue::new(INBOX),
            work: Queue::new(WORK),
            sessions: Sessions::default(),
            reports: vec![],
            last: 0,
            salt: RandomState::new().hash_one(clock::now()),
            drawn: 0,
        };
        for table in [INBOX, WORK] {
            for row in snapshot.rows(table, ..) {
                let row = row?;
                let (number, item) = (number_of(row.key), item::decode(table, row.value)?);
                let attempts = snapshot.get(ATTEMPTS, row.key)?;
                let attempts = attempts.and_then(|row| row.try_into().ok()).map(u32::from_le_bytes);
                state.last = state.last.max(number);
                state.insert(number, item, 0, (attempts.unwrap_or(0), true));
            }
        }
        Ok(state)
    }

    /// The last commit that was submitted.
    pub(crate) fn commit(&self) -> Position {
        self.inboxes.commit
    }

    pub(crate) fn set_commit(&mut self, commit: Position) {
        // A transaction that held nothing stands before what was submitted meanwhile.
        let last = commit.max(self.commit());
        (self.inboxes.commit, self.work.commit) = (last, last);
    }

    /// Takes in a message of the last commit.
    pub(crate) fn add(&mut self, item: WorkItem, visible: u64) {
        self.last += 1;
        self.insert(self.last, item, visible, (0, false));
    }

    fn insert(&mut self, number: u64, item: WorkItem, visible: u64, attempts: (u32, bool)) {
        let visible = visible.max(item::visible_at(&item));
        let (attempts, noted) = attempts;
        let (to, now): (Arc<str>, _) = (item::instance(&item).into(), clock::now());
        let of = match &item {
            WorkItem::ActivityExecute { execution_id, id, .. } => Some((*execution_id, *id)),
            _ => None,
        };
        let message = Message { item, visible, attempts, noted, fetched: false };
        match of {
            Some((execution, id)) => {
                self.work.add(&(to, execution, id, number), number, message, now)
            }
            None => self.inboxes.add(&to, number, message, now),
        }
    }

    /// A token that no other lock has.
    pub(crate) fn draw_token(&mut self) -> String {
        let drawn = self.draw();
        format!("{:016x}-{drawn:x}", self.salt)
    }

    /// A number that was not drawn before.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.salt.wrapping_add(self.drawn)
    }

    /// The numbers under which an activity is to be done.
    pub(crate) fn jobs(&self, instance: &str, execution: u64, id: u64) -> Vec<Job> {
        let job = |number| (Arc::from(instance), execution, id, number);
        self.work.groups(job(0)..=job(u64::MAX)).map(|(job, _)| job.clone()).collect()
    }

    /// All activities of an instance that are to be done.
    pub(crate) fn jobs_of(&self, instance: &str) -> Vec<Job> {
        let from = (Arc::from(instance), 0, 0, 0);
        let jobs = self.work.groups(from..).map(|(job, _)| job);
        jobs.take_while(|job| *job.0 == *instance).cloned().collect()
    }
}
