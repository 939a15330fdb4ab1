//! Opening a log: lock, manifest, recovery (reading only), then repair.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::covered::Covered;
use super::heal;
use super::recovery::{Replay, Scan, Scanner, UnverifiedTail};
use super::sparse::fill_holes;
use crate::disk::{Disk, OpenMode, Opener, random_bytes};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::limits::SEGMENT_BYTES_MIN;
use crate::log::files::{
    Lock, LockFile, LockRecord, ManifestFile, Published, Segment, StoreLocation, check_unshared,
    durable_hint, missing, refuse_link, remove_unfinished, reserve,
};
use crate::log::format::{
    FORMAT_VERSION, Identity, Manifest, Paths, SEGMENT_HEADER_BYTES, SegmentHeader, corrupt,
};
use crate::log::write::{Background, Held, Writer};
use crate::recorder::Recording;

/// What the log on disk was found to be when the store was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// There was no store; it was created.
    Created,
    /// The last writer shut the store down, and everything is there.
    Clean,
    /// The last writer did not shut the store down, as after a crash. Every commit in the log is whole, and
    /// only zeros follow the last one.
    Unclosed,
    /// After the last whole commit there was a torn write: a commit that was never written completely,
    /// hence never acknowledged.
    Torn,
    /// After the last whole commit there were bytes that are not a valid commit, and nothing proves whether
    /// they were ever an acknowledged one. After a power loss, this is what an unfinished commit usually
    /// looks like.
    Ambiguous,
    /// A writer has the store open, and the log was read up to what it had published.
    Live,
}

/// What there was of the index on disk when the store was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum IndexFound {
    /// Nothing: the index was built from the whole log.
    Absent,
    /// An index that fits the log. It was loaded, and the rest of the log replayed.
    Used,
    /// An index that is damaged, of another version of kinlog, or not of this log, as after the log was cut. It was
    /// left alone, and one was built from the whole log. The next writer replaces its files.
    Unusable,
    /// It was not looked at: [`Options::check_log`](crate::Options::check_log).
    Ignored,
}

/// What the opening of a store found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OpenReport {
    /// What the log was found to be.
    pub verdict: Verdict,
    /// The epoch: how often the store has been opened for writing.
    pub epoch: u32,
    /// Where the log ends.
    pub end: Position,
    /// What there was of the index on disk.
    pub index: IndexFound,
    /// Where the replay of the log began: the end of the last commit that the index had taken in;
    /// [`Position::START`] if there was no index to be used.
    pub replayed_from: Position,
    /// Commits, ever: also those of which a compaction has left nothing.
    pub commits: u64,
    /// Those of them that were read and replayed, from `replayed_from` on.
    pub replayed: u64,
    /// Segments of the log.
    pub segments: u32,
    /// Bytes after the end of the log, and after the seals of full segments, that were not zero and no commits.
    /// They were zeroed, unless the store is open for reading only. Beside a writer, only those after seals count.
    pub removed_bytes: u64,
    /// Paths of the copies of those bytes in quarantine; empty if the store is open for reading only.
    pub quarantined: Vec<PathBuf>,
    /// One of the manifest's two slots was not valid, after a torn write or by damage. The other one was used,
    /// and the damaged one is rewritten unless the store is open for reading only.
    pub manifest_damaged: bool,
    /// How long the opening took.
    pub elapsed: Duration,
}

/// How a log is to be opened.
pub(crate) struct Opening {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) paths: Paths,
    /// Whether a missing store is created.
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    /// The longest segments of a new store.
    pub(crate) segment_bytes: u32,
    /// Refuse an ambiguous log rather than heal it.
    pub(crate) refuse_ambiguous: bool,
    /// Whether the caller is to open the log from its start, whatever an index covers.
    pub(crate) check_log: bool,
    pub(crate) recording: Recording,
}

/// An open log.
pub(crate) struct Opened {
    pub(crate) published: Arc<Published>,
    pub(crate) location: Arc<StoreLocation>,
    pub(crate) opener: Arc<Opener>,
    /// `None` if it is open for reading only.
    pub(crate) writing: Option<(Arc<Writer>, Background)>,
    pub(crate) report: OpenReport,
}

