//! The payload of a commit: one batch per run that it appends to, then table puts.
//!
//! ```text
//! batch:  0 run u32 · 4 first event u32 · 8 link u64 · 16 run_bytes u32 · 20 … events
//!         link: the run's previous batch in the low 48 bits, the event count in the high 16
//!         run_bytes: what the run's events take up to the end of this batch
//! put:    0 table_len u8 · 1 operation u8 (1 put, 2 delete) · 2 key_len u16 · 4 value_len u32
//!         8 … table, key, value, zeros up to a multiple of four
//! ```

use crate::bytes::{in_memory, padded4, padding4, put, u16_at, u32_at, u64_at, wide};
use crate::event::{Buffer, Event, EventKind, Malformed, RawEvent};
use crate::id::{Position, RunNumber};
use crate::limits::{KEY_BYTES_MAX, POSITION_MAX, VALUE_BYTES_MAX};

use super::frame::{Frame, HEADER_BYTES, claimed_batches};

/// Bytes of a batch before its events.
pub(crate) const BATCH_HEADER_BYTES: usize = 20;
const PUT_HEADER_BYTES: usize = 8;
/// In memory, what was dropped of a commit is this word, how many bytes it were, and zeros. Neither a batch nor a row
/// begins with it.
const HOLE: u32 = u32::MAX;
/// The fewest bytes that can be dropped between parts.
pub(crate) const HOLE_BYTES_MIN: usize = 8;

/// The events that one commit adds to one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    /// The position of its header.
    pub(crate) position: Position,
    /// The run's number.
    pub(crate) run: RunNumber,
    /// The id of its first event.
    pub(crate) first_event: u32,
    /// How many events it holds; at least one.
    pub(crate) count: u16,
    /// The run's previous batch; [`Position::START`] for the first.
    pub(crate) previous: Position,
    /// The bytes of the run's events up to the end of this batch.
    pub(crate) run_bytes: u32,
    /// The bytes from its first event on; what follows the batch is included.
    rest: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, with its header validated.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8], position: Position) -> Result<Self, Malformed> {
        let parse = || {
            let (header, rest) = bytes.split_first_chunk::<BATCH_HEADER_BYTES>()?;
            let link = u64_at(header, 8)?;
            let batch = Batch {
                position,
                run: RunNumber::from_u32(u32_at(header, 0)?),
                first_event: u32_at(header, 4)?,
                count: u16::try_from(link >> 48).ok()?,
                previous: Position::from_u64(link & POSITION_MAX),
                run_bytes: u32_at(header, 16)?,
                rest,
            };
            let sound = batch.count > 0
                && batch.first_event > 0
                && batch.first_event.checked_add(u32::from(batch.count)).is_some()
                && (batch.first_event == 1) == (batch.previous == Position::START)
                && batch.previous < position;
            sound.then_some(batch)
        };
        parse().ok_or(Malformed)
    }

    /// The id that follows its last event.
    pub(crate) fn next_event(&self) -> u32 {
        self.first_event.saturating_add(u32::from(self.count))
    }

    /// Its events in order, typed heads unchecked.
    pub(crate) fn raw_events(&self) -> RawEvents<'a> {
        RawEvents { next: self.first_event, end: self.next_event(), rest: self.rest }
    }

    /// As [`Batch::raw_events`], from the event `from` on and before the event `end`. Reads those before `from`.
    pub(crate) fn raw_events_in(&self, from: u32, end: u32) -> Result<RawEvents<'a>, Malformed> {
        let mut events = self.raw_events();
        events.end = events.end.min(end);
        while events.next < from.min(events.end) {
            events.next().transpose()?;
        }
        Ok(events)
    }

    /// The bytes that its events take.
    fn events_bytes(&self) -> Result<usize, Malformed> {
        let sizes =
            self.raw_events().map(|event| usize::try_from(event?.1.size).map_err(|_| Malformed));
        sizes.sum()
    }

    /// As [`Batch::raw_events`], from the event `id` on, which begins `bytes` after the first one.
    pub(crate) fn raw_events_from(&self, id: u32, bytes: usize) -> RawEvents<'a> {
        let rest = self.rest.get(bytes..).unwrap_or_default();
        RawEvents { next: id, end: self.next_event(), rest }
    }

    /// Its events in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Result<Event<'a>, Malformed>> + use<'a> {
        self.raw_events().map(|raw| raw.and_then(|(id, raw)| Event::check(id, raw)))
    }
}

