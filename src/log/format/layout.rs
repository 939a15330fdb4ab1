//! Names and fixed pages of a store's files: segment headers, manifest slots.

use std::path::{Path, PathBuf};

use super::frame::{OVERHEAD_BYTES, Scope};
use crate::bytes::{array_at, put, u32_at, u64_at, wide};
use crate::error::{Corruption, Error, Result};
use crate::event::LAYOUT_FINGERPRINT;
use crate::id::Position;
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// The version of everything in this directory; `docs/format.md` describes it.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// A segment's header has a page of its own, which no later write shares.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 4096;
/// The manifest's two slots stand a page apart, so that a torn write damages one.
pub(crate) const SLOT_BYTES: usize = 4096;

/// The bytes of the manifest.
pub(crate) const MANIFEST_BYTES: usize = 2 * SLOT_BYTES;

/// The layouts that this build reads. A record that is added changes the fingerprint and nothing
/// else, so that every earlier one stays in this list.
const READABLE_LAYOUTS: [u64; 1] = [LAYOUT_FINGERPRINT];

const SEGMENT_MAGIC: [u8; 8] = *b"KINLOGSG";
const MANIFEST_MAGIC: [u8; 8] = *b"KINLOGMF";
const SEGMENT_FIELDS_BYTES: usize = 72;
const MANIFEST_FIELDS_BYTES: usize = 72;

/// Where a store's files lie.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) root: PathBuf,
}

impl Paths {
    pub(crate) fn lock_record(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("MANIFEST")
    }

    /// Where a manifest is made before it takes its name.
    pub(crate) fn staged_manifest(&self) -> PathBuf {
        self.root.join("MANIFEST.tmp")
    }

    /// Space that is given back when the disk is too full to open the store.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("RESERVE")
    }

    /// Where that space is made before it takes its name.
    pub(crate) fn staged_reserve(&self) -> PathBuf {
        self.root.join("RESERVE.tmp")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        self.log().join(segment_name(number))
    }

    /// Where a segment is prepared before it takes its name.
    pub(crate) fn prepared(&self) -> PathBuf {
        self.log().join("prepared.tmp")
    }
}

/// Whether segments can have this size.
pub(crate) fn is_segment_size(bytes: u32) -> bool {
    (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(4096)
}

/// The name of a segment's file: its number with at least eight digits.
fn segment_name(number: u32) -> String {
    format!("{number:08}.seg")
}

/// The number of a segment file, if the name is one; no two names have the same.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// What every file of a store agrees on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) store: [u8; 16],
    pub(crate) segment_bytes: u32,
}

impl Identity {
    /// The address of the first frame of a segment.
    pub(crate) fn first_frame(&self, segment: u32) -> Position {
        Position::from_u64(
            u64::from(segment) * u64::from(self.segment_bytes) + SEGMENT_HEADER_BYTES as u64,
        )
    }

    /// The most payload bytes that one commit can have: all that a segment has room for.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        let segment = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        // Room is kept for the frame that seals the segment.
        segment - SEGMENT_HEADER_BYTES - 2 * OVERHEAD_BYTES
    }

    /// The segment and the offset in it that a position names.
    pub(crate) fn locate(&self, position: Position) -> (u32, usize) {
        let bytes = u64::from(self.segment_bytes);
        let segment = u32::try_from(position.as_u64() / bytes).unwrap_or(u32::MAX);
        let offset = usize::try_from(position.as_u64() % bytes).unwrap_or(usize::MAX);
        (segment, offset)
    }
}

