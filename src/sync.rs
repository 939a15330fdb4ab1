//! Locks, condition variables, atomics and threads; all of `src` imports them from here.
//!
//! In an ordinary build these are parking_lot's and the standard library's. Under `--cfg shuttle` they are
//! shuttle's, so that a test controls the scheduling of threads (`tests/interleavings.rs`). Under `--cfg loom`
//! the atomics are loom's, so that a test explores the effects of weak memory ordering
//! (`src/log/files/weak_memory.rs`).

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(shuttle))]
pub(crate) use parking_lot::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
#[cfg(shuttle)]
pub(crate) use shuttle::{sync::atomic, thread};
#[cfg(shuttle)]
pub(crate) use shuttle_parking_lot::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic;
#[cfg(not(shuttle))]
pub(crate) use std::thread;

#[cfg(shuttle)]
pub(crate) use explored::Condvar;

/// A condition variable with timeouts, which shuttle's parking_lot lacks.
#[cfg(shuttle)]
mod explored {
    use std::sync::PoisonError;
    use std::time::Duration;

    use shuttle::rand::{Rng, thread_rng};
    use shuttle::{sync, thread};

    use super::MutexGuard;

    /// A timeout of this length or more never expires, so that shuttle reports a lost wakeup as a deadlock.
    const FOR_EVER: Duration = Duration::from_secs(60);
    /// A timeout of this length or less always expires.
    const MOMENT: Duration = Duration::from_millis(1);
    /// How often other threads may run before a timeout expires.
    const TURNS: u32 = 32;

    /// parking_lot's condition variable, as far as it is used here.
    #[derive(Default)]
    pub(crate) struct Condvar {
        /// Held between releasing the caller's lock and waiting, so that no notification is lost.
        gate: sync::Mutex<()>,
        notice: sync::Condvar,
    }

    pub(crate) struct WaitTimeoutResult(bool);

    impl WaitTimeoutResult {
        pub(crate) fn timed_out(&self) -> bool {
            self.0
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Condvar::default()
        }

        fn gate(&self) -> sync::MutexGuard<'_, ()> {
            self.gate.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let gate = self.gate();
            MutexGuard::unlocked(guard, || drop(self.notice.wait(gate)));
        }

        /// Shuttle has no clock: whether the timeout expires before the notification, and how often other threads
        /// run until then, is random.
        pub(crate) fn wait_for<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            timeout: Duration,
        ) -> WaitTimeoutResult {
            let times_out = timeout <= MOMENT || (timeout < FOR_EVER && thread_rng().r#gen());
            if times_out {
                let turns = thread_rng().gen_range(0..TURNS);
                MutexGuard::unlocked(guard, || (0..turns).for_each(|_| thread::sleep(timeout)));
            } else {
                self.wait(guard);
            }
            WaitTimeoutResult(times_out)
        }

        pub(crate) fn wait_while_for<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            mut condition: impl FnMut(&mut T) -> bool,
            timeout: Duration,
        ) -> WaitTimeoutResult {
            while condition(guard) {
                if self.wait_for(guard, timeout).timed_out() {
                    return WaitTimeoutResult(condition(guard));
                }
            }
            WaitTimeoutResult(false)
        }

        pub(crate) fn notify_one(&self) {
            let _gate = self.gate();
            self.notice.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            let _gate = self.gate();
            self.notice.notify_all();
        }
    }
}
