//! A segment's header page, and the mapping from a position to a segment and an offset in it.

use std::path::Path;

use super::frame::{OVERHEAD_BYTES, Scope};
use super::page::{FORMAT_VERSION, HEADER_PAGE_BYTES, check_page, corrupt, write_page_checksum};
use super::pieces::{Compacted, Dropped, Packed};
use crate::bytes::{array_at, put, u32_at, u64_at, wide};
use crate::error::{Error, Result};
use crate::event::LAYOUT_FINGERPRINT;
use crate::id::Position;
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// A segment's header has a page of its own, so no later write can tear it.
pub(crate) const SEGMENT_HEADER_BYTES: usize = HEADER_PAGE_BYTES;

/// How much longer each segment is than the one before it. With 2, an engine in a hurry waits at twice as many rolls until
/// segments are long: docs/performance.md, *Latency*.
const GROWTH: u32 = 4;
const SEGMENT_MAGIC: [u8; 8] = *b"KINLOGSG";
const SEGMENT_FIELDS_BYTES: usize = 72;
const COMPACTED_MAGIC: [u8; 8] = *b"KINLOGCS";
const COMPACTED_FIELDS_BYTES: usize = 164;
/// The first format version in which segments can be compacted.
const COMPACTED_VERSION_MIN: u32 = 5;
/// The first format version in which compacted segments can be packed.
const PACKED_VERSION_MIN: u32 = 7;
/// The same as [`COMPACTED_FIELDS_BYTES`] before that.
const UNPACKED_FIELDS_BYTES: usize = 148;
/// How many times as long as it was a segment can be at most once it is compacted: what is read is held in memory.
const COMPACTED_RATIO_MAX: u64 = 4;
/// Where what was dropped stands in the header of a compacted segment.
const DROPPED_AT: usize = 88;
/// Where it stands there how it is packed.
const PACKED_AT: usize = 144;

/// Whether segments can have this size.
pub(crate) fn is_segment_size(bytes: u32) -> bool {
    (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(4096)
}

/// What all files of a store have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) store: [u8; 16],
    /// How many positions a segment takes, and the most that its file can have bytes.
    pub(crate) segment_bytes: u32,
}

impl Identity {
    /// The position of the first byte of a segment.
    pub(crate) fn first_byte(&self, segment: u32) -> Position {
        Position::from_u64(u64::from(segment) * u64::from(self.segment_bytes))
    }

    /// The position of the first frame of a segment.
    pub(crate) fn first_frame(&self, segment: u32) -> Position {
        self.first_byte(segment).plus(SEGMENT_HEADER_BYTES as u64)
    }

    /// The length of the segment after one of `former` bytes: [`GROWTH`] times as long until `segment_bytes` is reached, and
    /// long enough for a commit of `frame_bytes`.
    pub(crate) fn next_file_bytes(&self, former: u32, frame_bytes: usize) -> u32 {
        // The second frame is the seal.
        let needed = wide(SEGMENT_HEADER_BYTES + frame_bytes + OVERHEAD_BYTES);
        let mut bytes = former;
        loop {
            bytes = bytes.saturating_mul(GROWTH).min(self.segment_bytes);
            if bytes == self.segment_bytes || u64::from(bytes) >= needed {
                return bytes;
            }
        }
    }

    /// The most payload bytes that one commit can have: a frame alone in its segment.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        let segment = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        // The second frame is the seal.
        segment - SEGMENT_HEADER_BYTES - 2 * OVERHEAD_BYTES
    }

    /// The segment that holds a position, and the offset in it.
    pub(crate) fn locate(&self, position: Position) -> (u32, usize) {
        let bytes = u64::from(self.segment_bytes);
        let segment = u32::try_from(position.as_u64() / bytes).unwrap_or(u32::MAX);
        let offset = usize::try_from(position.as_u64() % bytes).unwrap_or(usize::MAX);
        (segment, offset)
    }
}

/// The header of a segment: magic, version, fingerprint, store, number, epoch, segment size,
/// salt, length of the file, checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    pub(crate) number: u32,
    /// The epoch in which it was prepared: no frame in it has a lower one (fencing).
    pub(crate) epoch: u32,
    /// Random, and part of every frame's checksum.
    pub(crate) salt: [u8; 16],
    /// The length of its file, or what it was before it was compacted.
    pub(crate) file_bytes: u32,
    /// What is left of it, if it was compacted.
    pub(crate) compacted: Option<Compacted>,
}

