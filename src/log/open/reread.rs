//! Reads the log again as an opening does, and lists the other files in the store's directory.

use std::io;
use std::path::{Path, PathBuf};

use super::recovery::{Replay, Scanner, UnverifiedTail};
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::{Lock, ManifestFile, View};
use crate::log::format::{Paths, corrupt, segment_number};

/// Files in the directory of a store that are not part of the log.
#[derive(Default)]
pub(crate) struct Files {
    /// Copies of bytes that healing removed.
    pub(crate) quarantined: Vec<PathBuf>,
    /// Files that kinlog did not create.
    pub(crate) unknown: Vec<PathBuf>,
}

/// Whether there is no writer, and was none since the epoch `epoch`.
pub(crate) fn is_quiet(disk: &dyn Disk, paths: &Paths, epoch: u32) -> Result<bool> {
    // In this order: a writer that opens the store after the first check raises the epoch before it commits.
    let held = Lock::is_held(disk, paths)?;
    Ok(!held && self::epoch(disk, paths)? == epoch)
}

/// The result of reading the log again.
pub(crate) struct Reread {
    /// Segments whose headers were checked, including those without a commit.
    pub(crate) segments: u32,
    /// One slot of the manifest is not valid.
    pub(crate) manifest_damaged: bool,
    /// The bytes after the end of the log that are not zero, as far as they were read.
    pub(crate) tail: Option<UnverifiedTail>,
}

/// Reads the store of `view` again, by the rules of an opening: all of it, or up to `limit` while a writer has
/// the store open.
pub(crate) fn reread(
    disk: &dyn Disk,
    paths: &Paths,
    view: &View,
    limit: Option<Position>,
    replay: &mut dyn Replay,
) -> Result<Reread> {
    let manifest = ManifestFile::open(disk, paths, OpenMode::Read)?;
    if manifest.current.identity != view.identity {
        return Err(corrupt(&paths.manifest(), 24, "the manifest is of another store", 0, 0));
    }
    let scan = Scanner::new(disk, paths, &manifest.current, limit)?.run(replay)?;
    let mut found = scan.segments.iter();
    for open in view.segments() {
        let what = match found.next() {
            Some(header) if header.is_same(&open.header) => continue,
            Some(_) => "the segment is not the one that is open",
            None => "the segment is missing",
        };
        return Err(corrupt(&open.path, 0, what, 0, 0));
    }
    if limit.is_none() && scan.end != view.end {
        let (expected, found) = (view.end.as_u64(), scan.end.as_u64());
        return Err(view.corrupt(view.end, "the log ends elsewhere by now", expected, found));
    }
    Ok(Reread {
        segments: u32::try_from(scan.segments.len()).unwrap_or(u32::MAX),
        manifest_damaged: manifest.damaged,
        tail: scan.tail,
    })
}

/// The current epoch.
pub(crate) fn epoch(disk: &dyn Disk, paths: &Paths) -> Result<u32> {
    Ok(ManifestFile::open(disk, paths, OpenMode::Read)?.current.epoch)
}

/// Lists the files that are not part of the log. What is in the directory of the index is left out.
pub(crate) fn files(disk: &dyn Disk, paths: &Paths) -> Result<Files> {
    let known = [
        paths.lock_record(),
        paths.manifest(),
        paths.staged_manifest(),
        paths.reserve(),
        paths.staged_reserve(),
        paths.log(),
        paths.index(),
        paths.quarantine(),
        paths.prepared(),
        paths.compacting(),
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