/// The first page of a segment: magic, version, fingerprint, store, number, epoch, segment size,
/// salt, check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: Identity,
    pub(crate) number: u32,
    /// The epoch in which it was prepared: no frame in it is older.
    pub(crate) epoch: u32,
    /// Random, and part of every frame's check.
    pub(crate) salt: [u8; 16],
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
        seal_page(&mut page, SEGMENT_FIELDS_BYTES);
        page
    }

    /// What binds the segment's frames to it.
    pub(crate) fn scope(&self) -> Scope<'_> {
        let end = (u64::from(self.number) + 1) * u64::from(self.identity.segment_bytes);
        Scope { salt: &self.salt, end: Position::from_u64(end) }
    }

    /// The header in `page`, which must belong to segment `number` of the store `identity`.
    pub(crate) fn decode(
        page: &[u8],
        path: &Path,
        number: u32,
        identity: &Identity,
    ) -> Result<Self> {
        check_page(page, &SEGMENT_MAGIC, SEGMENT_FIELDS_BYTES, path)?;
        let header = SegmentHeader {
            identity: Identity {
                store: array_at(page, 24).unwrap_or_default(),
                segment_bytes: u32_at(page, 40).unwrap_or_default(),
            },
            number: u32_at(page, 12).unwrap_or_default(),
            epoch: u32_at(page, 44).unwrap_or_default(),
            salt: array_at(page, 48).unwrap_or_default(),
        };
        let misplaced = |what, expected: u32, found: u32| {
            corrupt(path, 0, what, u64::from(expected), u64::from(found))
        };
        if header.identity.store != identity.store {
            return Err(misplaced("the segment belongs to another store", 0, 0));
        }
        if header.number != number {
            return Err(misplaced("the segment has another number", number, header.number));
        }
        if header.identity.segment_bytes != identity.segment_bytes {
            let (expected, found) = (identity.segment_bytes, header.identity.segment_bytes);
            return Err(misplaced("the segment has another size", expected, found));
        }
        Ok(header)
    }
}

/// One slot of the manifest: magic, version, generation, fingerprint, store, segment size, epoch,
/// durable mark, closed flag, check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    pub(crate) identity: Identity,
    /// The slot with the higher one counts.
    pub(crate) generation: u64,
    /// How often the store was opened for writing.
    pub(crate) epoch: u32,
    /// The log is known to be on the device up to here.
    pub(crate) durable_upto: Position,
    /// The store was closed in order, and the log ends at `durable_upto`.
    pub(crate) closed: bool,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut slot = vec![0; SLOT_BYTES];
        put(&mut slot, 0, &MANIFEST_MAGIC);
        put(&mut slot, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut slot, 12, &u32::from(self.closed).to_le_bytes());
        put(&mut slot, 16, &LAYOUT_FINGERPRINT.to_le_bytes());
        put(&mut slot, 24, &self.identity.store);
        put(&mut slot, 40, &self.identity.segment_bytes.to_le_bytes());
        put(&mut slot, 44, &self.epoch.to_le_bytes());
        put(&mut slot, 48, &self.generation.to_le_bytes());
        put(&mut slot, 56, &self.durable_upto.as_u64().to_le_bytes());
        seal_page(&mut slot, MANIFEST_FIELDS_BYTES);
        slot
    }

    fn decode(slot: &[u8], path: &Path) -> Result<Self> {
        check_page(slot, &MANIFEST_MAGIC, MANIFEST_FIELDS_BYTES, path)?;
        let segment_bytes = u32_at(slot, 40).unwrap_or_default();
        if !is_segment_size(segment_bytes) {
            let what = "no segment can have this size";
            return Err(corrupt(path, 40, what, SEGMENT_BYTES_MIN.into(), segment_bytes.into()));
        }
        Ok(Manifest {
            identity: Identity { store: array_at(slot, 24).unwrap_or_default(), segment_bytes },
            generation: u64_at(slot, 48).unwrap_or_default(),
            epoch: u32_at(slot, 44).unwrap_or_default(),
            durable_upto: Position::from_u64(u64_at(slot, 56).unwrap_or_default()),
            closed: u32_at(slot, 12) == Some(1),
        })
    }
}

/// Where the slot of a generation lies.
pub(crate) fn slot_offset(generation: u64) -> usize {
    if generation.is_multiple_of(2) { 0 } else { SLOT_BYTES }
}

/// What the two slots of a manifest say together, whoever asks: a writer, a reader, `verify`, salvage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// The whole slot with the higher generation.
    pub(crate) current: Manifest,
    /// The other one is not whole: a write cut short, or rot.
    pub(crate) damaged: bool,
}

