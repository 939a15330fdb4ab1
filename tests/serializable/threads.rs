//! Threads: the machine's own, or shuttle's, which decides who goes on.

#[cfg(shuttle)]
pub(crate) use shuttle::thread::scope;
#[cfg(not(shuttle))]
pub(crate) use std::thread::scope;

/// Lets others go on first.
pub(crate) fn turn() {
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
    #[cfg(not(shuttle))]
    std::thread::yield_now();
}
