//! Time as duroxide counts it: milliseconds since 1970.

use std::time::{Duration, SystemTime};

use kinlog::Timestamp;

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| after(0, since))
}

/// The moment that lies `duration` after `now`.
pub(crate) fn after(now: u64, duration: Duration) -> u64 {
    now.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A moment as kinlog keeps it; `None` beyond the year 2262.
pub(crate) fn timestamp(millis: u64) -> Option<Timestamp> {
    let nanos = i64::try_from(millis).ok()?.checked_mul(1_000_000)?;
    Some(Timestamp::from_unix_nanos(nanos))
}

pub(crate) fn millis(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.unix_nanos() / 1_000_000).unwrap_or(0)
}