/// Opens a log, and passes to `replay` every commit in it that is not `covered`. `None` if what is covered does not fit
/// this log, which is then to be opened without. No commit was passed to `replay` in that case, and nothing but the
/// lock record was written.
pub(crate) fn open(
    opening: &Opening,
    covered: Option<&Covered>,
    replay: &mut dyn Replay,
) -> Result<Option<Opened>> {
    let started = Instant::now();
    for dir in [opening.paths.log(), opening.paths.index(), opening.paths.quarantine()] {
        refuse_link(opening.disk.as_ref(), &dir)?;
    }
    let opened = if opening.read_only {
        open_reader(opening, covered, replay)
    } else {
        open_writer(opening, covered, replay)
    }?;
    Ok(opened.map(|mut opened| {
        opened.report.elapsed = started.elapsed();
        opened
    }))
}

/// Reads the log from the end of what is `covered`; `None` if that does not fit it.
fn scan(
    Opening { disk, paths, check_log, .. }: &Opening,
    manifest: &Manifest,
    published: Option<Position>,
    covered: Option<&Covered>,
    replay: &mut dyn Replay,
) -> Result<Option<Scan>> {
    let mut scanner = Scanner::new(disk.as_ref(), paths, manifest, published)?;
    if !check_log {
        scanner.trust_closing();
    }
    if let Some(covered) = covered
        && !scanner.leave_out(covered)?
    {
        return Ok(None);
    }
    scanner.run(replay).map(Some)
}

fn open_writer(
    opening: &Opening,
    covered: Option<&Covered>,
    replay: &mut dyn Replay,
) -> Result<Option<Opened>> {
    let Opening { disk, paths, .. } = opening;
    let disk_ref = disk.as_ref();
    let exists = match disk.open(&paths.manifest(), OpenMode::Read) {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::io("open", paths.manifest(), error)),
    };
    if !exists {
        if !opening.create {
            return Err(missing(disk_ref, paths));
        }
        make_directories(disk_ref, paths)?;
    }
    let lock = Lock::acquire(disk_ref, paths)?;
    check_unshared(disk_ref, paths)?;
    let record = LockFile::begin(disk_ref, paths)?;
    // Checked again under the lock: another process may have created the store meanwhile.
    let (mut manifest, created) = match ManifestFile::open(disk_ref, paths, OpenMode::Write) {
        Ok(manifest) => (manifest, false),
        // What an index covers is not in a log that is yet to be created.
        Err(Error::NotAStore { .. }) if opening.create && covered.is_some() => return Ok(None),
        Err(Error::NotAStore { .. }) if opening.create => (create(opening)?, true),
        Err(error) => return Err(error),
    };
    let location = Arc::new(StoreLocation::open(disk_ref, paths, &manifest)?);
    let Some(scan) = scan(opening, &manifest.current, None, covered, replay)? else {
        return Ok(None);
    };
    // Files are changed from here on, and reading the log took a while.
    location.check(disk_ref)?;
    fill_holes(disk_ref, paths, &scan)?;
    let mut report = report(&scan, &manifest.current, created);
    report.manifest_damaged = manifest.damaged;
    let epoch = u64::from(report.epoch);
    let what = "the store was opened more often than epochs can count";
    let exhausted = || corrupt(&paths.manifest(), 44, what, epoch + 1, epoch);
    report.epoch = report.epoch.checked_add(1).ok_or_else(exhausted)?;
    if let Some(tail) = &scan.tail {
        if !tail.torn && opening.refuse_ambiguous {
            return Err(ambiguous(paths, tail));
        }
        report.quarantined = heal::heal(disk_ref, paths, &location, report.epoch, tail)?;
    }
    // What was replayed may be in the page cache only, and must be durable before the manifest's durable mark
    // covers it.
    heal::harden(disk_ref, paths, &scan.segments, scan.durable_upto..scan.end)?;
    let segments = open_segments(disk_ref, paths, &scan)?;
    // A process that was killed between renaming a file and syncing the directory left an entry that is not
    // durable.
    for dir in [&paths.log(), &paths.root] {
        disk_ref.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
    }
    let next = Manifest {
        version: FORMAT_VERSION,
        epoch: report.epoch,
        durable_upto: scan.end,
        closed: false,
        ..manifest.current
    };
    if !created {
        manifest.harden()?;
    }
    // Into both slots: if one is damaged later, the other still has the epoch of the frames to come, and the
    // version of the segments to come.
    manifest.write(next)?;
    manifest.write(next)?;
    location.check(disk_ref)?;
    let longest = segments.last().map_or(SEGMENT_BYTES_MIN, |segment| segment.header.file_bytes);
    reserve::keep(disk_ref, paths, longest)?;
    let published = Arc::new(Published::new(next.identity, segments, scan.end));
    let opener = Arc::new(Opener::new());
    let recording = opening.recording.clone();
    let place = location.clone();
    let held = Held { place, opener: opener.clone(), manifest, lock, record, recording };
    let writer = Arc::new(Writer::new(disk.clone(), paths.clone(), published.clone(), held)?);
    let background = Background::start(writer.clone())?;
    let writing = Some((writer, background));
    Ok(Some(Opened { published, location, opener, writing, report }))
}

