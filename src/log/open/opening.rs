//! Opening a log: lock, manifest, verdict, and only then repair.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::heal;
use super::recovery::{Replay, Scan, UnverifiedTail, scan};
use super::sparse::fill_holes;
use crate::disk::{Disk, OpenMode, Opener, random_bytes};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::{
    Lock, LockFile, LockRecord, ManifestFile, Published, Segment, StoreLocation, check_unshared,
    missing, remove_unfinished, reserve,
};
use crate::log::format::{Identity, Manifest, Paths, SEGMENT_HEADER_BYTES, SegmentHeader, corrupt};
use crate::log::write::{Background, Held, Writer};

/// What the log on disk was found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// There was no store; it was made.
    Created,
    /// The last writer closed the store in order, and everything is there.
    Clean,
    /// The last writer did not close the store. Every commit in the log is whole, and nothing lies
    /// beyond the last one.
    Unclosed,
    /// Beyond the last whole commit lay the beginnings of one that was never completely written,
    /// hence never acknowledged.
    Torn,
    /// Beyond the last whole commit lay bytes that verify as nothing, and neither a later commit
    /// nor the manifest tells whether they were ever a commit that was acknowledged. After a
    /// power loss this is what an unfinished commit usually looks like.
    Ambiguous,
    /// A living writer has the store open, and the log was read up to what it has published.
    Live,
}

/// What opening a store found and did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OpenReport {
    /// What the log was found to be.
    pub verdict: Verdict,
    /// How often the store has been opened for writing.
    pub epoch: u32,
    /// Where the log ends.
    pub end: Position,
    /// Commits read.
    pub commits: u64,
    /// Segments of the log.
    pub segments: u32,
    /// Bytes beyond the end, and behind the ends of full segments, that were no commits; zeroed, unless
    /// the store is open for reading only. Beside a living writer only the latter are looked at.
    pub removed_bytes: u64,
    /// Where copies of those bytes were put; empty if the store is open for reading only.
    pub quarantined: Vec<PathBuf>,
    /// One of the manifest's two slots was not whole, after a write cut short or by rot; the other was
    /// used, and the damaged one is written anew unless the store is open for reading only.
    pub manifest_damaged: bool,
    /// How long opening took.
    pub elapsed: Duration,
}

/// How a log is to be opened.
pub(crate) struct Opening {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) paths: Paths,
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    /// Of a new store.
    pub(crate) segment_bytes: u32,
    /// Refuse an ambiguous log rather than heal it.
    pub(crate) refuse_ambiguous: bool,
}

/// An open log.
pub(crate) struct Opened {
    pub(crate) published: Arc<Published>,
    pub(crate) place: Arc<StoreLocation>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) writing: Option<(Arc<Writer>, Background)>,
    pub(crate) report: OpenReport,
}

/// Opens a log; `replay` is told of every commit in it.
pub(crate) fn open(opening: &Opening, replay: &mut dyn Replay) -> Result<Opened> {
    let started = Instant::now();
    refuse_links(opening)?;
    let mut opened = if opening.read_only {
        open_reader(opening, replay)
    } else {
        open_writer(opening, replay)
    }?;
    opened.report.elapsed = started.elapsed();
    Ok(opened)
}

/// A link in the place of a directory leads who knows where.
fn refuse_links(Opening { disk, paths, .. }: &Opening) -> Result<()> {
    for dir in [paths.log(), paths.quarantine()] {
        if disk.is_link(&dir).map_err(|e| Error::io("look at", &dir, e))? {
            let source = std::io::Error::other("a symbolic link, which is not followed");
            return Err(Error::io("enter", dir, source));
        }
    }
    Ok(())
}

