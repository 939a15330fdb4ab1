//! The manifest: two slots that are written in turn, so that a torn write never damages both.

use std::path::Path;

use super::page::{check_page, corrupt, write_page_checksum};
use super::segment::{Identity, is_segment_size};
use crate::bytes::{array_at, put, u32_at, u64_at, wide};
use crate::error::{Error, Result};
use crate::event::LAYOUT_FINGERPRINT;
use crate::id::Position;
use crate::limits::SEGMENT_BYTES_MIN;

/// Bytes of a slot: a page, so that a torn write damages one slot only.
pub(crate) const SLOT_BYTES: usize = 4096;
/// The bytes of the manifest.
pub(crate) const MANIFEST_BYTES: usize = 2 * SLOT_BYTES;

const MANIFEST_MAGIC: [u8; 8] = *b"KINLOGMF";
const MANIFEST_FIELDS_BYTES: usize = 72;

/// One slot of the manifest: magic, version, generation, fingerprint, store, segment size, epoch,
/// durable mark, closed flag, checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    /// The format version: that of the build which last opened the store for writing.
    pub(crate) version: u32,
    pub(crate) identity: Identity,
    /// The slot with the higher generation is the current one.
    pub(crate) generation: u64,
    /// How often the store was opened for writing.
    pub(crate) epoch: u32,
    /// The durable mark: the log is on the device up to here.
    pub(crate) durable_upto: Position,
    /// The store was shut down, and the log ends at `durable_upto`.
    pub(crate) closed: bool,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut slot = vec![0; SLOT_BYTES];
        put(&mut slot, 0, &MANIFEST_MAGIC);
        put(&mut slot, 8, &self.version.to_le_bytes());
        put(&mut slot, 12, &u32::from(self.closed).to_le_bytes());
        put(&mut slot, 16, &LAYOUT_FINGERPRINT.to_le_bytes());
        put(&mut slot, 24, &self.identity.store);
        put(&mut slot, 40, &self.identity.segment_bytes.to_le_bytes());
        put(&mut slot, 44, &self.epoch.to_le_bytes());
        put(&mut slot, 48, &self.generation.to_le_bytes());
        put(&mut slot, 56, &self.durable_upto.as_u64().to_le_bytes());
        write_page_checksum(&mut slot, MANIFEST_FIELDS_BYTES);
        slot
    }

    fn decode(slot: &[u8], path: &Path) -> Result<Self> {
        let version = check_page(slot, &MANIFEST_MAGIC, MANIFEST_FIELDS_BYTES, path)?;
        let segment_bytes = u32_at(slot, 40).unwrap_or_default();
        if !is_segment_size(segment_bytes) {
            let what = "no segment can have this size";
            return Err(corrupt(path, 40, what, SEGMENT_BYTES_MIN.into(), segment_bytes.into()));
        }
        Ok(Manifest {
            version,
            identity: Identity { store: array_at(slot, 24).unwrap_or_default(), segment_bytes },
            generation: u64_at(slot, 48).unwrap_or_default(),
            epoch: u32_at(slot, 44).unwrap_or_default(),
            durable_upto: Position::from_u64(u64_at(slot, 56).unwrap_or_default()),
            closed: u32_at(slot, 12) == Some(1),
        })
    }
}

/// The offset of the slot that a generation is written to.
pub(crate) fn slot_offset(generation: u64) -> usize {
    if generation.is_multiple_of(2) { 0 } else { SLOT_BYTES }
}

/// The verdict on both slots; the same for a writer, a reader, `verify` and salvage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// The valid slot with the higher generation.
    pub(crate) current: Manifest,
    /// The other slot is not valid: a torn write, or damage.
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
            // An unsupported format says more than an error about an empty slot.
            (Err(a @ Error::UnsupportedFormat { .. }), _) => Err(a),
            (_, Err(b @ Error::UnsupportedFormat { .. })) => Err(b),
            (Err(a), Err(_)) => Err(a),
        }?;
        // A store that was created and never opened again has written one slot only.
        let blank = |slot: &[u8]| slot.iter().all(|byte| *byte == 0);
        if current.generation == 1 && blank(first) {
            damaged = false;
        }
        Ok(Slots { current, damaged })
    }
}

/// The slot at `offset`, if it is valid and of a generation that belongs there. A slot in the wrong place
/// is not used: the next write could overwrite the only good one.
fn decode_slot(slot: &[u8], offset: usize, path: &Path) -> Result<Manifest> {
    let found = Manifest::decode(slot, path).map_err(|error| add_offset(error, offset))?;
    if slot_offset(found.generation) == offset {
        return Ok(found);
    }
    let what = "the slot is in the other one's place";
    Err(corrupt(path, wide(offset) + 48, what, 0, found.generation))
}

/// An error about a page, with its offset counted from the start of the file.
fn add_offset(error: Error, by: usize) -> Error {
    match error {
        Error::Corrupt(mut corruption) => {
            corruption.offset += wide(by);
            Error::Corrupt(corruption)
        }
        other => other,
    }
}
