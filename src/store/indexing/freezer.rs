//! When a layer of the index is frozen, and the frozen layers that are to be written into files.

use std::collections::VecDeque;

use crate::error::Error;
use crate::id::Position;
use crate::index::{FrozenIndex, Index};
use crate::sync::{Condvar, Mutex};

/// A hot layer that comes from so many bytes of the log is frozen: more than that, and what is not durable yet, is not
/// to be replayed at opening.
const LOG_BYTES_MAX: u64 = 32 << 20;
/// While so many layers wait to be written, no other one is frozen: each makes look-ups slower, and memory comes back
/// only once they are written.
const LAYERS_MAX: usize = 4;
/// At the end of a writer, a layer that comes from fewer bytes is left to be replayed.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// Freezes layers, and keeps them until they are written.
pub(crate) struct Freezer {
    /// The memory that a hot layer may take.
    hot_bytes_max: u64,
    /// The memory that open runs may take that are in no layer.
    pub(crate) open_bytes_max: u64,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Layers to be written, the oldest one first.
#[derive(Default)]
struct Queue {
    layers: VecDeque<FrozenIndex>,
    /// Writing was tried, and failed, since a layer came last.
    failed: bool,
    /// While no other layer may come: how many bytes of the log the hot one must come from for the next attempt.
    retry_at: u64,
    /// What the last attempt to write or to merge failed with; none once a layer was written.
    error: Option<Error>,
    /// No layer comes any more.
    ended: bool,
    /// A file of the index is damaged: nothing is written any more.
    damaged: bool,
}

impl Freezer {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        // One layer that is hot, one that is being written, one that waits for that, and what they need beside, such as
        // open runs.
        let (hot_bytes_max, open_bytes_max) = (memory_bytes / 4, memory_bytes / 8);
        Freezer { hot_bytes_max, open_bytes_max, queue: Mutex::default(), changed: Condvar::new() }
    }

    /// Freezes the index before it takes in the next commit, if it is time.
    pub(crate) fn freeze_before_commit(&self, index: &mut Index) {
        let log_bytes = index.hot_log_bytes();
        let is_large = log_bytes >= LOG_BYTES_MAX || index.hot_bytes() > self.hot_bytes_max;
        if log_bytes > 0 && is_large && self.has_room(log_bytes) {
            self.freeze(index);
        }
    }

    /// Whether another layer may wait. If not, and those that wait could not be written, that is tried again.
    fn has_room(&self, log_bytes: u64) -> bool {
        let mut queue = self.queue.lock();
        if queue.layers.len() < LAYERS_MAX {
            return true;
        }
        if queue.failed && log_bytes >= queue.retry_at {
            queue.failed = false;
            // Each attempt may be in vain.
            queue.retry_at = log_bytes.saturating_mul(2);
            self.changed.notify_all();
        }
        false
    }

    /// Freezes the index at the end of a writer, so that the next opening has less to replay.
    pub(crate) fn freeze_last(&self, index: &mut Index) {
        if index.hot_log_bytes() >= LOG_BYTES_MIN {
            self.freeze(index);
        }
    }

    /// Freezes the index, however little it is.
    pub(crate) fn freeze(&self, index: &mut Index) {
        let layer = index.freeze();
        let mut queue = self.queue.lock();
        queue.layers.push_back(layer);
        (queue.failed, queue.retry_at) = (false, 0);
        self.changed.notify_all();
    }

    /// The layer to be written next; waits for one. `None` once no layer comes any more, or is to be written.
    pub(crate) fn next(&self) -> Option<FrozenIndex> {
        let mut queue = self.queue.lock();
        loop {
            match queue.layers.front() {
                _ if queue.damaged => return None,
                Some(layer) if !queue.failed => return Some(layer.clone()),
                _ if queue.ended => return None,
                _ => self.changed.wait(&mut queue),
            }
        }
    }

    /// The layer to be written next, if one waits now.
    pub(crate) fn waiting_layer(&self) -> Option<FrozenIndex> {
        let queue = self.queue.lock();
        queue.layers.front().filter(|_| !queue.failed && !queue.damaged).cloned()
    }

    /// Where the oldest layer ends that is to be written.
    pub(crate) fn oldest(&self) -> Option<Position> {
        self.queue.lock().layers.front().map(|layer| layer.upto)
    }

    /// Forgets the layers up to a position: another process has written them.
    pub(crate) fn drop_upto(&self, position: Position) {
        self.queue.lock().layers.retain(|layer| layer.upto > position);
    }

    /// The layer that [`Freezer::next`] returned is written.
    pub(crate) fn written(&self) {
        let mut queue = self.queue.lock();
        queue.layers.pop_front();
        queue.error = None;
    }

    /// It could not be written. It is tried again when another layer comes, or would come if there was room.
    pub(crate) fn failed(&self, error: Error) {
        let mut queue = self.queue.lock();
        queue.failed = true;
        queue.error = Some(error);
    }

    /// Files could not be merged.
    pub(crate) fn not_merged(&self, error: Error) {
        self.queue.lock().error = Some(error);
    }

    /// How many layers wait to be written, and why, if the last attempt failed.
    pub(crate) fn waiting(&self) -> (usize, Option<Error>) {
        let queue = self.queue.lock();
        (queue.layers.len(), queue.error.clone())
    }

    /// A file of the index was found damaged.
    pub(crate) fn damaged(&self) {
        self.queue.lock().damaged = true;
        self.changed.notify_all();
    }

    /// No layer comes any more.
    pub(crate) fn end(&self) {
        self.queue.lock().ended = true;
        self.changed.notify_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.queue.lock().ended
    }
}