fn open_writer(opening: &Opening, replay: &mut dyn Replay) -> Result<Opened> {
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
    // Looked at again under the lock: another process may have made the store meanwhile.
    let (mut manifest, created) = match ManifestFile::open(disk_ref, paths, OpenMode::Write) {
        Ok(manifest) => (manifest, false),
        Err(Error::NotAStore { .. }) if opening.create => (create(opening)?, true),
        Err(error) => return Err(error),
    };
    let place = Arc::new(StoreLocation::enter(disk_ref, paths, &manifest)?);
    let scan = scan(disk_ref, paths, &manifest.current, None, replay)?;
    // Reading took its time. From here on files are changed.
    place.check(disk_ref)?;
    fill_holes(disk_ref, paths, &scan)?;
    let mut report = report(&scan, &manifest.current, created);
    report.manifest_damaged = manifest.damaged;
    let counted = u64::from(report.epoch);
    let what = "the store was opened more often than epochs can count";
    let exhausted = || corrupt(&paths.manifest(), 44, what, counted + 1, counted);
    report.epoch = report.epoch.checked_add(1).ok_or_else(exhausted)?;
    if let Some(remains) = &scan.remains {
        if !remains.torn && opening.refuse_ambiguous {
            return Err(ambiguous(paths, remains));
        }
        report.quarantined = heal::heal(disk_ref, paths, &place, report.epoch, remains)?;
    }
    // What was replayed may be in the page cache only; the manifest is about to vouch for it.
    heal::harden(disk_ref, paths, &manifest.current.identity, scan.durable_upto..scan.end)?;
    let segments = open_segments(disk_ref, paths, &scan)?;
    // A process that was killed between naming a file and syncing its directory left a name that is
    // there and may not last.
    for dir in [&paths.log(), &paths.root] {
        disk_ref.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
    }
    let next =
        Manifest { epoch: report.epoch, durable_upto: scan.end, closed: false, ..manifest.current };
    if !created {
        manifest.harden()?;
    }
    // Into both slots: should one rot, the other still knows the epoch of the frames to come.
    manifest.write(next)?;
    manifest.write(next)?;
    place.check(disk_ref)?;
    reserve::keep(disk_ref, paths, &next.identity)?;
    let published = Arc::new(Published::new(next.identity, segments, scan.end));
    let opener = Arc::new(Opener::new());
    let held = Held { place: place.clone(), opener: opener.clone(), manifest, lock, record };
    let writer = Arc::new(Writer::new(disk.clone(), paths.clone(), published.clone(), held)?);
    let background = Background::start(writer.clone())?;
    Ok(Opened { published, place, opener, writing: Some((writer, background)), report })
}

fn open_reader(opening: &Opening, replay: &mut dyn Replay) -> Result<Opened> {
    let Opening { disk, paths, .. } = opening;
    let disk = disk.as_ref();
    let manifest = ManifestFile::open(disk, paths, OpenMode::Read)?;
    let live = Lock::is_held(disk, paths)?;
    let word = live.then(|| LockRecord::read(disk, paths)).transpose()?;
    // Read after the limit: a manifest read before may be older than frames below the limit.
    let manifest = ManifestFile::open(disk, paths, OpenMode::Read).unwrap_or(manifest);
    // A writer that is still opening has published nothing yet; what the manifest vouches for
    // stays in any case.
    let limit = word.map(|word| word.published.max(manifest.current.durable_upto));
    let place = Arc::new(StoreLocation::enter(disk, paths, &manifest)?);
    let scan = scan(disk, paths, &manifest.current, limit, replay)?;
    let mut report = report(&scan, &manifest.current, false);
    report.manifest_damaged = manifest.damaged;
    if live {
        report.verdict = Verdict::Live;
    }
    let segments = open_segments(disk, paths, &scan)?;
    let published = Arc::new(Published::new(manifest.current.identity, segments, scan.end));
    let opener = Arc::new(Opener::new());
    Ok(Opened { published, place, opener, writing: None, report })
}

/// What the manifest says before a log is opened for reading; nothing for any other opening.
pub(crate) fn manifest_before(
    Opening { disk, paths, read_only, .. }: &Opening,
) -> Option<Manifest> {
    let read = || ManifestFile::open(disk.as_ref(), paths, OpenMode::Read).ok();
    read_only.then(read).flatten().map(|manifest| manifest.current)
}

