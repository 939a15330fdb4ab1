//! A gate that holds threads up, to see who waits for whom.

use std::sync::{Arc, Condvar, Mutex};

/// Where threads are held up while it is closed. It begins open.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Closes the gate until what it returns is opened or dropped: also where a test fails.
    #[must_use]
    pub fn close(&self) -> Closed {
        self.set(true);
        Closed(self.clone())
    }

    /// Returns when it is open.
    pub fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |closed| *closed).unwrap());
    }

    fn set(&self, closed: bool) {
        *self.0.0.lock().unwrap() = closed;
        self.0.1.notify_all();
    }
}

/// Keeps a gate closed.
pub struct Closed(Gate);

impl Closed {
    /// Opens it before this is dropped.
    pub fn open(&self) {
        self.0.set(false);
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.open();
    }
}
