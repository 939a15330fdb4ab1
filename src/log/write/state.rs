//! What committers, the leader, the preparing thread and the store's own thread share under one lock.

use std::sync::Arc;

use super::parker::{GroupHint, Waiter};
use crate::error::Error;
use crate::event::Buffer;
use crate::id::Position;
use crate::log::files::Segment;
use crate::sync::thread::JoinHandle;

/// Commits gathered for one segment.
pub(crate) struct Group {
    pub(crate) segment: Arc<Segment>,
    pub(crate) start: Position,
    pub(crate) bytes: Buffer,
}

/// Why the log takes no more commits.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) cause: Arc<Error>,
    /// Commits that begin below were on their way: their outcome is unknown.
    pub(crate) tried: Position,
}

/// The queue of groups, who writes it, and who waits.
pub(crate) struct State {
    /// Where the next frame goes.
    pub(crate) next: Position,
    pub(crate) segment: Arc<Segment>,
    pub(crate) groups: Vec<Group>,
    /// Somebody writes groups.
    pub(crate) leading: bool,
    /// Somebody wants it on the device up to here.
    pub(crate) wanted: Position,
    /// Segments written to since their last sync.
    pub(crate) unsynced: Vec<Arc<Segment>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) group_hint: GroupHint,
    pub(crate) prepared: Option<Arc<Segment>>,
    pub(crate) preparing: bool,
    pub(crate) prepare_thread: Option<JoinHandle<()>>,
    pub(crate) prepare_failed: Option<Error>,
    /// A buffer to gather the next group in.
    pub(crate) spare: Option<Buffer>,
    pub(crate) background: Requests,
}

impl State {
    /// Takes no more commits, for the reason given, and drops those that have only gathered.
    pub(crate) fn fail(&mut self, cause: Error) {
        if self.failure.is_none() {
            let tried = self.groups.first().map_or(self.next, |group| group.start);
            self.groups.clear();
            self.failure = Some(Failure { cause: Arc::new(cause), tried });
        }
    }
}

/// What the store's own thread is asked to do.
#[derive(Default)]
pub(crate) struct Requests {
    /// Commits happened since the thread last looked.
    pub(crate) dirty: bool,
    /// Commits were submitted that nobody may wait for.
    pub(crate) submitted: bool,
    /// Somebody awaits one of them.
    pub(crate) awaited: bool,
    pub(crate) stop: bool,
    pub(crate) thread: ThreadState,
}

/// What the store's own thread does.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ThreadState {
    /// It looks at its requests before it waits again.
    #[default]
    Awake,
    /// It waits until another leader has finished.
    Following,
    /// It lets submitted commits gather, for a moment.
    Gathering,
    /// It waits for the store to come to rest.
    Resting,
    /// It sleeps until it is woken.
    Asleep,
}
