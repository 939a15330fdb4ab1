//! A frame: one commit, atomic by its checksums.
//!
//! ```text
//! 0      check   u32  CRC-32 of salt, position and bytes 4..20, never 0
//! 4      len     u32  payload bytes, a multiple of four
//! 8      epoch   u32  which opening of the store wrote it
//! 12     lag     u32  how far the log was known durable: (position - durable_upto) / 4
//! 16     kind    u8   1 commit, 2 seal (the segment ends here)
//! 17     zero    u8
//! 18     batches u16  batches in the payload; table puts follow them
//! 20 …   payload
//! end-4  trailer u32  CRC-32 of the payload, begun with `check`, never 0
//! ```
//!
//! The two checksums (`check` and `trailer`) bind a frame to its segment (salt), its position and its bytes.
//! Neither is ever zero, and unused log space always is. So a zero in place of a checksum proves a torn
//! write: that sector never reached the device, hence the commit was never acknowledged.

use std::path::Path;

use super::page::corrupt;
use crate::bytes::{put, u16_at, u32_at, wide};
use crate::error::Error;
use crate::event::Buffer;
use crate::id::Position;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 20;
/// Bytes after the payload.
pub(crate) const TRAILER_BYTES: usize = 4;
/// Bytes of a frame besides its payload.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + TRAILER_BYTES;

/// The segment that frames are verified against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// Part of every header's checksum.
    pub(crate) salt: &'a [u8; 16],
    /// Where the segment ends.
    pub(crate) end: Position,
}

impl Scope<'_> {
    /// Whether a frame ends within the segment; a commit must leave room for a seal after it.
    fn has_room_for(&self, header: &Header, position: Position) -> bool {
        let seal = match header.kind {
            FrameKind::Commit => OVERHEAD_BYTES,
            FrameKind::Seal => 0,
        };
        position.plus(wide(header.frame_bytes() + seal)) <= self.end
    }
}

/// What a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FrameKind {
    /// A transaction.
    Commit = 1,
    /// The end of a segment that another one follows.
    Seal = 2,
}

/// A frame's header whose checksum verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: FrameKind,
    pub(crate) payload_bytes: usize,
    pub(crate) epoch: u32,
    /// Everything below was known to be on the device when the frame was written.
    pub(crate) durable_upto: Position,
    pub(crate) batches: u16,
}

impl Header {
    /// The bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.payload_bytes + OVERHEAD_BYTES
    }
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The header's checksum is zero: the sector that holds it was never written.
    HeaderMissing,
    /// The header's checksum does not match.
    HeaderDamaged { expected: u32, found: u32 },
    /// The header verifies, the frame would reach beyond its segment or into the room that is left
    /// for a seal.
    Overlong,
    /// The header verifies and the trailer is zero: the end of the frame was never written.
    TrailerMissing(Header),
    /// The header verifies, the payload does not.
    PayloadDamaged { header: Header, expected: u32, found: u32 },
    /// The pieces of a compacted segment do not make up frames.
    Pieces,
    /// The table of these pieces makes no sense, or does not match its checksum. It is at this offset of the file.
    Table { offset: usize },
    /// A block of a packed segment, or their table, does not match its checksum. It is at this offset of the file.
    Blocks { offset: usize },
}

impl Fault {
    /// The fault as an error message.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Fault::HeaderMissing => "a frame is missing",
            Fault::HeaderDamaged { .. } => "a frame's header does not match its check",
            Fault::Overlong => "a frame leaves no room for the seal of its segment",
            Fault::TrailerMissing(_) => "the end of a frame is missing",
            Fault::PayloadDamaged { .. } => "a frame's payload does not match its check",
            Fault::Pieces => "the pieces of a compacted segment do not make up its frames",
            Fault::Table { .. } => "the table of a compacted segment is damaged",
            Fault::Blocks { .. } => "the blocks of a packed segment do not match their checks",
        }
    }

    /// The error for it in a segment, in the frame at this offset unless it says itself where it is.
    pub(crate) fn corrupt(&self, path: &Path, frame: usize) -> Error {
        let offset = match self {
            Fault::Table { offset } | Fault::Blocks { offset } => *offset,
            _ => frame,
        };
        let (expected, found) = self.checksums();
        corrupt(path, wide(offset), self.what(), expected, found)
    }

    /// The checksum computed from the bytes and the one found there; zeros for other faults.
    pub(crate) fn checksums(&self) -> (u64, u64) {
        match self {
            Fault::HeaderDamaged { expected, found }
            | Fault::PayloadDamaged { expected, found, .. } => {
                ((*expected).into(), (*found).into())
            }
            _ => (0, 0),
        }
    }
}

