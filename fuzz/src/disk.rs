//! The machine's file system with a clock and random numbers that are the same every time, so that
//! a finding can be had again and a corpus keeps its worth.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kinlog::Timestamp;
use kinlog::disk::Disk;
use kinlog_testing::Rng;
use kinlog_testing::disk::{Fate, HookedDisk, Hooks, Op};

/// Each question, for the time or for a number, gets another answer.
pub(crate) struct Repeatable(AtomicU64);

impl Repeatable {
    /// Another `seed` gives other random numbers.
    pub(crate) fn disk(seed: u64) -> Arc<dyn Disk> {
        HookedDisk::new(Repeatable(AtomicU64::new(seed << 32)))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Hooks for Repeatable {
    fn fate(&self, _: Op, _: &Path) -> Fate {
        Fate::Done
    }

    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.next() & 0xffff_ffff).unwrap_or_default();
        Timestamp::from_unix_nanos(1_700_000_000_000_000_000 + micros * 1000)
    }

    fn random(&self) -> u64 {
        Rng::new(self.next()).draw()
    }
}
