//! Where every thread of a world says what it is about, for the watchdog.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

// Never held while others have a turn, and no business of shuttle's: the machine's own locks.
#[derive(Default)]
pub(crate) struct Board {
    notes: Mutex<Vec<String>>,
    moves: AtomicU64,
    ended: AtomicBool,
}

impl Board {
    pub(crate) fn new(threads: usize) -> Self {
        Board { notes: Mutex::new(vec![String::new(); threads]), ..Board::default() }
    }

    pub(crate) fn note(&self, thread: usize, what: &dyn std::fmt::Debug) {
        let text = format!("{what:?}");
        let mut notes = self.notes.lock().unwrap();
        if let Some(note) = notes.get_mut(thread) {
            *note = text;
        }
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// How often anything was noted.
    #[cfg(not(shuttle))]
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    #[cfg(not(shuttle))]
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    /// The threads that take steps have ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}
