//! The lock around the index.
//!
//! A thread that takes it a second time waits for ever as soon as a writer waits in between. What is built
//! or read under one look is therefore handed the index and not the lock (`store/tx/step.rs`), and in debug builds
//! the lock keeps account of who holds it: a thread that takes it twice panics at once, whether or not a
//! writer waits, and both places are named.
//!
//! In a process that was forked from the one that opened the store, the thread that held the lock does not
//! exist, and what it was about to change is half changed. There the index reads as an empty one.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Index;
use crate::disk::Opener;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The index of an open store, read by many threads or changed by one.
pub(crate) struct IndexLock {
    index: RwLock<Index>,
    /// What a forked process sees.
    nothing: RwLock<Index>,
    opener: Arc<Opener>,
}

/// The index, held for reading.
pub(crate) struct IndexReadGuard<'i> {
    index: RwLockReadGuard<'i, Index>,
    _held: held::Held,
}

/// The index, held for a change.
pub(crate) struct IndexWriteGuard<'i> {
    index: RwLockWriteGuard<'i, Index>,
    _held: held::Held,
}

impl IndexLock {
    pub(crate) fn new(index: Index, opener: Arc<Opener>) -> Self {
        let (index, nothing) = (RwLock::new(index), RwLock::new(Index::default()));
        IndexLock { index, nothing, opener }
    }

    /// Holds the index for reading.
    #[track_caller]
    pub(crate) fn read(&self) -> IndexReadGuard<'_> {
        let _held = held::Held::take(self);
        let here = self.opener.is_this_process();
        IndexReadGuard { index: if here { self.index.read() } else { self.nothing.read() }, _held }
    }

    /// Holds the index for a change, which no forked process gets as far as.
    #[track_caller]
    pub(crate) fn write(&self) -> IndexWriteGuard<'_> {
        let _held = held::Held::take(self);
        IndexWriteGuard { index: self.index.write(), _held }
    }
}

impl Deref for IndexReadGuard<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.index
    }
}

impl Deref for IndexWriteGuard<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.index
    }
}

impl DerefMut for IndexWriteGuard<'_> {
    fn deref_mut(&mut self) -> &mut Index {
        &mut self.index
    }
}

/// Which locks this thread holds, and since where.
#[cfg(debug_assertions)]
mod held {
    use std::cell::RefCell;
    use std::panic::Location;

    use super::IndexLock;

    #[cfg(shuttle)]
    use shuttle::thread_local;

    thread_local! {
        static HELD: RefCell<Vec<(usize, &'static Location<'static>)>> = const { RefCell::new(vec![]) };
    }

    /// Tells one store's lock from another's: a thread may read two stores at a time.
    fn address(lock: &IndexLock) -> usize {
        std::ptr::from_ref(lock).addr()
    }

    pub(crate) struct Held(usize);

    impl Held {
        #[track_caller]
        pub(crate) fn take(lock: &IndexLock) -> Self {
            let (lock, here) = (address(lock), Location::caller());
            HELD.with(|held| {
                let mut held = held.borrow_mut();
                if let Some((_, there)) = held.iter().find(|(other, _)| *other == lock) {
                    panic!("the index is locked again at {here} by a thread that holds it since {there}");
                }
                held.push((lock, here));
            });
            Held(lock)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // A guard may be dropped while its thread ends.
            let _ = HELD.try_with(|held| {
                held.borrow_mut().retain(|(lock, _)| *lock != self.0);
            });
        }
    }
}

/// Nothing is kept account of in release builds.
#[cfg(not(debug_assertions))]
mod held {
    use super::IndexLock;

    pub(crate) struct Held;

    impl Held {
        pub(crate) fn take(_: &IndexLock) -> Self {
            Held
        }
    }
}

#[cfg(all(test, debug_assertions, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn lock() -> IndexLock {
        IndexLock::new(Index::default(), Arc::new(Opener::new()))
    }

    #[test]
    #[should_panic(expected = "by a thread that holds it since src/index/lock.rs")]
    fn a_thread_that_takes_the_lock_twice_is_told_where_it_has_it() {
        let lock = lock();
        let _first = lock.read();
        let _second = lock.read();
    }

    #[test]
    fn a_lock_that_was_given_back_may_be_taken_again_and_another_one_beside_it() {
        let (lock, other) = (lock(), lock());
        drop(lock.read());
        let _first = lock.write();
        let _other = other.read();
    }
}
