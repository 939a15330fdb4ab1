//! The report of a salvage: what was found, kept and lost.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::id::{Position, RunId};
use crate::retention::Keep;

/// Progress of a salvage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SalvageProgress {
    /// Bytes of segments read.
    pub bytes: u64,
    /// Bytes of all segments.
    pub total_bytes: u64,
    /// Commits found.
    pub commits: u64,
}

/// What a salvage found in the source, kept in the new store, and lost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The state of the manifest.
    pub manifest: ManifestState,
    /// Segments that were read.
    pub segments: u64,
    /// Bytes of segments that were read.
    pub bytes_read: u64,
    /// Bytes of commits in the new store, without those that erase.
    pub bytes_kept: u64,
    /// Commits that were kept with everything in them.
    pub commits_whole: u64,
    /// Commits that were found whole and kept in part.
    pub commits_partial: u64,
    /// Commits that were found whole and of which nothing could be kept.
    pub commits_dropped: u64,
    /// Events of the source in the new store.
    pub events_kept: u64,
    /// Row changes in the new store.
    pub rows_kept: u64,
    /// Row changes that were found and are malformed.
    pub rows_dropped: u64,
    /// Runs in the new store of which nothing is known to be missing, but for what a compaction drops of deleted ones.
    pub runs_whole: u64,
    /// Runs of which events are known to be missing, in the order in which they started.
    pub runs_cut: Vec<CutRun>,
    /// Deleted runs of which a compaction may have dropped events and whose end was not found: without it they would be open
    /// again. In the order in which they started. The new store does not know them; where the outcome was kept, that is lost.
    pub runs_left_out: Vec<LeftOutRun>,
    /// Runs of which nothing is kept and whose id is not known.
    pub runs_unknown: Vec<UnknownRun>,
    /// The ranges of segments that held, or may have held, commits and do not.
    pub lost: Vec<LostRange>,
    /// Files that are damaged, or not of this store.
    pub files: Vec<DamagedFile>,
    /// The numbers of segments that are missing, or whose files could not be identified.
    pub missing_segments: Vec<RangeInclusive<u32>>,
    /// Set if a durable mark shows that more of the log was acknowledged than was found.
    pub shortfall: Option<Shortfall>,
    /// Tables with rows that were last set before the last lost range. A lost commit may have changed or
    /// deleted any of them, and may have set rows that are missing.
    pub stale_tables: Vec<StaleTable>,
}

impl SalvageReport {
    /// Whether the new store holds everything that the source ever acknowledged, as far as the source shows.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let untouched = self.commits_partial + self.commits_dropped + self.rows_dropped == 0;
        let known = self.runs_cut.is_empty() && self.runs_unknown.is_empty();
        let ranges = self.lost.iter().all(|lost| lost.status == LossStatus::NeverAcknowledged);
        let outcomes = self.runs_left_out.iter().all(|run| run.kept == Keep::Nothing);
        untouched
            && known
            && outcomes
            && ranges
            && self.missing_segments.is_empty()
            && self.shortfall.is_none()
    }
}

/// The state in which the manifest was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ManifestState {
    /// It is valid.
    #[default]
    Whole,
    /// One of its two slots is damaged, and the other was used.
    OneSlotDamaged,
    /// Its length is wrong; its slots were used as far as they are there.
    WrongLength,
    /// It cannot be used; the headers of the segments were used instead.
    Damaged,
    /// There is none; the headers of the segments were used instead.
    Missing,
    /// It belongs to another store than the segments.
    Foreign,
    /// It is older than the log: it was replaced by a former one.
    Stale,
}

impl fmt::Display for ManifestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ManifestState::Whole => "whole",
            ManifestState::OneSlotDamaged => "one of two slots damaged",
            ManifestState::WrongLength => "of the wrong length",
            ManifestState::Damaged => "damaged",
            ManifestState::Missing => "missing",
            ManifestState::Foreign => "of another store",
            ManifestState::Stale => "older than the log",
        })
    }
}

/// A deleted run that is not in the new store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LeftOutRun {
    /// Its id.
    pub id: RunId,
    /// What the source kept of it.
    pub kept: Keep,
}

