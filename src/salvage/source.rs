//! Finds out which store the source is, and which files are its segments.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::PathBuf;

use super::report::{DamagedFile, FileDamage, ManifestState};
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::durable_hint;
use crate::log::format::{
    ClaimedHeader, Identity, MANIFEST_BYTES, Manifest, Paths, SEGMENT_HEADER_BYTES, SLOT_BYTES,
    SegmentHeader, Slots, corrupt, is_segment_size, segment_number,
};

/// How many of the sixteen random bytes of the store's id must match for a damaged header to count as one of
/// this store.
const STORE_BYTES_MIN: usize = 8;

/// The source: its identity, manifest and segments.
pub(super) struct Source {
    pub(super) identity: Identity,
    pub(super) manifest: ManifestState,
    /// The durable mark of the manifest or the lock record, whichever is higher.
    pub(super) durable_upto: Position,
    /// The end of the log according to the manifest, if the store was shut down.
    pub(super) closed_at: Option<Position>,
    /// The epoch of the manifest; no frame has a higher one.
    pub(super) epoch: Option<u32>,
    /// By number.
    pub(super) segments: BTreeMap<u32, SegmentFile>,
    pub(super) files: Vec<DamagedFile>,
}

/// A file to be read as a segment.
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// The length that it must have. It may be longer or shorter.
    pub(super) expected: u64,
    pub(super) salt: [u8; 16],
    /// The epoch in which it was prepared; 0 if its header is damaged.
    pub(super) epoch: u32,
    /// Its header, if it was compacted.
    pub(super) compacted: Option<SegmentHeader>,
    claim: Claim,
}

/// The evidence that a file is the segment of a number; stronger evidence is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Its name alone: the header is damaged.
    Name,
    /// Its header alone.
    Header,
    Both,
}

/// A file with the name of a segment.
struct Candidate {
    path: PathBuf,
    /// The number in its name.
    number: u32,
    size: u64,
    page: Vec<u8>,
    header: Result<SegmentHeader>,
}

impl Source {
    /// Reads the manifest and the header of every segment.
    pub(super) fn find(disk: &dyn Disk, paths: &Paths) -> Result<Self> {
        let mut files = vec![];
        let candidates = candidates(disk, paths, &mut files)?;
        let (manifest, state) = manifest(disk, paths)?;
        if state == ManifestState::Missing && candidates.is_empty() && files.is_empty() {
            return Err(Error::NotAStore { path: paths.root.clone(), unfinished: false });
        }
        let identity = identify(paths, manifest.as_ref(), &candidates)?;
        let own = manifest.as_ref().ok().filter(|manifest| manifest.identity == identity);
        let foreign = manifest.is_ok() && own.is_none();
        let marked = own.map(|own| {
            // A lock record that cannot be read gives no durable mark.
            let lock = durable_hint(disk, paths, &identity.store, own.epoch).unwrap_or_default();
            own.durable_upto.max(lock)
        });
        let mut source = Source {
            identity,
            manifest: if foreign { ManifestState::Foreign } else { state },
            durable_upto: marked.unwrap_or_default(),
            closed_at: own.filter(|own| own.closed).map(|own| own.durable_upto),
            epoch: own.map(|manifest| manifest.epoch),
            segments: BTreeMap::new(),
            files,
        };
        for candidate in candidates {
            source.assign(candidate);
        }
        source.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(source)
    }

    /// The number after that of the last segment found.
    pub(super) fn next_segment(&self) -> u32 {
        self.segments.keys().next_back().map_or(0, |last| last.saturating_add(1))
    }

    /// Assigns a file to the segment that it is, if it is one of this store.
    fn assign(&mut self, candidate: Candidate) {
        let Candidate { path, number: named, size, page, header } = candidate;
        let mut damaged = |damage| self.files.push(DamagedFile { path: path.clone(), damage });
        let number = match &header {
            Ok(header) if header.identity != self.identity => return damaged(FileDamage::Foreign),
            Ok(header) => header.number,
            Err(Error::UnsupportedFormat { .. } | Error::Packed { .. }) => {
                return damaged(FileDamage::OtherFormat);
            }
            Err(_) if !resembles(&page, &self.identity) => return damaged(FileDamage::Unproven),
            Err(_) => named,
        };
        let segment_bytes = self.identity.segment_bytes;
        let claimed = ClaimedHeader::read(&page);
        let expected = match &header {
            Ok(header) => wide(header.stored_len()),
            // Its header alone says how long it is.
            Err(_) if claimed.compacted => size.min(segment_bytes.into()),
            Err(_) => segment_bytes.into(),
        };
        if size != expected {
            damaged(FileDamage::WrongLength { expected, found: size });
        }
        if header.is_err() {
            damaged(FileDamage::HeaderDamaged);
        }
        if number != named {
            damaged(FileDamage::Misnamed(number));
        }
        let compacted = header.as_ref().ok().filter(|header| header.compacted.is_some()).copied();
        let epoch = header.as_ref().map_or(0, |header| header.epoch);
        let claim = match header {
            Err(_) => Claim::Name,
            Ok(_) if number != named => Claim::Header,
            Ok(_) => Claim::Both,
        };
        let file =
            SegmentFile { path, size, expected, salt: claimed.salt, epoch, compacted, claim };
        match self.segments.entry(number) {
            Entry::Vacant(entry) => {
                entry.insert(file);
            }
            Entry::Occupied(mut entry) => {
                let better = file.claim > entry.get().claim;
                let other = if better { entry.insert(file) } else { file };
                self.files.retain(|known| known.path != other.path);
                let damage = FileDamage::Duplicate(number);
                self.files.push(DamagedFile { path: other.path, damage });
            }
        }
    }
}

