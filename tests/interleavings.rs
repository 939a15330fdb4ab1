//! The store under schedules that are drawn, not left to the machine: shuttle decides at every
//! lock, condition variable, atomic, thread and disk call who goes on.
//!
//! ```text
//! RUSTFLAGS='--cfg shuttle' cargo test -p kinlog --test interleavings --target-dir target/shuttle
//! ```
//!
//! In an ordinary build this file is empty. Each test runs its world under some hundreds of
//! schedules, half drawn at random, half by PCT (few changes of thread, at drawn places).
//! `KINLOG_SCHEDULES=n` runs n of each; `SHUTTLE_RANDOM_SEED=n` draws others. A schedule that fails
//! is kept in a file whose name is printed; `KINLOG_SCHEDULE=<file>` and the test's name run just
//! that one again. A thread that waits for ever is reported as a deadlock.
//!
//! The code under test is the store itself, with the locks of `src/sync.rs`. Shuttle runs one
//! thread at a time and shows every thread the last value written: what weakly ordered memory may
//! show beyond that is the business of `src/log/files/weak_memory.rs`.

#![cfg(shuttle)]

#[path = "interleavings/closing.rs"]
mod closing;
#[path = "interleavings/compaction.rs"]
mod compaction;
#[path = "interleavings/device.rs"]
mod device;
#[path = "interleavings/explore.rs"]
mod explore;
#[path = "interleavings/failing.rs"]
mod failing;
#[path = "interleavings/group_commit.rs"]
mod group_commit;
#[path = "interleavings/maintaining.rs"]
mod maintaining;
#[path = "interleavings/reading.rs"]
mod reading;
#[path = "interleavings/rolling.rs"]
mod rolling;
#[path = "interleavings/snapshots.rs"]
mod snapshots;
#[path = "interleavings/world.rs"]
mod world;
