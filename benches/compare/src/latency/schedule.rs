//! An open loop: when commits are due is fixed before the first one, and one that is late makes none
//! after it less late.

use std::hint::spin_loop;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The system wakes a sleeper later than it asked for, by about this much.
const OVERSLEEP: Duration = Duration::from_micros(120);

/// What is due how often, from a moment on.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub start: Instant,
    /// How many are due in a second.
    pub rate: u32,
}

impl Schedule {
    /// How many are due within a time.
    pub fn count(&self, long: Duration) -> u64 {
        let count = long.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How long after the start number `n` is due.
    pub fn due(&self, n: u64) -> Duration {
        let nanos = u128::from(n) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns at the moment when number `n` is due, or at once; that moment.
    pub fn wait(&self, n: u64) -> Instant {
        let due = self.start + self.due(n);
        if let Some(left) = due.checked_duration_since(Instant::now() + OVERSLEEP) {
            sleep(left);
        }
        while Instant::now() < due {
            spin_loop();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_does_not_drift() {
        let schedule = Schedule { start: Instant::now(), rate: 3000 };
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), Duration::from_nanos(333_333));
        assert_eq!(schedule.due(2), Duration::from_nanos(666_666));
        assert_eq!(schedule.due(3_000_000), Duration::from_secs(1000));
        assert_eq!(schedule.count(Duration::from_millis(1500)), 4500);
    }

    #[test]
    fn nothing_starts_early_and_lateness_is_counted() {
        let schedule = Schedule { start: Instant::now(), rate: 1000 };
        let third = schedule.wait(3);
        assert!(Instant::now() >= third && third == schedule.start + Duration::from_millis(3));
        assert_eq!(schedule.wait(1), schedule.start + Duration::from_millis(1));
    }
}