/// Every file with the name of a segment, ordered by name. Those that cannot be opened are added to `files`.
fn candidates(
    disk: &dyn Disk,
    paths: &Paths,
    files: &mut Vec<DamagedFile>,
) -> Result<Vec<Candidate>> {
    let dir = paths.log();
    let mut names = match disk.list(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        listed => listed.map_err(|e| Error::io("list", &dir, e))?,
    };
    names.sort_unstable();
    let mut candidates = vec![];
    for (name, number) in names.iter().filter_map(|name| Some((name, segment_number(name)?))) {
        let path = dir.join(name);
        match inspect(disk, path.clone(), number) {
            Ok(candidate) => candidates.push(candidate),
            Err(_) => files.push(DamagedFile { path, damage: FileDamage::Unreadable }),
        }
    }
    Ok(candidates)
}

/// Reads the header page of a file.
fn inspect(disk: &dyn Disk, path: PathBuf, number: u32) -> io::Result<Candidate> {
    let file = disk.open(&path, OpenMode::Read)?;
    let size = file.size()?;
    let mut page = vec![0; SEGMENT_HEADER_BYTES];
    let there = usize::try_from(size).unwrap_or(usize::MAX).min(page.len());
    let read = file.read_at(page.get_mut(..there).unwrap_or_default(), 0);
    if read.is_err() {
        page.fill(0);
    }
    // Decoded with the identity and number that it claims itself.
    let ClaimedHeader { identity, number: claimed, .. } = ClaimedHeader::read(&page);
    let header = SegmentHeader::decode(&page, &path, claimed, &identity).and_then(|header| {
        let sound = is_segment_size(identity.segment_bytes);
        let what = "no segment can have this size";
        let found = identity.segment_bytes.into();
        sound.then_some(header).ok_or_else(|| corrupt(&path, 40, what, 0, found))
    });
    Ok(Candidate { path, number, size, page, header })
}

/// Whether a damaged header is one of this store.
fn resembles(page: &[u8], identity: &Identity) -> bool {
    let pairs = ClaimedHeader::read(page).identity.store.into_iter().zip(identity.store);
    pairs.filter(|(found, expected)| found == expected).count() >= STORE_BYTES_MIN
}

/// The manifest, or the error of reading it.
fn manifest(disk: &dyn Disk, paths: &Paths) -> Result<(Result<Manifest>, ManifestState)> {
    let path = paths.manifest();
    let file = match disk.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = corrupt(&path, 0, "the manifest is missing", 1, 0);
            return Ok((Err(missing), ManifestState::Missing));
        }
        opened => opened.map_err(|e| Error::io("open", &path, e))?,
    };
    let mut pages = vec![0; MANIFEST_BYTES];
    for (offset, slot) in (0..).step_by(SLOT_BYTES).zip(pages.chunks_mut(SLOT_BYTES)) {
        if file.read_at(slot, offset).is_err() {
            // Neither a valid slot nor one that was never written.
            slot.fill(0xff);
        }
    }
    let fits = file.size().is_ok_and(|size| size == wide(MANIFEST_BYTES));
    Ok(match Slots::decode(&pages, &path) {
        Ok(slots) if !fits => (Ok(slots.current), ManifestState::WrongLength),
        Ok(slots) if slots.damaged => (Ok(slots.current), ManifestState::OneSlotDamaged),
        Ok(slots) => (Ok(slots.current), ManifestState::Whole),
        Err(error) => (Err(error), ManifestState::Damaged),
    })
}

/// The identity of the store: that of the manifest, unless it is not valid or there are valid headers and none of
/// them agrees; then that of most headers.
fn identify(
    paths: &Paths,
    manifest: Result<&Manifest, &Error>,
    candidates: &[Candidate],
) -> Result<Identity> {
    let mut votes: Vec<(usize, Identity)> = vec![];
    for header in candidates.iter().filter_map(|candidate| candidate.header.as_ref().ok()) {
        match votes.iter_mut().find(|(_, identity)| *identity == header.identity) {
            Some((count, _)) => *count += 1,
            None => votes.push((1, header.identity)),
        }
    }
    votes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let agrees = |identity| votes.is_empty() || votes.iter().any(|(_, other)| *other == identity);
    if let Some(manifest) = manifest.ok().filter(|manifest| agrees(manifest.identity)) {
        return Ok(manifest.identity);
    }
    let what = match votes.as_slice() {
        [(first, _), (second, _), ..] if first == second => {
            "segments of several stores, and no manifest says which of them this is"
        }
        [(_, identity), ..] => return Ok(*identity),
        [] => "neither the manifest nor any segment says which store this is",
    };
    let errors = candidates.iter().filter_map(|candidate| candidate.header.as_ref().err());
    let other_format =
        |error: &&Error| matches!(error, Error::UnsupportedFormat { .. } | Error::Packed { .. });
    match manifest.err().into_iter().chain(errors).find(other_format) {
        Some(error) => Err(error.clone()),
        None => Err(corrupt(&paths.manifest(), 0, what, 0, 0)),
    }
}