/// What a segment's first page says, before anything of it is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimedHeader {
    pub(crate) identity: Identity,
    pub(crate) number: u32,
    pub(crate) salt: [u8; 16],
    /// The segment was compacted.
    pub(crate) compacted: bool,
}

impl ClaimedHeader {
    pub(crate) fn read(page: &[u8]) -> Self {
        let store = array_at(page, 24).unwrap_or_default();
        let segment_bytes = u32_at(page, 40).unwrap_or_default();
        ClaimedHeader {
            identity: Identity { store, segment_bytes },
            number: u32_at(page, 12).unwrap_or_default(),
            salt: array_at(page, 48).unwrap_or_default(),
            compacted: page.starts_with(&COMPACTED_MAGIC),
        }
    }
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; SEGMENT_HEADER_BYTES];
        put(&mut page, 0, &SEGMENT_MAGIC);
        put(&mut page, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut page, 12, &self.number.to_le_bytes());
        put(&mut page, 16, &LAYOUT_FINGERPRINT.to_le_bytes());
        put(&mut page, 24, &self.identity.store);
        put(&mut page, 40, &self.identity.segment_bytes.to_le_bytes());
        put(&mut page, 44, &self.epoch.to_le_bytes());
        put(&mut page, 48, &self.salt);
        put(&mut page, 64, &self.file_bytes.to_le_bytes());
        match self.compacted {
            None => write_page_checksum(&mut page, SEGMENT_FIELDS_BYTES),
            Some(compacted) => {
                put(&mut page, 0, &COMPACTED_MAGIC);
                encode_compacted(compacted, &mut page);
                write_page_checksum(&mut page, COMPACTED_FIELDS_BYTES);
            }
        }
        page
    }

    /// The length that its file had before it was compacted, in memory.
    pub(crate) fn file_len(&self) -> usize {
        usize::try_from(self.file_bytes).unwrap_or(usize::MAX)
    }

    /// The length of its file.
    pub(crate) fn stored_len(&self) -> usize {
        self.compacted.map_or_else(|| self.file_len(), |compacted| compacted.block_table().end)
    }

    /// Whether it is the same segment, compacted or not.
    pub(crate) fn is_same(&self, other: &SegmentHeader) -> bool {
        SegmentHeader { compacted: None, ..*self } == SegmentHeader { compacted: None, ..*other }
    }

    /// What the segment's frames are verified against.
    pub(crate) fn scope(&self) -> Scope<'_> {
        let end = self.identity.first_byte(self.number).plus(self.file_bytes.into());
        Scope { salt: &self.salt, end }
    }

    /// [`Error::Packed`] if it is packed and this build does not unpack.
    fn check_packing(&self, unpacks: bool, path: &Path) -> Result<()> {
        match self.compacted.is_some_and(|compacted| compacted.packed.is_some()) && !unpacks {
            true => Err(Error::Packed { path: path.to_owned() }),
            false => Ok(()),
        }
    }

    /// The header in `page`, which must belong to segment `number` of the store `identity`.
    pub(crate) fn decode(
        page: &[u8],
        path: &Path,
        number: u32,
        identity: &Identity,
    ) -> Result<Self> {
        let compacted = page.starts_with(&COMPACTED_MAGIC);
        let version = match compacted {
            true => check_page(page, &COMPACTED_MAGIC, compacted_fields(page), path)?,
            false => check_page(page, &SEGMENT_MAGIC, SEGMENT_FIELDS_BYTES, path)?,
        };
        if compacted && version < COMPACTED_VERSION_MIN {
            let (expected, found) = (COMPACTED_VERSION_MIN.into(), version.into());
            let what = "no segment of this version can be compacted";
            return Err(corrupt(path, 8, what, expected, found));
        }
        let header = SegmentHeader {
            identity: Identity {
                store: array_at(page, 24).unwrap_or_default(),
                segment_bytes: u32_at(page, 40).unwrap_or_default(),
            },
            number: u32_at(page, 12).unwrap_or_default(),
            epoch: u32_at(page, 44).unwrap_or_default(),
            salt: array_at(page, 48).unwrap_or_default(),
            file_bytes: match version {
                // All segments have the same length.
                2 => identity.segment_bytes,
                _ => u32_at(page, 64).unwrap_or_default(),
            },
            compacted: compacted.then(|| decode_compacted(page, version)),
        };
        let mismatch = |offset, what, expected: u32, found: u32| {
            corrupt(path, offset, what, u64::from(expected), u64::from(found))
        };
        if header.identity.store != identity.store {
            return Err(mismatch(24, "the segment belongs to another store", 0, 0));
        }
        if header.number != number {
            return Err(mismatch(12, "the segment has another number", number, header.number));
        }
        if header.identity.segment_bytes != identity.segment_bytes {
            let (expected, found) = (identity.segment_bytes, header.identity.segment_bytes);
            return Err(mismatch(40, "the segment has another size", expected, found));
        }
        let bytes = header.file_bytes;
        if !is_segment_size(bytes) || bytes > identity.segment_bytes {
            let what = "no segment of the store can have this length";
            return Err(corrupt(path, 64, what, identity.segment_bytes.into(), bytes.into()));
        }
        if wide(header.stored_len()) > u64::from(bytes) * COMPACTED_RATIO_MAX {
            let (expected, found) = (u64::from(bytes) * COMPACTED_RATIO_MAX, header.stored_len());
            return Err(corrupt(
                path,
                68,
                "no compacted segment is so long",
                expected,
                wide(found),
            ));
        }
        header.check_packing(cfg!(feature = "zstd"), path)?;
        Ok(header)
    }
}

