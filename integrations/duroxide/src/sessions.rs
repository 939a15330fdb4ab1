//! Which worker a session's activities go to.

use std::collections::{HashMap, HashSet};

/// The sessions that a worker owns or has owned.
#[derive(Default)]
pub(crate) struct Sessions(HashMap<String, Session>);

struct Session {
    owner: String,
    until: u64,
    active: u64,
}

impl Sessions {
    /// Whether a worker may take activities of a session: it owns it, or nobody does any more.
    pub(crate) fn admits(&self, session: &str, owner: &str, now: u64) -> bool {
        self.0.get(session).is_none_or(|held| held.owner == owner || held.until <= now)
    }

    /// A worker takes an activity of a session, and by that the session.
    pub(crate) fn claim(&mut self, session: &str, owner: &str, until: u64, now: u64) {
        let held = Session { owner: owner.to_owned(), until, active: now };
        self.0.insert(session.to_owned(), held);
    }

    /// A worker has done something in a session.
    pub(crate) fn touch(&mut self, session: &str, now: u64) {
        if let Some(held) = self.0.get_mut(session).filter(|held| held.until > now) {
            held.active = now;
        }
    }

    /// Lets these owners keep their sessions for longer, those in which something was done since `idle`. How
    /// many there are.
    pub(crate) fn renew(&mut self, owners: &[&str], until: u64, idle: u64, now: u64) -> usize {
        let renewed = self.0.values_mut().filter(|held| {
            owners.contains(&held.owner.as_str()) && held.until > now && held.active > idle
        });
        renewed.map(|held| held.until = until).count()
    }

    /// Forgets sessions that nobody owns and that have no activities. How many there were.
    pub(crate) fn clean(&mut self, now: u64, used: &HashSet<&str>) -> usize {
        let before = self.0.len();
        self.0.retain(|session, held| held.until >= now || used.contains(session.as_str()));
        before - self.0.len()
    }
}