/// A verified frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: Header,
    pub(crate) position: Position,
    pub(crate) payload: &'a [u8],
    /// The trailer: depends on the segment's salt, the position, the header and the payload.
    pub(crate) checksum: u32,
    /// A compaction dropped something of it: there are holes in its payload.
    pub(crate) cut: bool,
}

impl<'a> Frame<'a> {
    /// Verifies the frame at the start of `bytes`, which end where the segment does or before.
    pub(crate) fn verify(
        bytes: &'a [u8],
        scope: Scope<'_>,
        position: Position,
    ) -> Result<Self, Fault> {
        let header = verify_header(bytes, scope, position)?;
        Self::verify_payload(header, bytes, position)
    }

    /// Verifies the payload of the frame at the start of `bytes`, whose header was verified.
    pub(crate) fn verify_payload(
        header: Header,
        bytes: &'a [u8],
        position: Position,
    ) -> Result<Self, Fault> {
        let payload_end = HEADER_BYTES + header.payload_bytes;
        let (Some(payload), Some(found)) =
            (bytes.get(HEADER_BYTES..payload_end), u32_at(bytes, payload_end))
        else {
            return Err(Fault::Overlong);
        };
        if found == 0 {
            return Err(Fault::TrailerMissing(header));
        }
        let expected = trailer_checksum(u32_at(bytes, 0).unwrap_or_default(), payload);
        if expected != found {
            return Err(Fault::PayloadDamaged { header, expected, found });
        }
        Ok(Frame { header, position, payload, checksum: found, cut: false })
    }

    /// The position of the payload.
    pub(crate) fn payload_position(&self) -> Position {
        Self::payload_position_at(self.position)
    }

    /// The position of the payload of the frame at `position`.
    pub(crate) fn payload_position_at(position: Position) -> Position {
        position.plus(wide(HEADER_BYTES))
    }

    /// The payload of a frame that was verified before.
    pub(crate) fn payload_of(frame: &[u8]) -> &[u8] {
        let end = frame.len().saturating_sub(TRAILER_BYTES);
        frame.get(HEADER_BYTES..end).unwrap_or_default()
    }

    /// Where the next frame begins, unless this one seals its segment.
    pub(crate) fn end(&self) -> Position {
        self.position.plus(wide(self.header.frame_bytes()))
    }
}

/// Verifies the header alone.
pub(crate) fn verify_header(
    bytes: &[u8],
    scope: Scope<'_>,
    position: Position,
) -> Result<Header, Fault> {
    let Some(fixed) = bytes.get(..HEADER_BYTES) else { return Err(Fault::Overlong) };
    let found = u32_at(fixed, 0).unwrap_or_default();
    if found == 0 {
        return Err(Fault::HeaderMissing);
    }
    let expected = header_checksum(fixed, scope.salt, position);
    if expected != found {
        return Err(Fault::HeaderDamaged { expected, found });
    }
    let header = parse_header(fixed, position).ok_or(Fault::HeaderDamaged { expected, found })?;
    if scope.has_room_for(&header, position) { Ok(header) } else { Err(Fault::Overlong) }
}

/// Whether bytes can begin a frame, by their first word, which is never zero there: rules out most offsets.
pub(crate) fn may_begin(bytes: &[u8]) -> bool {
    u32_at(bytes, 0) != Some(0)
}

/// How many batches a damaged frame says that it has. No checksum covers it.
pub(crate) fn claimed_batches(frame: &[u8]) -> u16 {
    u16_at(frame, 18).unwrap_or_default()
}