/// A range of a segment whose bytes are not what was written there.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LostRange {
    /// The file.
    pub path: PathBuf,
    /// The offset of the first byte.
    pub from: u64,
    /// The offset after the last byte.
    pub to: u64,
    /// What is wrong.
    pub what: &'static str,
    /// The expected value, such as a checksum; 0 where there is none.
    pub expected: u64,
    /// The value found.
    pub found: u64,
    /// Whether what is lost was ever acknowledged.
    pub status: LossStatus,
    /// Runs that the first damaged commit names, as far as it can still be read. They are not proven, and
    /// there may be others.
    pub runs: Vec<RunId>,
}

/// Whether the bytes of a range were ever part of an acknowledged commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossStatus {
    /// They were: a durable mark of a later commit, the manifest or the lock record covers them.
    Acknowledged,
    /// Not known: no durable mark covers them, and nothing proves that they were not.
    Unknown,
    /// They were not: the write was torn, or nothing is ever written there.
    NeverAcknowledged,
}

impl fmt::Display for LossStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LossStatus::Acknowledged => "acknowledged",
            LossStatus::Unknown => "perhaps acknowledged",
            LossStatus::NeverAcknowledged => "never acknowledged",
        })
    }
}

/// A file that is damaged, or not of this store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DamagedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: FileDamage,
}

/// What is wrong with the file of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FileDamage {
    /// Its header is damaged; its commits could still be verified.
    HeaderDamaged,
    /// Its header is damaged and does not show that it belongs to this store; it was not read.
    Unproven,
    /// It belongs to another store; it was not read.
    Foreign,
    /// It was written by another version of kinlog; it was not read.
    OtherFormat,
    /// It is the segment of this number under another name; it was read as that one.
    Misnamed(u32),
    /// Its header has this number, which another file has with better evidence; it was not read.
    Duplicate(u32),
    /// Its length is wrong; it was read as far as it goes.
    WrongLength {
        /// The bytes that a segment of this store has.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// It could not be opened.
    Unreadable,
}

impl fmt::Display for FileDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileDamage::HeaderDamaged => f.write_str("the header is damaged; read all the same"),
            FileDamage::Unproven => {
                f.write_str("the header does not say that it belongs to this store; not read")
            }
            FileDamage::Foreign => f.write_str("belongs to another store; not read"),
            FileDamage::OtherFormat => f.write_str("written by another version; not read"),
            FileDamage::Misnamed(number) => write!(f, "is segment {number}; read as that"),
            FileDamage::Duplicate(number) => {
                write!(f, "says that it is segment {number}, which another file is; not read")
            }
            FileDamage::WrongLength { expected, found } => {
                write!(f, "has {found} bytes, a segment has {expected}; read as far as it goes")
            }
            FileDamage::Unreadable => f.write_str("the system does not open it"),
        }
    }
}

/// A run of which the new store has a part only, or nothing.
///
/// If the new store has a part of it, the run is open there; one that was deleted and of which a compaction may have dropped
/// events is terminated there, and deleted if it can be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CutRun {
    /// The run.
    pub id: RunId,
    /// Its namespace; empty if that is lost.
    pub namespace: String,
    /// Its workflow id; empty if that is lost.
    pub workflow_id: String,
    /// How many of its events are in the new store, including those that a reset shares and those that a compaction dropped
    /// before the last one; 0 if it is not there.
    pub events_kept: u32,
    /// The first event that is lost.
    pub first_lost: u32,
    /// The least number of events that are lost: those up to the last one found.
    pub events_lost: u32,
    /// Why the following events could not be kept.
    pub why: &'static str,
}

/// A run whose first batch is lost: only its number in the source is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UnknownRun {
    /// Its number in the source.
    pub number: u32,
    /// The first event that was found.
    pub first_found: u32,
    /// The last event that was found.
    pub last_found: u32,
}

/// More of the log was acknowledged than was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Shortfall {
    /// Everything below was on the device once.
    pub acknowledged: Position,
    /// The end of the last commit found.
    pub found: Position,
}

/// A table with rows that may be out of date.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StaleTable {
    /// Its name.
    pub table: String,
    /// How many of its rows were last set before the last lost range.
    pub rows: u64,
}
