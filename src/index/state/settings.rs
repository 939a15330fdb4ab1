//! The settings of a namespace: its limits and its retention, as a row holds them.

use crate::bytes::u32_at;
use crate::limits::Limits;
use crate::retention::{RETENTION_BYTES, Retention};

/// What can be set of a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) retention: Retention,
}

const LIMITS_BYTES: usize = 48;
/// The bytes of the settings in a row that this version writes.
pub(crate) const SETTINGS_BYTES: usize = LIMITS_BYTES + RETENTION_BYTES;

impl Settings {
    /// The value of a namespace's row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut limits = self.limits;
        let limits = fields(&mut limits).into_iter().flat_map(|field| field.to_le_bytes());
        limits.chain(self.retention.encode()).collect()
    }

    /// The settings in a row. A shorter one comes from an earlier version, which has no retention; a longer one from a
    /// later version, which adds at the end.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let mut limits = Limits::default();
        for (i, field) in fields(&mut limits).into_iter().enumerate() {
            *field = u32_at(value, i * 4)?;
        }
        let rest = value.get(LIMITS_BYTES..)?;
        let retention =
            if rest.is_empty() { Retention::default() } else { Retention::decode(rest)? };
        Some(Settings { limits, retention })
    }
}

/// The limits in the order in which a row holds them.
fn fields(limits: &mut Limits) -> [&mut u32; 12] {
    let Limits {
        history_events,
        history_bytes,
        payload_bytes,
        id_bytes,
        warn_events,
        warn_bytes,
        suggest_events,
        suggest_bytes,
        open_children,
        open_activities,
        open_signals,
        open_cancels,
    } = limits;
    [
        history_events,
        history_bytes,
        payload_bytes,
        id_bytes,
        warn_events,
        warn_bytes,
        suggest_events,
        suggest_bytes,
        open_children,
        open_activities,
        open_signals,
        open_cancels,
    ]
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written_by_any_version() {
        let ages = [Duration::ZERO, Duration::from_nanos(u64::MAX - 1), Duration::MAX];
        for age in ages {
            let runs = NonZeroU32::new(7).unwrap();
            let retention = Retention::new().history(age).outcome(ages[1]).chain_runs(runs);
            let limits = Limits { open_cancels: 5, ..Limits::default() };
            let settings = Settings { limits, retention };
            let row = settings.encode();
            assert_eq!(retention.history, (age != Duration::MAX).then_some(age));
            assert_eq!(Settings::decode(&row), Some(settings));
            let longer = [&row[..], &[1; 9]].concat();
            assert_eq!(Settings::decode(&longer), Some(settings), "of a later version");
            let earlier = Settings { limits, ..Settings::default() };
            assert_eq!(Settings::decode(&row[..LIMITS_BYTES]), Some(earlier));
            for cut in (0..LIMITS_BYTES).chain(LIMITS_BYTES + 1..SETTINGS_BYTES) {
                assert_eq!(Settings::decode(&row[..cut]), None, "{cut} bytes");
            }
        }
    }
}