fn encode_compacted(mut compacted: Compacted, page: &mut [u8]) {
    put(page, 68, &compacted.pieces.to_le_bytes());
    put(page, 72, &compacted.data_bytes.to_le_bytes());
    put(page, 76, &compacted.table_check.to_le_bytes());
    put(page, 80, &compacted.as_of.as_u64().to_le_bytes());
    for (at, field) in (DROPPED_AT..).step_by(8).zip(compacted.dropped.fields()) {
        put(page, at, &field.to_le_bytes());
    }
    let none = Packed { plain_bytes: 0, blocks: 0, packed_bytes: 0, table_check: 0 };
    let packed = compacted.packed.unwrap_or(none);
    let fields = [packed.plain_bytes, packed.blocks, packed.packed_bytes, packed.table_check];
    for (at, field) in (PACKED_AT..).step_by(4).zip(fields) {
        put(page, at, &field.to_le_bytes());
    }
}

/// How many bytes of the page the fields of a compacted segment's header take, by the version that it says it has.
fn compacted_fields(page: &[u8]) -> usize {
    match u32_at(page, 8).unwrap_or_default() {
        ..PACKED_VERSION_MIN => UNPACKED_FIELDS_BYTES,
        _ => COMPACTED_FIELDS_BYTES,
    }
}

fn decode_compacted(page: &[u8], version: u32) -> Compacted {
    let mut dropped = Dropped::default();
    for (at, field) in (DROPPED_AT..).step_by(8).zip(dropped.fields()) {
        *field = u64_at(page, at).unwrap_or_default();
    }
    Compacted {
        pieces: u32_at(page, 68).unwrap_or_default(),
        data_bytes: u32_at(page, 72).unwrap_or_default(),
        table_check: u32_at(page, 76).unwrap_or_default(),
        as_of: Position::from_u64(u64_at(page, 80).unwrap_or_default()),
        dropped,
        packed: if version < PACKED_VERSION_MIN { None } else { decode_packed(page) },
    }
}

fn decode_packed(page: &[u8]) -> Option<Packed> {
    let field = |number: usize| u32_at(page, PACKED_AT + 4 * number).unwrap_or_default();
    let packed = Packed {
        plain_bytes: field(0),
        blocks: field(1),
        packed_bytes: field(2),
        table_check: field(3),
    };
    (packed.blocks > 0).then_some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_cannot_unpack_says_so() {
        let path = Path::new("store/log/00000000.seg");
        let identity = Identity { store: [7; 16], segment_bytes: 64 << 10 };
        let packed = Packed { plain_bytes: 8, blocks: 1, packed_bytes: 40, table_check: 3 };
        let compacted = |packed| Compacted {
            pieces: 2,
            data_bytes: 100,
            table_check: 5,
            as_of: identity.first_byte(1),
            dropped: Dropped::default(),
            packed,
        };
        let header = |packed| SegmentHeader {
            identity,
            number: 0,
            epoch: 1,
            salt: [3; 16],
            file_bytes: 64 << 10,
            compacted: Some(compacted(packed)),
        };
        for (packed, is_refused) in [(None, false), (Some(packed), true)] {
            let header = header(packed);
            assert_eq!(header.check_packing(false, path).is_err(), is_refused);
            header.check_packing(true, path).unwrap();
            let page = header.encode();
            let again = SegmentHeader::decode(&page, path, 0, &identity);
            match cfg!(feature = "zstd") || !is_refused {
                true => assert_eq!(again.unwrap(), header),
                false => assert!(matches!(again, Err(Error::Packed { .. }))),
            }
        }
    }
}
