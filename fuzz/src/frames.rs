//! Frames as `docs/format.md` describes them, read and written from outside the library, with
//! checks that match.

use std::ops::Range;

use crate::{Image, PAGE_BYTES, SEGMENT_BYTES};

/// Bytes before and behind a frame's payload.
const HEADER_BYTES: usize = 20;
const TRAILER_BYTES: usize = 4;
/// Bytes of a batch and of an event before what is in them.
const BATCH_HEADER_BYTES: usize = 20;
const EVENT_HEADER_BYTES: usize = 16;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Where a frame lies.
#[derive(Clone, Debug)]
pub struct Place {
    pub segment: usize,
    pub range: Range<usize>,
    pub seal: bool,
}

impl Place {
    pub fn payload(&self) -> Range<usize> {
        self.range.start + HEADER_BYTES..self.range.end - TRAILER_BYTES
    }

    pub fn batches(&self, image: &Image) -> u16 {
        u16_at(&image.segments[self.segment], self.range.start + 18)
    }
}

/// The frames of an image that is not damaged.
pub fn places(image: &Image) -> Vec<Place> {
    let mut places = vec![];
    for (number, segment) in image.segments.iter().enumerate() {
        let mut start = PAGE_BYTES;
        while let Some(end) = end_of(segment, start) {
            let seal = segment[start + 16] == 2;
            places.push(Place { segment: number, range: start..end, seal });
            start = if seal { SEGMENT_BYTES } else { end };
        }
    }
    places
}

/// Where the frame ends that begins at `start`, if one may: there is a check, and a length that
/// stays within the segment.
fn end_of(segment: &[u8], start: usize) -> Option<usize> {
    let fixed = segment.get(start..start + HEADER_BYTES)?;
    let len = usize::try_from(u32_at(fixed, 4)).ok()?;
    let end = start.checked_add(HEADER_BYTES + TRAILER_BYTES)?.checked_add(len)?;
    (u32_at(fixed, 0) != 0 && len % 4 == 0 && end <= segment.len()).then_some(end)
}

/// Makes the checks of every frame right that still has a sensible length.
pub fn fix(image: &mut Image) {
    for (number, segment) in image.segments.iter_mut().enumerate() {
        let mut start = PAGE_BYTES;
        while let Some(end) = end_of(segment, start) {
            seal(segment, number, start..end);
            start = end;
        }
    }
}

/// Writes both checks of a frame.
fn seal(segment: &mut [u8], number: usize, frame: Range<usize>) {
    let position = (number * SEGMENT_BYTES + frame.start) as u64;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&segment[48..64]);
    crc.update(&position.to_le_bytes());
    crc.update(&segment[frame.start + 4..frame.start + HEADER_BYTES]);
    let check = crc.finalize().max(1);
    segment[frame.start..frame.start + 4].copy_from_slice(&check.to_le_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(check);
    let end = frame.end - TRAILER_BYTES;
    crc.update(&segment[frame.start + HEADER_BYTES..end]);
    segment[end..frame.end].copy_from_slice(&crc.finalize().max(1).to_le_bytes());
}

/// What a frame's header says, but for what follows from its payload and its place.
#[derive(Clone, Copy)]
pub struct Header {
    pub epoch: u32,
    /// How far back the writer knew the log to be on the device, in words of four bytes.
    pub lag: u32,
    pub seal: bool,
    pub batches: u16,
}

