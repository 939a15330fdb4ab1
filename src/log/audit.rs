//! What nobody reads while a store is in use: header pages, both slots of the manifest, the space
//! beyond the end, and whatever else lies in the directory.

use std::io;
use std::path::{Path, PathBuf};

use super::layout::{Manifest, Paths, SLOT_BYTES, corrupt, segment_number};
use super::lock::LockFile;
use super::manifest::{ManifestFile, slot_offset};
use super::segment::Segment;
use super::view::View;
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};

/// How much is read at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// How often the manifest is read until two readings agree: a writer may be writing it.
const READINGS: u32 = 16;

/// What is in the directory of a store.
#[derive(Default)]
pub(crate) struct Files {
    /// Copies of what openings removed.
    pub(crate) quarantined: Vec<PathBuf>,
    /// What no store has made.
    pub(crate) unknown: Vec<PathBuf>,
}

/// Whether no writer lives, nor has any been there since the one of `epoch`.
pub(crate) fn is_quiet(disk: &dyn Disk, paths: &Paths, epoch: u32) -> Result<bool> {
    // In this order: a writer that comes after the first look raises the epoch before it commits.
    let held = LockFile::is_held(disk, paths)?;
    Ok(!held && ManifestFile::open(disk, paths, OpenMode::Read)?.current.epoch == epoch)
}

/// Checks both slots of the manifest.
pub(crate) fn manifest(disk: &dyn Disk, paths: &Paths, view: &View) -> Result<()> {
    let path = paths.manifest();
    let pages = read_manifest(disk, &path)?;
    let (first, second) = pages.split_at(SLOT_BYTES.min(pages.len()));
    let check = |slot: &[u8], other: &[u8], offset: usize| {
        let blank = slot.iter().all(|byte| *byte == 0);
        // A store that was made and never opened again has written one slot.
        if blank && Manifest::decode(other, &path).is_ok_and(|other| other.generation == 1) {
            return Ok(());
        }
        let found = Manifest::decode(slot, &path).map_err(|error| moved(error, offset))?;
        if found.identity != view.identity {
            return Err(corrupt(&path, wide(offset) + 24, "the slot is of another store", 0, 0));
        }
        if slot_offset(found.generation) != offset {
            let what = "the slot is in the other one's place";
            return Err(corrupt(&path, wide(offset) + 48, what, 0, found.generation));
        }
        Ok(())
    };
    check(first, second, 0)?;
    check(second, first, SLOT_BYTES)
}

/// The manifest as two readings in a row found it.
fn read_manifest(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>> {
    let read = || {
        let file = disk.open(path, OpenMode::Read)?;
        let size = file.size()?;
        let mut pages = vec![0; 2 * SLOT_BYTES];
        if size == wide(pages.len()) {
            file.read_at(&mut pages, 0)?;
        }
        Ok((size, pages))
    };
    let failed = |error| Error::io("read", path, error);
    let mut last = read().map_err(failed)?;
    for _ in 1..READINGS {
        let next = read().map_err(failed)?;
        let agree = next == last;
        last = next;
        if agree {
            break;
        }
    }
    let (size, pages) = last;
    let expected = wide(pages.len());
    if size != expected {
        let what = "the file's length is wrong";
        return Err(corrupt(path, size.min(expected), what, expected, size));
    }
    Ok(pages)
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

/// Checks the header page of every segment, spare ones too; returns how many there are.
pub(crate) fn headers(disk: &dyn Disk, paths: &Paths, view: &View) -> Result<u32> {
    let named = names(disk, &paths.log())?;
    let beyond = named.iter().filter_map(|name| segment_number(name)).max();
    let open = u32::try_from(view.segments().len()).unwrap_or(u32::MAX);
    let count = open.max(beyond.map_or(0, |number| number.saturating_add(1)));
    for number in 0..count {
        let header = match Segment::read_header(disk, paths, number, &view.identity) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt(&paths.segment(number), 0, "the segment is missing", 0, 0));
            }
            header => header?,
        };
        let open = usize::try_from(number).ok().and_then(|at| view.segments().get(at));
        if open.is_some_and(|open| open.header != header) {
            let what = "the segment is not the one that is open";
            return Err(corrupt(&paths.segment(number), 0, what, 0, 0));
        }
    }
    Ok(count)
}

/// How many bytes beyond the end, in the last `count` of all segments, are no longer zero: from
/// where the space begins to the last one that is not. `progress` is told of bytes read.
pub(crate) fn remains(
    disk: &dyn Disk,
    paths: &Paths,
    view: &View,
    count: u32,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let (last, offset) = view.identity.locate(view.end);
    let mut remains = 0;
    for number in last..count {
        let start = if number == last { wide(offset) } else { wide(super::SEGMENT_HEADER_BYTES) };
        let path = paths.segment(number);
        let failed = |error| Error::io("read", &path, error);
        let file = disk.open(&path, OpenMode::Read).map_err(failed)?;
        let (mut at, mut dirty, end) = (start, start, u64::from(view.identity.segment_bytes));
        while at < end {
            let len = (end - at).min(PIECE_BYTES);
            let mut piece = vec![0; usize::try_from(len).unwrap_or_default()];
            file.read_at(&mut piece, at).map_err(failed)?;
            if let Some(place) = piece.iter().rposition(|byte| *byte != 0) {
                dirty = at + wide(place) + 1;
            }
            at += len;
            progress(len);
        }
        remains += dirty - start;
    }
    Ok(remains)
}

/// Lists what is there besides the log.
pub(crate) fn files(disk: &dyn Disk, paths: &Paths) -> Result<Files> {
    let known = [
        paths.lock(),
        paths.manifest(),
        paths.staged_manifest(),
        paths.reserve(),
        paths.staged_reserve(),
        paths.log(),
        paths.quarantine(),
        paths.prepared(),
    ];
    let mut files = Files::default();
    for dir in [paths.root.clone(), paths.log()] {
        for name in names(disk, &dir)? {
            let path = dir.join(&name);
            let segment = segment_number(&name).is_some_and(|n| paths.segment(n) == path);
            if !segment && !known.contains(&path) {
                files.unknown.push(path);
            }
        }
    }
    let quarantine = paths.quarantine();
    files.quarantined =
        names(disk, &quarantine)?.iter().map(|name| quarantine.join(name)).collect();
    files.quarantined.sort_unstable();
    files.unknown.sort_unstable();
    Ok(files)
}

/// The names in a directory; none if it is not there.
fn names(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        listed => listed.map_err(|e| Error::io("list", dir, e)),
    }
}