fn parse_header(fixed: &[u8], position: Position) -> Option<Header> {
    let kind = match *fixed.get(16)? {
        1 => FrameKind::Commit,
        2 => FrameKind::Seal,
        _ => return None,
    };
    let payload_bytes = usize::try_from(u32_at(fixed, 4)?).ok()?;
    let batches = u16_at(fixed, 18)?;
    let lag = 4 * u64::from(u32_at(fixed, 12)?);
    // A seal has no payload: one would be neither read nor zero.
    let empty_if_seal = kind == FrameKind::Commit || (payload_bytes, batches) == (0, 0);
    (payload_bytes % 4 == 0 && *fixed.get(17)? == 0 && empty_if_seal).then_some(Header {
        kind,
        payload_bytes,
        epoch: u32_at(fixed, 8)?,
        durable_upto: Position::from_u64(position.as_u64().checked_sub(lag)?),
        batches,
    })
}

fn header_checksum(fixed: &[u8], salt: &[u8; 16], position: Position) -> u32 {
    // At once: three updates take twice as long.
    let mut checked = [0; 24 + HEADER_BYTES - 4];
    put(&mut checked, 0, salt);
    put(&mut checked, 16, &position.as_u64().to_le_bytes());
    put(&mut checked, 24, fixed.get(4..HEADER_BYTES).unwrap_or_default());
    crc32fast::hash(&checked).max(1)
}

fn trailer_checksum(check: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(check);
    crc.update(payload);
    crc.finalize().max(1)
}

/// The bytes before the payload of a frame.
pub(crate) fn encode_header(
    header: &Header,
    salt: &[u8; 16],
    position: Position,
) -> [u8; HEADER_BYTES] {
    let mut fixed = [0; HEADER_BYTES];
    let narrow = |it: u64| u32::try_from(it).unwrap_or(u32::MAX).to_le_bytes();
    let lag = position.as_u64().saturating_sub(header.durable_upto.as_u64()) / 4;
    put(&mut fixed, 4, &narrow(wide(header.payload_bytes)));
    put(&mut fixed, 8, &header.epoch.to_le_bytes());
    put(&mut fixed, 12, &narrow(lag));
    put(&mut fixed, 16, &[header.kind as u8, 0]);
    put(&mut fixed, 18, &header.batches.to_le_bytes());
    let check = header_checksum(&fixed, salt, position);
    put(&mut fixed, 0, &check.to_le_bytes());
    fixed
}

/// The bytes after a payload that is in several pieces.
pub(crate) fn encode_trailer<'p>(
    header: &[u8; HEADER_BYTES],
    payload: impl Iterator<Item = &'p [u8]>,
) -> [u8; TRAILER_BYTES] {
    let check = u32_at(header, 0).unwrap_or_default();
    let mut crc = crc32fast::Hasher::new_with_initial(check);
    payload.for_each(|bytes| crc.update(bytes));
    crc.finalize().max(1).to_le_bytes()
}

/// Begins a frame at the end of `buffer`. Append its payload next, then call [`close`].
pub(crate) fn open(buffer: &mut Buffer) {
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
}

/// Ends the frame that was opened at `start`: writes kind and length, and leaves room for the trailer.
/// [`write_checksums`] completes it once the durable mark is known.
pub(crate) fn close(buffer: &mut Buffer, start: usize, kind: FrameKind, batches: u16, epoch: u32) {
    let payload_bytes = buffer.len() - start - HEADER_BYTES;
    buffer.extend_from_slice(&[0; TRAILER_BYTES]);
    // A payload is shorter than its segment, whose size is a u32.
    let len = u32::try_from(payload_bytes).unwrap_or(u32::MAX);
    put(buffer, start + 4, &len.to_le_bytes());
    put(buffer, start + 8, &epoch.to_le_bytes());
    put(buffer, start + 16, &[kind as u8, 0]);
    put(buffer, start + 18, &batches.to_le_bytes());
}