/// Puts a frame with these bytes as its payload behind the last one of the last segment, if it
/// fits; the bytes are filled up to a multiple of four.
pub fn append(image: &mut Image, header: Header, payload: &[u8]) -> Option<()> {
    let number = image.segments.len().checked_sub(1)?;
    let last = places(image).into_iter().rfind(|place| place.segment == number);
    let start = last.map_or(PAGE_BYTES, |place| place.range.end);
    let len = payload.len().next_multiple_of(4);
    let end = start + HEADER_BYTES + len + TRAILER_BYTES;
    let segment = image.segments.last_mut()?;
    let frame = segment.get_mut(start..end)?;
    frame[4..8].copy_from_slice(&u32::try_from(len).ok()?.to_le_bytes());
    frame[8..12].copy_from_slice(&header.epoch.to_le_bytes());
    frame[12..16].copy_from_slice(&header.lag.to_le_bytes());
    frame[16] = 1 + u8::from(header.seal);
    frame[18..20].copy_from_slice(&header.batches.to_le_bytes());
    frame[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
    seal(segment, number, start..end);
    Some(())
}

/// Takes away all frames but the first `count`.
pub fn truncate(image: &mut Image, count: usize) {
    for place in places(image).into_iter().skip(count) {
        image.segments[place.segment][place.range].fill(0);
    }
}

/// A batch of an image that is not damaged.
pub struct Batch<'a> {
    pub position: u64,
    pub run: u32,
    pub first_event: u32,
    pub run_bytes: u32,
    /// Each as it lies, without its padding.
    pub events: Vec<&'a [u8]>,
}

impl Batch<'_> {
    pub fn next_event(&self) -> u32 {
        self.first_event + u32::try_from(self.events.len()).expect("few events")
    }

    /// Whether its last event ends the run.
    pub fn closes(&self) -> bool {
        let kind = self.events.last().map(|event| u16_at(event, 0));
        kind.is_some_and(|kind| matches!(kind, 2 | 3 | 4 | 21 | 27 | 28))
    }
}

/// The batches of an image that is not damaged, in order.
pub fn batches(image: &Image) -> Vec<Batch<'_>> {
    let mut batches = vec![];
    for place in places(image) {
        let mut at = place.payload().start;
        let bytes = &image.segments[place.segment];
        for _ in 0..place.batches(image) {
            let mut batch = Batch {
                position: (place.segment * SEGMENT_BYTES + at) as u64,
                run: u32_at(bytes, at),
                first_event: u32_at(bytes, at + 4),
                run_bytes: u32_at(bytes, at + 16),
                events: vec![],
            };
            let count = u16_at(bytes, at + 14);
            at += BATCH_HEADER_BYTES;
            for _ in 0..count {
                let len = EVENT_HEADER_BYTES + u32_at(bytes, at + 4) as usize;
                batch.events.push(&bytes[at..at + len]);
                at += len.next_multiple_of(4);
            }
            batches.push(batch);
        }
    }
    batches
}

/// A batch's bytes: where it stands among those of its run, and its events, each filled up to a
/// multiple of four.
pub struct NewBatch {
    pub run: u32,
    pub first_event: u32,
    pub previous: u64,
    /// The bytes of the run before this batch.
    pub run_bytes: u32,
}

impl NewBatch {
    pub fn encode(&self, events: &[Vec<u8>]) -> Vec<u8> {
        let size: usize = events.iter().map(|event| event.len().next_multiple_of(4)).sum();
        let run_bytes = self.run_bytes + u32::try_from(size).expect("less than a segment");
        let link = ((events.len() as u64 & 0xffff) << 48) | self.previous;
        let mut bytes = vec![];
        bytes.extend_from_slice(&self.run.to_le_bytes());
        bytes.extend_from_slice(&self.first_event.to_le_bytes());
        bytes.extend_from_slice(&link.to_le_bytes());
        bytes.extend_from_slice(&run_bytes.to_le_bytes());
        for event in events {
            bytes.extend_from_slice(event);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

/// Makes the length in an event's header that of its bytes, which are filled up to a header.
pub fn fix_event(event: &[u8]) -> Vec<u8> {
    let mut event = event.to_vec();
    event.resize(event.len().max(EVENT_HEADER_BYTES), 0);
    let len = u32::try_from(event.len() - EVENT_HEADER_BYTES).expect("less than 64 KiB");
    event[4..8].copy_from_slice(&len.to_le_bytes());
    event
}
