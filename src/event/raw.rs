//! The bytes of one event: a 16-byte header, the typed head, the payload, padding to four.
//!
//! ```text
//! 0     kind    u16
//! 2     version u8   of the typed head; 0 without one
//! 3     head    u8   length of the typed head in 4-byte words; 255: a u32 word count follows
//! 4     len     u32  bytes after the header, without padding
//! 8     time    i64  nanoseconds since the Unix epoch
//! 16 …  head, payload, zeros up to a multiple of four
//! ```
//!
//! The head's length is outside the head, so that a reader that does not know a version still finds the
//! payload.

use super::NewEvent;
use super::codec::{Buffer, Malformed};
use super::kind::EventKind;
use crate::bytes::{array_at, in_memory, padded4, padding4, put, u16_at, u32_at};
use crate::id::Timestamp;
use crate::limits::EVENT_BYTES_MAX;

const HEADER_BYTES: usize = 16;
/// In place of a head length: the length follows the header, as a `u32`.
const LONG_HEAD: u8 = 255;

/// One event in a batch, not decoded: only its lengths were validated.
#[derive(Clone, Copy)]
pub(crate) struct RawEvent<'a> {
    pub(crate) kind: EventKind,
    pub(crate) version: u8,
    pub(crate) time: Timestamp,
    pub(crate) head: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// Bytes in the log, header and padding included.
    pub(crate) size: u32,
}

impl<'a> RawEvent<'a> {
    /// The event at the start of `bytes`. Inlined into every loop over events: returning one costs as much as parsing it.
    #[inline(always)]
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse_inner(bytes).ok_or(Malformed)
    }

    /// Whether it has no typed record, so that kinlog interprets nothing in it.
    pub(crate) const fn is_opaque(&self) -> bool {
        self.version == 0
    }

    #[inline(always)]
    fn parse_inner(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let [_, _, version, words, ..] = *header;
        let len = in_memory(u32_at(header, 4)?);
        if len > EVENT_BYTES_MAX - HEADER_BYTES {
            return None;
        }
        let size = HEADER_BYTES + padded4(len);
        let event = bytes.get(..size)?;
        // The padding is at the end of the last word, and zero.
        let padding = size - HEADER_BYTES - len;
        let last_word = u32::from_le_bytes(*event.last_chunk()?);
        if u64::from(last_word) >> (32 - 8 * padding) != 0 {
            return None;
        }
        let body = event.get(HEADER_BYTES..HEADER_BYTES + len)?;
        let (head, payload) = match words {
            0 => (&[][..], body),
            LONG_HEAD => {
                let words = u32_at(body, 0)?;
                body.get(4..)?.split_at_checked(in_memory(words).checked_mul(4)?)?
            }
            words => body.split_at_checked(4 * usize::from(words))?,
        };
        let kind = u16_at(header, 0)?;
        if kind == 0 || (version == 0 && words != 0) {
            return None;
        }
        Some(RawEvent {
            kind: EventKind::from_number(kind),
            version,
            time: Timestamp::from_unix_nanos(i64::from_le_bytes(array_at(header, 8)?)),
            head,
            payload,
            size: u32::try_from(size).ok()?,
        })
    }
}

/// What a compaction leaves of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    Whole,
    /// All but its payload.
    Record,
    /// Its kind and its time.
    Header,
}

/// Appends what is left of an event to `buffer`, which must end at a multiple of four.
pub(crate) fn encode_left(raw: &RawEvent<'_>, left: Left, buffer: &mut Buffer) {
    let (head, payload) = match left {
        Left::Whole => (raw.head, raw.payload),
        Left::Record => (raw.head, &[][..]),
        Left::Header => (&[][..], &[][..]),
    };
    let version = if left == Left::Header { 0 } else { raw.version };
    let words = u32::try_from(head.len() / 4).unwrap_or(u32::MAX);
    let short = u8::try_from(words).ok().filter(|words| *words < LONG_HEAD);
    let long = if short.is_none() { 4 } else { 0 };
    let len = u32::try_from(long + head.len() + payload.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&raw.kind.number().to_le_bytes());
    buffer.extend_from_slice(&[version, short.unwrap_or(LONG_HEAD)]);
    buffer.extend_from_slice(&len.to_le_bytes());
    buffer.extend_from_slice(&raw.time.unix_nanos().to_le_bytes());
    if short.is_none() {
        buffer.extend_from_slice(&words.to_le_bytes());
    }
    buffer.extend_from_slice(head);
    buffer.extend_from_slice(payload);
    buffer.extend_from_slice(padding4(buffer.len()));
}

/// Appends `event` to `buffer`, which must end at a multiple of four, and returns the bytes it
/// takes. On an error the buffer is as before.
pub(crate) fn encode(
    event: &NewEvent<'_>,
    time: Timestamp,
    buffer: &mut Buffer,
) -> Result<u32, Malformed> {
    let start = buffer.len();
    let written = encode_inner(event, time, buffer);
    if written.is_err() {
        buffer.resize(start, 0);
    }
    written
}