/// Completes every frame in `group`, the first of which is at `position`: writes the durable mark and both
/// checksums.
pub(crate) fn write_checksums(
    group: &mut [u8],
    salt: &[u8; 16],
    mut position: Position,
    durable_upto: Position,
) {
    let mut rest = group;
    while let Some(payload_bytes) = u32_at(rest, 4).and_then(|len| usize::try_from(len).ok()) {
        let Some((frame, next)) = rest.split_at_mut_checked(payload_bytes + OVERHEAD_BYTES) else {
            return;
        };
        // The writer lets the mark stay no further behind (`UNSYNCED_SEGMENTS_MAX`).
        let lag = position.as_u64().saturating_sub(durable_upto.as_u64()) / 4;
        put(frame, 12, &u32::try_from(lag).unwrap_or(u32::MAX).to_le_bytes());
        let check = header_checksum(frame, salt, position);
        put(frame, 0, &check.to_le_bytes());
        let end = HEADER_BYTES + payload_bytes;
        let trailer = trailer_checksum(check, frame.get(HEADER_BYTES..end).unwrap_or_default());
        put(frame, end, &trailer.to_le_bytes());
        position = position.plus(wide(frame.len()));
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 16] = *b"0123456789abcdef";
    const SCOPE: Scope<'_> = Scope { salt: &SALT, end: Position::from_u64(65536) };

    fn frame(payload: &[u8], position: Position) -> Buffer {
        let mut buffer = Buffer::new();
        open(&mut buffer);
        buffer.extend_from_slice(payload);
        close(&mut buffer, 0, FrameKind::Commit, 3, 9);
        write_checksums(&mut buffer, &SALT, position, Position::from_u64(4096));
        buffer
    }

    #[test]
    fn a_frame_verifies_only_whole_in_its_place_and_its_segment() {
        let position = Position::from_u64(8192);
        let bytes = frame(b"sixteen bytes...", position);
        let read = Frame::verify(&bytes, SCOPE, position).unwrap();
        assert_eq!(read.payload, b"sixteen bytes...");
        assert_eq!(read.header.durable_upto, Position::from_u64(4096));
        assert_eq!((read.header.batches, read.header.epoch), (3, 9));

        let other = Scope { salt: b"0123456789abcdeg", ..SCOPE };
        assert!(Frame::verify(&bytes, SCOPE, position.plus(4)).is_err());
        assert!(Frame::verify(&bytes, other, position).is_err());
        for len in 0..bytes.len() {
            assert!(Frame::verify(&bytes[..len], SCOPE, position).is_err(), "cut to {len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::verify(&bytes, SCOPE, position).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_seal_holds_nothing() {
        let position = Position::from_u64(8192);
        for (payload, batches, sound) in [(&b""[..], 0, true), (b"", 1, false), (b"four", 0, false)]
        {
            let mut buffer = Buffer::new();
            open(&mut buffer);
            buffer.extend_from_slice(payload);
            close(&mut buffer, 0, FrameKind::Seal, batches, 9);
            write_checksums(&mut buffer, &SALT, position, Position::from_u64(4096));
            let verified = Frame::verify(&buffer, SCOPE, position);
            assert_eq!(verified.is_ok(), sound, "{} B, {batches} batches", payload.len());
        }
    }

    #[test]
    fn a_commit_leaves_room_for_a_seal() {
        let position = Position::from_u64(8192);
        for (kind, payload, room) in [
            (FrameKind::Commit, &b"four"[..], 28 + 24),
            (FrameKind::Commit, b"", 24 + 24),
            (FrameKind::Seal, b"", 24),
        ] {
            let mut buffer = Buffer::new();
            open(&mut buffer);
            buffer.extend_from_slice(payload);
            close(&mut buffer, 0, kind, 0, 9);
            write_checksums(&mut buffer, &SALT, position, Position::from_u64(4096));
            for (left, sound) in [(0, true), (4, false), (24, false)] {
                let end = Position::from_u64(position.as_u64() + room - left);
                let verified = Frame::verify(&buffer, Scope { end, ..SCOPE }, position);
                let overlong = matches!(verified, Err(Fault::Overlong));
                assert_eq!((verified.is_ok(), overlong), (sound, !sound), "{kind:?} {left}");
            }
        }
    }

    #[test]
    fn unwritten_sectors_are_told_from_damaged_ones() {
        let position = Position::from_u64(512);
        let mut bytes = frame(&[7; 1024], position);
        let end = bytes.len();
        bytes[600..].fill(0);
        let fault = Frame::verify(&bytes, SCOPE, position).unwrap_err();
        assert!(matches!(fault, Fault::TrailerMissing(header) if header.frame_bytes() == end));
        bytes[..512].fill(0);
        assert_eq!(Frame::verify(&bytes, SCOPE, position).unwrap_err(), Fault::HeaderMissing);
        bytes[0] = 1;
        let fault = Frame::verify(&bytes, SCOPE, position).unwrap_err();
        assert!(matches!(fault, Fault::HeaderDamaged { found: 1, .. }));
    }
}