/// Whether a writer came while a log was opened for reading: what was found beyond the end may
/// then have been its first commit, half seen. A writer that has gone again has changed the manifest
/// since it was `manifest_before`.
pub(crate) fn overtaken(
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

/// Whether a log that could not be opened for writing for want of space has got some.
pub(crate) fn make_space(opening: &Opening, error: &Error) -> bool {
    !opening.read_only && reserve::release(opening.disk.as_ref(), &opening.paths, error)
}

/// Reads on to where a writer of the epoch `since` or later has published meanwhile; whether one
/// had.
pub(crate) fn follow(
    disk: &dyn Disk,
    paths: &Paths,
    (place, published): (&StoreLocation, &Published),
    since: u32,
    replay: &mut dyn Replay,
) -> Result<bool> {
    let word = LockRecord::read(disk, paths)?;
    let (from, end) = (published.end(), word.published);
    // The word of a writer that was gone when the log was read is older than what was read, and
    // after a power loss it may be wrong.
    if word.epoch < since || end <= from {
        return Ok(false);
    }
    // In another store's place the word is that of another writer.
    place.check(disk)?;
    let identity = published.identity;
    let (last, _) = identity.locate(end);
    let mut next = u32::try_from(published.view().segments().len()).unwrap_or(u32::MAX);
    while next <= last {
        let header = Segment::read_header(disk, paths, next, &identity)?;
        let segment = Segment::open(disk, paths, header, SEGMENT_HEADER_BYTES)?;
        published.add_segment(Arc::new(segment));
        next += 1;
    }
    // Bytes below the writer's word are final: they may be read through the maps before they are
    // shown to anybody.
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
    // What came before a bad frame is in the index and is published, so that a later call goes on there.
    published.publish(if read.is_ok() { end } else { reached });
    published.wake();
    read.map(|()| true)
}

/// Makes the store's directories, and makes the entries that lead to them last as long as what is
/// acknowledged in the store.
pub(crate) fn make_directories(disk: &dyn Disk, paths: &Paths) -> Result<()> {
    let dir = paths.log();
    disk.create_dir(&dir).map_err(|e| Error::io("create", &dir, e))?;
    // Any of them may have been made by an attempt that was cut short, so all are synced.
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match disk.sync_dir(parent) {
            // Not ours, hence not made by us.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|e| Error::io("sync", parent, e))?,
        }
    }
    Ok(())
}

/// Makes a new store: its first segment, and then the manifest, with which it exists.
fn create(opening: &Opening) -> Result<ManifestFile> {
    let Opening { disk, paths, segment_bytes, .. } = opening;
    let disk = disk.as_ref();
    make_directories(disk, paths)?;
    remove_unfinished(disk, paths)?;
    let identity = Identity { store: random_bytes(disk), segment_bytes: *segment_bytes };
    let header = SegmentHeader { identity, number: 0, epoch: 0, salt: random_bytes(disk) };
    Segment::prepare(disk, paths, header, &|| Ok(()))?;
    let durable_upto = identity.first_frame(0);
    let manifest = Manifest { identity, generation: 1, epoch: 0, durable_upto, closed: true };
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
    let verdict = match &scan.remains {
        Some(remains) if remains.torn => Verdict::Torn,
        Some(_) => Verdict::Ambiguous,
        None if created => Verdict::Created,
        None if manifest.closed && scan.end == manifest.durable_upto => Verdict::Clean,
        None => Verdict::Unclosed,
    };
    OpenReport {
        verdict,
        epoch: manifest.epoch,
        end: scan.end,
        commits: scan.commits,
        segments: u32::try_from(scan.segments.len()).unwrap_or(u32::MAX),
        removed_bytes: scan.remains.as_ref().map_or(0, UnverifiedTail::bytes),
        quarantined: vec![],
        manifest_damaged: false,
        elapsed: Duration::ZERO,
    }
}

fn ambiguous(paths: &Paths, remains: &UnverifiedTail) -> Error {
    let what = "bytes beyond the last commit may have been an acknowledged one";
    match remains.pieces.first() {
        Some((segment, range)) => {
            corrupt(&paths.segment(*segment), range.start as u64, what, 0, range.len() as u64)
        }
        None => corrupt(&paths.log(), 0, what, 0, 0),
    }
}