fn encode_inner(
    event: &NewEvent<'_>,
    time: Timestamp,
    buffer: &mut Buffer,
) -> Result<u32, Malformed> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    event.body.encode(buffer)?;
    let words = (buffer.len() - start - HEADER_BYTES) / 4;
    let short = u8::try_from(words).ok().filter(|words| *words < LONG_HEAD);
    if short.is_none() {
        // Rare: a head of a kilobyte or more. The archive is relocatable, so it is moved by one word.
        let end = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        let head = start + HEADER_BYTES;
        buffer.copy_within(head..end, head + 4);
        put(buffer, head, &u32::try_from(words).map_err(|_| Malformed)?.to_le_bytes());
    }
    buffer.extend_from_slice(event.payload);
    let len = buffer.len() - start - HEADER_BYTES;
    buffer.extend_from_slice(padding4(buffer.len()));
    let size = buffer.len() - start;
    if size > EVENT_BYTES_MAX {
        return Err(Malformed);
    }
    let [k0, k1] = event.kind().number().to_le_bytes();
    let len = u32::try_from(len).map_err(|_| Malformed)?.to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    put(&mut header, 0, &[k0, k1, event.body.version(), short.unwrap_or(LONG_HEAD)]);
    put(&mut header, 4, &len);
    put(&mut header, 8, &time.unix_nanos().to_le_bytes());
    put(buffer, start, &header);
    u32::try_from(size).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::super::{Body, Event, Signaled, WorkflowTask};
    use super::*;

    fn round_trip(event: &NewEvent<'_>) {
        let mut buffer = Buffer::new();
        let size = encode(event, Timestamp::from_unix_nanos(7), &mut buffer).unwrap();
        assert_eq!(size as usize, buffer.len());
        assert_eq!(buffer.len() % 4, 0);
        let raw = RawEvent::parse(&buffer).unwrap();
        let read = Event::check(3, raw).unwrap();
        assert_eq!(read.body(), event.body);
        assert_eq!(read.payload(), event.payload);
        assert_eq!((read.id(), read.size(), read.time().unix_nanos()), (3, size, 7));
    }

    #[test]
    fn events_come_back_at_every_length_of_text_and_payload() {
        let text = "n".repeat(3000);
        for len in (0..40).chain([1003, 1004, 1005, 1012, 1016, 1020, 3000]) {
            let signal = Signaled { signal_name: &text[..len], ..Default::default() };
            let body = Body::WorkflowExecutionSignaled(signal);
            for payload in [0, 1, 2, 3, 4, 5, 1000] {
                round_trip(&NewEvent::new(body).payload(&text.as_bytes()[..payload]));
            }
        }
    }

    #[test]
    fn a_newer_version_of_a_record_still_shows_kind_time_and_payload() {
        let task = WorkflowTask { scheduled_event_id: 4, started_event_id: 5 };
        let event = NewEvent::new(Body::WorkflowTaskCompleted(task)).payload(b"payload");
        let mut buffer = Buffer::new();
        encode(&event, Timestamp::from_unix_nanos(9), &mut buffer).unwrap();
        buffer[2] = 200;
        let read = Event::check(1, RawEvent::parse(&buffer).unwrap()).unwrap();
        assert_eq!(read.body(), Body::Opaque(EventKind::WORKFLOW_TASK_COMPLETED));
        assert_eq!((read.version(), read.payload()), (200, &b"payload"[..]));
    }

    #[test]
    fn an_event_has_a_kind_and_a_head_only_with_a_version() {
        let task = WorkflowTask { scheduled_event_id: 4, started_event_id: 5 };
        let typed = NewEvent::new(Body::WorkflowTaskCompleted(task));
        let opaque = NewEvent::opaque(EventKind::MARKER_RECORDED, b"four");
        for (event, at, value, sound) in [
            (typed, 2, 1, true),
            (typed, 2, 0, false),
            (typed, 0, 0, false),
            (opaque, 2, 0, true),
            (opaque, 2, 1, true),
            (opaque, 3, 1, false),
            (opaque, 3, 255, false),
            (opaque, 0, 0, false),
        ] {
            let mut buffer = Buffer::new();
            encode(&event, Timestamp::default(), &mut buffer).unwrap();
            // A long head of no words is not valid either.
            let payload = buffer.len() - 4;
            buffer[payload..].fill(0);
            buffer[at] = value;
            assert_eq!(RawEvent::parse(&buffer).is_ok(), sound, "{event:?}: {value} at {at}");
        }
    }

    #[test]
    fn cut_or_overlong_events_are_malformed() {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, b"0123456789");
        let mut buffer = Buffer::new();
        encode(&event, Timestamp::default(), &mut buffer).unwrap();
        for len in 0..buffer.len() {
            assert!(RawEvent::parse(&buffer[..len]).is_err(), "cut to {len}");
        }
        buffer[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(RawEvent::parse(&buffer).is_err());
    }
}
