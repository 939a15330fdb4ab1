//! The orders in which runs are listed, and where a list goes on.

use std::fmt;
use std::str::FromStr;

use crate::bytes::{array_at, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::id::{RunNumber, Timestamp};
use crate::index::{ListTime, Place};
use crate::sorted::hash;

/// The order in which [`Snapshot::list_runs`](crate::Snapshot::list_runs) lists runs. Of runs with one time, the one
/// that was added to the store first is the older one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RunOrder {
    /// All runs, the one that started last first.
    NewestStarted,
    /// All runs, the one that started first first.
    OldestStarted,
    /// Closed runs, the one that closed last first.
    NewestClosed,
    /// Closed runs, the one that closed first first.
    OldestClosed,
}

impl RunOrder {
    const ALL: [RunOrder; 4] = [
        RunOrder::NewestStarted,
        RunOrder::OldestStarted,
        RunOrder::NewestClosed,
        RunOrder::OldestClosed,
    ];

    pub(super) const fn time(self) -> ListTime {
        match self {
            RunOrder::NewestStarted | RunOrder::OldestStarted => ListTime::Started,
            RunOrder::NewestClosed | RunOrder::OldestClosed => ListTime::Closed,
        }
    }

    pub(super) const fn is_newest_first(self) -> bool {
        matches!(self, RunOrder::NewestStarted | RunOrder::NewestClosed)
    }

    /// Its number in cursors.
    const fn number(self) -> u8 {
        self as u8
    }
}

/// Where a run is in a list of several namespaces: by time, then in the order in which runs were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Spot {
    pub(super) time: Timestamp,
    pub(super) run: RunNumber,
}

impl From<Place> for Spot {
    fn from(place: Place) -> Self {
        Spot { time: place.time(), run: place.run() }
    }
}

/// Where the next page of a list begins: behind the last run that was looked at. It is printed and parsed as text, and is good for
/// as long as the store is, in any process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunCursor {
    order: RunOrder,
    namespace: u64,
    pub(super) after: Spot,
}

impl RunCursor {
    pub(super) fn new(order: RunOrder, namespace: Option<&str>, after: Spot) -> Self {
        RunCursor { order, namespace: hash_of(namespace), after }
    }

    /// Whether it is one of a list in this order and namespace.
    pub(super) fn check(&self, order: RunOrder, namespace: Option<&str>) -> Result<()> {
        let differs = if self.order != order {
            "order"
        } else if self.namespace != hash_of(namespace) {
            "namespace"
        } else {
            return Ok(());
        };
        Err(Error::WrongCursor { differs })
    }
}

/// No namespace has an empty name.
fn hash_of(namespace: Option<&str>) -> u64 {
    hash(namespace.unwrap_or_default().as_bytes())
}

/// The form of the text.
const VERSION: u8 = 1;
/// Version, order, namespace, time, run and checksum.
const BYTES: usize = 26;

impl fmt::Display for RunCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION, self.order.number()];
        bytes.extend(self.namespace.to_le_bytes());
        bytes.extend(self.after.time.unix_nanos().to_le_bytes());
        bytes.extend(self.after.run.as_u32().to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        f.pad(&text)
    }
}

/// The text is not a cursor that this version of kinlog has printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseRunCursorError;

impl fmt::Display for ParseRunCursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a cursor: give the one that was printed with the page before, as it was printed",
        )
    }
}

impl std::error::Error for ParseRunCursorError {}

impl FromStr for RunCursor {
    type Err = ParseRunCursorError;

    fn from_str(text: &str) -> Result<Self, ParseRunCursorError> {
        parse(text).ok_or(ParseRunCursorError)
    }
}

fn parse(text: &str) -> Option<RunCursor> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    let is_whole = bytes.len() == BYTES && crc32fast::hash(content) == u32::from_le_bytes(*sum);
    let [version, number] = array_at(content, 0)?;
    if !is_whole || version != VERSION {
        return None;
    }
    let order = RunOrder::ALL.into_iter().find(|order| order.number() == number)?;
    let time = Timestamp::from_unix_nanos(u64_at(content, 10)?.cast_signed());
    let run = RunNumber::from_u32(u32_at(content, 18)?);
    Some(RunCursor { order, namespace: u64_at(content, 2)?, after: Spot { time, run } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_whole_or_not_at_all() {
        for order in RunOrder::ALL {
            let time = Timestamp::from_unix_nanos(-1_764_500_000_000_000_007);
            let after = Spot { time, run: RunNumber::from_u32(70_000) };
            let cursor = RunCursor::new(order, Some("shop"), after);
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor.clone()));
            assert_eq!(text.to_uppercase().parse(), Ok(cursor));
            for at in 0..text.len() {
                assert_eq!(text[..at].parse::<RunCursor>(), Err(ParseRunCursorError));
                let mut other = text.clone();
                let digit = if &text[at..=at] == "0" { "1" } else { "0" };
                other.replace_range(at..=at, digit);
                assert_eq!(other.parse::<RunCursor>(), Err(ParseRunCursorError), "{other}");
            }
        }
    }

    #[test]
    fn a_cursor_belongs_to_one_order_and_one_namespace() {
        let after = Spot { time: Timestamp::default(), run: RunNumber::FIRST };
        let cursor = RunCursor::new(RunOrder::NewestClosed, None, after);
        cursor.check(RunOrder::NewestClosed, None).unwrap();
        let other = |order, namespace| match cursor.check(order, namespace) {
            Err(Error::WrongCursor { differs }) => differs,
            accepted => panic!("{accepted:?}"),
        };
        assert_eq!(other(RunOrder::OldestClosed, None), "order");
        assert_eq!(other(RunOrder::NewestClosed, Some("shop")), "namespace");
    }
}
