//! One parker per committer that waits.

use std::sync::Arc;

use super::durability::{Durability, Span};
use crate::sync::{Condvar, Mutex};

/// A committer that sleeps until its commit is done, or until it is its turn to lead.
pub(crate) struct Waiter {
    pub(crate) span: Span,
    pub(crate) durability: Durability,
    pub(crate) parker: Arc<Parker>,
}

/// Parks one committer once. Not `thread::park`, whose token may be somebody else's: an executor's, say,
/// that polls what commits.
#[derive(Default)]
pub(crate) struct Parker {
    token: Mutex<bool>,
    given: Condvar,
}

impl Parker {
    pub(crate) fn park(&self) {
        let mut token = self.token.lock();
        while !*token {
            self.given.wait(&mut token);
        }
    }

    pub(crate) fn unpark(&self) {
        *self.token.lock() = true;
        self.given.notify_one();
    }
}

/// Who may come to the next round. Committers that were woken by the last one mostly come back at once
/// with their next commits; to wait for them for a moment makes one sync of two.
#[derive(Default)]
pub(crate) struct GroupHint {
    /// How many commits the next round can count on.
    pub(crate) expected: u32,
    /// How often the leader yields to them before it goes without. Falls where it did not pay.
    pub(crate) spins: u32,
}
