//! Reads protobuf, event by event, so that an error can say where it is.

use std::io::{BufRead, ErrorKind, Read};

use prost_reflect::DynamicMessage;
use prost_reflect::prost::encoding::{decode_varint, encode_varint};

use super::source::own_error;
use super::split::Histories;
use super::{Stop, Unknown};
use crate::beside::take_beside;
use crate::schema::Schema;
use crate::{ImportError, RecordedEvent};

/// The number of `History.events`. So are numbered all that wrap a history: an export of Temporal
/// Cloud has a list of executions, each with a history.
pub(crate) const EVENTS: u32 = 1;
/// The first byte of a field of that number with a length.
const WRAPS: u8 = 0x0a;
/// How deep a history may be wrapped.
const DEPTH_MAX: usize = 2;
/// Longer ones fit into no store.
const EVENT_BYTES_MAX: u64 = 1 << 26;

/// Reads all events, in the order they are in.
pub(super) fn read(
    input: impl BufRead,
    unknown: Unknown,
    histories: &mut Histories<'_>,
) -> Result<(), Stop> {
    Reading { input, offset: 0, events: 0, unknown, histories }.list(None, DEPTH_MAX)
}

struct Reading<'r, 'e, R> {
    input: R,
    /// Bytes read.
    offset: u64,
    /// Events read of this history.
    events: usize,
    unknown: Unknown,
    histories: &'r mut Histories<'e>,
}

impl<R: BufRead> Reading<'_, '_, R> {
    /// Reads a list of events, or of what wraps them, up to `end`.
    fn list(&mut self, end: Option<u64>, depth: usize) -> Result<(), Stop> {
        while self.is_before(end)? {
            let start = self.offset;
            let key = self.varint(start)?;
            if key != u64::from(WRAPS) {
                let (number, wire) = (key >> 3, key & 7);
                if number == u64::from(EVENTS) {
                    let reason = format!("an event cannot have wire type {wire}");
                    return Err(self.broken(start, reason).into());
                }
                self.beside(key, start, depth)?;
                continue;
            }
            let len = self.varint(start)?;
            let inner = self.offset.saturating_add(len);
            if end.is_some_and(|end| inner > end) {
                return Err(self.broken(start, format!("{len} bytes do not fit here")).into());
            }
            let wraps =
                len > 0 && self.input.fill_buf().map_err(own_error)?.first() == Some(&WRAPS);
            match depth.checked_sub(1) {
                Some(depth) if wraps => {
                    self.histories.begin_part();
                    self.events = 0;
                    self.list(Some(inner), depth)?;
                    self.histories.begin_part();
                }
                _ => self.event(start, len)?,
            }
        }
        Ok(())
    }

    /// Keeps a field of a newer server that stands behind an event of a history.
    fn beside(&mut self, key: u64, start: u64, depth: usize) -> Result<(), ImportError> {
        let mut field = Vec::new();
        encode_varint(key, &mut field);
        let len = match key & 7 {
            0 => {
                encode_varint(self.varint(start)?, &mut field);
                0
            }
            1 => 8,
            2 => {
                let len = self.varint(start)?;
                encode_varint(len, &mut field);
                len
            }
            5 => 4,
            wire => return Err(self.broken(start, format!("a field cannot have wire type {wire}"))),
        };
        field.extend(self.bytes(start, len)?);
        let event = self.histories.latest();
        let event = event.filter(|_| depth == DEPTH_MAX && self.unknown != Unknown::Refuse);
        match event {
            Some(event) => event.keep_beside(&field).map_err(|reason| self.broken(start, reason)),
            None => {
                let at = format!("byte {start}");
                let field = format!("number {} beside events", key >> 3);
                Err(ImportError::UnknownField { at, id: 0, field })
            }
        }
    }

    fn is_before(&mut self, end: Option<u64>) -> Result<bool, ImportError> {
        match end {
            Some(end) => Ok(self.offset < end),
            None => Ok(!self.input.fill_buf().map_err(own_error)?.is_empty()),
        }
    }

    fn event(&mut self, start: u64, len: u64) -> Result<(), Stop> {
        let bytes = self.bytes(start, len)?;
        let message = DynamicMessage::decode(Schema::get()?.event.clone(), bytes.as_slice())
            .map_err(|error| self.broken(start, error.to_string()))?;
        if take_beside(&message).is_some() {
            let reason = "it has a field that only stores have".to_owned();
            return Err(self.broken(start, reason).into());
        }
        let at = format!("events[{}]", self.events);
        self.events += 1;
        self.histories.add(RecordedEvent::from_message(&message, &at, self.unknown)?)
    }

    fn bytes(&mut self, start: u64, len: u64) -> Result<Vec<u8>, ImportError> {
        if len > EVENT_BYTES_MAX {
            return Err(self.broken(start, format!("{len} bytes should follow, which is no event")));
        }
        let mut bytes = Vec::new();
        self.input.by_ref().take(len).read_to_end(&mut bytes).map_err(own_error)?;
        if (bytes.len() as u64) < len {
            let reason = format!("cut off: {len} bytes should follow, {} do", bytes.len());
            return Err(self.broken(start, reason));
        }
        self.offset += len;
        Ok(bytes)
    }

    fn varint(&mut self, start: u64) -> Result<u64, ImportError> {
        let mut bytes = Vec::with_capacity(10);
        while bytes.last().is_none_or(|last| last & 0x80 != 0) && bytes.len() < 10 {
            let mut next = [0];
            match self.input.read_exact(&mut next) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(self.broken(start, "cut off within a number".to_owned()));
                }
                read => read.map_err(own_error)?,
            }
            bytes.extend(next);
        }
        self.offset += bytes.len() as u64;
        decode_varint(&mut bytes.as_slice()).map_err(|error| self.broken(start, error.to_string()))
    }

    fn broken(&self, start: u64, reason: String) -> ImportError {
        let offset = usize::try_from(start).unwrap_or(usize::MAX);
        ImportError::Protobuf { index: self.events, offset, reason }
    }
}