fn open_reader(
    opening: &Opening,
    covered: Option<&Covered>,
    replay: &mut dyn Replay,
) -> Result<Option<Opened>> {
    let Opening { disk, paths, .. } = opening;
    let disk = disk.as_ref();
    let manifest = ManifestFile::open(disk, paths, OpenMode::Read)?;
    let live = Lock::is_held(disk, paths)?;
    let record = live.then(|| LockRecord::read(disk, paths)).transpose()?;
    // A writer that is still opening has published nothing yet. What the one before it knew to be on the device stays
    // in any case, of which its manifest may say less.
    let Manifest { identity, epoch, .. } = manifest.current;
    let known = record.as_ref().filter(|record| record.epoch == 0);
    let known = known.map(|_| durable_hint(disk, paths, &identity.store, epoch)).transpose()?;
    // Read after the lock record: an earlier manifest could have a lower epoch than frames below the limit.
    let manifest = ManifestFile::open(disk, paths, OpenMode::Read).unwrap_or(manifest);
    let durable = known.unwrap_or_default().max(manifest.current.durable_upto);
    let limit = record.map(|record| record.published.max(durable));
    let location = Arc::new(StoreLocation::open(disk, paths, &manifest)?);
    let Some(scan) = scan(opening, &manifest.current, limit, covered, replay)? else {
        return Ok(None);
    };
    let mut report = report(&scan, &manifest.current, false);
    report.manifest_damaged = manifest.damaged;
    if live {
        report.verdict = Verdict::Live;
    }
    let segments = open_segments(disk, paths, &scan)?;
    let as_of = segments.iter().filter_map(|it| it.header.compacted).map(|it| it.as_of).max();
    if let Some(resume) = as_of.filter(|as_of| *as_of > scan.end) {
        // It lacks what was not dead yet where the reading ended.
        return Err(Error::Compacted { position: scan.end, resume });
    }
    let published = Arc::new(Published::new(manifest.current.identity, segments, scan.end));
    let opener = Arc::new(Opener::new());
    Ok(Some(Opened { published, location, opener, writing: None, report }))
}

/// The manifest as it is before a log is opened for reading only; `None` for a writer.
pub(crate) fn manifest_before(
    Opening { disk, paths, read_only, .. }: &Opening,
) -> Option<Manifest> {
    let read = || ManifestFile::open(disk.as_ref(), paths, OpenMode::Read).ok();
    read_only.then(read).flatten().map(|manifest| manifest.current)
}

/// Whether a writer opened the store while it was being opened for reading only. The tail that was found may
/// then be its first commit, partly written. If that writer has ended again, the manifest differs from
/// `manifest_before`.
pub(crate) fn raced_with_writer(
    opening: &Opening,
    manifest_before: Option<Manifest>,
    opened: &Result<Opened>,
) -> Result<bool> {
    let live = opened.as_ref().is_ok_and(|opened| opened.report.verdict == Verdict::Live);
    let quiet = !opening.read_only || live || matches!(opened, Err(Error::NotAStore { .. }));
    Ok(!quiet
        && (Lock::is_held(opening.disk.as_ref(), &opening.paths)?
            || self::manifest_before(opening) != manifest_before))
}

/// Removes the reserve file if a writer failed to open the log because the disk is full; returns whether that
/// freed space.
pub(crate) fn release_reserve(opening: &Opening, error: &Error) -> bool {
    !opening.read_only && reserve::release(opening.disk.as_ref(), &opening.paths, error)
}

