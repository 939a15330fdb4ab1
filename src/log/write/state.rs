//! What committers, the leader, the thread for segments and the store's own thread share under one lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::parker::{GroupHint, Waiter};
use crate::error::Error;
use crate::event::Buffer;
use crate::id::Position;
use crate::log::files::Segment;

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

/// One round of the group commit, for the recorder.
pub(super) struct Round {
    pub(super) bytes: usize,
    pub(super) segments: usize,
    pub(super) sync: bool,
    /// When it began, if anybody wants to know.
    pub(super) began: Option<Instant>,
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
    /// Segments written to since their last sync, for the next leader that syncs: those after `sealed`.
    pub(crate) unsynced: Vec<Arc<Segment>>,
    /// Full segments that the thread for segments syncs, in order. Nothing before them is unsynced.
    pub(crate) sealed: VecDeque<Arc<Segment>>,
    pub(crate) failure: Option<Failure>,
    /// The recorder knows of the failure.
    pub(crate) failure_told: bool,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) group_hint: GroupHint,
    pub(crate) prepared: Option<Arc<Segment>>,
    /// For the next segment. Drawn by the commit that leaves the one before: by a thread it would be drawn at any
    /// time, and a simulated disk could not repeat it.
    pub(crate) next_salt: [u8; 16],
    /// How long the next segment is to be, if it was asked for.
    pub(crate) next_file_bytes: u32,
    /// The next segment was asked for, and is not there yet.
    pub(crate) preparing: bool,
    pub(crate) prepare_failed: Option<Error>,
    /// A commit was refused because the next segment was not there: whether that can be prepared, the next one
    /// is told.
    pub(crate) lacks_segment: bool,
    /// The thread for segments ends once nothing is left to do.
    pub(crate) segments_end: bool,
    /// A buffer to gather the next group in.
    pub(crate) spare: Option<Buffer>,
    pub(crate) background: Requests,
}

impl State {
    /// Takes no more commits, for the reason given, and drops those that have only gathered.
    pub(crate) fn fail(&mut self, cause: Error) {
        let tried = self.groups.first().map_or(self.next, |group| group.start);
        self.fail_below(cause, tried);
    }

    /// The same, where commits below `tried` were on their way.
    pub(crate) fn fail_below(&mut self, cause: Error, tried: Position) {
        self.groups.clear();
        if self.failure.is_none() {
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
