//! Identifiers: run ids, positions in the log, timestamps.

use std::fmt;
use std::str::FromStr;

use crate::bytes::in_memory;

/// The id of a run: one history, from its Started event to its closing event.
///
/// Sixteen bytes, printed and parsed in the hyphenated form of a UUID (RFC 9562), which is how
/// Temporal writes its run ids.
///
/// ```
/// let run: kinlog::RunId = "019f6231-90d9-7a77-a8b4-43ae83695092".parse().unwrap();
/// assert_eq!(run.to_string(), "019f6231-90d9-7a77-a8b4-43ae83695092");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RunId([u8; 16]);

impl RunId {
    /// All zeros: not the id of any run, and no run can be started with it.
    pub const NIL: RunId = RunId([0; 16]);

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        RunId(bytes)
    }

    /// The sixteen bytes, as the log stores them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether this is [`RunId::NIL`].
    #[must_use]
    pub fn is_nil(&self) -> bool {
        *self == RunId::NIL
    }

    /// A new id in the form of a version 7 UUID: 48 bits of milliseconds, then random bits, so
    /// that ids made later sort later.
    pub(crate) fn fresh(now: Timestamp, random: [u64; 2]) -> Self {
        let millis = u128::from(now.unix_nanos().max(0).unsigned_abs() / 1_000_000);
        let random = (u128::from(random[0]) << 64) | u128::from(random[1]);
        const VERSION_7: u128 = 0x7 << 76;
        const VARIANT: u128 = 0b10 << 62;
        const RANDOM: u128 = (0xfff << 64) | ((1 << 62) - 1);
        let value = ((millis & 0xffff_ffff_ffff) << 80) | VERSION_7 | VARIANT | (random & RANDOM);
        let mut bytes = [0; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from((value >> (8 * (15 - i))) & 0xff).unwrap_or_default();
        }
        RunId(bytes)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(36);
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for nibble in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        f.pad(&text)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

/// The text is not a run id: 32 hexadecimal digits, with hyphens as in a UUID or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseRunIdError;

impl fmt::Display for ParseRunIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a run id: expected 32 hexadecimal digits, hyphenated as a UUID or plain")
    }
}

impl std::error::Error for ParseRunIdError {}

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, ParseRunIdError> {
        let hyphens_fit = text.len() == 32
            || (text.len() == 36
                && text
                    .bytes()
                    .enumerate()
                    .all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23)));
        if !hyphens_fit {
            return Err(ParseRunIdError);
        }
        let mut digits = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16));
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(ParseRunIdError);
            };
            *byte = u8::try_from(high * 16 + low).map_err(|_| ParseRunIdError)?;
        }
        if digits.next().is_some() {
            return Err(ParseRunIdError);
        }
        Ok(RunId(bytes))
    }
}

/// Declares numbers that stand for things of one kind: places in the order in which they came.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            #[repr(transparent)]
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
            pub(crate) struct $name(u32);

            impl $name {
                /// The number of the thing at this place in the list of all; `None` if there are no so
                /// large numbers.
                pub(crate) fn from_index(index: usize) -> Option<Self> {
                    u32::try_from(index).ok().map($name)
                }

                /// Its place in the list.
                pub(crate) const fn as_index(self) -> usize {
                    in_memory(self.0)
                }

                /// The thing with this number in the log or the index's files.
                pub(crate) const fn from_u32(number: u32) -> Self {
                    $name(number)
                }

                /// The number, as the log and the index's files store it.
                pub(crate) const fn as_u32(self) -> u32 {
                    self.0
                }
            }
        )*
    };
}

numbers! {
    /// A run, by the order in which runs came into the log: what batches call it.
    RunNumber,
    /// A workflow, by the order in which their first runs came.
    WorkflowNumber,
    /// A workflow type of a namespace, by the order in which they came.
    TypeNumber,
    /// A chain, by the order in which their first runs came.
    ChainNumber,
    /// A relation among those of its parent, by the order in which they were initiated.
    ChildSlot,
}

impl WorkflowNumber {
    /// No workflow has this number.
    pub(crate) const NONE: WorkflowNumber = WorkflowNumber(u32::MAX);
}

impl RunNumber {
    pub(crate) const FIRST: RunNumber = RunNumber(0);
    /// No run has this number.
    pub(crate) const NONE: RunNumber = RunNumber(u32::MAX);

    /// The run that comes next; `None` if there can be none.
    pub(crate) fn next(self) -> Option<Self> {
        Self::from_index(self.as_index() + 1).filter(|next| *next != Self::NONE)
    }
}

impl ChildSlot {
    pub(crate) const FIRST: ChildSlot = ChildSlot(0);
}

/// The address of a commit in the log. Later commits have higher positions; a position is never reused. The
/// difference of two positions is no number of bytes: positions are left out where a segment is short.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// Before every commit.
    pub const START: Position = Position(0);

    /// The position with this byte address.
    #[must_use]
    pub const fn from_u64(address: u64) -> Self {
        Position(address)
    }

    /// The byte address.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// This position, `bytes` further on.
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Position(self.0 + bytes)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({})", self.0)
    }
}

/// A point in time: nanoseconds since 1970-01-01 00:00:00 UTC, from the year 1677 to 2262.
///
/// Timestamps are data only: nothing depends on their order but [lists of runs](crate::Store::list_runs).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point this many nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_print_and_parse_alike() {
        let bytes = *b"\x01\x9f\x62\x31\x90\xd9\x7a\x77\xa8\xb4\x43\xae\x83\x69\x50\x92";
        let text = "019f6231-90d9-7a77-a8b4-43ae83695092";
        assert_eq!(RunId::from_bytes(bytes).to_string(), text);
        assert_eq!(text.parse(), Ok(RunId::from_bytes(bytes)));
        assert_eq!(text.replace('-', "").parse(), Ok(RunId::from_bytes(bytes)));
        for wrong in
            ["", "019f6231", "019f6231-90d9-7a77-a8b4-43ae8369509g", &text.replace('-', "_")]
        {
            assert_eq!(wrong.parse::<RunId>(), Err(ParseRunIdError), "{wrong}");
        }
    }

    #[test]
    fn fresh_ids_are_version_7_and_sort_by_time() {
        let at = |millis: i64| Timestamp::from_unix_nanos(millis * 1_000_000);
        let early = RunId::fresh(at(1_000), [u64::MAX, u64::MAX]);
        let late = RunId::fresh(at(1_001), [0, 0]);
        assert!(early < late);
        assert_eq!(early.to_string(), "00000000-03e8-7fff-bfff-ffffffffffff");
        assert_eq!(late.to_string(), "00000000-03e9-7000-8000-000000000000");
    }
}