/// Replays what a writer of another process has published since, if its epoch is `epoch_min` or higher; returns
/// whether there was anything.
pub(crate) fn catch_up(
    disk: &dyn Disk,
    paths: &Paths,
    (location, published): (&StoreLocation, &Published),
    epoch_min: u32,
    replay: &mut dyn Replay,
) -> Result<bool> {
    let record = LockRecord::read(disk, paths)?;
    let (from, end) = (published.end(), record.published);
    // The record of a writer that had ended when the log was read is out of date, and after a power loss may be
    // wrong.
    if record.epoch < epoch_min || end <= from {
        return Ok(false);
    }
    // In a directory that was replaced, the record is that of another store's writer.
    location.check(disk)?;
    let identity = published.identity;
    let (last, _) = identity.locate(end);
    // Before segments are added that were compacted: behind a segment that is readable as a whole, no mark is raised.
    // Bytes below the published end are final, so they may be read before readers of this store see them.
    published.raise_marks(end);
    let mut next = u32::try_from(published.view().segments().len()).unwrap_or(u32::MAX);
    while next <= last {
        let header = Segment::read_header(disk, paths, next, &identity)?;
        let mark = if next < last { usize::MAX } else { SEGMENT_HEADER_BYTES };
        let segment = Segment::open(disk, paths, header, mark)?;
        published.add_segment(Arc::new(segment));
        next += 1;
    }
    published.raise_marks(end);
    let view = published.view_upto(end);
    let mut reached = from;
    let read = view.frames(from).try_for_each(|frame| {
        let frame = frame?;
        replay
            .commit(&frame)
            .map_err(|_| view.corrupt(frame.position, "a commit makes no sense", 0, 0))?;
        reached = frame.end();
        Ok(())
    });
    // Commits before a bad frame are in the index and are published, so that a later call goes on after them.
    published.publish(if read.is_ok() { end } else { reached });
    published.wake();
    read.map(|()| true)
}

/// Creates the store's directories, and makes their entries durable.
pub(crate) fn make_directories(disk: &dyn Disk, paths: &Paths) -> Result<()> {
    let dir = paths.log();
    disk.create_dir(&dir).map_err(|e| Error::io("create", &dir, e))?;
    // Any of them may have been created by an attempt that a crash ended, so all are synced.
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match disk.sync_dir(parent) {
            // Not writable, hence not created by such an attempt.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|e| Error::io("sync", parent, e))?,
        }
    }
    Ok(())
}

/// Creates a new store: its first segment, and then the manifest, with which it exists.
fn create(opening: &Opening) -> Result<ManifestFile> {
    let Opening { disk, paths, segment_bytes, .. } = opening;
    let disk = disk.as_ref();
    make_directories(disk, paths)?;
    remove_unfinished(disk, paths)?;
    let identity = Identity { store: random_bytes(disk), segment_bytes: *segment_bytes };
    let header = SegmentHeader {
        identity,
        number: 0,
        epoch: 0,
        salt: random_bytes(disk),
        file_bytes: SEGMENT_BYTES_MIN,
        compacted: None,
    };
    Segment::prepare(disk, paths, header, &|| Ok(()))?;
    let durable_upto = identity.first_frame(0);
    let manifest = Manifest {
        version: FORMAT_VERSION,
        identity,
        generation: 1,
        epoch: 0,
        durable_upto,
        closed: true,
    };
    ManifestFile::create(disk, paths, manifest)
}

fn open_segments(disk: &dyn Disk, paths: &Paths, scan: &Scan) -> Result<Vec<Arc<Segment>>> {
    let mut segments = Vec::with_capacity(scan.segments.len());
    for header in &scan.segments {
        let (last, offset) = header.identity.locate(scan.end);
        let mark = match header.number.cmp(&last) {
            std::cmp::Ordering::Less => usize::MAX,
            std::cmp::Ordering::Equal => offset,
            std::cmp::Ordering::Greater => SEGMENT_HEADER_BYTES,
        };
        segments.push(Arc::new(Segment::open(disk, paths, *header, mark)?));
    }
    Ok(segments)
}

fn report(scan: &Scan, manifest: &Manifest, created: bool) -> OpenReport {
    let verdict = match &scan.tail {
        Some(tail) if tail.torn => Verdict::Torn,
        Some(_) => Verdict::Ambiguous,
        None if created => Verdict::Created,
        None if manifest.closed && scan.end == manifest.durable_upto => Verdict::Clean,
        None => Verdict::Unclosed,
    };
    OpenReport {
        verdict,
        epoch: manifest.epoch,
        end: scan.end,
        index: IndexFound::Absent,
        replayed_from: Position::START,
        commits: scan.commits,
        replayed: scan.commits,
        segments: u32::try_from(scan.segments.len()).unwrap_or(u32::MAX),
        removed_bytes: scan.tail.as_ref().map_or(0, UnverifiedTail::bytes),
        quarantined: vec![],
        manifest_damaged: false,
        elapsed: Duration::ZERO,
    }
}

fn ambiguous(paths: &Paths, tail: &UnverifiedTail) -> Error {
    let what = "bytes beyond the last commit may have been an acknowledged one";
    match tail.ranges.first() {
        Some((segment, range)) => {
            corrupt(&paths.segment(*segment), range.start as u64, what, 0, range.len() as u64)
        }
        None => corrupt(&paths.log(), 0, what, 0, 0),
    }
}
