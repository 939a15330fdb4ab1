//! The store's own thread: leads for commits that were submitted and that nobody waits for, and
//! marks the manifest when the store has come to rest.
//!
//! After a kill nothing in the log vouches for the last group of writes. The mark does: once a
//! store is idle, the manifest says how far the log is on the device.

use std::sync::Arc;
use std::time::Duration;

use super::durability::{Durability, Lead};
use super::state::{Requests, State, ThreadState};
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::format::Manifest;
use crate::sync::thread::JoinHandle;
use crate::sync::{MutexGuard, thread};

/// How long nothing must be committed before the manifest is marked.
const REST: Duration = Duration::from_millis(50);
/// How long the thread lets submitted commits gather after it has written some. Whoever waits for
/// one ends this at once.
const GATHER: Duration = Duration::from_micros(100);

/// The running threads, this one and that for segments; dropping it ends them and closes the log in order.
pub(crate) struct Background {
    threads: Option<[JoinHandle<()>; 2]>,
    writer: Arc<Writer>,
}

impl Background {
    pub(crate) fn start(writer: Arc<Writer>) -> Result<Self> {
        let spawn = |name: &str, work: fn(&Writer)| {
            let working = writer.clone();
            let builder = thread::Builder::new().name(name.into());
            let spawned = builder.spawn(move || work(&working));
            spawned.map_err(|e| Error::io("start a thread for", &writer.paths.root, e))
        };
        let segments = spawn("kinlog-segments", Writer::work_on_segments)?;
        let own = match spawn("kinlog", Writer::work) {
            Ok(own) => own,
            Err(error) => {
                writer.end_segments();
                return Err(error);
            }
        };
        Ok(Background { threads: Some([own, segments]), writer })
    }

    /// Writes and syncs what is on its way, marks the log as closed, and releases the lock. Done
    /// once; later calls do nothing, nor does one in a process that was forked from the opener's.
    pub(crate) fn shut_down(&mut self) -> Result<()> {
        let Some(threads) = self.threads.take() else { return Ok(()) };
        if let Err(forked) = self.writer.here() {
            // The threads are not in this process, and cannot be let go of either.
            std::mem::forget(threads);
            self.writer.disown_lock();
            return Err(forked);
        }
        let [own, segments] = threads;
        self.writer.state.lock().background.stop = true;
        self.writer.work.notify_all();
        // A panic there is a bug that its own message tells; the log is closed all the same.
        let _ = own.join();
        let synced = self.writer.sync();
        self.writer.end_segments();
        let _ = segments.join();
        // The mark says that nothing lies beyond it, which a sync that failed leaves unknown.
        let closed = synced.and_then(|()| self.writer.mark(true));
        self.writer.release_lock();
        closed
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; the next opening will find the log unclosed.
        let _ = self.shut_down();
    }
}

impl Writer {
    /// Notes that a commit was appended. The thread looks again by itself while commits come, so
    /// that only the first one after a rest wakes it. Commits that ask for a sync gather during the
    /// syncs of others, and need no other time for it.
    pub(crate) fn note_commit(&self, state: &mut State, durability: Durability, lead: Lead) {
        let requests = &mut state.background;
        requests.dirty = true;
        match (lead, requests.thread) {
            (_, ThreadState::Asleep) | (Lead::Thread, ThreadState::Resting) => self.wake(requests),
            _ => {}
        }
        if lead == Lead::Thread {
            requests.submitted = true;
            if durability == Durability::Sync {
                self.note_awaited(state);
            }
        }
    }

    /// Notes that somebody awaits a commit that was submitted: it has gathered enough.
    pub(crate) fn note_awaited(&self, state: &mut State) {
        state.background.awaited = true;
        if state.background.thread == ThreadState::Gathering {
            self.wake(&mut state.background);
        }
    }

    /// Notes that somebody wants the log on the device up to `end`, and does not see to it.
    pub(crate) fn note_wanted(&self, state: &mut State, end: Position) {
        if state.wanted < end {
            state.wanted = end;
            let requests = &mut state.background;
            (requests.dirty, requests.submitted) = (true, true);
            if let ThreadState::Asleep | ThreadState::Resting = requests.thread {
                self.wake(requests);
            }
        }
    }

    /// Notes that a leader has finished.
    pub(crate) fn note_round(&self, state: &mut State) {
        if state.background.thread == ThreadState::Following {
            self.wake(&mut state.background);
        }
    }

    fn wake(&self, requests: &mut Requests) {
        requests.thread = ThreadState::Awake;
        self.work.notify_one();
    }

    fn work(&self) {
        let mut state = self.state.lock();
        while !state.background.stop {
            if state.background.submitted && state.leading {
                self.pause(&mut state, ThreadState::Following, None);
            } else if state.background.submitted {
                state.background.submitted = false;
                self.lead(&mut state);
                if !std::mem::take(&mut state.background.awaited) {
                    self.pause(&mut state, ThreadState::Gathering, Some(GATHER));
                }
            } else if std::mem::take(&mut state.background.dirty) {
                let rested = self.pause(&mut state, ThreadState::Resting, Some(REST));
                if !rested {
                    // Something else was asked for: the rest begins anew.
                    state.background.dirty = true;
                } else {
                    // A failure is no loss: the mark only adds certainty. A store that lost its place
                    // takes no more commits by then.
                    let dirty = state.background.dirty;
                    let _ = MutexGuard::unlocked(&mut state, || match dirty {
                        true => self.stay_in_place(),
                        false => self.rest(),
                    });
                }
            } else {
                self.pause(&mut state, ThreadState::Asleep, None);
            }
        }
    }

    /// Waits until the thread is woken, or until `most` is over; whether it was.
    fn pause(
        &self,
        state: &mut MutexGuard<'_, State>,
        thread: ThreadState,
        most: Option<Duration>,
    ) -> bool {
        if state.background.stop {
            return false;
        }
        state.background.thread = thread;
        let over = match most {
            Some(most) => self.work.wait_for(state, most).timed_out(),
            None => {
                self.work.wait(state);
                false
            }
        };
        state.background.thread = ThreadState::Awake;
        over
    }

    /// Does what a store does that has come to rest: the manifest says how far the log is on the
    /// device.
    pub(crate) fn rest(&self) -> Result<()> {
        if let Some(failure) = &self.state.lock().failure {
            return Err(Error::NotWritten { cause: failure.cause.clone() });
        }
        self.mark(false)
    }

    /// Tells the manifest how far the log is on the device: not how far it is published, for a power
    /// loss may take what was only buffered, and what is marked and missing is damage.
    fn mark(&self, closed: bool) -> Result<()> {
        self.stay_in_place()?;
        let mut manifest = self.manifest.lock();
        // Read under the lock, so that of two marks the later one says no less.
        let durable_upto = self.durable();
        let current = manifest.current;
        if current.durable_upto == durable_upto && current.closed == closed {
            return Ok(());
        }
        manifest.write(Manifest { durable_upto, closed, ..current })
    }
}