/// Begins to fetch the first event of the batch at the start of `bytes` into the cache, by reading a byte near its end.
pub(crate) fn prefetch_first_event(bytes: &[u8]) {
    let event = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
    let len = u32_at(event, 4).map_or(0, in_memory);
    std::hint::black_box(event.get(len).copied());
}

/// The events of a batch, not decoded yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawEvents<'a> {
    next: u32,
    end: u32,
    rest: &'a [u8],
}

impl std::fmt::Debug for RawEvent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawEvent({}, {} B)", self.kind, self.size)
    }
}

impl<'a> Iterator for RawEvents<'a> {
    type Item = Result<(u32, RawEvent<'a>), Malformed>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let id = self.next;
        self.next += 1;
        let Ok(raw) = RawEvent::parse(self.rest) else {
            self.next = self.end;
            return Some(Err(Malformed));
        };
        let size = usize::try_from(raw.size).unwrap_or(usize::MAX);
        self.rest = self.rest.get(size..).unwrap_or_default();
        Some(Ok((id, raw)))
    }
}

/// A row written or deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Put<'a> {
    pub(crate) table: &'a str,
    pub(crate) key: &'a [u8],
    /// The value and its position in the log; `None` deletes the row.
    pub(crate) value: Option<(Position, &'a [u8])>,
}

/// One part of a commit's payload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    Batch(Batch<'a>),
    Put(Put<'a>),
}