impl Slots {
    pub(crate) fn decode(pages: &[u8], path: &Path) -> Result<Self> {
        let (first, second) = pages.split_at(SLOT_BYTES.min(pages.len()));
        let (a, b) = (decode_slot(first, 0, path), decode_slot(second, SLOT_BYTES, path));
        let mut damaged = a.is_err() || b.is_err();
        let current = match (a, b) {
            (Ok(a), Ok(b)) if a.identity != b.identity => {
                let offset = wide(SLOT_BYTES) + 24;
                Err(corrupt(path, offset, "the slots are of two stores", 0, 0))
            }
            (Ok(a), Ok(b)) => Ok(if a.generation > b.generation { a } else { b }),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            // Of two errors, the one about another format says more than the one about an empty
            // slot.
            (Err(a @ Error::UnsupportedFormat { .. }), _) => Err(a),
            (_, Err(b @ Error::UnsupportedFormat { .. })) => Err(b),
            (Err(a), Err(_)) => Err(a),
        }?;
        // A store that was made and never opened again has written one slot.
        let blank = |slot: &[u8]| slot.iter().all(|byte| *byte == 0);
        if current.generation == 1 && blank(first) {
            damaged = false;
        }
        Ok(Slots { current, damaged })
    }
}

/// The slot that lies at `offset`, if it is whole and belongs there: the next write would go over
/// one that does not.
fn decode_slot(slot: &[u8], offset: usize, path: &Path) -> Result<Manifest> {
    let found = Manifest::decode(slot, path).map_err(|error| moved(error, offset))?;
    if slot_offset(found.generation) == offset {
        return Ok(found);
    }
    let what = "the slot is in the other one's place";
    Err(corrupt(path, wide(offset) + 48, what, 0, found.generation))
}

/// Damage to a page, in a file where the page does not come first.
fn moved(error: Error, by: usize) -> Error {
    match error {
        Error::Corrupt(mut corruption) => {
            corruption.offset += wide(by);
            Error::Corrupt(corruption)
        }
        other => other,
    }
}

/// Writes the check over the first `fields` bytes of a page, the rest of which is zero.
fn seal_page(page: &mut [u8], fields: usize) {
    let check = crc32fast::hash(page.get(..fields - 4).unwrap_or_default());
    put(page, fields - 4, &check.to_le_bytes());
}

fn check_page(page: &[u8], magic: &[u8; 8], fields: usize, path: &Path) -> Result<()> {
    let found = u64_at(page, 0).unwrap_or_default();
    if found != u64::from_le_bytes(*magic) {
        let expected = u64::from_le_bytes(*magic);
        return Err(corrupt(path, 0, "the magic number is wrong", expected, found));
    }
    let check = u64::from(u32_at(page, fields - 4).unwrap_or_default());
    let expected = u64::from(crc32fast::hash(page.get(..fields - 4).unwrap_or_default()));
    if check != expected {
        return Err(corrupt(path, 0, "the page does not match its check", expected, check));
    }
    if page.get(fields..).unwrap_or_default().iter().any(|byte| *byte != 0) {
        return Err(corrupt(path, fields as u64, "the rest of the page is not zero", 0, 1));
    }
    // Version and fingerprint come after the check: damage is not another format.
    let version = u32_at(page, 8).unwrap_or_default();
    if version != FORMAT_VERSION {
        return Err(unsupported(path, "the format version", FORMAT_VERSION.into(), version.into()));
    }
    let fingerprint = u64_at(page, 16).unwrap_or_default();
    if !READABLE_LAYOUTS.contains(&fingerprint) {
        return Err(unsupported(path, "the layout fingerprint", LAYOUT_FINGERPRINT, fingerprint));
    }
    Ok(())
}

fn unsupported(path: &Path, what: &'static str, supported: u64, found: u64) -> Error {
    Error::UnsupportedFormat { path: path.to_owned(), what, supported, found }
}

/// Damage at `offset` of a file, with no run known yet.
pub(crate) fn corrupt(
    path: &Path,
    offset: u64,
    what: &'static str,
    expected: u64,
    found: u64,
) -> Error {
    let path = path.to_owned();
    Error::Corrupt(Box::new(Corruption { path, offset, what, expected, found, runs: vec![] }))
}