/// The parts of a commit in order, each with its size in bytes. Each is validated when it is reached.
pub(crate) struct Parts<'a> {
    rest: &'a [u8],
    position: Position,
    batches: u16,
    /// Whether there are marks of holes among the parts.
    cut: bool,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(frame: &Frame<'a>) -> Self {
        Parts {
            cut: frame.cut,
            ..Self::new(frame.payload, frame.payload_position(), frame.header.batches)
        }
    }

    pub(crate) fn new(payload: &'a [u8], position: Position, batches: u16) -> Self {
        Parts { rest: payload, position, batches, cut: false }
    }

    /// The same of a commit of which something was dropped.
    pub(crate) fn cut(self, cut: bool) -> Self {
        Parts { cut, ..self }
    }

    /// Where the next part begins; behind the last one, where that ends.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The next batch; `None` after the last one. The caller reads the events itself, and then calls
    /// [`Parts::pass`] with their size.
    pub(crate) fn batch(&mut self) -> Result<Option<Batch<'a>>, Malformed> {
        self.pass_hole()?;
        match self.batches.checked_sub(1) {
            Some(left) => {
                self.batches = left;
                Batch::parse(self.rest, self.position).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Skips a batch whose events take `bytes`.
    pub(crate) fn pass(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.skip(BATCH_HEADER_BYTES + bytes)
    }

    fn pass_hole(&mut self) -> Result<(), Malformed> {
        if self.cut && u32_at(self.rest, 0) == Some(HOLE) {
            let len = u32_at(self.rest, 4).ok_or(Malformed)?;
            self.skip(in_memory(len))?;
        }
        Ok(())
    }

    fn skip(&mut self, size: usize) -> Result<(), Malformed> {
        self.rest = self.rest.get(size..).ok_or(Malformed)?;
        self.position = self.position.plus(wide(size));
        Ok(())
    }

    fn parse_next(&mut self) -> Result<(Part<'a>, usize), Malformed> {
        let (part, size) = if let Some(batch) = self.batch()? {
            (Part::Batch(batch), BATCH_HEADER_BYTES + batch.events_bytes()?)
        } else {
            let (row, size) = parse_put(self.rest, self.position).ok_or(Malformed)?;
            (Part::Put(row), size)
        };
        self.skip(size)?;
        Ok((part, size))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<(Part<'a>, usize), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let passed = self.pass_hole();
        if self.batches == 0 && self.rest.is_empty() {
            return None;
        }
        let part = passed.and_then(|()| self.parse_next());
        if part.is_err() {
            (self.batches, self.rest) = (0, &[]);
        }
        Some(part)
    }
}

/// The numbers of runs that can still be read in the bytes of a damaged frame at `position`. No checksum covers
/// them.
pub(crate) fn claimed_runs(frame: &[u8], position: Position) -> impl Iterator<Item = RunNumber> {
    let batches = claimed_batches(frame);
    let payload = frame.get(HEADER_BYTES..).unwrap_or_default();
    let parts = Parts::new(payload, Frame::payload_position_at(position), batches);
    let parts = parts.take(usize::from(batches)).map_while(Result::ok);
    parts.filter_map(|(part, _)| match part {
        Part::Batch(batch) => Some(batch.run),
        Part::Put(_) => None,
    })
}

fn parse_put(bytes: &[u8], position: Position) -> Option<(Put<'_>, usize)> {
    let table_len = usize::from(*bytes.first()?);
    let key_len = usize::from(u16_at(bytes, 2)?);
    let value_len = usize::try_from(u32_at(bytes, 4)?).ok()?;
    if key_len > KEY_BYTES_MAX || value_len > VALUE_BYTES_MAX {
        return None;
    }
    let (table, rest) = bytes.get(PUT_HEADER_BYTES..)?.split_at_checked(table_len)?;
    let (key, rest) = rest.split_at_checked(key_len)?;
    let value = rest.get(..value_len)?;
    let value_offset = PUT_HEADER_BYTES + table_len + key_len;
    let value = match *bytes.get(1)? {
        1 => Some((position.plus(wide(value_offset)), value)),
        2 if value.is_empty() => None,
        _ => return None,
    };
    let size = padded4(value_offset + value_len);
    let padding = bytes.get(value_offset + value_len..size)?;
    let sound = padding.iter().all(|byte| *byte == 0) && !table.is_empty();
    sound.then_some((Put { table: std::str::from_utf8(table).ok()?, key, value }, size))
}

/// Appends a mark of `len` bytes that were dropped; `None` if it does not fit into them.
pub(super) fn mark_hole(buffer: &mut Buffer, len: usize) -> Option<()> {
    let start = buffer.len();
    let bytes =
        u32::try_from(len).ok().filter(|_| len >= HOLE_BYTES_MIN && len.is_multiple_of(4))?;
    buffer.resize(start + len, 0);
    put(buffer, start, &HOLE.to_le_bytes());
    put(buffer, start + 4, &bytes.to_le_bytes());
    Some(())
}

/// Appends the header of a batch. Its events are to be appended next.
pub(crate) fn write_batch_header(
    buffer: &mut Buffer,
    run: RunNumber,
    first_event: u32,
    count: u16,
    previous: Position,
    run_bytes: u32,
) {
    let link = (u64::from(count) << 48) | (previous.as_u64() & POSITION_MAX);
    buffer.extend_from_slice(&run.as_u32().to_le_bytes());
    buffer.extend_from_slice(&first_event.to_le_bytes());
    buffer.extend_from_slice(&link.to_le_bytes());
    buffer.extend_from_slice(&run_bytes.to_le_bytes());
}

/// Appends a put of a row; `None` deletes it. Lengths must be within their limits.
pub(crate) fn write_put(buffer: &mut Buffer, table: &str, key: &[u8], value: Option<&[u8]>) {
    let start = buffer.len();
    let operation = if value.is_some() { 1 } else { 2 };
    let value = value.unwrap_or_default();
    buffer.extend_from_slice(&[0; PUT_HEADER_BYTES]);
    put(buffer, start, &[u8::try_from(table.len()).unwrap_or(u8::MAX), operation]);
    put(buffer, start + 2, &u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    put(buffer, start + 4, &u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(table.as_bytes());
    buffer.extend_from_slice(key);
    buffer.extend_from_slice(value);
    buffer.extend_from_slice(padding4(buffer.len()));
}

/// Whether an event of this kind may be the first of a run, and only the first.
pub(crate) fn is_start(kind: EventKind) -> bool {
    kind == EventKind::WORKFLOW_EXECUTION_STARTED
}
